"""Finding marks in folders and writing them as masks that other programs take."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath

from cleanplate.detect.maskfiles import MOST_FOLDERS, list_folders, list_names
from cleanplate.engine.assembly import build_pipeline
from cleanplate.engine.conveyor import Conveyor
from cleanplate.engine.counters import Counters
from cleanplate.engine.events import Event, EventStream, RunFinished, RunStarted, Warned
from cleanplate.engine.maskkeys import add_mask_keys
from cleanplate.engine.named import read_inputs, read_path
from cleanplate.engine.owner import DeviceOwner, LocalOwner
from cleanplate.engine.plan import Job
from cleanplate.engine.policy import choose_policy, choose_queue_bytes
from cleanplate.engine.records import Receipt
from cleanplate.engine.schedule import Overlap
from cleanplate.engine.shares import MemoryShares
from cleanplate.engine.stop import StopRequest
from cleanplate.engine.summary import RunSummary
from cleanplate.engine.usage import UsageSampler
from cleanplate.engine.work import Failed, Repaired, Workbench, encode_mask
from cleanplate.engine.workspace import Workspace
from cleanplate.errors import UnwritablePhotoError
from cleanplate.images.discover import Source, discover
from cleanplate.pipeline.base import Pipeline
from cleanplate.settings import RepairSettings
from cleanplate.structures import Outcome


def detect_folder(
    inputs: Sequence[Path | str] | Path | str,
    output: Path | str,
    settings: RepairSettings = RepairSettings(),  # noqa: B008  # frozen: one for all calls is safe
    *,
    pipeline: Pipeline | None = None,
    subscribers: Sequence[Callable[[Event], None]] = (),
    stop: StopRequest | None = None,
) -> RunSummary:
    """Find the visible marks in photographs and write a mask of each to `output`.

    A mask is an 8-bit PNG of the upright photograph's size, 255 where the mark is, 0 elsewhere, under the
    photograph's stem (`a.jpg` gives `a.png`; where two share a stem, `a.jpg.png`). A photograph in which
    nothing is found has a black one, so that all have one. A mask that is there already stays, and its
    photograph fails, unless it is the same or `settings.overwrite` is on.

    Raises UsageError before any work, ModelError for a network that cannot be loaded.
    """
    paths, output = read_inputs(inputs), read_path(output)
    settings = replace(settings, dry_run=True)
    counters, stop = Counters(), stop or StopRequest()
    events = EventStream([counters, *subscribers])
    found = discover(
        paths, output, recursive=settings.recursive, limit=settings.limit, format=settings.format
    )
    found, warning = add_mask_keys(found, settings) if found.sources else (found, None)
    conveyor = Conveyor(choose_queue_bytes(settings), MemoryShares(settings.memory_limit))
    with UsageSampler(events) as usage:
        events.emit(RunStarted(total=len(found.sources) + len(found.problems), skipped=0, dry_run=True))
        for text in (*settings.warnings, *([warning] if warning else [])):
            events.emit(Warned(message=text))
        policy = choose_policy(
            settings,
            emit=events.emit,
            shares=conveyor.shares,
            stopping=lambda: stop.requested or conveyor.error is not None,
        )
        owner = LocalOwner(pipeline or build_pipeline(settings), settings, policy)
        bench = _MaskBench(settings, owner, Workspace(output), events, name_masks(found.sources))
        for problem in found.problems:
            bench.store(Failed(problem.path, problem.path.name, problem))
        jobs = [Job(number, source) for number, source in enumerate(found.sources)]
        Overlap(bench, owner, stop, settings, conveyor).run(jobs)
        usage.stop()
        summary = counters.summarise(finished_before=(), interrupted=stop.requested, usage=usage.read())
        events.emit(RunFinished(summary=summary))
    return summary


def name_masks(sources: Sequence[Source]) -> dict[str, str]:
    """The mask's name below the masks' folder for each photograph's own; `--masks` finds it again.

    >>> photos = [Source(Path(name), name, name) for name in ("a.jpg", "b.jpg", "b.PNG")]
    >>> name_masks(photos)
    {'a.jpg': 'a.png', 'b.jpg': 'b.jpg.png', 'b.PNG': 'b.PNG.png'}
    """
    names = [source.relative for source in sources]
    stems = Counter(_stem(name).casefold() for name in names)
    whole = more = {name for name in names if stems[_stem(name).casefold()] > 1}
    while more:  # of a.jpg, a.png and a.jpg.png the last has as its stem what the first is called
        taken = {name.casefold() for name in whole}
        more = {name for name in names if name not in whole and _stem(name).casefold() in taken}
        whole = whole | more
    plain = {name: f"{name if name in whole else _stem(name)}.png" for name in names}
    named = dict(plain)
    for depth in range(1, MOST_FOLDERS + 1):  # two folders of one name: more of their paths tells them apart
        counts = Counter(named.values())
        for source in sources:
            own = named[source.relative]
            looked_for = (name for several in list_names(source.path) for name in several)
            if counts[own] > 1 or next((name for name in looked_for if name in counts), own) != own:
                folders = list_folders(source.path, depth)
                named[source.relative] = "/".join((*folders, PurePosixPath(own).name))
    return named if len(set(named.values())) == len(named) else plain


def _stem(name: str) -> str:
    return PurePosixPath(name).with_suffix("").as_posix()


class _MaskBench(Workbench):
    """A bench at which masks are stored instead of photographs."""

    def __init__(
        self,
        settings: RepairSettings,
        owner: DeviceOwner,
        workspace: Workspace,
        events: EventStream,
        names: Mapping[str, str],
    ) -> None:
        super().__init__(settings, owner, workspace, None, events, "")
        self._folder = workspace.output
        self._names = names

    def _write(self, item: Repaired) -> tuple[Outcome, Receipt | None]:
        name = self._names[item.relative]
        self._store_mask(encode_mask(item.repair.first.mask), self._folder / name)
        notes = item.repair.first.notes
        return replace(self._describe(item), output=name, notes=notes), None

    def _store_mask(self, data: bytes, target: Path) -> None:
        if os.path.lexists(target) and not self._settings.overwrite and target.read_bytes() != data:
            raise UnwritablePhotoError(
                target, f"there is another mask already ({target})", "move it away, or use --overwrite"
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        staged = target.with_name(f".{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]}.part")
        try:
            with staged.open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            staged.replace(target)
        finally:
            with suppress(OSError):
                staged.unlink(missing_ok=True)
