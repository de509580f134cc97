"""Working out the marks that photographs share, to look at, to edit, and to give to `repair --mark`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from cleanplate.engine.assembly import build_pipeline
from cleanplate.engine.groups import MOST_MARKS, find_shared_marks
from cleanplate.engine.named import read_inputs, read_path
from cleanplate.engine.owner import LocalOwner
from cleanplate.engine.photoset import PhotoSet
from cleanplate.engine.policy import choose_policy
from cleanplate.engine.sharedmark import look_through, make_reader, say_none
from cleanplate.engine.shares import MemoryShares
from cleanplate.engine.stop import StopRequest
from cleanplate.engine.survey import SharedMark
from cleanplate.errors import UsageError
from cleanplate.images.discover import discover
from cleanplate.marks.files import encode_mark
from cleanplate.settings import RepairSettings


@dataclass(frozen=True, eq=False)
class ExtractedMark:
    """A mark that photographs share, and the file that it was written to."""

    file: Path
    shared: SharedMark


def extract_marks(
    inputs: Sequence[Path | str] | Path | str,
    output: Path | str,
    settings: RepairSettings = RepairSettings(),  # noqa: B008  # frozen: one for all calls is safe
    *,
    stop: StopRequest | None = None,
) -> tuple[ExtractedMark, ...]:
    """Write the mark that the most photographs share to `output`, an RGBA PNG with straight alpha.

    Others go beside it, as `mark-2.png` and so on. Gives what was written, nothing where `stop` came first.
    Raises UsageError where no mark is shared, the inputs are not there, or one of the files is there already
    and `settings.overwrite` is off.
    """
    paths = read_inputs(inputs)
    target, stop = read_path(output), stop or StopRequest()
    targets = [target, *(target.with_stem(f"{target.stem}-{at}") for at in range(2, 1 + MOST_MARKS))]
    for candidate in targets:
        _check_target(candidate, overwrite=settings.overwrite)
    found = discover(
        paths,
        target.with_name(f".{target.name}.part"),
        recursive=settings.recursive,
        limit=settings.limit,
        format=settings.format,
    )
    looking = replace(settings, dry_run=True, mark=(), shared_mark="off")
    shares = MemoryShares(looking.memory_limit)
    policy = choose_policy(looking, emit=lambda _: None, shares=shares, stopping=lambda: stop.requested)
    with LocalOwner(build_pipeline(looking), looking, policy) as owner:
        photo_set = PhotoSet(
            paths=[source.path for source in found.sources],
            read_photo=make_reader(settings),
            find_marks=lambda photos: look_through(owner, photos, shares),
            attempt=policy.attempt,
            is_stopping=lambda: stop.requested,
        )
        marks = find_shared_marks(photo_set).marks
    if stop.requested:
        return ()
    if not marks:
        raise UsageError(say_none(len(found.sources)))
    written = tuple(ExtractedMark(file, shared) for file, shared in zip(targets, marks, strict=False))
    for each in written:
        _store(encode_mark(each.shared.mark), each.file)
    return written


def _check_target(target: Path, *, overwrite: bool) -> None:
    if target.suffix.lower() != ".png":
        raise UsageError(f"{target}: a mark is written as PNG; give a name that ends in .png")
    if target.is_dir() or (os.path.lexists(target) and not overwrite):
        raise UsageError(f"{target} is there already; give another name, or --overwrite")


def _store(data: bytes, target: Path) -> None:
    """Whole or not at all. Raises UsageError where it cannot be written."""
    staged = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        staged.write_bytes(data)
        staged.replace(target)
    except OSError as exc:
        with suppress(OSError):
            staged.unlink(missing_ok=True)
        raise UsageError(f"{target}: the mark cannot be written ({exc.strerror or exc})") from exc
