"""Removing marks with the restorer network: it sees what the mark is, the pixels say the rest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from cleanplate.device.meter import call_alike
from cleanplate.errors import TooLittleMemoryError
from cleanplate.images.tensor import Layers, fetch_batch, resize, resize_for_network, stage_batch
from cleanplate.images.tiles import TileBlend, windows
from cleanplate.models.nets.chooser import CANDIDATES, INPUT_PLANES
from cleanplate.models.request import Attempt, Request, run_alone
from cleanplate.models.tiled import cut_shape, list_tiles, predict_in_tiles
from cleanplate.remove.base import Crop, Filler, Removal
from cleanplate.remove.candidates import Candidates, Prediction, find_candidates
from cleanplate.remove.choose import choose_by_rule, choose_by_shares, fill_crop, leave
from cleanplate.remove.fill import refill
from cleanplate.remove.halves import can_halve, halve, join
from cleanplate.remove.rest import fill_what_is_left, keep_to_mask
from cleanplate.structures import Box, FloatArray

#: Windows that the network sees, and what neighbours share. One size for all keeps allocators from hoarding.
WINDOW_PX = 512
OVERLAP_PX = 64
#: Planes taken from the network: matte, opacity, background.
PLANES = 5
#: How unsure the matte m may be on a window, the sum of m (1 - m) over that of m, before the network is asked
#: again, with the window mirrored and upside down, and the mean taken. Source: 177 marked validation triples
#: (restorer-4): repaired 71.8 % and 24.13 dB inside without, 73.4 and 24.25 with always, 74.0 and 24.24 from
#: 0.2 on (half of the photographs), 74.0 and 24.22 from 0.33 on.
MOST_UNSURE = 0.25
#: What a window is mirrored along: rows, columns.
MIRRORED = (0, 1)
BYTES_BY_PIXEL = 4 * (4 + 2 * PLANES)
#: What the chooser sees of a pixel, and its shares, twice.
CHOOSE_BYTES_BY_PIXEL = 4 * (INPUT_PLANES + 2 * CANDIDATES)
#: Host bytes by pixel that taking a crop apart and filling one take with the network's planes. Source:
#: measured by tracemalloc (`tests/remove/test_restore.py`): 213 with a mark of two tints all over, 151 where
#: its colours are taken back too, as putting a crop together from what it could become. Cleaning the inverse
#: of a compressed file takes no more.
SEPARATE_BYTES_BY_PIXEL = 250
FILL_BYTES_BY_PIXEL = 160


@dataclass(frozen=True, eq=False)
class _Window:
    """A piece of a crop: the crop, its place among the others, the box in it; mirrored: along which axis.

    The network sees it mirrored and enlarged, as the crop says.
    """

    crop: Crop
    place: int
    box: Box
    mirrored: int | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(h, w) of what the network sees."""
        height, width = self.box.height, self.box.width
        return round(height * self.crop.enlarged), round(width * self.crop.enlarged)

    @property
    def layers(self) -> tuple[FloatArray, FloatArray]:
        """What the network sees, (h, w, 3) and (h, w): picture and the finder's probability."""
        planes = self.crop.rgb[self.box.slices], self.crop.probability[self.box.slices]
        rgb, probability = (np.asarray(resize_for_network(p, *self.shape), np.float32) for p in planes)
        return self._mirror(rgb), self._mirror(probability)

    def read(self, planes: FloatArray) -> FloatArray:
        """What the network says of the window itself, (h, w, C), from what it says of what it sees."""
        seen, height, width = self._mirror(planes), self.box.height, self.box.width
        if seen.shape[:2] == (height, width):
            return seen
        # OpenCV shrinks four planes together at most.
        return np.stack([resize(plane, height, width) for plane in np.moveaxis(seen, 2, 0)], axis=2)

    def _mirror(self, plane: FloatArray) -> FloatArray:
        return plane if self.mirrored is None else np.ascontiguousarray(np.flip(plane, self.mirrored))


@dataclass(frozen=True, eq=False)
class NetworkRemover:
    """Takes marks off with a restorer network (its contract is in `models/nets/restorer`).

    network: on `device`, in evaluation mode. weights: their fingerprint. inpaint: `auto` chooses by region
    what is done; `embedded` and `opencv` fill every mark, with the network's photograph or from the
    surroundings. filler: who paints, under `auto`, where nothing of the photograph is left; None: a membrane
    from the surroundings stays. chooser: the network that says, under `auto`, what each region becomes (its
    contract is in `models/nets/chooser`), on `device` too; None: a rule does.
    """

    network: Any
    device: torch.device
    weights: str
    inpaint: str = "auto"
    filler: Filler | None = None
    chooser: Any = None

    @property
    def fingerprint(self) -> str:
        """Of the weights, and of the filler."""
        if self.inpaint == "embedded":  # since it fills from the surroundings where the network would not
            return f"{self.weights}+embedded-2"
        return self.weights if self.filler is None else f"{self.weights}+{self.filler.fingerprint}"

    def remove(self, crops: Sequence[Crop], attempt: Attempt) -> list[Removal | Exception]:
        """One Removal a crop, in order, or what ended that crop alone."""
        failures: dict[int, Exception] = {}
        blends = [TileBlend((*crop.mask.shape, PLANES), overlap=_share_px(crop)) for crop in crops]
        for shape, group in self._sort_by_shape(crops).items():
            answers = self._answer(group, shape, attempt)
            for window, planes in zip(group, answers, strict=True):
                if isinstance(planes, Exception):
                    failures[window.place] = planes
                else:
                    blends[window.place].add(window.box, planes)
        removals = [
            failures[place] if place in failures else self._finish(crop, blends[place], attempt)
            for place, crop in enumerate(crops)
        ]
        return removals if self.filler is None else refill(crops, removals, self.filler, attempt)

    def _answer(
        self, group: Sequence[_Window], shape: tuple[int, int], attempt: Attempt
    ) -> list[FloatArray | Exception]:
        """What the network says of each window, where it is unsure the mean of what it says when asked again.

        Where it cannot be asked again the first answer stays.
        """
        first = attempt(self._ask(group, shape))
        answers = [
            planes if isinstance(planes, Exception) else window.read(planes)
            for window, planes in zip(group, first, strict=True)
        ]
        unsure = [at for at, planes in enumerate(answers) if _is_unsure(planes)]
        again = [(at, replace(group[at], mirrored=axis)) for at in unsure for axis in MIRRORED]
        said: dict[int, list[FloatArray]] = defaultdict(list)
        if again:
            second = attempt(self._ask([window for _, window in again], shape))
            for (at, window), planes in zip(again, second, strict=True):
                said[at] += [] if isinstance(planes, Exception) else [window.read(planes)]
        for at, others in said.items():
            own = answers[at]
            if not isinstance(own, Exception):
                answers[at] = np.asarray(np.mean([own, *others], axis=0), np.float32)
        return answers

    def _sort_by_shape(self, crops: Sequence[Crop]) -> dict[tuple[int, int], list[_Window]]:
        """All crops' windows, by the size at which the network sees them."""
        stride = int(self.network.stride)
        groups: dict[tuple[int, int], list[_Window]] = defaultdict(list)
        for place, crop in enumerate(crops):
            tile = int(WINDOW_PX / crop.enlarged)
            for box in windows(*crop.mask.shape, tile=tile, overlap=_share_px(crop)):
                window = _Window(crop, place, box)
                height, width = window.shape
                groups[height + -height % stride, width + -width % stride].append(window)
        return groups

    def _ask(self, group: Sequence[_Window], shape: tuple[int, int]) -> Request[_Window, FloatArray]:
        return Request(
            stage="restore",
            network=self.network,
            items=group,
            shape=lambda batch, tile: (batch, 4, *cut_shape(shape, tile)),
            run=lambda items, tile: self._run(items, shape, tile),
            tiles=list_tiles(shape),
            item_bytes=shape[0] * shape[1] * BYTES_BY_PIXEL,
        )

    def _run(self, items: Sequence[_Window], shape: tuple[int, int], tile: int | None) -> list[FloatArray]:
        """(h, w, 5) float32 a window: matte, opacity, background.

        In tiles the network sees less round each pixel than the window, on which its answer depends.
        """
        layers = [item.layers for item in items]
        if tile is None:
            return self._predict(layers, shape)
        return predict_in_tiles(self._predict, layers, shape, tile)

    def _predict(self, layers: Sequence[Layers], shape: tuple[int, int]) -> list[FloatArray]:
        with torch.no_grad(), stage_batch(layers, *shape, device=self.device) as batch:
            planes = call_alike(self.network, batch)
            together = torch.cat(
                [torch.sigmoid(planes["matte"]), planes["opacity"], planes["background"]], dim=1
            )
            return fetch_batch(together, [rgb.shape[:2] for rgb, _ in layers])

    def _finish(self, crop: Crop, blend: TileBlend, attempt: Attempt) -> Removal | Exception:
        removal = self._handle(crop, blend.result(), attempt)
        if isinstance(removal, Exception) or not crop.given or self.inpaint != "auto":
            return removal
        return keep_to_mask(crop, fill_what_is_left(crop, removal))

    def _handle(self, crop: Crop, planes: FloatArray, attempt: Attempt) -> Removal | Exception:
        """A crop as a whole or, where memory admits only less, in halves."""
        handle = self._take_apart if self.inpaint == "auto" else self._fill
        removal = handle(crop, planes, attempt)
        if not isinstance(removal, TooLittleMemoryError) or not can_halve(crop):
            return removal
        halves, removals = halve(crop, planes), []
        for half in halves:
            answer = self._handle(half.crop, half.planes, attempt)
            if isinstance(answer, Exception):
                return answer
            removals.append(answer)
        return join(crop, halves, removals)

    def _fill(self, crop: Crop, planes: FloatArray, attempt: Attempt) -> Removal | Exception:
        nbytes, with_network = FILL_BYTES_BY_PIXEL * crop.mask.size, self.inpaint == "embedded"
        return run_alone(
            attempt, "separate", nbytes, lambda: fill_crop(crop, _read(planes), with_network=with_network)
        )

    def _take_apart(self, crop: Crop, planes: FloatArray, attempt: Attempt) -> Removal | Exception:
        nbytes = SEPARATE_BYTES_BY_PIXEL * crop.mask.size
        found = run_alone(attempt, "separate", nbytes, lambda: find_candidates(crop, _read(planes)))
        if isinstance(found, Exception):
            return found
        return leave(crop) if found is None else self._choose(found, attempt)

    def _choose(self, found: Candidates, attempt: Attempt) -> Removal | Exception:
        nbytes = FILL_BYTES_BY_PIXEL * found.owner.size
        if self.chooser is None:
            return run_alone(attempt, "separate", nbytes, lambda: choose_by_rule(found))
        layers, size = found.lay_out(), found.owner.shape
        blend = TileBlend((*size, CANDIDATES), overlap=OVERLAP_PX)
        boxes = windows(*size, tile=WINDOW_PX, overlap=OVERLAP_PX)
        answers = attempt(self._ask_chooser([[layer[box.slices] for layer in layers] for box in boxes]))
        for box, shares in zip(boxes, answers, strict=True):
            if isinstance(shares, Exception):
                return shares
            blend.add(box, shares)
        shares = blend.result()
        return run_alone(attempt, "separate", nbytes, lambda: choose_by_shares(found, shares))

    def _ask_chooser(self, pieces: Sequence[Layers]) -> Request[Layers, FloatArray]:
        height, width = pieces[0][0].shape[:2]
        stride = int(self.chooser.stride)
        shape = (height + -height % stride, width + -width % stride)

        def run(items: Sequence[Layers], tile: int | None) -> list[FloatArray]:
            if tile is None:
                return self._share(items, shape)
            return predict_in_tiles(self._share, items, shape, tile)

        return Request(
            stage="choose",
            network=self.chooser,
            items=pieces,
            shape=lambda batch, tile: (batch, INPUT_PLANES, *cut_shape(shape, tile)),
            run=run,
            tiles=list_tiles(shape),
            item_bytes=shape[0] * shape[1] * CHOOSE_BYTES_BY_PIXEL,
        )

    def _share(self, pieces: Sequence[Layers], shape: tuple[int, int]) -> list[FloatArray]:
        with torch.no_grad(), stage_batch(pieces, *shape, device=self.device) as batch:
            return fetch_batch(call_alike(self.chooser, batch), [layers[0].shape[:2] for layers in pieces])


def _share_px(crop: Crop) -> int:
    """What neighbouring windows of a crop share, in its own pixels."""
    return int(OVERLAP_PX / crop.enlarged)


def _is_unsure(planes: FloatArray | Exception) -> bool:
    """Whether much of a window's matte is neither mark nor none."""
    if isinstance(planes, Exception):
        return False
    matte = planes[..., 0]
    return float((matte * (1 - matte)).sum()) > MOST_UNSURE * float(matte.sum())


def _read(planes: FloatArray) -> Prediction:
    return Prediction(
        matte=np.ascontiguousarray(planes[..., 0]),
        opacity=np.ascontiguousarray(planes[..., 1]),
        background=np.ascontiguousarray(planes[..., 2:5]),
    )
