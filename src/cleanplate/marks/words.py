"""What marks say: strings in the scripts that watermarks are written in.

Every name and address here is made up; they only have to look like what people put on photographs.
"""

from __future__ import annotations

import numpy as np

LATIN_PHRASES = (
    "SAMPLE", "PREVIEW", "PROOF", "DRAFT", "Do not copy", "COPYRIGHT", "All rights reserved",
    "Confidential", "Not for resale", "watermark", "Stock Photo", "STOCK", "Limited licence",
    "For review only", "Photography", "Photo Studio", "Portfolio", "Fine Art", "Weddings", "Archive",
    "Press", "Editorial use", "Image bank",
)  # fmt: skip
FIRST_NAMES = (
    "Anna", "Bruno", "Clara", "David", "Elena", "Farid", "Grace", "Hugo", "Ines", "Jonas", "Karin", "Liam",
    "Marta", "Nils", "Olga", "Pavel", "Rosa", "Stefan", "Teresa", "Victor", "Wanda", "Yusuf", "Zoe",
)  # fmt: skip
LAST_NAMES = (
    "Almeida", "Berg", "Castillo", "Dubois", "Eriksen", "Fischer", "Grant", "Horvat", "Ivanov", "Jensen",
    "Keller", "Lindqvist", "Moreau", "Novak", "Okafor", "Petrov", "Quinn", "Rossi", "Sato", "Tanaka", "Weiss",
)  # fmt: skip
CHINESE_PHRASES = (
    "样片", "版权所有", "摄影作品", "禁止转载", "图片水印", "仅供预览", "原创图片", "影像工作室",
    "风光摄影", "未经许可请勿使用", "样张", "内部资料", "图库", "作者", "摄影师", "人像写真",
    "旅行日记", "版權所有", "攝影",
)  # fmt: skip
JAPANESE_PHRASES = (
    "見本", "サンプル", "無断転載禁止", "写真", "撮影", "著作権", "プレビュー", "フォトスタジオ", "風景写真",
    "ギャラリー", "試し刷り", "カメラ", "おためし",
)  # fmt: skip
KOREAN_PHRASES = (
    "샘플", "미리보기", "저작권", "무단전재금지", "사진", "촬영", "스튜디오", "작가", "견본", "풍경사진",
)  # fmt: skip
SCRIPTS = ("latin", "chinese", "japanese", "korean")


def choose_words(rng: np.random.Generator, script: str = "latin") -> str:
    """A short string that a watermark might carry, in one of SCRIPTS.

    >>> choose_words(np.random.default_rng(1), "japanese") in JAPANESE_PHRASES
    True
    """
    if script == "chinese":
        return _pick(rng, CHINESE_PHRASES)
    if script == "japanese":
        return _pick(rng, JAPANESE_PHRASES)
    if script == "korean":
        return _pick(rng, KOREAN_PHRASES)
    return _choose_latin(rng)


def choose_date(rng: np.random.Generator) -> str:
    """A camera's date stamp, in one of the layouts that cameras print."""
    year, month, day = int(rng.integers(1988, 2027)), int(rng.integers(1, 13)), int(rng.integers(1, 29))
    hour, minute, second = int(rng.integers(0, 24)), int(rng.integers(0, 60)), int(rng.integers(0, 60))
    layouts = (
        f"{year}/{month:02d}/{day:02d}",
        f"{year}-{month:02d}-{day:02d} {hour:02d}:{minute:02d}",
        f"{day:02d}.{month:02d}.{year}",
        f"'{year % 100:02d} {month:2d} {day:2d}",
        f"{month:02d}/{day:02d}/{year} {hour:02d}:{minute:02d}:{second:02d}",
        f"{hour:02d}:{minute:02d}",
        f"{month} {day} '{year % 100:02d}",
    )
    return _pick(rng, layouts)


def _choose_latin(rng: np.random.Generator) -> str:
    first, last = _pick(rng, FIRST_NAMES), _pick(rng, LAST_NAMES)
    year = int(rng.integers(1999, 2027))
    random_letters = "".join(chr(int(c)) for c in rng.integers(97, 123, size=int(rng.integers(3, 10))))
    made = (
        f"© {first} {last}",
        f"© {year} {last} Photography",
        f"www.{first.lower()}{last.lower()}.example",
        f"{first} {last}",
        f"{last.upper()} STUDIO",
        f"@{first.lower()}.{last.lower()}",
        f"{last} & {_pick(rng, LAST_NAMES)}",
        f"photo: {first[0]}. {last}",
        f"#{int(rng.integers(10_000, 99_999_999))}",
        f"{random_letters}{_pick(rng, ('.com', '.net', '.org', '.jpg', ''))}",
        random_letters.upper(),
        f"ID {int(rng.integers(1000, 999_999))} {last}",
        _pick(rng, LATIN_PHRASES),
        f"{_pick(rng, LATIN_PHRASES)} {year}",
    )
    words = _pick(rng, made)
    return words.upper() if rng.random() < 0.15 else words


def _pick(rng: np.random.Generator, values: tuple[str, ...]) -> str:
    return values[int(rng.integers(len(values)))]
