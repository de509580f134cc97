"""Folders that a run has been through, desks over them, and browsers that are let in."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from starlette.testclient import TestClient

from cleanplate.engine.run import repair_folder
from cleanplate.engine.work import encode_mask
from cleanplate.models.request import Attempt
from cleanplate.pipeline.repair import MarkRepair
from cleanplate.remove.base import Crop, Removal
from cleanplate.review.app import make_app
from cleanplate.review.desk import Desk, read_run_settings
from cleanplate.review.gate import Gate
from cleanplate.review.live import NoRun
from cleanplate.settings import RepairSettings
from cleanplate.structures import Detection, Method, Photo, Region
from tests.engine.simple import detect, draw_photo

PORT = 8123
ORIGIN = f"http://127.0.0.1:{PORT}"
SETTINGS = RepairSettings(threshold=0.01)


class MagentaDetector:
    """Magenta is a mark."""

    fingerprint = "magenta"

    def detect(self, photos: Sequence[Photo], _attempt: Attempt) -> list[Detection | Exception]:
        return [detect(photo) for photo in photos]


class FillRemover:
    """Fills what is marked; the fingerprint tells with what."""

    def __init__(self, how: str = "auto", seconds: float = 0.0) -> None:
        self.fingerprint = f"fill-{how}"
        self._seconds = seconds

    def remove(self, crops: Sequence[Crop], _attempt: Attempt) -> list[Removal | Exception]:
        time.sleep(self._seconds)
        return [self._fill(crop) for crop in crops]

    def _fill(self, crop: Crop) -> Removal:
        rgb_u8 = np.rint(crop.rgb * 255).astype(np.uint8)
        filled = cv2.inpaint(rgb_u8, crop.mask.astype(np.uint8), 3, cv2.INPAINT_TELEA)
        region = Region(crop.box, Method.FILLED, None, 0.8)
        return Removal(filled.astype(np.float32) / 255, crop.mask, (region,))


def build(settings: RepairSettings) -> MarkRepair:
    return MarkRepair(MagentaDetector(), FillRemover(settings.inpaint))


def build_slowly(settings: RepairSettings) -> MarkRepair:
    return MarkRepair(MagentaDetector(), FillRemover(settings.inpaint, seconds=0.4))


def draw_inputs(folder: Path) -> Path:
    """Two marked photographs of one size, a clean one, a slightly marked one, a larger one, a broken one."""
    draw_photo(folder / "a.png", seed=1)
    draw_photo(folder / "b.jpg", seed=2)
    draw_photo(folder / "clean.png", seed=3, mark_px=0)
    draw_photo(folder / "faint.png", seed=4, mark_px=4)
    draw_photo(folder / "large.png", seed=5, size=(160, 120))
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not much of a picture")
    return folder


def run_batch(inputs: Path, output: Path, settings: RepairSettings = SETTINGS) -> Path:
    repair_folder(inputs, output, settings, pipeline=build(settings))
    return output


def open_desk(output: Path, build: Callable[[RepairSettings], Any] = build) -> Desk:
    return Desk(output, read_run_settings(output), build=build)


def open_client(desk: Desk, run: Any = None, *, let_in: bool = True) -> TestClient:
    gate = Gate(PORT)
    app = make_app(desk, gate, run or NoRun(desk))
    client = TestClient(app, base_url=ORIGIN, follow_redirects=False, raise_server_exceptions=False)
    if let_in:
        assert client.get("/", params={"token": gate.mint()}).status_code == 303
        client.headers["Origin"] = ORIGIN
    return client


def ids_by_name(desk: Desk) -> dict[str, str]:
    return {photo.outcome.relative: photo.id for photo in desk.album.list()}


def wait_until(is_true: Callable[[], Any], seconds: float = 20.0) -> Any:
    """What `is_true` gives as soon as it is true; fails where that takes too long."""
    end = time.monotonic() + seconds
    while not (given := is_true()):
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.01)
    return given


def wait_for_queue(desk: Desk) -> Mapping[str, Any]:
    """The queue when nothing waits or runs any more."""

    def is_idle() -> Mapping[str, Any] | None:
        queue = desk.queue.to_json()
        return queue if not queue["waiting_count"] and queue["running"] is None else None

    return wait_until(is_idle)


def read_events(desk: Desk) -> list[tuple[str, Any]]:
    """All that was told so far."""
    told = []
    for item in list(desk.feed._told):
        lines = item.text.splitlines()
        told.append((lines[1].removeprefix("event: "), json.loads(lines[2].removeprefix("data: "))))
    return told


def square_mask(width: int = 96, height: int = 64, at: tuple[int, int] = (30, 20), edge: int = 20) -> bytes:
    """A mask as a PNG with a marked square."""
    mask = np.zeros((height, width), bool)
    mask[at[1] : at[1] + edge, at[0] : at[0] + edge] = True
    return encode_mask(mask)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def with_threshold(threshold: float) -> RepairSettings:
    return dataclasses.replace(SETTINGS, threshold=threshold)
