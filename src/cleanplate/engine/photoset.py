"""The photographs that may share a mark, as the search for it sees them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cleanplate.engine.stop import StoppedError
from cleanplate.models.request import Attempt, plainly
from cleanplate.structures import Detection, Photo

ReadPhoto = Callable[[Path], Photo | None]
FindMarks = Callable[[Sequence[Photo]], list[Detection | None]]
#: Photographs that the finder is asked about at once: a stop is heard between.
ASKED_TOGETHER = 2


def find_no_marks(photos: Sequence[Photo]) -> list[Detection | None]:
    """The finder of who does not ask one."""
    return [None] * len(photos)


@dataclass(frozen=True, eq=False, kw_only=True)
class PhotoSet:
    """Photographs, how they are looked at, and whether somebody waits for the search to stop.

    paths: of the photographs. read_photo: gives a photograph, None where it cannot be read. find_marks: what
    the finder finds in photographs. attempt: what work without a network runs in. is_stopping: whether to
    stop; cheap, it is asked many times a second.

    >>> photo_set = PhotoSet(paths=[Path("a.jpg")], read_photo=lambda path: None)
    >>> photo_set.read(photo_set.paths[0]) is None
    True
    >>> replace(photo_set, is_stopping=lambda: True).read(photo_set.paths[0])
    Traceback (most recent call last):
    ...
    cleanplate.engine.stop.StoppedError
    """

    paths: Sequence[Path]
    read_photo: ReadPhoto
    find_marks: FindMarks = find_no_marks
    attempt: Attempt = plainly
    is_stopping: Callable[[], bool] = lambda: False

    def read(self, path: Path) -> Photo | None:
        """A photograph at full resolution, None where it cannot be read. Raises StoppedError."""
        self.check_stop()
        return self.read_photo(path)

    def find(self, photos: Sequence[Photo]) -> list[Detection | None]:
        """What the finder finds, for every photograph, few at a time. Raises StoppedError between them."""
        found: list[Detection | None] = []
        for start in range(0, len(photos), ASKED_TOGETHER):
            self.check_stop()
            found += self.find_marks(photos[start : start + ASKED_TOGETHER])
        return found

    def check_stop(self) -> None:
        """Go on only where nobody wants it to stop. Raises StoppedError."""
        if self.is_stopping():
            raise StoppedError

    def only(self, paths: Sequence[Path]) -> PhotoSet:
        """Some of the photographs."""
        return replace(self, paths=paths)
