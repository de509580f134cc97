"""Putting a repaired picture's pixels back among the file's own samples, and those into another format's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cleanplate.images import colour
from cleanplate.images.container import Container, Samples
from cleanplate.images.difference import find_differences
from cleanplate.images.orientation import to_stored
from cleanplate.structures import BoolArray, Photo, RgbArray

#: A palette has no more entries.
_MOST_COLOURS = 256


@dataclass(frozen=True, eq=False)
class Composed:
    """Samples ready for an encoder, as stored, and what their owner should know."""

    samples: Samples
    notes: tuple[str, ...] = ()


def compose_native(photo: Photo, rgb: RgbArray, changed: BoolArray) -> Composed:
    """The samples that go to the encoder: the input's own outside of `changed`, `rgb` inside.

    rgb: (H, W, 3) upright, of the photograph's own depth. changed: (H, W) bool, upright. Alpha is the input's
    everywhere. A pixel in `changed` that has its old colour keeps its old samples. Palette and one-bit
    pictures stay so where the new colours fit, else they become RGB or grey, with the same colours outside.

    Raises ValueError where the arrays do not fit the photograph.
    """
    container: Container = photo.container
    if rgb.shape != photo.rgb.shape or rgb.dtype != photo.rgb.dtype or changed.shape != rgb.shape[:2]:
        raise ValueError(
            f"rgb {rgb.dtype}{rgb.shape} and changed {changed.shape} do not fit the photograph's "
            f"{photo.rgb.dtype}{photo.rgb.shape}"
        )
    different = find_differences(rgb, photo.rgb)
    really = to_stored(changed & different, container.orientation)
    stored = to_stored(rgb, container.orientation)
    if not really.any():
        return Composed(container.samples)
    if container.samples.mode == "RGB" and not (different & ~changed).any():
        composed = Composed(Samples("RGB", stored))  # it is what would be put together
    else:
        composed = _composed(container.samples, stored[really], really, container.metadata.icc)
    del different, stored
    return _without_key(composed, really, container.colour_key)


def _composed(samples: Samples, colours: NDArray[Any], really: BoolArray, icc: bytes | None) -> Composed:
    if samples.mode == "P":
        return _into_palette(samples, colours, really)
    if samples.mode == "1":
        grey = colour.rgb_to_grey(colours)
        fits = np.isin(grey, (0, 255)).all()
        notes = (
            ()
            if fits
            else (
                "the one-bit picture became 8-bit grey: what was behind the mark is not only black and white",
            )
        )
        return Composed(_with(samples, really, grey, mode="1" if fits else "L"), notes)
    if samples.mode == "CMYK":
        return Composed(_with(samples, really, colour.rgb_to_cmyk(colours, icc)))
    if samples.mode in ("L", "LA"):
        return Composed(_with(samples, really, colour.rgb_to_grey(colours)))
    return Composed(_with(samples, really, colours))


def _with(samples: Samples, really: BoolArray, values: NDArray[Any], mode: str | None = None) -> Samples:
    """A copy with new colours at the marked pixels; an alpha channel keeps its values."""
    array = samples.array.copy()
    if samples.mode == "LA":
        array[really, 0] = values
    elif samples.mode == "RGBA":
        array[really, :3] = values
    else:
        array[really] = values
    return Samples(mode or samples.mode, array)


def _into_palette(samples: Samples, colours: NDArray[np.uint8], really: BoolArray) -> Composed:
    assert samples.palette is not None  # a Samples of mode "P" is always built with one
    opacity = samples.palette[samples.array[really], 3]
    wanted = np.column_stack([colours, opacity])
    distinct, which = np.unique(wanted, axis=0, return_inverse=True)
    known = {tuple(entry): index for index, entry in reversed(list(enumerate(samples.palette.tolist())))}
    missing = [entry for entry in distinct.tolist() if tuple(entry) not in known]
    if len(samples.palette) + len(missing) > _MOST_COLOURS:
        return _out_of_palette(samples, wanted, really)
    known |= {tuple(entry): index for index, entry in enumerate(missing, len(samples.palette))}
    palette = np.concatenate([samples.palette, np.array(missing, np.uint8).reshape(-1, 4)])
    indices = np.array([known[tuple(entry)] for entry in distinct.tolist()], np.uint8)
    array = samples.array.copy()
    array[really] = indices[which.reshape(-1)]
    return Composed(Samples("P", array, palette))


def _out_of_palette(samples: Samples, wanted: NDArray[np.uint8], really: BoolArray) -> Composed:
    assert samples.palette is not None  # a Samples of mode "P" is always built with one
    mode = "RGBA" if samples.has_alpha else "RGB"
    array = samples.palette[samples.array]
    array[really] = wanted
    note = f"the palette picture became {mode}: the repaired pixels have more colours than a palette holds"
    return Composed(Samples(mode, np.ascontiguousarray(array[:, :, : len(mode)])), (note,))


def _without_key(composed: Composed, really: BoolArray, key: tuple[int, ...] | None) -> Composed:
    """A repaired pixel that hits the colour which means transparent is moved by one level."""
    samples = composed.samples
    if key is None or samples.mode not in ("L", "RGB"):
        return composed
    array = samples.array.reshape(*samples.array.shape[:2], -1)
    hits = really & (array == np.array(key)).all(axis=2)
    if not hits.any():
        return composed
    moved = array.copy()
    moved[hits, -1] = key[-1] - 1 if key[-1] else 1
    return Composed(Samples(samples.mode, moved.reshape(samples.array.shape)), composed.notes)
