"""The pictures of photographs, and the fence round them: the output folder and the inputs' own folders."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from cleanplate.errors import PhotoError
from cleanplate.images.identify import identify
from cleanplate.report import Previews, ReportPhoto, picture_for_browser
from cleanplate.review.album import Album
from cleanplate.review.refusal import NOT_KNOWN, RefusalError
from cleanplate.structures import Outcome

#: Photographs that are decoded at a time, whatever a page asks for.
MOST_AT_ONCE = 2
_MEDIA_TYPES = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "AVIF": "image/avif",
    "BMP": "image/bmp",
}


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture for a browser. content: a file to send, or bytes. tag: changes when the picture does."""

    content: Path | bytes
    media_type: str
    tag: str


class Gallery:
    """Opens pictures by photograph, never by name; any thread may ask."""

    def __init__(self, album: Album) -> None:
        self._album = album
        self._previews = Previews(album.output)
        self._turns = threading.BoundedSemaphore(MOST_AT_ONCE)

    def open_whole(self, photo: ReportPhoto, *, after: bool, known_tag: str | None = None) -> Picture | None:
        """The result (after) or what came in, at full size; None where the page has it (known_tag).

        Raises RefusalError where there is none, or none that may be shown.
        """
        path = self._find_file(photo, after=after)
        try:
            tag = _tag(path)
            if tag == known_tag:
                return None
            with self._turns:
                made = picture_for_browser(path)
            if made is None:
                return Picture(path, _read_media_type(path), tag)
        except (OSError, PhotoError) as error:
            raise _not_shown(error) from error
        return Picture(*made, tag)

    def open_thumbnail(
        self, photo: ReportPhoto, *, after: bool, known_tag: str | None = None
    ) -> Picture | None:
        """A small picture, kept with the report's. As `open_whole`."""
        path = self._find_file(photo, after=after)
        # What was not changed looks the same on both sides, and the report makes one of them only.
        shown_after = after or (photo.has_result and not photo.is_changed)
        if shown_after and not after:
            self._find_file(photo, after=True)
        small = self._previews.files(photo, after=shown_after).small
        try:
            tag = _tag(path)
            if tag == known_tag:
                return None
            if not small.is_file():
                with self._turns:
                    self._previews.folder.mkdir(parents=True, exist_ok=True)
                    self._previews.make(photo)
            return Picture(small.read_bytes(), "image/jpeg", tag)
        except (OSError, PhotoError) as error:
            raise _not_shown(error) from error

    def open_mask(self, photo: ReportPhoto, known_tag: str | None = None) -> Picture | None:
        """The painted mask, else what the run has kept or changed. As `open_whole`."""
        path = self._album.painted_file(photo)
        if path is None and photo.has_result:
            path = self._find_mask(photo)
        if path is None:
            raise _not_there()
        fenced = _fence(path, self._album.workspace.state)
        try:
            tag = _tag(fenced)
        except OSError as error:
            raise _not_shown(error) from error
        return None if tag == known_tag else Picture(fenced, "image/png", tag)

    def _find_mask(self, photo: ReportPhoto) -> Path:
        path = self._previews.mask(photo)
        if photo.is_changed and not path.is_file():
            self._find_file(photo, after=False)  # both are read, so both must lie inside the fence
            self._find_file(photo, after=True)
            try:
                with self._turns:
                    self._previews.folder.mkdir(parents=True, exist_ok=True)
                    self._previews.make_mask(photo)
            except OSError as error:
                raise _not_shown(error) from error
        return path

    def _find_file(self, photo: ReportPhoto, *, after: bool) -> Path:
        outcome = photo.outcome
        if not after:
            return _fence(outcome.source, find_input_folder(outcome))
        if not photo.has_result or outcome.output is None:
            raise _not_there()
        return _fence(self._album.workspace.destination(outcome.output), self._album.output)


def find_input_folder(outcome: Outcome) -> Path:
    """The folder that a photograph was found in, or below.

    >>> from cleanplate.structures import Verdict
    >>> outcome = Outcome(source=Path("/in/june/a.jpg"), relative="june/a.jpg", verdict=Verdict.CLEAN)
    >>> find_input_folder(outcome).as_posix()
    '/in'
    """
    source, parts = outcome.source, PurePosixPath(outcome.relative).parts
    if parts and source.parts[-len(parts) :] == parts and len(parts) < len(source.parts):
        return source.parents[len(parts) - 1]
    return source.parent  # its name was changed, to be unique among all inputs


def _fence(path: Path, folder: Path) -> Path:
    """Where a file really lies, links followed. Raises RefusalError outside the folder and for no file."""
    try:
        real, fence = path.resolve(strict=True), folder.resolve(strict=True)
    except (OSError, RuntimeError, ValueError) as error:  # a missing one, a circle of links, a NUL
        raise _not_there() from error
    if not real.is_relative_to(fence):
        raise RefusalError(
            NOT_KNOWN, "its file lies outside its folder, where a link leads", "look at it there"
        )
    if not real.is_file():
        raise _not_there()
    return real


def _tag(path: Path) -> str:
    status = path.stat()
    return f'"{status.st_mtime_ns:x}-{status.st_size:x}"'


def _read_media_type(path: Path) -> str:
    with path.open("rb") as stream:
        kind = identify(stream.read(64))
    return _MEDIA_TYPES.get(kind or "", "application/octet-stream")


def _not_there() -> RefusalError:
    return RefusalError(NOT_KNOWN, "there is no such picture")


def _not_shown(error: Exception) -> RefusalError:
    if isinstance(error, PhotoError):
        return RefusalError(NOT_KNOWN, error.cause, error.remedy)
    return RefusalError(
        NOT_KNOWN, f"the picture cannot be read ({getattr(error, 'strerror', None) or error})"
    )
