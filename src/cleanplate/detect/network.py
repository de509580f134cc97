"""Finding marks with the finder network."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cleanplate.detect.lattice import complete_pattern
from cleanplate.detect.looks import (
    FIRST_LOOK,
    LOOKS,
    RENEWED_PX,
    Look,
    choose_windows,
    find_suspects,
    make_view,
    read_view,
    scale_box,
)
from cleanplate.detect.mask import GROUPING_BYTES, STRONG, WEAK, detect_from_probability
from cleanplate.detect.recall import Recall
from cleanplate.detect.repeats import SEARCH_PX, complete_repeats
from cleanplate.device.meter import call_alike
from cleanplate.images.tensor import Layers, fetch_batch, resize, stage_batch
from cleanplate.models.request import Attempt, Request, run_alone
from cleanplate.models.tiled import cut_shape, list_tiles, predict_in_tiles
from cleanplate.structures import Box, Detection, FloatArray, Photo

#: The longer edge at which photographs are looked at, and how much they are enlarged for it at most. Source:
#: a date stamp on a photograph of 480 pixels has letters of seven, which are found at twice the size only.
WORKING_SIZE_PX = 1024
MOST_ENLARGED = 2.0
BYTES_BY_PIXEL = 3 + 4 * 4
#: Host bytes that completing a pattern takes: by pixel of the size at which its vectors are looked for, and
#: of the size that the network saw, whichever is more. Then a Detection takes some by pixel of the
#: photograph, beside what grouping its regions takes and what is held of the other sizes. Source: measured by
#: tracemalloc (`tests/detect/test_network.py`): 178, 69, 10 and 4.
SEARCH_BYTES_BY_PIXEL, COPIES_BYTES_BY_PIXEL, NATIVE_BYTES_BY_PIXEL, HELD_BYTES_BY_PIXEL = 200, 80, 12, 8


def count_finishing(working: tuple[int, ...], native: tuple[int, int]) -> int:
    """Host bytes that a Detection takes at most, from probabilities of one size (h, w) to another.

    >>> count_finishing((512, 512), (512, 512)) == (200 + 8) * 512 * 512
    True
    """
    scale = min(1.0, SEARCH_PX / max(working))
    pixels = prod(working)
    pattern = max(SEARCH_BYTES_BY_PIXEL * pixels * scale**2, COPIES_BYTES_BY_PIXEL * pixels)
    detection = NATIVE_BYTES_BY_PIXEL * prod(native) + GROUPING_BYTES
    return max(int(pattern), detection) + HELD_BYTES_BY_PIXEL * pixels


@dataclass(frozen=True, slots=True)
class _Frame:
    """A part of a photograph that is looked at. size: (h, w), the photograph's at work; box: in that."""

    size: tuple[int, int]
    box: Box

    @property
    def is_whole(self) -> bool:
        return (self.box.height, self.box.width) == self.size


@dataclass(frozen=True, eq=False)
class NetworkDetector:
    """Finds marks with a finder network (its contract is in `models/nets/finder`).

    network: on `device`, in evaluation mode. fingerprint: of its weights. working_size_px: photographs with a
    longer edge are looked at in this size, smaller ones as they are. looks: how what is suspected is looked
    at again. strong, weak: see `threshold_mask`. recall: what it said of photographs that are shown again.
    """

    network: Any
    device: torch.device
    fingerprint: str
    working_size_px: int = WORKING_SIZE_PX
    most_enlarged: float = MOST_ENLARGED
    looks: tuple[Look, ...] = LOOKS
    strong: float = STRONG
    weak: float = WEAK
    recall: Recall = field(default_factory=Recall)

    def detect(self, photos: Sequence[Photo], attempt: Attempt) -> list[Detection | Exception]:
        """One Detection a photograph, in order, or what ended that photograph alone."""
        known = [self.recall.take(photo) for photo in photos]
        new = [photo for photo, told in zip(photos, known, strict=True) if told is None]
        answers = iter(self._find(new, attempt))
        found = [next(answers) if told is None else told for told in known]
        return [
            self._finish(photo, probability, attempt)
            for photo, probability in zip(photos, found, strict=True)
        ]

    def _find(self, photos: Sequence[Photo], attempt: Attempt) -> list[FloatArray | Exception]:
        """The probabilities of each photograph, at the working size."""
        frames = [self._place_frames(photo) for photo in photos]
        flat = [(photo, frame) for photo, own in zip(photos, frames, strict=True) for frame in own]
        first = self._look([_show(photo, frame) for photo, frame in flat], attempt)
        answers = iter(self._look_again(flat, first, attempt))
        found = [
            _lay(photo, own, [next(answers) for _ in own]) for photo, own in zip(photos, frames, strict=True)
        ]
        for photo, probability in zip(photos, found, strict=True):
            if not isinstance(probability, Exception):
                self.recall.keep(photo, probability)
        return found

    def _place_frames(self, photo: Photo) -> list[_Frame]:
        """What is looked at: all of a photograph, or where it was rewritten."""
        size = self._choose_size(photo.height, photo.width)
        boxes: tuple[Box, ...] = (Box(0, 0, size[1], size[0]),)
        since = photo.since
        if since is not None and since.found.looked is not None and since.found.looked.shape == size:
            native = (photo.height, photo.width)
            boxes = choose_windows([scale_box(box, native, size) for box in since.boxes], size)
        return [_Frame(size, box) for box in boxes]

    def _choose_size(self, height: int, width: int) -> tuple[int, int]:
        """The working size (h, w) of a photograph."""
        scale = min(self.working_size_px / max(height, width), self.most_enlarged)
        return max(1, round(height * scale)), max(1, round(width * scale))

    def _look(self, pictures: Sequence[NDArray[np.uint8]], attempt: Attempt) -> list[FloatArray | Exception]:
        """The network's probabilities for each picture, those of a size together."""
        stride = int(self.network.stride)
        places: dict[tuple[int, int], list[int]] = defaultdict(list)
        for place, picture in enumerate(pictures):
            height, width = picture.shape[:2]
            places[(height + -height % stride, width + -width % stride)].append(place)
        found: dict[int, FloatArray | Exception] = {}
        for shape, group in places.items():
            answers = attempt(self._ask([pictures[place] for place in group], shape))
            found.update(zip(group, answers, strict=True))
        return [found[place] for place in range(len(pictures))]

    def _look_again(
        self,
        frames: Sequence[tuple[Photo, _Frame]],
        found: Sequence[FloatArray | Exception],
        attempt: Attempt,
    ) -> list[FloatArray | Exception]:
        """What was found at first, with the mean of all looks wherever something is suspected: not where a
        glance is enough (`Photo.glance`)."""
        views = [
            make_view(photo, frame.size, box.moved(frame.box.left, frame.box.top), look, place)
            for place, ((photo, frame), first) in enumerate(zip(frames, found, strict=True))
            if not isinstance(first, Exception) and not photo.glance
            for box in find_suspects(first)
            for look in self.looks
        ]
        means = [first if isinstance(first, Exception) else first.copy() for first in found]
        answers = self._look([view.picture for view in views], attempt)
        for view, answer in zip(views, answers, strict=True):
            mean, first, frame = means[view.place], found[view.place], frames[view.place][1]
            if isinstance(mean, Exception) or isinstance(first, Exception):
                continue
            if isinstance(answer, Exception):
                means[view.place] = answer
                continue
            where = view.box.moved(-frame.box.left, -frame.box.top).slices
            mean[where] += (read_view(view, answer) - first[where]) / (1 + len(self.looks))
        return means

    def _ask(
        self, pictures: Sequence[NDArray[np.uint8]], shape: tuple[int, int]
    ) -> Request[NDArray[np.uint8], FloatArray]:
        return Request(
            stage="detect",
            network=self.network,
            items=pictures,
            shape=lambda batch, tile: (batch, 3, *cut_shape(shape, tile)),
            run=lambda items, tile: self._run(items, shape, tile),
            tiles=list_tiles(shape),
            item_bytes=shape[0] * shape[1] * BYTES_BY_PIXEL,
        )

    def _run(
        self, pictures: Sequence[NDArray[np.uint8]], shape: tuple[int, int], tile: int | None
    ) -> list[FloatArray]:
        """(h, w) float32 probabilities, at the size that was looked at.

        In tiles the network does not see the whole photograph, on which its answer depends.
        """
        layers = [[picture] for picture in pictures]
        if tile is None:
            found = self._predict(layers, shape)
        else:
            found = predict_in_tiles(self._predict, layers, shape, tile)
        return [planes[..., 0] for planes in found]

    def _predict(self, layers: Sequence[Layers], shape: tuple[int, int]) -> list[FloatArray]:
        """(h, w, 1) float32 probabilities."""
        with torch.no_grad(), stage_batch(layers, *shape, device=self.device) as batch:
            probability = torch.sigmoid(call_alike(self.network, batch))
            return fetch_batch(probability, [picture.shape[:2] for (picture,) in layers])

    def _finish(
        self, photo: Photo, probability: FloatArray | Exception, attempt: Attempt
    ) -> Detection | Exception:
        if isinstance(probability, Exception):
            return probability
        nbytes = count_finishing(probability.shape, (photo.height, photo.width))
        return run_alone(attempt, "separate", nbytes, lambda: self._conclude(photo, probability))

    def _conclude(self, photo: Photo, probability: FloatArray) -> Detection:
        whole = complete_pattern(probability)
        if whole is probability and not photo.glance:
            whole = complete_repeats(photo.rgb_u8, probability)
        at_native_size = resize(np.ascontiguousarray(whole), photo.height, photo.width)
        found = detect_from_probability(
            np.asarray(at_native_size, np.float32), strong=self.strong, weak=self.weak
        )
        return replace(found, looked=probability.astype(np.float16))


def _show(photo: Photo, frame: _Frame) -> NDArray[np.uint8]:
    """(h, w, 3): the part of a photograph, at the working size."""
    return make_view(photo, frame.size, frame.box, FIRST_LOOK, 0).picture


def _lay(
    photo: Photo, frames: Sequence[_Frame], answers: Sequence[FloatArray | Exception]
) -> FloatArray | Exception:
    """A photograph's probabilities at the working size: what was said before, new where it was rewritten."""
    for answer in answers:
        if isinstance(answer, Exception):
            return answer
    if photo.since is None or photo.since.found.looked is None or frames[0].is_whole:
        return next(answer for answer in answers if not isinstance(answer, Exception))
    (height, width), native = frames[0].size, (photo.height, photo.width)
    whole = photo.since.found.looked.astype(np.float32)
    for box in photo.since.boxes:
        renewed = scale_box(box, native, (height, width)).grown(RENEWED_PX, width, height)
        for frame, answer in zip(frames, answers, strict=True):
            if frame.box.overlaps(renewed) and not isinstance(answer, Exception):
                whole[renewed.slices] = answer[renewed.moved(-frame.box.left, -frame.box.top).slices]
    return whole
