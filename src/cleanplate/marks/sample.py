"""Marked photographs for training and evaluation: what marks people put where, at random but repeatably.

`sample_marked` follows one recipe for every use; its random generator decides everything, so the same seed
gives the same picture. Sizes are relative to the photograph's, as people choose them.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin

from cleanplate.marks import draw
from cleanplate.marks.assets import Assets
from cleanplate.marks.composite import PlacedMark, composite
from cleanplate.marks.words import choose_date, choose_words
from cleanplate.structures import FloatArray, Mark, Quantisation

KINDS = ("text", "logo", "both", "stamp", "tiled")
KIND_SHARES = (0.34, 0.2, 0.14, 0.12, 0.2)
#: A logo of any shape, turned at will, mostly in its own colours, anywhere: only where it is asked for.
FREE_KIND = "free"
#: A mark that the assets bring, in place of the random kinds.
GIVEN_KIND = "given"
#: How many marks with lettering stand on a plate or are cut out of it; how many letterings are embossed.
PLATE_SHARE, EMBOSSED_SHARE = 0.16, 0.06
#: Between lettering and its plate, in lightness from 0 to 1.
LEAST_CONTRAST = 0.3
#: How many marks that may lie in corners reach over the photograph's edge, and by what part of their height.
CUT_OFF_SHARE, MOST_CUT_OFF = 0.04, 0.4
#: What Pillow calls colours at half the resolution both ways.
SAMPLING_420 = 2


@dataclass(frozen=True, eq=False)
class MarkedPhoto:
    """A photograph before and after marking.

    marked: (H, W, 3) uint8, after marking and JPEG. clean: (H, W, 3) uint8. alpha: (H, W) float32, the marks'
    joint opacity. matte: (H, W) float32, their shape: alpha over each mark's own opacity. colour: (H, W, 3)
    float32. kind: one of KINDS or "clean"; opacity: the first mark's, 0 where clean. jpeg_quality: or None;
    jpeg: the bytes of the file that `marked` was decoded from, or None.
    """

    marked: NDArray[np.uint8]
    clean: NDArray[np.uint8]
    alpha: FloatArray
    matte: FloatArray
    colour: FloatArray
    kind: str
    opacity: float
    jpeg_quality: int | None
    jpeg: bytes | None = None

    @property
    def quantisation(self) -> Quantisation | None:
        """How coarsely the file was rounded; None where it is no JPEG file."""
        return None if self.jpeg is None else read_steps(self.jpeg)


def sample_marked(
    clean: NDArray[np.uint8],
    rng: np.random.Generator,
    assets: Assets,
    *,
    kind: str | None = None,
    opacity: float | None = None,
    jpeg_quality: int | None = None,
) -> MarkedPhoto:
    """Put one to three marks on a photograph and compress it.

    clean: (H, W, 3) uint8. kind, opacity, jpeg_quality: fixed where given, else chosen; "clean" draws no
    mark. Assets with a mark of their own draw that one, alone, where no kind is given.
    """
    height, width = clean.shape[:2]
    if kind is None and assets.mark is not None and rng.random() < assets.mark_share:
        kind = GIVEN_KIND
    kind = kind or str(rng.choice(KINDS, p=KIND_SHARES))
    first_opacity = opacity if opacity is not None else choose_opacity(rng, kind)
    placed: list[tuple[PlacedMark, float]] = []
    if kind != "clean":
        placed.append((sample_mark(kind, height, width, rng, assets, first_opacity), first_opacity))
        while kind != GIVEN_KIND and len(placed) < 3 and rng.random() < 0.12:
            other = str(rng.choice(KINDS[:4]))
            further = choose_opacity(rng, other)
            placed.append((sample_mark(other, height, width, rng, assets, further), further))
    rgb = clean.astype(np.float32) / np.float32(255)
    marked, alpha, colour = composite(rgb, [mark for mark, _ in placed])
    matte = _join_mattes(placed, height, width)
    if jpeg_quality is None and rng.random() < 0.85:
        jpeg_quality = int(rng.integers(70, 99)) if rng.random() < 0.8 else int(rng.integers(45, 70))
    marked_u8 = np.round(np.clip(marked, 0, 1) * 255).astype(np.uint8)
    jpeg = None
    if jpeg_quality is not None:
        jpeg = encode_jpeg(marked_u8, jpeg_quality, full_chroma=bool(rng.random() < 0.3))
        marked_u8 = decode_jpeg(jpeg)
    shown = first_opacity if kind != "clean" else 0.0
    return MarkedPhoto(marked_u8, clean, alpha, matte, colour, kind, shown, jpeg_quality, jpeg)


def choose_opacity(rng: np.random.Generator, kind: str) -> float:
    """An opacity as marks of the kind have it, from 0.15 to 1."""
    if kind == "stamp":
        return 1.0 if rng.random() < 0.5 else float(rng.uniform(0.6, 1.0))
    if kind == "tiled":
        return float(rng.uniform(0.15, 0.6))
    return 1.0 if rng.random() < 0.12 else float(rng.uniform(0.15, 0.95))


def sample_mark(
    kind: str, height: int, width: int, rng: np.random.Generator, assets: Assets, opacity: float
) -> PlacedMark:
    """One mark of a kind, sized and placed for a photograph of height x width."""
    if kind == "tiled":
        return PlacedMark(_sample_tiled(height, width, rng, assets, opacity), 0, 0)
    if kind == "stamp":
        shape = _sample_stamp(height, width, rng, assets)
        return _place(draw.finish(shape, opacity, kind), height, width, rng, corner_share=0.95)
    if kind == FREE_KIND:
        shape = _sample_free(min(height, width), rng, assets)
        return _place(draw.finish(shape, opacity, kind), height, width, rng, corner_share=0.0)
    target_px = max(24, round(width * float(np.exp(rng.uniform(np.log(0.08), np.log(0.85))))))
    if kind == GIVEN_KIND and assets.mark is not None:
        shape = _resize_given(assets.mark, target_px, height)
        return _place(draw.finish(shape, opacity, kind), height, width, rng, corner_share=0.4)
    if kind == "logo":
        target_px = max(20, round(min(height, width) * float(np.exp(rng.uniform(np.log(0.07), np.log(0.7))))))
        shape = _sample_logo(target_px, rng, assets)
    elif kind == "text":
        shape = _sample_text(target_px, height, rng, assets)
    else:
        lettering = _sample_text(target_px, height, rng, assets)
        logo = _sample_logo(
            max(16, round(min(lettering.shape[1], height * 0.5) * rng.uniform(0.2, 0.8))), rng, assets
        )
        shape = _join(logo, lettering, rng)
    if kind != "logo" and rng.random() < PLATE_SHARE:
        shape = _sample_plate(shape, rng, assets)
    shape = draw.rotate(shape, _choose_rotation(rng))
    if rng.random() < 0.3:
        shape = draw.soften(shape, float(rng.uniform(0.3, 1.2)))
    fade = _sample_fade(shape.shape[0], shape.shape[1], rng) if rng.random() < 0.06 else None
    return _place(draw.finish(shape, opacity, kind, fade), height, width, rng, corner_share=0.5)


def encode_jpeg(rgb_u8: NDArray[np.uint8], quality: int, *, full_chroma: bool = False) -> bytes:
    """A picture (H, W, 3) as a JPEG file.

    quality: 1 to 100. full_chroma: colour is kept at full resolution, else at half.
    """
    sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444 if full_chroma else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420
    parameters = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    _, data = cv2.imencode(".jpg", np.ascontiguousarray(rgb_u8[..., ::-1]), parameters)
    return data.tobytes()


def read_steps(data: bytes) -> Quantisation:
    """How coarsely a file of `encode_jpeg` was rounded.

    >>> read_steps(encode_jpeg(np.zeros((8, 8, 3), np.uint8), 90)).halved
    (True, True)
    """
    with Image.open(io.BytesIO(data)) as picture:
        tables: dict[int, list[int]] = picture.quantization  # type: ignore[attr-defined]  # JpegImageFile has it
        is_halved = JpegImagePlugin.get_sampling(picture) == SAMPLING_420
    luma, chroma = (np.asarray(tables[min(place, len(tables) - 1)], np.float32) for place in (0, 1))
    return Quantisation(luma.reshape(8, 8), chroma.reshape(8, 8), (is_halved, is_halved))


def decode_jpeg(data: bytes) -> NDArray[np.uint8]:
    """(H, W, 3) uint8: what JPEG left of a picture that `encode_jpeg` encoded."""
    bgr = np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), np.uint8)
    return np.ascontiguousarray(bgr[..., ::-1])


def _join_mattes(placed: list[tuple[PlacedMark, float]], height: int, width: int) -> FloatArray:
    matte = np.zeros((height, width), np.float32)
    nothing = np.zeros((height, width, 3), np.float32)
    for mark, opacity in placed:
        _, alpha, _ = composite(nothing, [mark])
        matte = np.maximum(matte, np.clip(alpha / max(opacity, 1e-3), 0, 1))
    return matte


def _resize_given(mark: Mark, target_px: int, height: int) -> FloatArray:
    """A given mark as a shape whose densest pixels are opaque: how translucent it is follows anew."""
    densest = max(float(np.percentile(mark.alpha[mark.alpha > 0], 99)), 1e-3)
    rgba = np.dstack([mark.rgb, np.clip(mark.alpha / densest, 0, 1)])
    fits_px = round(0.9 * height * mark.alpha.shape[1] / mark.alpha.shape[0])
    rgba_u8 = np.rint(rgba * 255).astype(np.uint8)
    return draw.shape_from_logo(rgba_u8, max(8, min(target_px, fits_px)))


def _sample_text(target_px: int, height: int, rng: np.random.Generator, assets: Assets) -> FloatArray:
    script = "latin"
    if len(assets.scripts) > 1 and rng.random() < 0.3:
        script = str(rng.choice([s for s in assets.scripts if s != "latin"]))
    words = choose_words(rng, script)
    if rng.random() < 0.15:
        words = f"{words}\n{choose_words(rng, script)}"
    probe = assets.choose_font(rng, script, 32)
    longest = max(1.0, *(float(probe.getlength(line)) for line in words.split("\n")))
    size_px = int(np.clip(32 * target_px / longest, 9, max(12, 0.35 * height)))
    font = probe.font_variant(size=size_px)
    shape = draw.draw_text(words, font, _sample_style(size_px, rng))
    if rng.random() < EMBOSSED_SHARE:
        depth_px = max(0.7, size_px * float(rng.uniform(0.02, 0.06)))
        return draw.emboss(shape, depth_px, float(rng.uniform(0.0, 0.6)))
    return shape


def _sample_style(size_px: int, rng: np.random.Generator) -> draw.TextStyle:
    colour = _choose_colour(rng)
    style: dict[str, object] = {"colour": colour}
    if rng.random() < 0.2:
        dark = sum(colour) > 1.5
        style["outline_px"] = max(1, round(size_px * rng.uniform(0.02, 0.08)))
        style["outline_colour"] = (0.0, 0.0, 0.0) if dark else (1.0, 1.0, 1.0)
        if rng.random() < 0.35:
            style["hollow"], style["outline_colour"] = True, colour
    if rng.random() < 0.2:
        offset = max(1.0, size_px * float(rng.uniform(0.03, 0.09)))
        style["shadow"] = (
            offset,
            offset,
            float(rng.uniform(0, 0.05)) * size_px,
            float(rng.uniform(0.3, 0.9)),
        )
    return draw.TextStyle(**style)  # type: ignore[arg-type]  # names and types are the literals above


def _sample_logo(target_px: int, rng: np.random.Generator, assets: Assets) -> FloatArray:
    rgba = assets.choose_logo(rng)
    own_colours = bool(rng.random() < 0.4)
    return draw.shape_from_logo(rgba, target_px, None if own_colours else _choose_colour(rng))


def _join(logo: FloatArray, lettering: FloatArray, rng: np.random.Generator) -> FloatArray:
    """A logo above its lettering, or before it; now and then one of the two is fainter."""
    fainter = int(rng.integers(2)) if rng.random() < 0.2 else None
    if fainter is not None:
        (logo, lettering)[fainter][..., 3] *= float(rng.uniform(0.35, 0.9))
    gap_px = int(rng.integers(0, 8))
    if rng.random() < 0.5:
        return draw.stack(logo, lettering, gap_px)
    high_px = lettering.shape[0] * float(rng.uniform(0.8, 2.0))
    width_px = max(8, round(min(high_px * logo.shape[1] / logo.shape[0], 0.6 * lettering.shape[1])))
    high = draw.stretch(logo, width_px, max(8, round(width_px * logo.shape[0] / logo.shape[1])))
    return draw.beside(high, lettering, gap_px)


def _sample_plate(shape: FloatArray, rng: np.random.Generator, assets: Assets) -> FloatArray:
    """The shape on a plate of another lightness, or cut out of it: a badge, a label, a large logo."""
    height, width = shape.shape[:2]
    width_px, height_px = (
        round(length + 2 * height * float(rng.uniform(0.05, 0.5))) for length in (width, height)
    )
    lightness = float((shape[..., :3].mean(axis=2) * shape[..., 3]).sum() / max(1e-3, shape[..., 3].sum()))
    colour = _choose_colour(rng)
    if abs(sum(colour) / 3 - lightness) < LEAST_CONTRAST:
        colour = (0.0, 0.0, 0.0) if lightness > 0.5 else (1.0, 1.0, 1.0)
    if rng.random() < 0.2:
        logo = draw.shape_from_logo(assets.choose_logo(rng), width_px, colour)
        plate = draw.stretch(logo, width_px, max(height_px, logo.shape[0] * width_px // logo.shape[1]))
    else:
        roundness = float(rng.choice([0.0, rng.uniform(0.1, 0.6), 1.0], p=[0.5, 0.3, 0.2]))
        plate = draw.draw_plate(width_px, height_px, roundness, colour)
    plate[..., 3] *= float(rng.uniform(0.25, 1.0))
    return draw.put_on(plate, shape, cut_out=bool(rng.random() < 0.25))


def _sample_free(short_side: int, rng: np.random.Generator, assets: Assets) -> FloatArray:
    rgba = assets.choose_logo(rng)
    colour = None if rng.random() < 0.7 else _choose_colour(rng)
    shape = draw.shape_from_logo(rgba, max(16, min(rgba.shape[1], short_side)), colour)
    turned = draw.rotate(shape, float(rng.uniform(0, 360)))
    width, height = (max(10, round(short_side * float(rng.uniform(0.04, 1.0)))) for _ in range(2))
    return draw.stretch(turned, width, height)


def _sample_stamp(height: int, width: int, rng: np.random.Generator, assets: Assets) -> FloatArray:
    palette = (
        (1.0, 0.55, 0.1),
        (1.0, 0.8, 0.2),
        (1.0, 0.25, 0.15),
        (1.0, 1.0, 1.0),
        (0.95, 0.95, 0.3),
        (0.3, 1.0, 0.4),
    )
    size_px = max(9, round(min(height, width) * float(rng.uniform(0.022, 0.06))))
    font = assets.choose_font(rng, "latin", size_px)
    colour = palette[int(rng.integers(len(palette)))]
    outline = int(rng.random() < 0.25)
    shape = draw.draw_text(choose_date(rng), font, draw.TextStyle(colour=colour, outline_px=outline))
    return draw.soften(shape, float(rng.uniform(0.4, 1.0))) if rng.random() < 0.5 else shape


def _sample_tiled(height: int, width: int, rng: np.random.Generator, assets: Assets, opacity: float) -> Mark:
    target_px = max(24, round(width * float(rng.uniform(0.08, 0.35))))
    shape = (
        _sample_text(target_px, height, rng, assets)
        if rng.random() < 0.7
        else _sample_logo(target_px // 2, rng, assets)
    )
    step = (
        round(shape.shape[1] * float(rng.uniform(1.1, 2.2))) + 4,
        round(shape.shape[0] * float(rng.uniform(1.3, 4.0))) + 4,
    )
    degrees = 0.0 if rng.random() < 0.2 else float(rng.uniform(-50, 50))
    pattern = draw.tile(shape, height, width, step, degrees, stagger=bool(rng.random() < 0.5))
    return draw.finish(pattern, opacity, "tiled")


def _sample_fade(height: int, width: int, rng: np.random.Generator) -> FloatArray:
    angle = rng.uniform(0, 2 * np.pi)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    along = np.cos(angle) * columns / max(1, width) + np.sin(angle) * rows / max(1, height)
    along = (along - along.min()) / max(1e-6, float(along.max() - along.min()))
    return np.asarray(1 - along * float(rng.uniform(0.3, 0.8)), np.float32)


def _choose_colour(rng: np.random.Generator) -> draw.Colour:
    draw_number = rng.random()
    if draw_number < 0.48:
        return (1.0, 1.0, 1.0)
    if draw_number < 0.62:
        return (0.0, 0.0, 0.0)
    if draw_number < 0.7:
        grey = float(rng.uniform(0.2, 0.95))
        return (grey, grey, grey)
    red, green, blue = (float(c) for c in rng.uniform(0, 1, 3))
    return (red, green, blue)


def _choose_rotation(rng: np.random.Generator) -> float:
    draw_number = rng.random()
    if draw_number < 0.68:
        return 0.0
    if draw_number < 0.92:
        return float(rng.uniform(-50, 50))
    return float(rng.choice([90.0, -90.0])) if draw_number < 0.96 else float(rng.uniform(-180, 180))


def _place(mark: Mark, height: int, width: int, rng: np.random.Generator, corner_share: float) -> PlacedMark:
    mark_height, mark_width = mark.alpha.shape
    free_right, free_down = width - mark_width, height - mark_height
    margin = round(min(height, width) * float(rng.uniform(0.005, 0.06)))
    if corner_share > 0 and rng.random() < CUT_OFF_SHARE:
        margin = -round(min(mark_height, mark_width) * float(rng.uniform(0.05, MOST_CUT_OFF)))
    draw_number = rng.random()
    if draw_number < corner_share:
        left = int(rng.choice([margin, free_right - margin, free_right // 2], p=[0.3, 0.5, 0.2]))
        top = int(rng.choice([margin, free_down - margin], p=[0.25, 0.75]))
    elif draw_number < corner_share + (1 - corner_share) / 2:
        left, top = free_right // 2, free_down // 2
    else:
        left = int(rng.integers(min(0, free_right), max(0, free_right) + 1))
        top = int(rng.integers(min(0, free_down), max(0, free_down) + 1))
    return PlacedMark(mark, left, top)
