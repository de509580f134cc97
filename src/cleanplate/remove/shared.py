"""A mark that many photographs share: opacity and colour from aligned crops. Pure: arrays in, `Mark` out."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cleanplate.marks.files import ESTIMATED
from cleanplate.remove.coarser import enlarge, find_thick, halve, mix, take_over
from cleanplate.remove.gradients import NOISE, SPREAD_SIGMA_PX, measure_fit, measure_scale
from cleanplate.remove.inpaint import dilate
from cleanplate.remove.likelihood import Grid, Unknown, Views, take_steps
from cleanplate.remove.regression import regress_on_fills
from cleanplate.remove.shrinkage import TO_RGB, TO_YCC
from cleanplate.remove.tints import even_out
from cleanplate.structures import BoolArray, FloatArray, Mark

#: Times that the weights are found anew, and rounds of the solver for each: from a regression on fills, and
#: from an estimate at half the size that is right nearly everywhere. Source: folders of training photographs
#: of 480 and 1500 pixels. From a regression 6 and 30 give 0.1 dB more on eight of 480 pixels and 0.2 less on
#: 24; from half the size 1 and 8 give 0.2 less than 2 and 15 (0.8 where thin strokes lie beside a logo), 4
#: and 30 up to 1.3 less, for what the likelihood is wrong by grows with the rounds.
ROUNDS, ROUNDS_FROM_HALF = (4, 30), (2, 15)
#: A mark of which so much is thick is right nearly everywhere at half the size.
MOSTLY_THICK = 0.95
#: Where what may be marked and what is round it has more pixels, it is worked out at half the size
#: first. Source: the same folders, and some of 2400 pixels: 3 to 5 dB more inside marks of 100,000 to 700,000
#: pixels; of those of 50,000 to 100,000 on photographs of 480 pixels as many lose (up to 2) as gain.
LARGE_PX = 100_000
#: An estimate under this is no mark but what the regression was wrong by.
LEAST_OPACITY = 0.02
#: The t's scale over the mean absolute gradient near by, for lightness by how many photographs there are, and
#: for colours. With less, marks come out too faint on many photographs, with more too dense on few. Source:
#: folders of training photographs. On twelve, of which 6 or 7 carry the mark, 0.5, 0.55, 0.65 and 0.75 give
#: 32.9, 32.9, 32.8 and 32.7 dB inside it; on five of 18 to 20 0.65, 0.75 and 0.85 give 34.4, 34.4 and 33.1;
#: with more, 0.85 was better than 0.65 and 1.
LIGHT_SCALES = {7: 0.55, 20: 0.75, 60: 0.85}
COLOUR_SCALE = 0.65
#: They were chosen on photographs of 480 pixels, to whose gradients a t fits with this scale. Large ones are
#: smoother between their edges (0.56 to 0.8): so much less is then taken for both. Source: folders of
#: 1500 pixels gain 0.5 to 0.9 dB by it, those of 480 are the same within 0.1.
USUAL_FIT = 0.88
#: What pixels are off by weighs less in them, by this power of it: it lets gradients grow with the opacity
#: that a mark is taken for, which costs nothing, so on smooth photographs flat parts and what they enclose
#: came out too opaque. Source: on 1500 pixels half of the noise or a third gives 1 (16 photographs) to 2.4 dB
#: (8) more, on 480 pixels 0.8 less; what a ring encloses on 24 photographs had an opacity of 0.26, and has
#: 0.04.
NOISE_POWER = 3
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
    """(a, b), refined: starting from fills, or, where a large mark is thick, from its estimate at half the
    size, which then has the last word on its opacity (`coarser`)."""
    fit = _measure_fit(crops_u8, mask, check_stop)
    refine = functools.partial(
        refine_by_gradients, crops_u8, mask, grid, device, smoother=fit / USUAL_FIT, check_stop=check_stop
    )
    if mask.size <= LARGE_PX:
        return refine(*regress_on_fills(_checked(crops_u8, check_stop), mask))
    half = _find_at_half_size(crops_u8, mask, device, check_stop)
    thick, share = find_thick(half[1])
    start, rounds = half, ROUNDS_FROM_HALF
    if share < MOSTLY_THICK:
        plain = regress_on_fills(_checked(crops_u8, check_stop), mask)
        start, rounds = (mix(half[0], plain[0], thick), mix(half[1], plain[1], thick)), ROUNDS
    planes = refine(*start, rounds)
    if not share:
        return planes
    return take_over(planes, half[1], thick, mask, _checked(crops_u8, check_stop))


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
    rounds: tuple[int, int] = ROUNDS,
    *,
    smoother: float,
    check_stop: Callable[[], None],
) -> tuple[FloatArray, FloatArray]:
    """(a, b) again, refined by likelihood; `added`, `kept`: where it starts.

    All of one size, both edges even. rounds: see ROUNDS. smoother: what the t's scales are multiplied by (see
    USUAL_FIT). check_stop: see `estimate_shared_mark`.
    """
    mask_colours = halve(dilate(mask, SMEARED_PX).astype(np.float32)) > 0
    free, free_colours = (torch.from_numpy(m.astype(np.float32)).to(device) for m in (mask, mask_colours))
    counts, scales = np.log(list(LIGHT_SCALES)), list(LIGHT_SCALES.values())
    light_scale = smoother * float(np.interp(np.log(len(crops_u8)), counts, scales))
    noise = NOISE * min(1.0, smoother) ** NOISE_POWER
    photographs = [
        _view(crop, mask, mask_colours, (light_scale, smoother * COLOUR_SCALE), noise, device)
        for crop in _checked(crops_u8, check_stop)
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
    crop_u8: NDArray[np.uint8],
    mask: BoolArray,
    mask_colours: BoolArray,
    by: tuple[float, float],
    noise: float,
    device: torch.device,
) -> Views:
    """A crop as the likelihood looks at it. by: the t's scales, of lightness and of colours."""
    picture = np.asarray(_to_floats(crop_u8) @ TO_YCC.T, np.float32)
    colours = halve(picture[..., 1:])
    scales = (
        by[0] * measure_scale(picture[..., :1], mask),
        by[1] * measure_scale(colours, mask_colours, SPREAD_SIGMA_PX / 2),
    )
    light = np.ascontiguousarray(picture[..., 0])[None]
    planes = (light, np.ascontiguousarray(np.moveaxis(colours, 2, 0)), *scales)
    lightness, tints, light_scale, colour_scale = (
        torch.from_numpy(plane.astype(np.float32)).to(device) for plane in planes
    )
    return Views(lightness, tints, light_scale, colour_scale, noise)


def _split(added: FloatArray, device: torch.device) -> tuple[Tensor, Tensor]:
    """Lightness (1, h, w) and colours (2, h / 2, w / 2) of an (h, w, 3) plane."""
    picture = added @ TO_YCC.T
    planes = (picture[..., :1], halve(picture[..., 1:]))
    light, colours = (np.ascontiguousarray(np.moveaxis(plane, 2, 0), np.float32) for plane in planes)
    return torch.from_numpy(light).to(device), torch.from_numpy(colours).to(device)


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
