"""Everything that cleanplate raises on purpose.

    CleanplateError
    ├── UsageError              what was asked for cannot be meant (exit code 2)
    │   ├── InvalidSettingError one setting has a value out of its range
    │   ├── MissingExtraError   an optional dependency is not installed
    │   └── OutputInUseError    another run holds the output folder
    ├── PhotoError              one photograph cannot be handled; the others can (exit code 1)
    │   ├── UnreadablePhotoError
    │   ├── UnsupportedPhotoError
    │   ├── UnwritablePhotoError
    │   └── RepairFailedError
    ├── ModelError              a network's file is missing, damaged or does not fit
    ├── ProgramFailedError      another program that was asked for work did not do it
    └── DeviceError             the device cannot do a piece of work
        ├── TooLittleMemoryError    not even the smallest piece fits; the others can
        └── DeviceLostError         nothing can be done on it any more in this process

A bug is none of these: it keeps its own type. Every message names what is concerned, the cause and the way
out; `PhotoError` carries the three apart, because the journal and the summary print them apart.
"""

from __future__ import annotations

import traceback
from pathlib import Path


class CleanplateError(Exception):
    """The root: catch this to catch all that cleanplate raises on purpose."""


class UsageError(CleanplateError):
    """What was asked for cannot be meant. Raised before any work; the command line exits with 2."""


class InvalidSettingError(UsageError):
    """A setting is out of its range.

    >>> raise InvalidSettingError("batch_size", 0, "a whole number from 1")
    Traceback (most recent call last):
    ...
    cleanplate.errors.InvalidSettingError: batch_size is 0; wanted: a whole number from 1
    """

    def __init__(self, name: str, given: object, wanted: str) -> None:
        super().__init__(f"{name} is {given!r}; wanted: {wanted}")
        self.name = name
        self.given = given
        self.wanted = wanted

    def __reduce__(self) -> tuple[type[InvalidSettingError], tuple[str, object, str]]:
        return type(self), (self.name, self.given, self.wanted)


class MissingExtraError(UsageError):
    """An optional dependency is not installed; the message has the command that installs it."""


class OutputInUseError(UsageError):
    """Another run is writing to the same output folder."""


class PhotoError(CleanplateError):
    """One photograph cannot be handled.

    `path` is the file, `cause` what is wrong with it, `remedy` what its owner can do.
    """

    def __init__(self, path: Path | str, cause: str, remedy: str) -> None:
        super().__init__(f"{path}: {cause}; {remedy}")
        self.path = Path(path)
        self.cause = cause
        self.remedy = remedy

    def __reduce__(self) -> tuple[type[PhotoError], tuple[Path, str, str]]:
        return type(self), (self.path, self.cause, self.remedy)


class UnreadablePhotoError(PhotoError):
    """The file is missing, empty, truncated, not an image, or may not be read."""


class UnsupportedPhotoError(PhotoError):
    """The file is sound, but of a kind that would not come through unharmed (several frames, too large)."""


class UnwritablePhotoError(PhotoError):
    """The result could not be written (disk full, no permission, a file in the way)."""


class RepairFailedError(PhotoError):
    """Finding or removing its marks failed (out of memory at the smallest size, time-out)."""


class ModelError(CleanplateError):
    """A network's file is missing, damaged, not trusted, or does not fit the network."""


class ProgramFailedError(CleanplateError):
    """Another program (IOPaint) was asked for a piece of work and did not do it.

    It knows no photograph: who does makes a `RepairFailedError` of its `cause` and `remedy`.
    """

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(f"{cause}; {remedy}")
        self.cause = cause
        self.remedy = remedy

    def __reduce__(self) -> tuple[type[ProgramFailedError], tuple[str, str]]:
        return type(self), (self.cause, self.remedy)


class DeviceError(CleanplateError):
    """The device cannot do a piece of work."""


class TooLittleMemoryError(DeviceError):
    """Memory ran out at the smallest size of a piece of work.

    It knows no photograph: who does makes a `RepairFailedError` of its `cause` and `remedy`.
    """

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(f"{cause}; {remedy}")
        self.cause = cause
        self.remedy = remedy

    def __reduce__(self) -> tuple[type[TooLittleMemoryError], tuple[str, str]]:
        return type(self), (self.cause, self.remedy)


class DeviceLostError(DeviceError):
    """The CUDA context is lost: every further call would fail, and only a new process helps."""


def drop_frames(error: Exception) -> Exception:
    """The error without its frames, which hold every array of the work that failed.

    Of a bug, where it happened stays as a note, which logs print and which a pickled error takes along.

    >>> try:
    ...     {}[0]
    ... except KeyError as exc:
    ...     error = exc
    >>> drop_frames(error).__traceback__ is None, "KeyError: 0" in error.__notes__[0]
    (True, True)
    """
    told = isinstance(error, (CleanplateError, OSError, MemoryError))
    if error.__traceback__ is not None and not told:
        error.add_note("".join(traceback.format_exception(error)).rstrip())
    return error.with_traceback(None)
