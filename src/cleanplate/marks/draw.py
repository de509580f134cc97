"""Marks drawn as layers: text, logos, and their tiling, rotation, outline, shadow and softness.

A shape is (h, w, 4) float32 RGBA with straight alpha in [0, 1]; `finish` turns a shape and an opacity into a
Mark.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from cleanplate.structures import FloatArray, Mark

Colour = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class TextStyle:
    """How lettering looks. Lengths in pixels; colours in [0, 1]; shadow: (dx, dy, blur, strength) or None."""

    colour: Colour = (1.0, 1.0, 1.0)
    outline_px: int = 0
    outline_colour: Colour = (0.0, 0.0, 0.0)
    hollow: bool = False
    shadow: tuple[float, float, float, float] | None = None


def draw_text(text: str, font: ImageFont.FreeTypeFont, style: TextStyle = TextStyle()) -> FloatArray:
    """The shape of a text of one or more lines, trimmed to it with room for outline and shadow.

    >>> draw_text("Hi", ImageFont.load_default(20)).shape[2]
    4
    """
    stroke = style.outline_px
    left, top, right, bottom = ImageDraw.Draw(Image.new("L", (1, 1))).multiline_textbbox(
        (0, 0), text, font=font, stroke_width=stroke, align="center"
    )
    dx, dy, blur, strength = style.shadow or (0.0, 0.0, 0.0, 0.0)
    pad = 2 + stroke + int(np.ceil(max(abs(dx), abs(dy)) + 2 * blur))
    size = (int(right - left) + 2 * pad, int(bottom - top) + 2 * pad)
    at = (pad - left, pad - top)
    body = _draw_coverage(size, at, text, font, 0)
    around = _draw_coverage(size, at, text, font, stroke) if stroke else body
    shape = np.zeros((*body.shape, 4), np.float32)
    if style.shadow:
        moved = cv2.warpAffine(around, np.array([[1, 0, dx], [0, 1, dy]], np.float32), size)
        soft = cv2.GaussianBlur(moved, (0, 0), blur) if blur > 0 else moved
        shape = _over(shape, soft * strength, (0.0, 0.0, 0.0))
    if stroke:
        ring = np.clip(around - body, 0, 1) if style.hollow else around
        shape = _over(shape, ring, style.outline_colour)
    if not style.hollow:
        shape = _over(shape, body, style.colour)
    return shape


def shape_from_logo(rgba_u8: NDArray[np.uint8], width_px: int, colour: Colour | None = None) -> FloatArray:
    """A logo resized to a width, as a shape.

    rgba_u8: (h, w, 4), straight alpha. colour: all of the logo takes it (a white logo from a coloured one).
    """
    scale = width_px / rgba_u8.shape[1]
    size = (max(2, width_px), max(2, round(rgba_u8.shape[0] * scale)))
    premultiplied = rgba_u8.astype(np.float32) / 255
    premultiplied[..., :3] *= premultiplied[..., 3:]
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = np.asarray(cv2.resize(premultiplied, size, interpolation=interpolation), np.float32)
    shape = np.pad(np.clip(small, 0, 1), ((2, 2), (2, 2), (0, 0)))
    shape[..., :3] /= np.maximum(shape[..., 3:], 1e-4)
    if colour is not None:
        shape[..., :3] = colour
    return np.clip(shape, 0, 1).astype(np.float32)


def stretch(shape: FloatArray, width_px: int, height_px: int) -> FloatArray:
    """The shape at another width and height.

    >>> stretch(np.ones((4, 9, 4), np.float32), 20, 10).shape
    (10, 20, 4)
    """
    premultiplied = np.dstack([shape[..., :3] * shape[..., 3:], shape[..., 3]])
    shrinks = width_px * height_px < shape.shape[0] * shape.shape[1]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized = cv2.resize(premultiplied, (width_px, height_px), interpolation=interpolation)
    return _unpremultiply(np.asarray(resized, np.float32))


def stack(upper: FloatArray, lower: FloatArray, gap_px: int) -> FloatArray:
    """One shape above another, centred (a logo over its lettering)."""
    width = max(upper.shape[1], lower.shape[1])
    height = upper.shape[0] + gap_px + lower.shape[0]
    both = np.zeros((height, width, 4), np.float32)
    for shape, row in ((upper, 0), (lower, upper.shape[0] + gap_px)):
        left = (width - shape.shape[1]) // 2
        both[row : row + shape.shape[0], left : left + shape.shape[1]] = shape
    return both


def beside(left: FloatArray, right: FloatArray, gap_px: int) -> FloatArray:
    """One shape left of another, centred (a logo before its lettering).

    >>> beside(np.ones((4, 9, 4), np.float32), np.ones((8, 5, 4), np.float32), 2).shape
    (8, 16, 4)
    """
    turned = stack(left.transpose(1, 0, 2), right.transpose(1, 0, 2), gap_px)
    return np.ascontiguousarray(turned.transpose(1, 0, 2))


def draw_plate(width_px: int, height_px: int, roundness: float, colour: Colour) -> FloatArray:
    """An opaque plate to put lettering on, trimmed to it.

    roundness: of the corners, 0 for a rectangle, 1 where the short sides are half circles.

    >>> draw_plate(20, 10, 0.0, (1.0, 1.0, 1.0)).min()
    np.float32(1.0)
    """
    finer = 4
    picture = Image.new("L", (width_px * finer, height_px * finer))
    corners_px = roundness * min(picture.size) / 2
    whole = (0, 0, picture.width - 1, picture.height - 1)
    ImageDraw.Draw(picture).rounded_rectangle(whole, corners_px, fill=255)
    coverage = np.asarray(picture.reduce(finer), np.float32) / np.float32(255)
    return np.dstack([np.full((height_px, width_px, 3), colour, np.float32), coverage])


def put_on(plate: FloatArray, shape: FloatArray, cut_out: bool = False) -> FloatArray:
    """A shape centred on a plate that is at least as large, or cut out of it as a hole.

    >>> put_on(np.ones((8, 8, 4), np.float32), np.ones((4, 4, 4), np.float32), cut_out=True)[4, 4, 3]
    np.float32(0.0)
    """
    top, left = ((plate.shape[axis] - shape.shape[axis]) // 2 for axis in (0, 1))
    where = (slice(top, top + shape.shape[0]), slice(left, left + shape.shape[1]))
    joined = plate.copy()
    if cut_out:
        joined[(*where, 3)] *= 1 - shape[..., 3]
    else:
        joined[where] = _over(plate[where], shape[..., 3], shape[..., :3])
    return joined


def emboss(shape: FloatArray, depth_px: float, body: float) -> FloatArray:
    """A shape as if pressed into the picture: lit from above on the left, in the shade below on the right.

    depth_px: how far light and shade reach. body: what of the shape's own opacity is left between them.
    """
    size = (shape.shape[1], shape.shape[0])
    edges = []
    for sign in (-1, 1):
        move = np.array([[1, 0, sign * depth_px], [0, 1, sign * depth_px]], np.float32)
        moved = np.asarray(cv2.warpAffine(shape[..., 3], move, size), np.float32)
        edges.append(np.clip(moved - shape[..., 3], 0, 1))
    pressed = shape.copy()
    pressed[..., 3] *= body
    for coverage, colour in zip(edges, ((1.0, 1.0, 1.0), (0.0, 0.0, 0.0)), strict=True):
        pressed = _over(pressed, coverage, colour)
    return pressed


def rotate(shape: FloatArray, degrees: float) -> FloatArray:
    """The shape turned counter-clockwise, its canvas grown to hold it."""
    if degrees % 360 == 0:
        return shape
    height, width = shape.shape[:2]
    turn = np.asarray(cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0), np.float64)
    cosine, sine = abs(turn[0, 0]), abs(turn[0, 1])
    new_width, new_height = (
        int(np.ceil(height * sine + width * cosine)) + 2,
        int(np.ceil(height * cosine + width * sine)) + 2,
    )
    turn[:, 2] += np.array([(new_width - width) / 2, (new_height - height) / 2])
    return _resample(shape, turn, new_width, new_height)


def tile(
    shape: FloatArray, height: int, width: int, step: tuple[int, int], degrees: float, stagger: bool
) -> FloatArray:
    """The shape repeated over a canvas, the whole pattern turned.

    step: distance of neighbours (right, down) in pixels, at least the shape's size. stagger: every second row
    is moved by half a step.
    """
    reach = int(np.ceil(np.hypot(height, width))) + max(step)
    pattern = np.zeros((reach, reach, 4), np.float32)
    for row_number, row in enumerate(range(0, reach - shape.shape[0], step[1])):
        first = step[0] // 2 if stagger and row_number % 2 else 0
        for column in range(first, reach - shape.shape[1], step[0]):
            pattern[row : row + shape.shape[0], column : column + shape.shape[1]] = shape
    turn = np.asarray(cv2.getRotationMatrix2D((reach / 2, reach / 2), degrees, 1.0), np.float64)
    turn[:, 2] += np.array([width / 2 - reach / 2, height / 2 - reach / 2])
    return _resample(pattern, turn, width, height)


def soften(shape: FloatArray, sigma_px: float) -> FloatArray:
    """The shape with blurred edges, as an upscaled or out-of-focus mark has them."""
    if sigma_px <= 0:
        return shape
    premultiplied = np.dstack([shape[..., :3] * shape[..., 3:], shape[..., 3]])
    blurred = cv2.GaussianBlur(premultiplied, (0, 0), sigma_px)
    return _unpremultiply(np.asarray(blurred, np.float32))


def finish(shape: FloatArray, opacity: float, kind: str, fade: FloatArray | None = None) -> Mark:
    """The mark of a shape at an opacity in [0, 1].

    fade: (h, w) in [0, 1], a further factor on the opacity for uneven marks, or None.
    """
    alpha = shape[..., 3] * opacity
    if fade is not None:
        alpha = alpha * fade
    return Mark(
        alpha=np.ascontiguousarray(alpha, np.float32), rgb=np.ascontiguousarray(shape[..., :3]), kind=kind
    )


def _draw_coverage(
    size: tuple[int, int], at: tuple[float, float], text: str, font: ImageFont.FreeTypeFont, stroke: int
) -> FloatArray:
    picture = Image.new("L", size)
    ImageDraw.Draw(picture).multiline_text(at, text, fill=255, font=font, stroke_width=stroke, align="center")
    return np.asarray(picture, np.float32) / np.float32(255)


def _over(below: FloatArray, coverage: FloatArray, colour: Colour | FloatArray) -> FloatArray:
    alpha = coverage + below[..., 3] * (1 - coverage)
    mixed = (
        coverage[..., None] * np.asarray(colour, np.float32)
        + (below[..., 3] * (1 - coverage))[..., None] * below[..., :3]
    )
    return np.dstack([mixed / np.maximum(alpha, 1e-6)[..., None], alpha]).astype(np.float32)


def _resample(shape: FloatArray, affine: NDArray[np.float64], width: int, height: int) -> FloatArray:
    premultiplied = np.dstack([shape[..., :3] * shape[..., 3:], shape[..., 3]])
    moved = cv2.warpAffine(premultiplied, affine, (width, height), flags=cv2.INTER_LINEAR)
    return _unpremultiply(np.asarray(moved, np.float32))


def _unpremultiply(premultiplied: FloatArray) -> FloatArray:
    alpha = np.clip(premultiplied[..., 3:], 0, 1)
    colour = np.clip(premultiplied[..., :3] / np.maximum(alpha, 1e-4), 0, 1)
    return np.dstack([colour, alpha]).astype(np.float32)
