"""Masks as files, as other programs write them: found by name, turned the right way round, checked."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cleanplate.detect.given import GivenMask
from cleanplate.errors import PhotoError, RepairFailedError, UsageError
from cleanplate.images.orientation import to_upright
from cleanplate.structures import BoolArray, Photo

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
#: So many folders of a photograph's path may be repeated below the masks' folder.
MOST_FOLDERS = 4
#: A mask's values between these are neither black nor white; at most this part of it may be.
GREY = (32, 224)
MOST_GREY = 0.25
#: A mask is marked where it is brighter than this.
MARKED_FROM = 127
#: A mask that is wider or narrower than its photograph by more than this does not belong to it.
MOST_STRETCH = 0.02
#: EXIF's orientations that turn by a quarter: width and height change places.
TURNED = (5, 6, 7, 8)
#: A shrunk mask's pixel is marked where so much of it was: thin strokes must not get lost.
LEAST_COVERED = 0.25


@dataclass(frozen=True)
class MaskFiles:
    """Masks in a folder, found by the photograph's name; or one file that holds for every photograph.

    A photograph `trip/a.jpg` has the mask `a.jpg.png` or `a.png` (or another image suffix), in `MASKS/trip`
    or in `MASKS`. White, or what is not transparent, is the mark; a mask that is mostly white, also along its
    rim, is taken the other way round, with a note. It is drawn on the upright photograph; where EXIF data
    turn that by a quarter, also on the pixels as the file stores them, which its shape tells. A square cannot
    tell, nor one of a photograph that is turned over or mirrored: upright it is, with a note. (See
    `detect.given.MaskSource`.)
    """

    path: Path

    @property
    def fingerprint(self) -> str:
        """None of its own: what a photograph's result depends on is `key_of`."""
        return "masks"

    def find(self, photo: Photo) -> GivenMask | None:
        """A photograph's mask at its size, None where there is none. Raises PhotoError naming both files."""
        file = self.find_file(photo.path)
        return None if file is None else read_mask(file, photo)

    def find_file(self, photo: Path) -> Path | None:
        """The file with a photograph's mask. Raises RepairFailedError where several have its name."""
        if not self.path.is_dir():
            return self.path
        photo = photo.absolute()
        for names in list_names(photo):
            found = [file for name in names if _is_file(file := self.path / name) and file != photo]
            if len(found) > 1:
                raise RepairFailedError(
                    photo, f"it has several masks ({found[0]}, {found[1].name})", "leave one of them"
                )
            if found:
                return found[0]
        return None

    def key_of(self, photo: Path) -> str:
        """A key that changes when a photograph's mask does: a changed mask makes one result out of date.

        What is wrong with a mask is said when it is used.
        """
        try:
            file = self.find_file(photo)
            return "unmasked" if file is None else hashlib.sha256(file.read_bytes()).hexdigest()[:12]
        except (PhotoError, OSError):
            return "unreadable"


def open_masks(path: str) -> MaskFiles:
    """The masks under a path. Raises UsageError where there is nothing."""
    masks = MaskFiles(Path(path).absolute())
    if not masks.path.exists():
        raise UsageError(f"{path}: there is no such folder or file of masks; check --masks")
    return masks


def read_mask(file: Path, photo: Photo) -> GivenMask:
    """The mask in a file, at a photograph's size. Raises RepairFailedError, which names both."""
    try:
        plane, notes = _stretch(_read_plane(file))
        mask, turned = _turn(plane)
        notes += turned
    except ValueError as error:
        raise _bad(photo, file, str(error)) from error
    if _is_as_stored(mask, photo):
        mask = to_upright(mask, photo.orientation)
        notes.append("its mask was drawn on the photograph as stored and was turned upright with it")
    elif _may_be_as_stored(mask, photo):
        notes.append("its mask was taken as drawn upright, which its shape does not tell")
    height, width = mask.shape
    if (height, width) == (photo.height, photo.width):
        return GivenMask(mask, tuple(f"{note} ({file.name})" for note in notes))
    if not _has_shape(mask, photo.height, photo.width):
        raise _bad(
            photo,
            file,
            f"has {width} x {height} pixels, another shape than the photograph's "
            f"{photo.width} x {photo.height} (upright, as its EXIF data say)",
        )
    notes.append(f"its mask was resized from {width} x {height}")
    return GivenMask(
        _resize(mask, photo.height, photo.width), tuple(f"{note} ({file.name})" for note in notes)
    )


def _is_as_stored(mask: BoolArray, photo: Photo) -> bool:
    """Whether a mask has the shape of the file's pixels and not that of the upright photograph."""
    if photo.orientation not in TURNED or mask.shape == (photo.height, photo.width):
        return False
    if mask.shape == (photo.width, photo.height):
        return True
    return _has_shape(mask, photo.width, photo.height) and not _has_shape(mask, photo.height, photo.width)


def _may_be_as_stored(mask: BoolArray, photo: Photo) -> bool:
    """Whether EXIF data turn or mirror the photograph and a mask would have this shape before that too."""
    if photo.orientation in TURNED:
        is_exact = photo.height != photo.width and mask.shape == (photo.height, photo.width)
        return not is_exact and _has_shape(mask, photo.width, photo.height)
    return photo.orientation != 1


def _has_shape(mask: BoolArray, height: int, width: int) -> bool:
    own_height, own_width = mask.shape
    stretch = (own_width / own_height) / (width / height)
    rounding = max(1 / own_width, 1 / own_height, 1 / width, 1 / height)
    return bool(abs(stretch - 1) <= MOST_STRETCH + rounding)


def _bad(photo: Photo, file: Path, cause: str) -> RepairFailedError:
    return RepairFailedError(photo.path, f"its mask {file} {cause}", "make it anew, or leave it out")


def list_names(photo: Path) -> Iterator[list[str]]:
    """What a photograph's mask may be called below the masks' folder: of several lists the first that exists.

    >>> [names[0] for names in list_names(Path("/trip/a.jpg"))]
    ['trip/a.jpg.png', 'trip/a.png', 'a.jpg.png', 'a.png']
    """
    folders = list_folders(photo, MOST_FOLDERS)
    for first in range(len(folders) + 1):
        for name in (photo.name, photo.stem):
            yield ["/".join((*folders[first:], name + suffix)) for suffix in SUFFIXES]


def list_folders(photo: Path, most: int) -> tuple[str, ...]:
    """The names of the last folders, at most so many, that a photograph lies in; never the root.

    >>> list_folders(Path("/trip/day/a.jpg"), 4), list_folders(Path("/trip/day/a.jpg"), 1)
    (('trip', 'day'), ('day',))
    """
    return photo.absolute().parent.parts[1:][-most:]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # with its suffix the name is longer than names may be, or its folder is shut
        return False


def _read_plane(file: Path) -> NDArray[Any]:
    """(H, W) uint8 or uint16: how white, or how opaque where the transparency draws it. Raises ValueError."""
    try:
        coded = np.frombuffer(file.read_bytes(), np.uint8)
        pixels = cv2.imdecode(coded, cv2.IMREAD_UNCHANGED) if coded.size else None
    except (OSError, cv2.error) as exc:
        raise ValueError(f"cannot be read ({exc})") from exc
    if pixels is None:
        raise ValueError("is not an image that can be read")
    values = np.asarray(pixels)
    if values.dtype not in (np.uint8, np.uint16):
        values = np.asarray(np.clip(values, 0, 1) * 255, np.uint8)
    if values.ndim == 2:
        return values
    opacity = _to_u8(values[..., -1])
    if values.shape[2] == 4 and opacity.min() < GREY[0] < opacity.max():
        return np.ascontiguousarray(values[..., 3])
    return np.asarray(values[..., :3].max(axis=2), values.dtype)


def _to_u8(values: NDArray[Any]) -> NDArray[np.uint8]:
    return np.asarray(values if values.dtype == np.uint8 else values >> 8, np.uint8)


def _stretch(plane: NDArray[Any]) -> tuple[NDArray[np.uint8], list[str]]:
    """(H, W) uint8 and notes: a mask of 0 and 1, as programs number what is marked, is black and white too.

    So is one of 0 and any other dark value. Raises ValueError where several values are all dark: which of
    them are marked is not known.

    >>> _stretch(np.array([[0, 1]], np.uint8))
    (array([[  0, 255]], dtype=uint8), ['its mask holds 0 and 1, of which 1 was taken for marked'])
    """
    shown, values = _to_u8(plane), np.unique(plane)
    if shown.max(initial=0) > MARKED_FROM or values[-1:].sum() == 0:
        return shown, []
    if len(values) > 2 or values[0] != 0:
        raise ValueError(f"is dark throughout ({values[-1]} at its brightest)")
    marked = np.where(plane > 0, 255, 0).astype(np.uint8)
    return marked, [f"its mask holds 0 and {values[-1]}, of which {values[-1]} was taken for marked"]


def _turn(plane: NDArray[np.uint8]) -> tuple[BoolArray, list[str]]:
    """The mask with the mark true, and notes. Raises ValueError where it is not black and white."""
    grey = float(((plane > GREY[0]) & (plane < GREY[1])).mean())
    if grey > MOST_GREY:
        raise ValueError(f"is not black and white ({grey:.0%} of it is grey)")
    mask = plane > MARKED_FROM
    rim = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    if mask.mean() > 0.5 and rim.mean() > 0.5 and not mask.all():
        return ~mask, ["its mask was white round the mark and was taken the other way round"]
    return mask, []


def _resize(mask: BoolArray, height: int, width: int) -> BoolArray:
    shrinks = height * width < mask.size
    resized = cv2.resize(
        mask.astype(np.float32),
        (width, height),
        interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
    )
    return np.asarray(resized >= (LEAST_COVERED if shrinks else 0.5), bool)
