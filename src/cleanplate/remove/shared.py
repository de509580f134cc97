"""A mark that many photographs share: opacity and colour from aligned crops. Pure: arrays in, `Mark` out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cleanplate.marks.files import ESTIMATED
from cleanplate.remove.gradients import SPREAD_SIGMA_PX, measure_scale
from cleanplate.remove.inpaint import dilate
from cleanplate.remove.likelihood import Grid, Unknown, Views, take_steps
from cleanplate.remove.regression import regress_on_fills
from cleanplate.remove.shrinkage import TO_RGB, TO_YCC
from cleanplate.remove.tints import even_out
from cleanplate.structures import BoolArray, FloatArray, Mark

#: Times that the weights are found anew, and rounds of the solver for each. With more, what the likelihood is
#: wrong by grows: at the start from a regression, and from an estimate at half the size. Source: folders of
#: training photographs of 480 and 1500 pixels; 6 and 30 from a regression give 0.1 dB more on eight of 480
#: pixels and 0.2 to 0.5 less on the others, 1 and 30 from half the size up to 2.5 less.
ROUNDS, ROUNDS_FROM_HALF = (4, 30), (1, 8)
#: Of more pixels, marked ones and those round them, a mark is first worked out at half the size. Source: the
#: same folders and some of 2400 pixels: 2.3 to 4 dB more inside marks of 100,000 to 700,000 pixels, in a half
#: to a third of the time; as much as without from 50,000 on; from 20,000 on thin strokes lose up to 5.
LARGE_PX = 60_000
#: An estimate under this is no mark but what the regression was wrong by.
LEAST_OPACITY = 0.02
#: The t's scale over the mean absolute gradient near by, for lightness by how many photographs there are, and
#: for colours. With less, marks come out too faint on many photographs, with more too dense on few. Source:
#: folders of training photographs. On twelve, of which 6 or 7 carry the mark, 0.5, 0.55, 0.65 and 0.75 give
#: 32.9, 32.9, 32.8 and 32.7 dB inside it; on five of 18 to 20 0.65, 0.75 and 0.85 give 34.4, 34.4 and 33.1;
#: with more, 0.85 was better than 0.65 and 1.
LIGHT_SCALES = {7: 0.55, 20: 0.75, 60: 0.85}
COLOUR_SCALE = 0.65
#: Colours of a mark reach so far beyond it where files hold them at half the resolution.
SMEARED_PX = 2
#: A colour is never worked out from less opacity.
LEAST_SEEN = 0.01


def estimate_shared_mark(
    crops_u8: Sequence[NDArray[np.uint8]],
    mask: BoolArray,
    *,
    halved: tuple[bool, bool] = (False, False),
    device: torch.device | str = "cpu",
    refine: bool = True,
    check_stop: Callable[[], None] = lambda: None,
) -> Mark:
    """The mark that all crops carry in the same place.

    crops_u8: two or more (h, w, 3) uint8 crops of different photographs, aligned at the mark. mask: (h, w),
    where the mark may lie: rather too large than too small, and with known pixels round it. halved: whether
    most of their files hold colours at half the resolution, (across, down). refine: by likelihood of the
    photographs' gradients; without it, the regression alone. check_stop: called for every crop and round of
    the solvers, many times a second; what it raises ends the work and goes through to the caller.
    The memory besides the crops does not grow with their number, but for one scale plane each.

    Source: the model is that of Dekel et al., "On the Effectiveness of Visible Watermarks" (CVPR 2017); the
    way of solving it is this package's own (see `gradients` and `likelihood`).
    """
    if len(crops_u8) < 2:
        raise ValueError(f"a shared mark needs two or more crops; got {len(crops_u8)}")
    if any(crop.shape != (*mask.shape, 3) for crop in crops_u8):
        raise ValueError(f"all crops must have the mask's shape, {mask.shape}")
    height, width = mask.shape
    room = ((0, height % 2), (0, width % 2))
    mask = np.pad(mask, room)
    crops_u8 = [np.pad(crop, (*room, (0, 0)), mode="edge") for crop in crops_u8]
    if refine and mask.any():
        added, kept = _find_planes(crops_u8, mask, Grid(halved), torch.device(device), check_stop)
        added, kept = even_out(added, kept, _checked(crops_u8, check_stop), len(crops_u8))
    else:
        added, kept = regress_on_fills(_checked(crops_u8, check_stop), mask)
    return to_mark(added[:height, :width], kept[:height, :width])


def _find_planes(
    crops_u8: Sequence[NDArray[np.uint8]],
    mask: BoolArray,
    grid: Grid,
    device: torch.device,
    check_stop: Callable[[], None],
) -> tuple[FloatArray, FloatArray]:
    """(a, b), refined: starting from fills, or of a large mark from its estimate at half the size."""
    if mask.size <= LARGE_PX:
        start = regress_on_fills(_checked(crops_u8, check_stop), mask)
        rounds = ROUNDS
    else:
        start = _find_at_half_size(crops_u8, mask, device, check_stop)
        rounds = ROUNDS_FROM_HALF
    return refine_by_gradients(crops_u8, mask, *start, grid, device, rounds, check_stop=check_stop)


def _find_at_half_size(
    crops_u8: Sequence[NDArray[np.uint8]],
    mask: BoolArray,
    device: torch.device,
    check_stop: Callable[[], None],
) -> tuple[FloatArray, FloatArray]:
    """(a, b) from pictures of half the size, enlarged. There each pixel has a colour of its own."""
    height, width = mask.shape[0] // 2, mask.shape[1] // 2
    room = ((0, height % 2), (0, width % 2))
    smaller = []
    for crop in _checked(crops_u8, check_stop):
        small = np.asarray(cv2.resize(crop, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        smaller.append(np.pad(small, (*room, (0, 0)), mode="edge"))
    smaller_mask = np.pad(_halve(mask.astype(np.float32)) > 0, room)
    added, kept = _find_planes(smaller, smaller_mask, Grid((False, False)), device, check_stop)
    added, kept = _enlarge(added[:height, :width]), _enlarge(kept[:height, :width])
    return (
        np.where(mask[..., None], added, 0).astype(np.float32),
        np.where(mask, kept, 1).astype(np.float32),
    )


def refine_by_gradients(
    crops_u8: Sequence[NDArray[np.uint8]],
    mask: BoolArray,
    added: FloatArray,
    kept: FloatArray,
    grid: Grid,
    device: torch.device,
    rounds: tuple[int, int] = ROUNDS,
    *,
    check_stop: Callable[[], None] = lambda: None,
) -> tuple[FloatArray, FloatArray]:
    """(a, b) again, refined by likelihood; `added`, `kept`: where it starts.

    All of one size, both edges even. rounds: see ROUNDS. check_stop: see `estimate_shared_mark`.
    """
    mask_colours = _halve(dilate(mask, SMEARED_PX).astype(np.float32)) > 0
    free, free_colours = (torch.from_numpy(m.astype(np.float32)).to(device) for m in (mask, mask_colours))
    counts, scales = np.log(list(LIGHT_SCALES)), list(LIGHT_SCALES.values())
    light_scale = float(np.interp(np.log(len(crops_u8)), counts, scales))
    photographs = [
        _view(crop, mask, mask_colours, light_scale, device) for crop in _checked(crops_u8, check_stop)
    ]
    b = torch.from_numpy(kept).to(device)
    light, colours = _split(added, device)
    seen = 1 - grid.shrink(1 - b)
    unknown = Unknown(1 / b, light / b, colours / seen * free_colours)
    found = take_steps(
        unknown,
        photographs,
        grid,
        (free, free_colours),
        steps=rounds[0],
        rounds=rounds[1],
        check_stop=check_stop,
    )
    b = 1 / found.kept
    seen = 1 - grid.shrink(1 - b)
    kept = np.asarray(b.cpu().numpy(), np.float32)
    colours_u = np.moveaxis((found.colours * seen).cpu().numpy(), 0, 2)
    tints = _enlarge(colours_u) / np.maximum(_enlarge((1 - seen).cpu().numpy()), LEAST_SEEN)[..., None]
    lightness = (found.light[0] * b).cpu().numpy()
    added = np.dstack([lightness, (1 - kept)[..., None] * tints]) @ TO_RGB.T
    return added.astype(np.float32), kept


def _checked(
    crops_u8: Sequence[NDArray[np.uint8]], check_stop: Callable[[], None]
) -> Iterator[NDArray[np.uint8]]:
    """The crops, one by one as long as nothing speaks against it."""
    for crop in crops_u8:
        check_stop()
        yield crop


def _view(
    crop_u8: NDArray[np.uint8],
    mask: BoolArray,
    mask_colours: BoolArray,
    light_scale: float,
    device: torch.device,
) -> Views:
    """A crop as the likelihood looks at it."""
    picture = np.asarray((crop_u8.astype(np.float32) / np.float32(255)) @ TO_YCC.T, np.float32)
    colours = _halve(picture[..., 1:])
    scales = (
        light_scale * measure_scale(picture[..., :1], mask),
        COLOUR_SCALE * measure_scale(colours, mask_colours, SPREAD_SIGMA_PX / 2),
    )
    light = np.ascontiguousarray(picture[..., 0])[None]
    planes = (light, np.ascontiguousarray(np.moveaxis(colours, 2, 0)), *scales)
    return Views(*(torch.from_numpy(plane.astype(np.float32)).to(device) for plane in planes))


def _split(added: FloatArray, device: torch.device) -> tuple[Tensor, Tensor]:
    """Lightness (1, h, w) and colours (2, h / 2, w / 2) of an (h, w, 3) plane."""
    picture = added @ TO_YCC.T
    planes = (picture[..., :1], _halve(picture[..., 1:]))
    light, colours = (np.ascontiguousarray(np.moveaxis(plane, 2, 0), np.float32) for plane in planes)
    return torch.from_numpy(light).to(device), torch.from_numpy(colours).to(device)


def _halve(plane: FloatArray) -> FloatArray:
    size = (plane.shape[1] // 2, plane.shape[0] // 2)
    return np.asarray(cv2.resize(np.ascontiguousarray(plane), size, interpolation=cv2.INTER_AREA), np.float32)


def _enlarge(plane: FloatArray) -> FloatArray:
    size = (2 * plane.shape[1], 2 * plane.shape[0])
    return np.asarray(
        cv2.resize(np.ascontiguousarray(plane), size, interpolation=cv2.INTER_LINEAR), np.float32
    )


def to_mark(added: FloatArray, kept: FloatArray) -> Mark:
    """`a` (h, w, 3) and `b` (h, w) as a layer, with straight alpha; colours cut to [0, 1].

    >>> mark = to_mark(np.full((1, 1, 3), 0.2, np.float32), np.full((1, 1), 0.6, np.float32))
    >>> round(float(mark.alpha[0, 0]), 3), round(float(mark.rgb[0, 0, 0]), 3)
    (0.4, 0.5)
    """
    alpha = np.clip(1 - kept, 0, 1)
    # A pixel that was made lighter or darker cannot have been covered by less than this.
    least = np.clip(added.max(axis=2), 0, 1)
    alpha = np.where(np.maximum(alpha, least) < LEAST_OPACITY, 0, np.maximum(alpha, least))
    rgb = np.where(alpha[..., None] > 0, np.clip(added / np.maximum(alpha, 1e-3)[..., None], 0, 1), 0)
    return Mark(alpha=alpha.astype(np.float32), rgb=rgb.astype(np.float32), kind=ESTIMATED)
