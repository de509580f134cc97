"""Filling marks with IOPaint, a program that lives in an environment of its own.

Every mark that the finder shows goes to it. Pixels outside the mask are the photograph's own: of what the
program writes only the masked ones are taken.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from cleanplate.device.temporary import open_folder
from cleanplate.errors import ProgramFailedError, UsageError
from cleanplate.models.request import Attempt, Request
from cleanplate.remove.base import Crop, Removal
from cleanplate.remove.candidates import find_boxes
from cleanplate.remove.groups import label_groups
from cleanplate.remove.inpaint import dilate
from cleanplate.remove.processes import Finished, run_bounded
from cleanplate.structures import BoolArray, Box, Method, Region

#: The finder's mask ends at the mark's edge, which is soft.
GROW_PX = 3
#: Host bytes by pixel: the crop and its result as 8-bit pictures, their copies while they are coded.
BYTES_BY_PIXEL = 16
#: With this exit code the program says that it was called wrongly: smaller batches would not help.
WRONG_USAGE = 2
#: Starts in a row whose time ran out before anything was filled: then it is hardly the crops.
MOST_SILENT = 2
INSTALLING = (
    "make an environment for it (Python 3.11: pip install torch==2.14.1 torchvision==0.29.1, then pip "
    "install iopaint; docs/iopaint.md) and name its program with --iopaint-command PATH"
)
WAITING = "give it more with --timeout SECONDS"
LOOKING = "run IOPaint by hand on this photograph, or choose another --inpaint"


@dataclass(frozen=True, eq=False)
class _Piece:
    """A crop as IOPaint gets it. rgb_u8: (h, w, 3). mask: (h, w) bool, true where it is to fill."""

    rgb_u8: NDArray[np.uint8]
    mask: BoolArray


#: The filled crop, (h, w, 3), or why there is none.
_Answer = NDArray[np.uint8] | Exception


@dataclass(eq=False)
class _Course:
    """How the starts go, over all calls: a program that hangs is not waited for again with every batch.

    silent: starts in a row whose time ran out with nothing filled. left_out: calls until it is tried again.
    """

    silent: int = 0
    left_out: int = 0
    _pause: int = 0

    @property
    def is_given_up(self) -> bool:
        return self.silent >= MOST_SILENT

    def begin(self) -> None:
        """A call begins. Given up before, it waits some calls and then may have one start."""
        if self.is_given_up and self.left_out:
            self.left_out -= 1
        elif self.is_given_up:
            self.silent = MOST_SILENT - 1

    def note_silence(self) -> None:
        """A start's time ran out, and nothing was filled. Every further one doubles the wait."""
        self.silent += 1
        if self.is_given_up:
            self._pause = max(1, 2 * self._pause)
            self.left_out = self._pause

    def note_life(self) -> None:
        """A start ended by itself, or filled something."""
        self.silent = self.left_out = self._pause = 0


@dataclass(frozen=True, eq=False, kw_only=True)
class IOPaintRemover:
    """Takes marks off by having IOPaint fill them (the `Remover` protocol).

    model: IOPaint's name of it, as in "lama". command: the program and what comes before its own arguments.
    device: `cpu`, `cuda` or `cuda:N`. timeout_seconds: for each start of the program. One that hangs whatever
    it is given is tried again after one more call, then after two, four...: a night costs a dozen time-outs.
    """

    model: str
    command: tuple[str, ...] = ("iopaint",)
    device: str = "cpu"
    timeout_seconds: float = 300.0
    _course: _Course = field(default_factory=_Course, init=False, repr=False)

    @property
    def fingerprint(self) -> str:
        """The model's name and IOPaint's version."""
        return f"iopaint:{self.model}@{read_version(self.command)}"

    def remove(self, crops: Sequence[Crop], attempt: Attempt) -> list[Removal | Exception]:
        """One Removal a crop, in order, or the ProgramFailedError that ended that crop alone.

        What has failed together goes again in halves. Where the time ran out before anything was filled, only
        the crop that it had begun with is set aside; a second time in a row all that are left are given up,
        and later calls start it ever more rarely.
        """
        pieces = {place: _cut(crop) for place, crop in enumerate(crops) if crop.mask.any()}
        answers: dict[int, _Answer] = {}
        waiting = [list(pieces)] if pieces else []
        if pieces:
            self._course.begin()
        while waiting:
            batch = waiting.pop()
            filled = attempt(self._ask([pieces[place] for place in batch]))
            results = dict(zip(batch, filled, strict=True))
            again = [place for place in batch if _may_go_again(results[place], len(batch))]
            answers.update({place: results[place] for place in batch if place not in again})
            half = len(again) if self._course.silent else (len(again) + 1) // 2
            waiting += [part for part in (again[half:], again[:half]) if part]
        return [
            _finish(crop, pieces[place].mask, answers[place]) if place in pieces else _leave(crop)
            for place, crop in enumerate(crops)
        ]

    def _ask(self, pieces: Sequence[_Piece]) -> Request[_Piece, _Answer]:
        height = max(piece.mask.shape[0] for piece in pieces)
        width = max(piece.mask.shape[1] for piece in pieces)
        return Request(
            stage="fill",
            network=None,
            items=pieces,
            shape=lambda batch, _tile: (batch, 4, height, width),
            run=lambda items, _tile: self._fill(items),
            item_bytes=height * width * BYTES_BY_PIXEL,
        )

    def _fill(self, pieces: Sequence[_Piece]) -> list[_Answer]:
        """One start of the program. Failures come back as values: the next request is cut by them."""
        if self._course.is_given_up:
            return [self._give_up()] * len(pieces)
        try:
            with open_folder("iopaint") as name:
                folder = Path(name)
                _write_pieces(folder, pieces)
                first = _find_first(folder / "image")
                finished = self._start(folder)
                if isinstance(finished, Exception):
                    return [finished] * len(pieces)
                answers = [
                    _read_answer(folder / "filled" / f"{place}.png", piece, finished, self.timeout_seconds)
                    for place, piece in enumerate(pieces)
                ]
        except OSError as exc:
            return [_say_no_room(exc)] * len(pieces)
        if not finished.timed_out or any(isinstance(answer, np.ndarray) for answer in answers):
            self._course.note_life()
            return answers
        self._course.note_silence()
        if self._course.is_given_up:
            return [self._give_up()] * len(pieces)
        answers[first] = _FinalError(_say_slow(self.timeout_seconds), WAITING)
        return answers

    def _start(self, folder: Path) -> Finished | Exception:
        try:
            return run_bounded(
                self._compose_command(folder),
                timeout_seconds=self.timeout_seconds,
                environment=choose_environment(self.device, os.environ),
            )
        except OSError as exc:
            error = _FinalError(f"IOPaint could not be run as {self.command[0]} ({exc})", INSTALLING)
        return error

    def _give_up(self) -> Exception:
        return _FinalError(
            f"{_say_slow(self.timeout_seconds)} twice in a row and filled nothing",
            f"run IOPaint by hand on one photograph, which also loads its model, or {WAITING}",
        )

    def _compose_command(self, folder: Path) -> list[str]:
        return [
            *self.command,
            "run",
            f"--model={self.model}",
            f"--device={self.device.partition(':')[0]}",
            f"--image={folder / 'image'}",
            f"--mask={folder / 'mask'}",
            f"--output={folder / 'filled'}",
        ]


class _FinalError(ProgramFailedError):
    """It failed in a way in which another start would help none of its crops."""


def make_remover(model: str, *, command: str, device: str, timeout_seconds: float) -> IOPaintRemover:
    """The remover for settings. Raises UsageError where its program is not there."""
    words = parse_command(command)
    found = shutil.which(words[0])
    if found is None:
        raise UsageError(f"IOPaint's program {words[0]!r} is not there; {INSTALLING}")
    return IOPaintRemover(
        model=model, command=(found, *words[1:]), device=device, timeout_seconds=timeout_seconds
    )


def parse_command(command: str | Sequence[str], *, windows: bool = os.name == "nt") -> tuple[str, ...]:
    """The words of a command: given as words, as one existing file, or quoted as in a shell.

    >>> parse_command("python -m iopaint")
    ('python', '-m', 'iopaint')
    >>> parse_command('"C:\\\\my env\\\\python.exe" -m iopaint', windows=True)
    ('C:\\\\my env\\\\python.exe', '-m', 'iopaint')
    """
    if not isinstance(command, str):
        words = list(command)
    elif Path(command).is_file():
        words = [command]
    else:
        try:
            words = shlex.split(command, posix=not windows)
        except ValueError as exc:
            raise UsageError(f"--iopaint-command {command!r} has an open quote; close it") from exc
        if windows:  # there a backslash is no escape, and quotes stay on
            words = [re.sub(r'^(["\'])(.*)\1$', r"\2", word) for word in words]
    if not words:
        raise UsageError("--iopaint-command is empty; name IOPaint's program")
    return tuple(words)


def read_version(command: Sequence[str]) -> str:
    """IOPaint's version, from the environment that its program lies in, or "unknown". Starts nothing.

    >>> read_version(["no-such-program"])
    'unknown'
    """
    found = shutil.which(command[0])
    if found is None:
        return "unknown"
    for program in dict.fromkeys((Path(found).absolute(), Path(found).resolve())):
        environment = program.parent.parent
        for packages in (*environment.glob("lib/python3*/site-packages"), environment / "Lib/site-packages"):
            for entry in sorted(packages.glob("[iI][oO][pP]aint-*.dist-info")):
                return entry.name.removesuffix(".dist-info").partition("-")[2]
    return "unknown"


def choose_environment(device: str, environment: Mapping[str, str]) -> dict[str, str]:
    """The variables for IOPaint: it knows no card's number, so it is shown that card only.

    >>> choose_environment("cuda:1", {"CUDA_VISIBLE_DEVICES": "4,7"})["CUDA_VISIBLE_DEVICES"]
    '7'
    """
    chosen = {**environment, "PYTHONIOENCODING": "utf-8:replace", "NO_COLOR": "1"}
    _, _, number = device.partition(":")
    if number:
        cards = [card for card in environment.get("CUDA_VISIBLE_DEVICES", "").split(",") if card.strip()]
        chosen["CUDA_VISIBLE_DEVICES"] = cards[int(number)] if int(number) < len(cards) else number
    return chosen


def _cut(crop: Crop) -> _Piece:
    rgb_u8 = np.rint(np.clip(crop.rgb, 0, 1) * 255).astype(np.uint8)
    return _Piece(rgb_u8, dilate(crop.mask, GROW_PX))


def _may_go_again(answer: _Answer, batch: int) -> bool:
    """Whether a crop that failed among others may have failed because of another one."""
    return batch > 1 and isinstance(answer, ProgramFailedError) and not isinstance(answer, _FinalError)


def _find_first(folder: Path) -> int:
    """The crop that the program begins with: it takes them as their folder is listed, not by name."""
    return int(next(folder.glob("*.*")).stem)


def _write_pieces(folder: Path, pieces: Sequence[_Piece]) -> None:
    """Raises OSError where a file cannot be written."""
    for name in ("image", "mask", "filled"):
        (folder / name).mkdir()
    for place, piece in enumerate(pieces):
        _write_png(folder / "image" / f"{place}.png", np.ascontiguousarray(piece.rgb_u8[..., ::-1]))
        _write_png(folder / "mask" / f"{place}.png", piece.mask.astype(np.uint8) * 255)


def _write_png(path: Path, picture: NDArray[np.uint8]) -> None:
    _, content = cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    path.write_bytes(content.tobytes())


def _read_answer(path: Path, piece: _Piece, finished: Finished, timeout_seconds: float) -> _Answer:
    """What the program made of one crop; a sound file counts also where the program failed after it."""
    height, width = piece.mask.shape
    try:
        content = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError:
        return _explain(finished, timeout_seconds, "wrote no result for it")
    picture = cv2.imdecode(content, cv2.IMREAD_COLOR) if content.size and _is_whole(content) else None
    if picture is None:
        return _explain(finished, timeout_seconds, "wrote a result that is no whole PNG file")
    if picture.shape[:2] != (height, width):
        given = f"{picture.shape[1]} x {picture.shape[0]}"
        return ProgramFailedError(
            f"IOPaint gave back {given} pixels for {width} x {height}",
            "check that --iopaint-command names IOPaint 1.6, or choose another --inpaint",
        )
    return np.ascontiguousarray(picture[..., ::-1]).astype(np.uint8, copy=False)


def _is_whole(content: NDArray[np.uint8]) -> bool:
    """Whether a PNG file has its end: decoders fill what is missing without a word."""
    return content[-8:-4].tobytes() == b"IEND"


def _explain(finished: Finished, timeout_seconds: float, otherwise: str) -> ProgramFailedError:
    said = f": {finished.last_line}" if finished.last_line else ""
    if finished.timed_out:
        return ProgramFailedError(_say_slow(timeout_seconds), WAITING)
    if finished.code == WRONG_USAGE:
        return _FinalError(
            f"IOPaint did not understand how it was called{said}",
            "check that --iopaint-command names IOPaint 1.6 (docs/iopaint.md)",
        )
    if finished.code:
        return ProgramFailedError(f"IOPaint ended with exit code {finished.code}{said}", LOOKING)
    return ProgramFailedError(f"IOPaint {otherwise}", LOOKING)


def _say_slow(timeout_seconds: float) -> str:
    return f"IOPaint took longer than {timeout_seconds:g} s"


def _say_no_room(exc: OSError) -> Exception:
    folder = tempfile.tempdir or "for temporary files"
    return _FinalError(
        f"pictures for IOPaint could not be written to the folder {folder} ({exc.strerror or exc})",
        "make room in it, or set TMPDIR to another folder",
    )


def _finish(crop: Crop, mask: BoolArray, answer: _Answer) -> Removal | Exception:
    if isinstance(answer, Exception):
        return answer
    filled = answer.astype(np.float32) / 255
    labels, _ = label_groups(mask)
    left, top = crop.box.left, crop.box.top
    regions = tuple(
        Region(
            Box(box.left + left, box.top + top, box.right + left, box.bottom + top), Method.FILLED, None, 1.0
        )
        for _, box in sorted(find_boxes(labels).items())
    )
    return Removal(np.where(mask[..., None], filled, crop.rgb).astype(np.float32), mask, regions)


def _leave(crop: Crop) -> Removal:
    return Removal(crop.rgb, np.zeros(crop.mask.shape, bool), ())
