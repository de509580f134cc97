"""What a marked crop could become: as it is, inverted, as the network imagines it, filled from around."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from cleanplate.remove.base import Crop
from cleanplate.remove.compression import read_compression
from cleanplate.remove.groups import label_groups
from cleanplate.remove.inpaint import dilate
from cleanplate.remove.islands import mark_islands
from cleanplate.remove.separate import MARGIN_PX, MATTE_FLOOR, Separation, separate
from cleanplate.structures import BoolArray, Box, FloatArray

#: A matte counts as far from the finder's mask as this.
REACH_PX = 12
#: A matte counts where the finder's probability is at least this within so many pixels. Source: crops of 160
#: validation photographs (offline, the shipped networks, 81 clean ones with crops beside): 22.37 > 22.65 dB
#: inside, repaired 68.1 > 71.9 %, 12 > 13 made worse, whole pictures 0.24 dB better; from 0.4 on 22.66, 73.1
#: and 17, from 0.5 on within 8 pixels 22.60, 70.6 and 14.
LEAST_PROBABILITY, PROBABLE_PX = 0.3, 4
#: Mattes under this are the network's doubt, not a mark.
LEAST_MATTE = 0.08
#: For the chooser: what is so much evidence is beyond doubt, and how a fill's standard deviation is scaled.
SURE_EVIDENCE = 50.0
DEVIATION_GAIN, MOST_DEVIATION = 4.0, 2.0


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the restorer says about a crop.

    matte: (h, w) in [0, 1]. opacity: (h, w) in [0, 1], alpha at each pixel. background: (h, w, 3), about
    [0, 1].
    """

    matte: FloatArray
    opacity: FloatArray
    background: FloatArray


@dataclass(frozen=True, eq=False)
class Pictures:
    """What a piece of a crop could become: (h, w, 3) pictures, and what a fill's squared error is, (h, w)."""

    marked: FloatArray
    unblended: FloatArray
    restored: FloatArray
    filled: FloatArray
    fill_variance: FloatArray

    def cut(self, box: Box) -> Pictures:
        """The same for a part of the piece."""
        return Pictures(*(getattr(self, field.name)[box.slices] for field in dataclasses.fields(self)))

    def mix(self, shares: FloatArray) -> FloatArray:
        """(h, w, 3), mixed by (h, w, 4) shares, in the order of the pictures."""
        pictures = (self.marked, self.unblended, self.restored, self.filled)
        mixed = sum(shares[..., k, None] * picture for k, picture in enumerate(pictures))
        return np.asarray(mixed, np.float32)


@dataclass(frozen=True, eq=False)
class Candidates:
    """A crop taken apart, and what it could become.

    matte: (h, w), the network's without what is no mark and with what it has left out inside one. owner:
    (h, w) int32, the group of every pixel that may be rewritten, 0 elsewhere.
    """

    crop: Crop
    prediction: Prediction
    matte: FloatArray
    apart: Separation
    owner: NDArray[np.int32]

    @cached_property
    def pictures(self) -> Pictures:
        """What the whole crop could become."""
        background = np.clip(self.prediction.background, 0, 1)
        return Pictures(
            self.crop.rgb, self.apart.photograph, background, self.apart.fill, self.apart.fill_variance
        )

    def lay_out(self) -> tuple[FloatArray, ...]:
        """What the chooser sees (`models/nets/chooser`): layers (h, w, 3) and (h, w), in its order."""
        groups = self.apart.groups
        evidence = np.zeros(1 + max((group.label for group in groups), default=0), np.float32)
        for group in groups:
            if group.fit is not None:
                evidence[group.label] = np.tanh(group.fit.evidence / SURE_EVIDENCE)
        pictures, layer = self.pictures, self.apart.layer
        deviation = DEVIATION_GAIN * np.sqrt(self.apart.fill_variance)
        return (
            pictures.marked,
            pictures.unblended,
            pictures.restored,
            pictures.filled,
            layer.matte,
            self.prediction.matte,
            layer.opacity,
            self.prediction.opacity,
            self.crop.probability,
            np.clip(deviation, 0, MOST_DEVIATION).astype(np.float32),
            evidence[self.owner],
            self.apart.mask.astype(np.float32),
        )


def find_candidates(crop: Crop, prediction: Prediction) -> Candidates | None:
    """Take a crop apart by what the network says about it; None where it shows no mark."""
    matte = find_matte(crop, prediction)
    if not (matte > MATTE_FLOOR).any():
        return None
    hint = np.clip(prediction.opacity / np.maximum(matte, 0.1), 0.05, 1).astype(np.float32)
    apart = separate(
        crop.rgb,
        matte,
        hint,
        compression=read_compression(crop.quantisation),
        origin=(crop.box.left, crop.box.top),
    )
    return Candidates(crop, prediction, matte, apart, _spread_labels(apart))


def find_matte(crop: Crop, prediction: Prediction) -> FloatArray:
    """(h, w): the network's matte without what is no mark, and with what it has left out inside one."""
    matte = clean_matte(prediction.matte, crop.mask, crop.probability)
    if not (matte > MATTE_FLOOR).any():
        return matte
    return mark_islands(crop.rgb, matte, crop.probability, floor=MATTE_FLOOR, margin_px=MARGIN_PX)


def clean_matte(matte: FloatArray, mask: BoolArray, probability: FloatArray) -> FloatArray:
    """The matte without doubt and without what lies away from all that the finder found, or holds probable.

    A connected piece of the matte stays where it comes within REACH_PX of the mask, all of it but where the
    finder sees no mark: a restorer that is shown a mark on texture takes the texture along, and then the mark
    and all round it is left or inverted together.
    """
    surely = dilate(matte > LEAST_MATTE, 1)
    labels, count = label_groups(surely)
    near = np.zeros(count + 1, bool)
    near[np.unique(labels[dilate(mask, REACH_PX)])] = True
    near[0] = False
    probable = dilate(probability >= LEAST_PROBABILITY, PROBABLE_PX)
    return np.where(near[labels] & probable, matte, 0).astype(np.float32)


def find_boxes(labels: NDArray[np.int32]) -> dict[int, Box]:
    """The box round each label but 0 in an (h, w) plane.

    >>> find_boxes(np.array([[0, 2, 2], [0, 2, 0]], np.int32))
    {2: Box(left=1, top=0, right=3, bottom=2)}
    """
    rows, columns = np.nonzero(labels)
    found = labels[rows, columns]
    count = int(found.max(initial=0)) + 1
    first = np.full((2, count), np.iinfo(np.int64).max)
    last = np.full((2, count), -1)
    for axis, places in enumerate((columns, rows)):
        np.minimum.at(first[axis], found, places)
        np.maximum.at(last[axis], found, places)
    return {
        label: Box(
            int(first[0, label]), int(first[1, label]), int(last[0, label]) + 1, int(last[1, label]) + 1
        )
        for label in range(1, count)
        if last[0, label] >= 0
    }


def _spread_labels(apart: Separation) -> NDArray[np.int32]:
    """The group of every pixel that may be rewritten: its own, or the nearest one's in the margin."""
    labels = apart.labels
    grown = cv2.dilate(labels.astype(np.float32), np.ones((2 * MARGIN_PX + 1,) * 2, np.uint8)).astype(
        np.int32
    )
    return np.where(apart.mask, np.where(labels > 0, labels, grown), 0).astype(np.int32)
