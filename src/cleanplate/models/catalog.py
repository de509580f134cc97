"""The inpainting networks that others publish, with what is known of their files.

None is shipped, and none has been downloaded or run where this was written: sizes and checksums are those
that the named programs check the files against. Where no checksum is known there is none here.
"""

from __future__ import annotations

from cleanplate.models.registry import Registry
from cleanplate.models.spec import FileKind, ModelFile

_RELEASES = "https://github.com/Sanster/models/releases/download"
_HUB = "https://huggingface.co"

BIG_LAMA = ModelFile(
    name="lama",
    file="big-lama.pt",
    architecture="lama",
    kind=FileKind.TORCHSCRIPT,
    licence="Apache-2.0",
    purpose="LaMa, the usual choice for photographs",
    urls=(f"{_RELEASES}/add_big_lama/big-lama.pt",),
    nbytes=205_669_692,
    sha256="344c77bbcb158f17dd143070d1e789f38a66c04202311ae3a258ef66667a9ea9",
    md5="e3aa4aaa15225a33ec84f9f4bc47e500",
    source="IOPaint (md5); several programs that fetch the same file (SHA-256, size)",
    in_auto=True,
)
ANIME_LAMA = ModelFile(
    name="anime-lama",
    file="anime-manga-big-lama.pt",
    architecture="lama",
    kind=FileKind.TORCHSCRIPT,
    licence="see its release page",
    purpose="LaMa trained on anime and manga",
    urls=(f"{_RELEASES}/AnimeMangaInpainting/anime-manga-big-lama.pt",),
    md5="29f284f36a0a510bcacf39ecf4c4d54f",
    source="IOPaint",
)
MIGAN = ModelFile(
    name="migan",
    file="migan_traced.pt",
    architecture="migan",
    kind=FileKind.TORCHSCRIPT,
    licence="MIT",
    purpose="MI-GAN, small and quick, 512 pixels",
    urls=(f"{_RELEASES}/migan/migan_traced.pt",),
    md5="76eb3b1a71c400ee3290524f7a11b89c",
    source="IOPaint",
    in_auto=True,
)
MAT = ModelFile(
    name="mat",
    file="Places_512_FullData_G.pth",
    architecture="mat",
    kind=FileKind.STATE_DICT,
    licence="CC-BY-NC-4.0 (not for commercial use)",
    purpose="MAT for large holes, 512 pixels; needs the extra 'spandrel'",
    urls=(f"{_RELEASES}/add_mat/Places_512_FullData_G.pth",),
    md5="8ca927835fa3f5e21d65ffcb165377ed",
    source="IOPaint",
)
LAMA_ONNX = ModelFile(
    name="lama-onnx",
    file="lama_fp32.onnx",
    architecture="lama",
    kind=FileKind.ONNX,
    licence="Apache-2.0",
    purpose="LaMa as ONNX, 512 pixels; needs the extra 'onnx'",
    urls=(f"{_HUB}/Carve/LaMa-ONNX/resolve/main/lama_fp32.onnx",),
    nbytes=208_044_816,
    sha256="1faef5301d78db7dda502fe59966957ec4b79dd64e16f03ed96913c7a4eb68d6",
    source="several programs that fetch the same file",
    in_auto=True,
)
MIGAN_ONNX = ModelFile(
    name="migan-onnx",
    file="migan_pipeline_v2.onnx",
    architecture="migan",
    kind=FileKind.ONNX,
    licence="MIT",
    purpose="MI-GAN as ONNX; needs the extra 'onnx'",
    urls=(f"{_HUB}/andraniksargsyan/migan/resolve/main/migan_pipeline_v2.onnx",),
    nbytes=28_079_181,
    sha256="6f1f3530a1a2324b19752018ce756088b07973cda8d7d890034ace5c8a48c40b",
    source="several programs that fetch the same file",
    in_auto=True,
)

#: In the order in which they are shown, and in which `--inpaint auto` prefers them.
CATALOG = Registry((BIG_LAMA, ANIME_LAMA, MIGAN, MAT, LAMA_ONNX, MIGAN_ONNX))
