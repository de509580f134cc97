"""A folder of triples: marked photograph, the same without its marks, and the marks' opacity.

For each NAME there are

    NAME.marked.jpg (or .jpeg, .png)   the photograph to be repaired
    NAME.truth.png                     the photograph behind, same size
    NAME.opacity.png                   8- or 16-bit grey, same size: the marks' joint alpha over white's value
    NAME.json (may be left out)        {"kind": "text", "opacity": 0.4, "jpeg_quality": 85}

A clean photograph is a triple whose opacity is zero everywhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cleanplate.errors import UsageError
from cleanplate.marks import MarkedPhoto
from cleanplate.structures import BoolArray, FloatArray

#: A pixel counts as marked where the marks' opacity is above this.
MARKED_OPACITY = 0.02
MARKED_SUFFIXES = (".marked.jpg", ".marked.jpeg", ".marked.png")
CLEAN_KIND = "clean"
MASK_PART = "mask.png"
UNKNOWN_KIND = "unknown"


@dataclass(frozen=True, kw_only=True)
class About:
    """What is known of a triple's mark. opacity: the mark's own, in [0, 1], 0 where clean."""

    kind: str
    opacity: float
    jpeg_quality: int | None = None


@dataclass(frozen=True)
class TripleFiles:
    """Where a triple lies. about: the JSON file, whether it exists or not."""

    name: str
    marked: Path
    truth: Path
    opacity: Path
    about: Path


@dataclass(frozen=True, eq=False)
class Triple:
    """A marked photograph whose original is known.

    marked_u8, truth_u8: (H, W, 3) uint8. opacity: (H, W) float32 in [0, 1].
    """

    files: TripleFiles
    marked_u8: NDArray[np.uint8]
    truth_u8: NDArray[np.uint8]
    opacity: FloatArray
    about: About

    @property
    def name(self) -> str:
        return self.files.name

    @property
    def inside(self) -> BoolArray:
        """(H, W) bool: the marked pixels."""
        return np.asarray(self.opacity > MARKED_OPACITY, bool)

    @property
    def is_clean(self) -> bool:
        """Whether no pixel is marked."""
        return not self.inside.any()


def find_triples(folder: Path) -> tuple[TripleFiles, ...]:
    """The triples in a folder, by name.

    Raises UsageError where the folder is missing or holds none, or one lacks a file or has two marked ones.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: there is no such folder; draw one with 'cleanplate evaluate make'")
    found: dict[str, TripleFiles] = {}
    for path in sorted(folder.iterdir()):
        suffix = next((s for s in MARKED_SUFFIXES if path.name.lower().endswith(s)), None)
        if suffix is None:
            continue
        name = path.name[: -len(suffix)]
        if name in found:
            raise UsageError(f"{path}: there is also {found[name].marked.name}; keep one of the two")
        files = TripleFiles(name, path, *(folder / f"{name}.{part}" for part in _OTHER_PARTS))
        for other in (files.truth, files.opacity):
            if not other.is_file():
                raise UsageError(f"{other}: is missing beside {path.name}; a triple needs both")
        found[name] = files
    if not found:
        raise UsageError(
            f"{folder}: no triple is there (NAME.marked.jpg, NAME.truth.png, NAME.opacity.png); "
            f"draw some with 'cleanplate evaluate make'"
        )
    return tuple(found.values())


def read_triple(files: TripleFiles) -> Triple:
    """Read and check a triple. Raises UsageError naming the file that is damaged or of another size."""
    marked, truth = _read_rgb(files.marked), _read_rgb(files.truth)
    opacity = _read_opacity(files.opacity)
    for path, other in ((files.truth, truth), (files.opacity, opacity)):
        if other.shape[:2] != marked.shape[:2]:
            sizes = f"{other.shape[1]}x{other.shape[0]}, {files.marked.name} {_size_of(marked)}"
            raise UsageError(f"{path}: has another size ({sizes}); give files of one size")
    return Triple(files, marked, truth, opacity, _read_about(files.about, opacity))


def write_triple(folder: Path, name: str, sample: MarkedPhoto) -> TripleFiles:
    """Write a drawn photograph as a triple; one that went through JPEG is written as those very bytes."""
    suffix = ".marked.png" if sample.jpeg is None else ".marked.jpg"
    files = TripleFiles(name, folder / f"{name}{suffix}", *(folder / f"{name}.{p}" for p in _OTHER_PARTS))
    if sample.jpeg is None:
        _write_png(files.marked, sample.marked[..., ::-1])
    else:
        files.marked.write_bytes(sample.jpeg)
    _write_png(files.truth, sample.clean[..., ::-1])
    _write_png(files.opacity, np.round(np.clip(sample.alpha, 0, 1) * 65535).astype(np.uint16))
    about = About(kind=sample.kind, opacity=round(sample.opacity, 4), jpeg_quality=sample.jpeg_quality)
    files.about.write_text(json.dumps(asdict(about)) + "\n", encoding="utf-8")
    return files


@contextmanager
def all_or_none(made: list[TripleFiles]) -> Iterator[None]:
    """What was drawn goes again when drawing ends before its end: the same command can be given again."""
    try:
        yield
    except BaseException:
        for files in made:
            for path in (files.marked, files.truth, files.opacity, files.about, find_mask(files)):
                path.unlink(missing_ok=True)
        raise


def find_mask(files: TripleFiles) -> Path:
    """Where a protocol's triple has its mask (`evaluate/protocol`)."""
    return files.about.with_name(f"{files.name}.{MASK_PART}")


def read_picture(path: Path) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB, upright, of any picture OpenCV reads. Raises UsageError where it cannot."""
    return _read_rgb(path)


_OTHER_PARTS = ("truth.png", "opacity.png", "json")


def _read_rgb(path: Path) -> NDArray[np.uint8]:
    bgr = _decode(path, cv2.IMREAD_COLOR)
    return np.ascontiguousarray(bgr[..., ::-1], np.uint8)


def _read_opacity(path: Path) -> FloatArray:
    grey = _decode(path, cv2.IMREAD_UNCHANGED)
    if grey.ndim != 2:
        raise UsageError(f"{path}: is not a grey picture; save the opacity as 8- or 16-bit grey PNG")
    return np.asarray(grey / np.float32(np.iinfo(grey.dtype).max), np.float32)


def _decode(path: Path, flags: int) -> NDArray[Any]:
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as exc:
        raise UsageError(f"{path}: cannot be read ({exc.strerror}); mend or remove it") from exc
    picture = cv2.imdecode(data, flags) if len(data) else None
    if picture is None:
        raise UsageError(f"{path}: is not a picture that can be decoded; mend or remove it")
    return np.asarray(picture)


def _read_about(path: Path, opacity: FloatArray) -> About:
    inside = opacity > MARKED_OPACITY
    measured = float(np.percentile(opacity[inside], 90)) if inside.any() else 0.0
    kind = UNKNOWN_KIND if inside.any() else CLEAN_KIND
    try:
        given = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        told = float(given.get("opacity", measured))
        if not 0 <= told <= 1:
            raise ValueError(f"its opacity is {told}, which is not from 0 to 1")
        return About(
            kind=str(given.get("kind", kind)) if inside.any() else CLEAN_KIND,
            opacity=told if inside.any() else 0.0,
            jpeg_quality=None if given.get("jpeg_quality") is None else int(given["jpeg_quality"]),
        )
    except (ValueError, TypeError, AttributeError) as exc:
        wanted = 'an object like {"kind": "text", "opacity": 0.4, "jpeg_quality": 85}'
        raise UsageError(f"{path}: is not what a triple's JSON holds ({exc}); wanted: {wanted}") from exc


def _write_png(path: Path, picture: NDArray[Any]) -> None:
    _, data = cv2.imencode(".png", np.ascontiguousarray(picture))
    path.write_bytes(data.tobytes())


def _size_of(picture: NDArray[Any]) -> str:
    return f"{picture.shape[1]}x{picture.shape[0]}"
