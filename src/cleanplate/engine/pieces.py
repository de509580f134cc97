"""The mark on pieces of photographs that are laid on each other, and whether it explains them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from cleanplate.engine.photoset import PhotoSet
from cleanplate.models.request import Request
from cleanplate.remove.shared import estimate_shared_mark
from cleanplate.remove.stamped import CLEAR_DEVIATIONS, fit_mark, lay_under
from cleanplate.structures import BoolArray, Box, FloatArray, Mark, Placement

#: Pieces that are held at most.
MOST_PIECES = 300
#: Pixels of all pieces together: the estimate takes about twenty seconds for them on two cores. But never
#: fewer pieces.
MOST_PIXELS = 16_000_000
FEWEST_PIECES = 16
#: A mark that lets less than this through gains nothing by being known; frames and letterboxes look like one.
MOST_OPACITY = 0.93
#: Opacities under this are what the estimate was wrong by.
LEAST_OPACITY = 0.03
#: What an estimate is wrong by, times the root of the count of photographs. Source: 7 to 24 photographs.
DOUBT = 0.35
#: A mark's soft edge reaches so far.
EDGE_PX = 2
#: A piece no pixel of which is more opaque than this part of the mark does not belong to it.
FAINT = 0.4
#: Nor does a smaller part of the whole mark: letters' dots have two thousandths of a logo over a line of
#: text, specks of noise round a large mark on eight photographs mostly less than half of that.
SPECK_SHARE = 0.001
#: Photographs that are checked against the estimate, and how many of them it must explain.
MOST_CHECKED = 24
LEAST_EXPLAINED = 0.6
#: Pieces lie on each other because of what they share, so each is at a place that stands out: a little is
#: enough. Where nearly all speak for the mark a little, half of them must by this many nats: on texture, and
#: for faint marks as light as what is behind them, few speak clearly. Source: training photographs. With a
#: coloured lettering at 0.22, 15 of 16 and 18 of 18 pieces spoke a little, more than half by 0.28; of 42
#: estimates from pieces without a mark, with different ones, or a third of which carried one, at most half of
#: 20 (7 of 8) spoke a little, and 6 of 20 (3 of 8) by 0.25.
LEAST_OF_HALF, ALL_SPEAK = 0.25, 0.9
AT_ITS_PLACE = Placement(0, 0, deviations=CLEAR_DEVIATIONS)
#: Photographs are asked so far round a mark: how lively they are near it (`gradients.SPREAD_SIGMA_PX`).
ASKED_PX = 36
#: Host bytes by pixel of the work: of each piece, as it is looked at and its scales, and of the sums that all
#: share. Source: 8, 16 and 24 pieces of 0.12 to 1.8 megapixels took 720 to 990 bytes a pixel.
BYTES_BY_PIXEL, SHARED_BYTES_BY_PIXEL = 15, 660


def count_most_pieces(area_px: int) -> int:
    """How many pieces of so many pixels are held."""
    return int(np.clip(MOST_PIXELS // area_px, FEWEST_PIECES, MOST_PIECES))


def estimate_mark(
    crops: Sequence[NDArray[np.uint8]], mask: BoolArray, halved: tuple[bool, bool], photo_set: PhotoSet
) -> Mark | None:
    """The mark on aligned crops; None where there is none, or it is opaque.

    halved: whether colours were stored at half the resolution, (across, down). photo_set: whose crops they
    are. Raises StoppedError, also from within the estimate, which takes 10 s and more on a slow machine.
    """

    box = find_work(mask)
    inner = mask[box.slices]

    def estimate(crops: Sequence[NDArray[np.uint8]]) -> Mark:
        parts = [crop[box.slices] for crop in crops]
        found = estimate_shared_mark(parts, inner, halved=halved, check_stop=photo_set.check_stop)
        alpha, rgb = np.zeros(mask.shape, np.float32), np.zeros((*mask.shape, 3), np.float32)
        alpha[box.slices], rgb[box.slices] = found.alpha, found.rgb
        return replace(found, alpha=alpha, rgb=rgb)

    (answer,) = photo_set.attempt(
        Request(
            stage="estimate",
            network=None,
            items=[crops],
            shape=lambda batch, _tile: (batch, 3, *inner.shape),
            run=lambda items, _tile: [estimate(item) for item in items],
            item_bytes=inner.size * (BYTES_BY_PIXEL * len(crops) + SHARED_BYTES_BY_PIXEL),
        )
    )
    if isinstance(answer, Exception):
        raise answer
    alpha = drop_faint(answer.alpha, len(crops))
    body = alpha[alpha > 0.3 * float(alpha.max(initial=0))]
    if not alpha.any() or float(np.median(body)) > MOST_OPACITY:
        return None
    return replace(answer, alpha=alpha, photographs=len(crops))


def find_work(mask: BoolArray) -> Box:
    """What of pieces is worked on: all that may be marked, and so much round it as is asked about it.

    >>> mask = np.zeros((200, 100), bool)
    >>> mask[90:110, 10:20] = True
    >>> find_work(mask)
    Box(left=0, top=54, right=56, bottom=146)
    """
    height, width = mask.shape
    marked = Box.around(mask)
    return Box(0, 0, width, height) if marked is None else marked.grown(ASKED_PX, width, height)


def realign(crop_u8: NDArray[np.uint8], mark: Mark) -> NDArray[np.uint8]:
    laid = lay_under(crop_u8.astype(np.float32) / np.float32(255), mark)
    return np.asarray(np.rint(laid * 255), np.uint8)


def drop_faint(alpha: FloatArray, count: int) -> FloatArray:
    """The opacity without what an estimate from so many photographs may be wrong by, away from the mark.

    >>> drop_faint(np.array([[0.5, 0.1, 0.1, 0.1, 0.1]], np.float32), 9).round(1).tolist()
    [[0.5, 0.10000000149011612, 0.10000000149011612, 0.0, 0.0]]
    """
    least = max(LEAST_OPACITY, DOUBT / np.sqrt(count))
    surely = (alpha > 2 * least).astype(np.uint8)
    near = cv2.dilate(surely, np.ones((2 * EDGE_PX + 1,) * 2, np.uint8)) > 0
    kept = (alpha > LEAST_OPACITY) & (near | (alpha > least))
    labels = cv2.connectedComponents(kept.astype(np.uint8))[1]
    strong = np.zeros(int(labels.max()) + 1, bool)
    if kept.any():
        strong[np.unique(labels[alpha > FAINT * float(np.percentile(alpha[kept], 90))])] = True
        strong &= np.bincount(labels.ravel()) >= SPECK_SHARE * np.count_nonzero(kept)
    return np.where(kept & strong[labels], alpha, 0).astype(np.float32)


def explains(mark: Mark, crops: Sequence[NDArray[np.uint8]], halved: tuple[bool, bool]) -> bool:
    """Whether most of the pieces speak for the mark. halved: see `estimate_mark`."""
    checked = crops[:: max(1, len(crops) // MOST_CHECKED)]
    pictures = (crop.astype(np.float32) / np.float32(255) for crop in checked)
    fits = [fit_mark(picture, mark, Placement(0, 0), halved) for picture in pictures]
    clearly = sum(fit is not None and fit.is_there for fit in fits)
    little = [
        fit.evidence for fit in fits if fit is not None and replace(fit, placement=AT_ITS_PLACE).is_there
    ]
    return clearly >= LEAST_EXPLAINED * len(checked) or (
        len(little) >= ALL_SPEAK * len(checked)
        and 2 * sum(evidence >= LEAST_OF_HALF for evidence in little) >= len(checked)
    )
