"""The shared marks of an output folder: worked out once, kept with the run, used again by every later one.

shared-mark.png    the estimate, an RGBA picture that a person may look at and edit
shared-mark-2.png  another, of other photographs, and so on
shared-mark.json   under which settings they were looked for, and on which photographs
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from cleanplate.engine.groups import SharedMarks, find_shared_marks
from cleanplate.engine.leads import LEAST_SHARING
from cleanplate.engine.owner import DeviceOwner
from cleanplate.engine.photoset import PhotoSet
from cleanplate.engine.shares import MemoryShares
from cleanplate.engine.workspace import Workspace
from cleanplate.errors import CleanplateError, PhotoError, UsageError
from cleanplate.images.discover import Source
from cleanplate.images.read import read
from cleanplate.marks.files import encode_mark, read_mark
from cleanplate.models.request import Attempt
from cleanplate.settings import RepairSettings
from cleanplate.structures import Detection, Photo

MARK_FILE, FURTHER_FILE = "shared-mark.png", "shared-mark-{}.png"
RECORD_FILE = "shared-mark.json"
#: Changes when a survey would come to another result.
VERSION = 9
#: Photographs that the finder sees together.
BATCH = 4


@dataclass(frozen=True, kw_only=True)
class KeptMark:
    """A mark that `sharing` of `looked_at` photographs share. file: its name; sha256: of that."""

    file: str
    looked_at: int
    sharing: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Surveyed:
    """What a survey came to. marks: that of the most photographs first.

    others: whether many photographs that carry one carry other marks too. sources: which photographs they
    were, as `MarkKeeper` tells them apart; empty in the records of earlier versions.
    """

    key: str
    marks: tuple[KeptMark, ...] = ()
    others: bool = False
    sources: tuple[str, ...] = ()


class MarkKeeper:
    """Finds, keeps and finds again the shared marks of an output folder."""

    def __init__(self, workspace: Workspace, settings: RepairSettings, sources: Sequence[Source]) -> None:
        self._folder = workspace.state
        self._commit = workspace.commit_bytes
        self._settings = settings
        self._sources = sources
        self._key = f"{VERSION}-{settings.model}-{settings.ocr}-{settings.max_megapixels}"

    def path(self, mark: KeptMark) -> Path:
        """Where an estimate is."""
        return self._folder / mark.file

    @property
    def is_worth_while(self) -> bool:
        """Whether there are photographs enough to share a mark."""
        return len(self._sources) >= LEAST_SHARING

    def recall(self) -> Surveyed | None:
        """What an earlier run of the same kind came to; None where the photographs are to be looked at again.

        Marks that were found stay the marks, also when photographs are added, or when a few are done again;
        that there was none is only true of those very photographs.
        """
        try:
            kept = json.loads((self._folder / RECORD_FILE).read_text(encoding="utf-8"))
            kept.pop("photographs", None)  # their number, in the records of earlier versions
            told = Surveyed(**kept)
            marks = tuple(KeptMark(**mark) for mark in kept["marks"])
            told = replace(told, marks=marks, sources=tuple(told.sources))
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None
        if told.key != self._key:
            return None
        if not told.marks:
            return told if set(told.sources) == set(self._tell_apart()) else None
        try:
            for mark in told.marks:
                read_mark(self.path(mark))
        except UsageError:
            return None  # gone, or damaged by an edit
        return told

    def is_of_others(self, told: Surveyed) -> bool:
        """Whether these photographs, enough to share a mark, are none of those that the marks are from."""
        known = set(told.sources)
        return self.is_worth_while and bool(told.marks and known) and known.isdisjoint(self._tell_apart())

    def say_others(self, told: Surveyed) -> str:
        """What that means, and what else there is to do."""
        return (
            f"the shared mark kept in {self.path(told.marks[0])} was worked out from other photographs, and "
            "is the one that is looked for; to have a mark of these looked for, name another output folder"
        )

    def _tell_apart(self) -> tuple[str, ...]:
        """A short name of every photograph's place and state."""
        return tuple(sorted(_name_state(source.path) for source in self._sources))

    def survey(
        self,
        owner: DeviceOwner,
        attempt: Attempt,
        is_stopping: Callable[[], bool],
        shares: MemoryShares | None = None,
    ) -> Surveyed | None:
        """Look at the photographs and keep what comes of it; None, and nothing kept, where it was stopped.

        owner: only looks (its settings are those of a dry run). shares: of the limit that it works under.
        """
        shares = shares or MemoryShares()
        photo_set = PhotoSet(
            paths=[source.path for source in self._sources],
            read_photo=make_reader(self._settings),
            find_marks=lambda photos: look_through(owner, photos, shares),
            attempt=attempt,
            is_stopping=is_stopping,
        )
        found = find_shared_marks(photo_set)
        return None if is_stopping() else self._keep(found)

    def apply(self, told: Surveyed) -> RepairSettings:
        """The settings of the run itself. Raises UsageError where a mark is required and there is none."""
        if told.marks:
            marks, others = tuple(str(self.path(mark)) for mark in told.marks), self._settings.other_marks
            if others == "auto":
                others = "on" if told.others else "off"
            return replace(self._settings, mark=marks, other_marks=others)
        if self._settings.shared_mark == "require":
            raise UsageError(say_none(len(self._sources)))
        return self._settings

    def _keep(self, found: SharedMarks) -> Surveyed:
        """Raises UsageError where they cannot be written."""
        kept = []
        try:
            for at, shared in enumerate(found.marks):
                data = encode_mark(shared.mark)
                name = MARK_FILE if at == 0 else FURTHER_FILE.format(at + 1)
                sha256 = hashlib.sha256(data).hexdigest()
                kept.append(
                    KeptMark(file=name, looked_at=shared.looked_at, sharing=shared.sharing, sha256=sha256)
                )
                self._commit(data, self._folder / name)
            told = Surveyed(
                key=self._key,
                marks=tuple(kept),
                others=found.others,
                sources=self._tell_apart(),
            )
            self._commit(f"{json.dumps(asdict(told))}\n".encode(), self._folder / RECORD_FILE)
        except OSError as exc:
            raise UsageError(
                f"{self._folder / MARK_FILE}: the shared mark cannot be kept ({exc.strerror or exc}); "
                "make room on the disk, or give --shared-mark off"
            ) from exc
        return told


def _name_state(path: Path) -> str:
    try:
        state = path.stat()
        told = f"{os.path.realpath(path)}|{state.st_size}|{state.st_mtime_ns}"
    except OSError:
        told = f"{path}"
    return hashlib.sha256(os.fsencode(told)).hexdigest()[:12]


#: Why no shared mark is looked for where one is required: in a dry run, and at all.
NOT_ASKED_FOR = (
    "a dry run looks for no shared mark: whether the photographs share one, as required, the run itself tells"
)
NOT_LOOKED_FOR = (
    "--shared-mark require cannot be met: no shared mark is looked for where --mark, --masks, --box or "
    "--anchor tells what to remove, nor where --inpaint fills every mark; leave one of them out"
)


def say_none(count: int) -> str:
    """That no mark is shared, and what else there is to do."""
    if count < LEAST_SHARING:
        return (
            f"a shared mark is worked out from {LEAST_SHARING} photographs or more, and there are {count}; "
            "give more of them, or give 'repair' the mark with --mark FILE.png"
        )
    return (
        f"no mark was found that enough of the {count} photographs share; 'repair' takes one with "
        "--mark FILE.png, and goes photograph by photograph with --shared-mark auto"
    )


def make_reader(settings: RepairSettings) -> Callable[[Path], Photo | None]:
    """Reads a photograph, None where that fails: the run itself says why."""

    def try_read(path: Path) -> Photo | None:
        try:
            return read(path, max_megapixels=settings.max_megapixels)
        except PhotoError:
            return None
        except CleanplateError:
            raise
        except Exception:  # a damaged file can make a decoder raise anything
            return None

    return try_read


def look_through(owner: DeviceOwner, photos: Sequence[Photo], shares: MemoryShares) -> list[Detection | None]:
    """What the finder finds, batch by batch. shares: where the photographs count meanwhile."""
    found: list[Detection | None] = []
    with shares.holding(sum(photo.rgb.nbytes for photo in photos)):
        for start in range(0, len(photos), BATCH):
            owner.before_batch()
            answers = owner.repair(photos[start : start + BATCH])
            found += [None if isinstance(a.result, Exception) else a.result.first for a in answers]
    return found
