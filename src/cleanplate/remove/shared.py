"""A mark that many photographs share: opacity and colour from aligned crops. Pure: arrays in, `Mark` out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cleanplate.images.tensor import resize
from cleanplate.marks.files import ESTIMATED
from cleanplate.remove.gradients import SPREAD_SIGMA_PX, Scales, measure_fit, measure_growth, measure_scale
from cleanplate.remove.inpaint import dilate
from cleanplate.remove.likelihood import Grid, Unknown, Views, take_steps
from cleanplate.remove.regression import regress_on_fills
from cleanplate.remove.shrinkage import TO_RGB, TO_YCC
from cleanplate.remove.tints import even_out
from cleanplate.structures import BoolArray, FloatArray, Mark

#: Times that the weights are found anew, and rounds of the solver for each: from a regression on fills, and
#: from an estimate at half the size. Source: folders of training photographs of 480 to 2400 pixels. Twice as
#: many of either change less than 0.2 dB; from half the size 2 and 15 have 0.7 less on thin lettering.
ROUNDS, ROUNDS_FROM_HALF = (4, 30), (3, 15)
#: Where what may be marked and what is round it has more pixels, it is worked out at half the size first:
#: quicker, and the same within 0.2 dB.
LARGE_PX = 100_000
#: An estimate under this is no mark but what the regression was wrong by.
LEAST_OPACITY = 0.02
#: A t fits the gradients of photographs of 480 pixels with this scale over their mean near by; large ones are
#: smoother between their edges (0.56 to 0.8), and are asked about it.
USUAL_FIT = 0.88
#: What is taken of that, by how many photographs there are: with less, marks come out too faint on many
#: photographs, with more too dense on few. Source: training photographs of 480 pixels. On 26 folders of eight
#: 0.65, 0.75 and 1 have 31.0, 31.1 and 30.9 dB inside the mark (lettering 32.3, 32.2 and 31.7), on nine of 24
#: 31.2, 31.6 and 32.3; on four of those 1.1 has less than 1.
OF_FIT = {7: 0.7, 24: 1.0}
#: Photographs that are asked about that.
MOST_ASKED = 8
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
    The memory besides the crops grows with their number by some 14 bytes a pixel: what each looks like, the
    scale of its gradients, and one at half the size.

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
    """(a, b), refined: starting from fills, or, where a mark is large, from its estimate at half the size."""
    fit = _measure_fit(crops_u8, mask, check_stop)
    if mask.size <= LARGE_PX:
        start, rounds = regress_on_fills(_checked(crops_u8, check_stop), mask), ROUNDS
    else:
        start, rounds = _find_at_half_size(crops_u8, mask, device, check_stop), ROUNDS_FROM_HALF
    return refine_by_gradients(crops_u8, mask, grid, device, *start, rounds, fit=fit, check_stop=check_stop)


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
        small = np.asarray(resize(crop, height, width), np.uint8)
        smaller.append(np.pad(small, (*room, (0, 0)), mode="edge"))
    smaller_mask = np.pad(halve(mask.astype(np.float32)) > 0, room)
    added, kept = _find_planes(smaller, smaller_mask, Grid((False, False)), device, check_stop)
    added, kept = enlarge(added[:height, :width]), enlarge(kept[:height, :width])
    return (
        np.where(mask[..., None], added, 0).astype(np.float32),
        np.where(mask, kept, 1).astype(np.float32),
    )


def refine_by_gradients(
    crops_u8: Sequence[NDArray[np.uint8]],
    mask: BoolArray,
    grid: Grid,
    device: torch.device,
    added: FloatArray,
    kept: FloatArray,
    rounds: tuple[int, int],
    *,
    fit: float,
    check_stop: Callable[[], None],
) -> tuple[FloatArray, FloatArray]:
    """(a, b) again, refined by likelihood; `added`, `kept`: where it starts.

    All of one size, both edges even. rounds: see ROUNDS. fit: see `gradients.measure_fit`.
    check_stop: see `estimate_shared_mark`.
    """
    mask_colours = halve(dilate(mask, SMEARED_PX).astype(np.float32)) > 0
    free, free_colours = (torch.from_numpy(m.astype(np.float32)).to(device) for m in (mask, mask_colours))
    scale = fit * float(np.interp(np.log(len(crops_u8)), np.log(list(OF_FIT)), list(OF_FIT.values())))
    photographs = [_view(crop, mask, mask_colours, scale, device) for crop in _checked(crops_u8, check_stop)]
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
    tints = enlarge(colours_u) / np.maximum(enlarge((1 - seen).cpu().numpy()), LEAST_SEEN)[..., None]
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


def _measure_fit(
    crops_u8: Sequence[NDArray[np.uint8]], mask: BoolArray, check_stop: Callable[[], None]
) -> float:
    """The scale with which a t fits the gradients of the photographs, over their mean near by."""
    asked = crops_u8[:: -(-len(crops_u8) // MOST_ASKED)]
    lights = (_to_floats(crop) @ TO_YCC[0] for crop in _checked(asked, check_stop))
    found = [fit for fit in (measure_fit(light, mask) for light in lights) if fit is not None]
    return float(np.median(found)) if found else USUAL_FIT


def _to_floats(crop_u8: NDArray[np.uint8]) -> FloatArray:
    return np.asarray(crop_u8.astype(np.float32) / np.float32(255), np.float32)


def _view(
    crop_u8: NDArray[np.uint8], mask: BoolArray, mask_colours: BoolArray, scale: float, device: torch.device
) -> Views:
    """A crop as the likelihood looks at it. scale: of the t's, over the mean gradients near by."""
    picture = np.asarray(_to_floats(crop_u8) @ TO_YCC.T, np.float32)
    light, colours = picture[..., :1], halve(picture[..., 1:])

    def measure(marked: FloatArray, off: BoolArray, sigma_px: float) -> Scales:
        near = scale * measure_scale(marked, off, sigma_px)
        return Scales(torch.from_numpy(near.astype(np.float32)).to(device), measure_growth(marked, off))

    return Views(
        _put(light, device),
        _put(colours, device),
        measure(light, mask, SPREAD_SIGMA_PX),
        measure(colours, mask_colours, SPREAD_SIGMA_PX / 2),
    )


def _split(added: FloatArray, device: torch.device) -> tuple[Tensor, Tensor]:
    """Lightness (1, h, w) and colours (2, h / 2, w / 2) of an (h, w, 3) plane."""
    picture = added @ TO_YCC.T
    return _put(picture[..., :1], device), _put(halve(picture[..., 1:]), device)


def _put(picture: FloatArray, device: torch.device) -> Tensor:
    """(h, w, n) as (n, h, w) on the device."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(picture, 2, 0), np.float32)).to(device)


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


def halve(plane: FloatArray) -> FloatArray:
    """Means over two by two pixels of a plane or picture with even edges."""
    height, width = plane.shape[:2]
    return np.asarray(resize(np.ascontiguousarray(plane), height // 2, width // 2), np.float32)


def enlarge(plane: FloatArray) -> FloatArray:
    """Twice the size, linearly."""
    height, width = plane.shape[:2]
    return np.asarray(resize(np.ascontiguousarray(plane), 2 * height, 2 * width), np.float32)
