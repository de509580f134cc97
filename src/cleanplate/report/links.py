"""Where the page finds the pictures of a photograph.

A record's `pictures` has, where there is one: `thumb` and `thumb_before`, small ones of the result and of
what came in; `before` and `after`, whole ones that a browser can show; `mask`, 0 and 255, of the
photograph's size; `detail_before` and `detail_after`, its marks at full resolution where the whole ones are
smaller than the photograph, which lie at `detail_box`.
"""

from __future__ import annotations

import os
import urllib.parse
from pathlib import Path
from typing import Any, Protocol

from cleanplate.engine.workspace import Workspace
from cleanplate.report.photos import ReportPhoto
from cleanplate.report.previews import Previews, find_detail_box


class Links(Protocol):
    """Gives a photograph's pictures by name; what is not there is left out."""

    def pictures(self, photo: ReportPhoto) -> dict[str, Any]: ...


class ServedLinks:
    """The addresses that the review server answers to; always by id, never by name."""

    def __init__(self, output: Path) -> None:
        self._workspace = Workspace(output)

    def pictures(self, photo: ReportPhoto) -> dict[str, Any]:
        """Addresses on the server."""
        base = f"/pictures/{photo.id}"
        found = {"before": f"{base}/before", "thumb_before": f"{base}/thumbnail?of=before"}
        if photo.has_result and photo.outcome.output is not None:
            found |= {"after": f"{base}/after", "thumb": f"{base}/thumbnail?of=after"}
            # Of what was repaired the server makes it where it was not kept.
            if photo.is_changed or self._workspace.mask(photo.outcome.output).is_file():
                found["mask"] = f"{base}/mask"
        return found


class FileLinks:
    """Files, relative to a page in the output folder: its own, the previews and the inputs."""

    def __init__(self, output: Path) -> None:
        self._output = output.absolute()
        self._previews = Previews(self._output)

    def pictures(self, photo: ReportPhoto) -> dict[str, Any]:
        """Relative addresses of files that are there."""
        found = dict(self._find_side(photo, after=True)) if photo.has_result else {}
        if photo.is_changed or not photo.has_result:
            found |= self._find_side(photo, after=False)
        if photo.has_result and photo.outcome.output is not None:
            mask = self._previews.mask(photo)
            if mask.is_file():
                found["mask"] = self._address(mask)
        if "detail_before" in found or "detail_after" in found:
            box = find_detail_box(photo.outcome)
            found["detail_box"] = [box.left, box.top, box.right, box.bottom]
        return found

    def _find_side(self, photo: ReportPhoto, *, after: bool) -> dict[str, Any]:
        side = "after" if after else "before"
        files = self._previews.files(photo, after=after)
        found: dict[str, Any] = {}
        if files.small.is_file():
            found["thumb" if after else "thumb_before"] = self._address(files.small)
        if files.large.is_file():
            found[side] = self._address(files.large)
            if files.detail.is_file():
                found[f"detail_{side}"] = self._address(files.detail)
        elif files.picture.is_file() and (photo.has_result or files.small.is_file()):
            found[side] = self._address(files.picture)
        return found

    def _address(self, path: Path) -> str:
        try:
            relative = os.path.relpath(path, self._output)
        except ValueError:  # another drive of Windows
            return path.as_uri()
        return urllib.parse.quote(os.fsencode(Path(relative).as_posix()))
