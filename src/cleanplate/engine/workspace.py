"""`OUT/.cleanplate/`: the run's state, and how a finished result gets its name.

journal.jsonl   what became of every file
decisions.jsonl what a person decided about results
waiting.jsonl   what a person has asked for and was not done yet
painted/        masks that a person painted on a photograph, or handed on to it from another
lock            held while a run is going on
status.json, samples.jsonl   for whoever watches from another process
shared-mark.*   the mark that the photographs share, and when it was looked for
tmp/            results under way; emptied when a run starts
masks/          with --save-masks, one PNG a photograph in which something was found
previews/       small pictures for the report, and masks of what was changed where none was kept
replaced/       results that someone changed after they were written, before they were made anew
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from cleanplate.engine.decisions import DECISIONS_FILE, read_decisions
from cleanplate.engine.journal import History, Journal, read_history
from cleanplate.engine.lock import OutputLock
from cleanplate.errors import UnwritablePhotoError, UsageError
from cleanplate.images.discover import JOURNAL_FILE, STATE_FOLDER

#: File systems take names of so many bytes.
MOST_NAME_BYTES = 255
_FOLDER_LIKE_A_MASK = re.compile(r"\.png_*$", re.IGNORECASE)


class Workspace:
    """The places inside one output folder. Making one touches nothing."""

    def __init__(self, output: Path) -> None:
        self.output = output
        self.state = output / STATE_FOLDER
        self.journal = self.state / JOURNAL_FILE
        self.decisions = self.state / DECISIONS_FILE
        self.temporary = self.state / "tmp"
        self._numbers = itertools.count()

    @contextlib.contextmanager
    def opened(self) -> Iterator[Journal]:
        """Hold the folder: made where it is missing, locked, what a killed run left behind swept away.

        Raises OutputInUseError where another run has it, UsageError where it cannot be written to.
        """
        with contextlib.ExitStack() as stack:
            try:
                self.state.mkdir(parents=True, exist_ok=True)
                stack.enter_context(OutputLock(self.state / "lock", self.output))
                self._sweep()
                journal = stack.enter_context(Journal(self.journal))
                sync_folder(self.state)
            except OSError as exc:
                raise UsageError(
                    f"{self.output}: the output folder cannot be written to ({exc.strerror or exc}); "
                    "check space and permissions, or name another folder"
                ) from exc
            try:
                yield journal
            finally:
                with contextlib.suppress(OSError):
                    self._sweep()

    def require_run(self) -> None:
        """Raises UsageError where no run has written."""
        if not self.output.is_dir():
            raise UsageError(f"{self.output}: there is no such folder; give the --output of a repair")
        if not self.journal.is_file():
            raise UsageError(f"{self.output}: no run has written here; give the --output of a repair")

    def read_history(self) -> History:
        """What journal and decisions tell. Raises UsageError where they are there but cannot be read."""
        try:
            history = read_history(self.journal)
            for decision in read_decisions(self.decisions).values():
                history.decided[decision.output] = decision.sha256
        except OSError as exc:
            raise UsageError(
                f"{self.journal}: the journal cannot be read ({exc.strerror or exc}); check its permissions"
            ) from exc
        return history

    def _sweep(self) -> None:
        if self.temporary.is_dir() and not self.temporary.is_symlink():
            shutil.rmtree(self.temporary)
        self.temporary.mkdir()

    def staged(self, name: str) -> Path:
        """A temporary name of its own, with the suffix of `name`."""
        return self.temporary / f"{next(self._numbers):08}{PurePosixPath(name).suffix}"

    def destination(self, name: str) -> Path:
        """Where the result called `name` goes."""
        return self.output / name

    def commit(self, staged: Path, target: Path) -> None:
        """Give a complete, synced file its name, for good. Raises OSError; then the name is as it was."""
        target.parent.mkdir(parents=True, exist_ok=True)
        staged.replace(target)
        sync_folder(target.parent)

    def commit_bytes(self, data: bytes, target: Path) -> None:
        """Store `data` whole under a name or not at all. Raises OSError."""
        staged = self.staged(target.name)
        with staged.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        self.commit(staged, target)

    def set_aside(self, name: str) -> Path:
        """Move the file called `name` to where it is in nobody's way, and say where. Raises OSError."""
        target = self.state / "replaced" / name
        for number in itertools.count(2):
            if not os.path.lexists(target):
                break
            path = PurePosixPath(name)
            target = self.state / "replaced" / path.with_name(f"{path.stem}-{number}{path.suffix}")
        self.commit(self.destination(name), target)
        return target

    def mask(self, name: str) -> Path:
        """Where the mask of the photograph whose result is called `name` goes."""
        return self.state / "masks" / mask_name(name)


def in_the_way(target: Path) -> UnwritablePhotoError:
    """The error for a file that cleanplate did not write."""
    return UnwritablePhotoError(
        target,
        f"{target} is there already and was not written by cleanplate",
        "move it away, name another output folder, or use --overwrite",
    )


def mask_name(name: str) -> str:
    """The mask's name for a result's: the same with `.png` added, and never the same for two.

    Folders that are called as a mask could be get a tail: a result `a` and a result `a.png/b` do not meet.

    >>> mask_name("holiday/a.jpg"), mask_name("a.png/b.jpg")
    ('holiday/a.jpg.png', 'a.png_/b.jpg.png')
    """
    path = PurePosixPath(name)
    folders = [f"{part}_" if _FOLDER_LIKE_A_MASK.search(part) else part for part in path.parent.parts]
    return "/".join([*folders, f"{_shorten(path.name, MOST_NAME_BYTES - len('.png'))}.png"])


def _shorten(name: str, most: int) -> str:
    """A name of at most so many bytes: the whole of it where that fits, else its beginning and a checksum."""
    coded = os.fsencode(name)
    if len(coded) <= most:
        return name
    tail = f"~{hashlib.sha256(coded).hexdigest()[:16]}"
    return coded[: most - len(tail)].decode(errors="ignore") + tail


def sync_folder(folder: Path) -> None:
    """Make names in a folder last through a power cut, where folders can be opened (not on Windows)."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
