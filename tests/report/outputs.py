"""Output folders to report on: one that a run made, one of as many photographs as wanted."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from cleanplate.engine.records import Receipt, Stamp, hash_file, outcome_to_json
from cleanplate.engine.run import repair_folder
from cleanplate.settings import RepairSettings
from cleanplate.structures import Box, Method, Outcome, Photo, Region, Repair, Verdict
from tests.engine.simple import MAGENTA, MagentaPipeline, draw_photo

HOSTILE = "<img src=x onerror=alert(1)>.jpg"
BEGAN = 1_764_000_000.0
#: Colours of the pictures that the photographs of a large folder share.
COLOURS = ((180, 60, 40), (40, 120, 80), (60, 80, 160), (150, 130, 60), (90, 90, 90))


class RegionPipeline(MagentaPipeline):
    """The same, and it says what it did to each region."""

    def repair_one(self, photo: Photo, settings: RepairSettings) -> Repair:
        repair = super().repair_one(photo, settings)
        if repair.verdict is not Verdict.REPAIRED:
            return repair
        regions = tuple(Region(box, Method.FILLED, 0.625, 0.75) for box in repair.first.boxes)
        return dataclasses.replace(repair, regions=regions)


def make_output(folder: Path, *, masks: bool = True) -> Path:
    """A folder of photographs of all kinds, repaired; returns the output folder."""
    photos = folder / "photos"
    for number, name in enumerate(["a marked.jpg", "b marked.png", HOSTILE, "100% #2?.jpg", "草地.webp"]):
        draw_photo(photos / name, seed=number, size=(320, 240), mark_px=80)
    draw_photo(photos / "clean.jpg", seed=7, mark_px=0, size=(320, 240))
    draw_photo(photos / "slight.png", seed=8, mark_px=3, size=(320, 240))
    (photos / "broken.jpg").write_bytes((photos / "clean.jpg").read_bytes()[:600])
    deep = np.full((400, 2400, 3), 20_000, np.uint16)
    deep[100:200, 1500:1700] = [value * 257 for value in MAGENTA]
    cv2.imwrite(str(photos / "deep.tiff"), deep[:, :, ::-1])
    Image.new("CMYK", (64, 48), (0, 60, 90, 10)).save(photos / "inks.jpg")
    output = folder / "results"
    repair_folder(photos, output, RepairSettings(save_masks=masks), pipeline=RegionPipeline())
    return output


def make_many(output: Path, count: int) -> Path:
    """An output folder with the journal of a run over `count` photographs, which share a few pictures."""
    state = output / ".cleanplate"
    state.mkdir(parents=True)
    sources = output.parent / "sources"
    sources.mkdir(exist_ok=True)
    stamps = []
    for number, colour in enumerate(COLOURS):
        path = sources / f"picture-{number}.jpg"
        Image.new("RGB", (480, 320), colour).save(path)
        stamps.append((path, Stamp(hash_file(path), path.stat().st_size, 0)))
    lines: list[dict[str, object]] = [
        {"kind": "started", "total": count, "skipped": 0, "key": "k", "time": _time(0)}
    ]
    for number in range(count):
        path, stamp = stamps[number % len(stamps)]
        outcome = _make_outcome(sources, number, stamp.sha256)
        if outcome.output is not None:
            (output / outcome.output).symlink_to(path)
        receipt = Receipt(stamp, stamp).to_json() if outcome.output else None
        lines.append(
            {
                "kind": "finished",
                "outcome": outcome_to_json(outcome),
                "receipt": receipt,
                "time": _time(number / 8),
            }
        )
    lines.append(
        {"kind": "paused", "reason": "GPU memory is at 85%", "seconds": 3.0, "time": _time(count / 16)}
    )
    lines.append(
        {
            "kind": "retried",
            "stage": "fill",
            "batch": 4,
            "tile": None,
            "next_batch": 2,
            "cause": "out of memory",
            "time": _time(5),
        }
    )
    lines.append({"kind": "ended", "counts": {}, "interrupted": False, "time": _time(count / 8)})
    (state / "journal.jsonl").write_text(
        "\n".join(json.dumps(line) for line in lines) + "\n", encoding="ascii"
    )
    samples = [
        {
            "seconds": BEGAN + second,
            "process_bytes": 10**9,
            "system_available_bytes": 6 * 10**9,
            "system_total_bytes": 8 * 10**9,
            "gpu_allocated_bytes": 2 * 10**9,
            "gpu_reserved_bytes": 3 * 10**9,
            "gpu_total_bytes": 8 * 10**9,
        }
        for second in range(count // 8 or 1)
    ]
    (state / "samples.jsonl").write_text("\n".join(map(json.dumps, samples)) + "\n", encoding="ascii")
    return output


def _make_outcome(sources: Path, number: int, sha256: str) -> Outcome:
    name = f"photo-{number:05}.jpg"
    verdict = (Verdict.REPAIRED, Verdict.CLEAN, Verdict.REPAIRED, Verdict.UNDER_THRESHOLD, Verdict.FAILED)[
        number % 5
    ]
    failed, repaired = verdict is Verdict.FAILED, verdict is Verdict.REPAIRED
    return Outcome(
        source=sources / name,
        relative=name,
        verdict=verdict,
        output=None if failed else name,
        share=0.0 if failed or verdict is Verdict.CLEAN else 0.002 + (number % 90) / 1000,
        score=0.0 if failed else 0.5 + (number % 50) / 100,
        rounds=int(repaired),
        width=0 if failed else 480,
        height=0 if failed else 320,
        regions=(Region(Box(300, 250, 420, 300), Method.UNBLENDED, 0.5, 0.5 + (number % 40) / 100),)
        if repaired
        else (),
        seconds={"read": 0.05, "detect": 0.2, "write": 0.04 + (number % 7) / 100},
        batch=5,
        cause="the file is damaged" if failed else None,
        remedy="get an undamaged copy" if failed else None,
        input_sha256=None if failed else sha256,
    )


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(BEGAN + seconds, UTC).isoformat(timespec="milliseconds")
