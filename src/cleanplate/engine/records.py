"""What the journal keeps: outcomes as plain values, and what files were when they were read and written."""

from __future__ import annotations

import dataclasses
import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cleanplate.structures import Box, Method, Outcome, Region, Verdict

_CHUNK_BYTES = 1 << 20

#: A file changed this recently may change again without its time telling (FAT counts in two seconds).
_COARSE_CLOCK_NS = 2_000_000_000

#: The time of no file: the content decides.
_NO_TIME = -1


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a file was: its content's SHA-256, and size and time of change to save reading it again."""

    sha256: str
    nbytes: int
    mtime_ns: int

    def still_fits(self, path: Path) -> bool:
        """Whether the file has this content: equal size and time are enough, else the content decides.

        Raises OSError where it cannot be looked at or read.
        """
        status = path.stat()
        if status.st_size != self.nbytes:
            return False
        return status.st_mtime_ns == self.mtime_ns or hash_file(path) == self.sha256


def read_stamp(path: Path) -> Stamp:
    """The stamp of a file as it is now. Raises OSError.

    Size and time are taken before the content: a file that changes meanwhile no longer fits its stamp's time.
    """
    status = path.stat()
    settled = time.time_ns() - status.st_mtime_ns > _COARSE_CLOCK_NS
    return Stamp(hash_file(path), status.st_size, status.st_mtime_ns if settled else _NO_TIME)


def hash_file(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a photograph and its result were when the result was written."""

    input: Stamp
    output: Stamp

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Receipt:
        """Raises KeyError or TypeError for values of another shape."""
        return cls(Stamp(**values["input"]), Stamp(**values["output"]))


def outcome_to_json(outcome: Outcome) -> dict[str, Any]:
    """An outcome as plain values.

    >>> outcome = Outcome(source=Path("a.jpg").absolute(), relative="a.jpg", verdict=Verdict.CLEAN)
    >>> outcome_from_json(outcome_to_json(outcome)) == outcome
    True

    The source becomes absolute: the next run may be started elsewhere.
    """
    values = {f.name: getattr(outcome, f.name) for f in dataclasses.fields(outcome)}
    values["source"] = str(outcome.source.absolute())
    values["verdict"] = outcome.verdict.value
    values["regions"] = [_region_to_json(region) for region in outcome.regions]
    values["seconds"] = {stage: round(seconds, 6) for stage, seconds in outcome.seconds.items()}
    values["notes"] = list(outcome.notes)
    return {name: value for name, value in values.items() if value not in (None, [], {})}


def outcome_from_json(values: dict[str, Any]) -> Outcome:
    """The outcome that `outcome_to_json` made these of. KeyError, TypeError or ValueError for others."""
    return Outcome(
        **{
            **values,
            "source": Path(values["source"]),
            "verdict": Verdict(values["verdict"]),
            "regions": tuple(_region_from_json(region) for region in values.get("regions", ())),
            "notes": tuple(values.get("notes", ())),
        }
    )


def _region_to_json(region: Region) -> dict[str, Any]:
    box = region.box
    return {
        "box": [box.left, box.top, box.right, box.bottom],
        "method": region.method.value,
        "opacity": region.opacity,
        "confidence": region.confidence,
    }


def _region_from_json(values: dict[str, Any]) -> Region:
    return Region(
        box=Box(*values["box"]),
        method=Method(values["method"]),
        opacity=values["opacity"],
        confidence=values["confidence"],
    )
