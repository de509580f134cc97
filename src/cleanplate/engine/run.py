"""Repairing folders: the program, top to bottom."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from cleanplate.device.memory import DeviceMemory
from cleanplate.device.temporary import sweep_temporary
from cleanplate.engine.assembly import build_pipeline
from cleanplate.engine.conveyor import Conveyor
from cleanplate.engine.counters import Counters
from cleanplate.engine.events import (
    Event,
    EventStream,
    MarkShared,
    RunFinished,
    RunStarted,
    SurveyFinished,
    SurveyStarted,
    Warned,
)
from cleanplate.engine.hold import HeldOwner, Hold
from cleanplate.engine.journal import Journal
from cleanplate.engine.latemasks import add_missing_masks
from cleanplate.engine.maskkeys import add_mask_keys
from cleanplate.engine.named import read_inputs, read_path
from cleanplate.engine.owner import DeviceOwner, LocalOwner
from cleanplate.engine.plan import Plan, make_plan
from cleanplate.engine.policy import choose_policy, choose_queue_bytes
from cleanplate.engine.profile import StageReport
from cleanplate.engine.recorder import RunRecorder
from cleanplate.engine.schedule import Overlap, work_plainly
from cleanplate.engine.sharedmark import NOT_ASKED_FOR, NOT_LOOKED_FOR, MarkKeeper, say_none
from cleanplate.engine.shares import MemoryShares
from cleanplate.engine.stop import StopRequest
from cleanplate.engine.summary import RunSummary
from cleanplate.engine.supervise import SupervisedOwner, choose_limit, is_supervised
from cleanplate.engine.usage import Metered, UsageSampler, open_card
from cleanplate.engine.work import Failed, Workbench
from cleanplate.engine.workspace import Workspace
from cleanplate.errors import PhotoError, UsageError
from cleanplate.images.discover import Discovery, discover
from cleanplate.pipeline.base import Pipeline
from cleanplate.settings import RepairSettings
from cleanplate.structures import Outcome

__all__ = ["StopRequest", "repair_folder"]


def repair_folder(
    inputs: Sequence[Path | str] | Path | str,
    output: Path | str,
    settings: RepairSettings = RepairSettings(),  # noqa: B008  # frozen: one for all calls is safe
    *,
    pipeline: Pipeline | None = None,
    subscribers: Sequence[Callable[[Event], None]] = (),
    stop: StopRequest | None = None,
    hold: Hold | None = None,
    memory: DeviceMemory | None = None,
) -> RunSummary:
    """Find the visible marks in photographs and write the photographs without them to `output`.

    inputs: folders and photographs. pipeline: None: the one that `settings` ask for. subscribers: told every
    event, in the thread where it happens. stop: a request on it ends the run when what is in hand is done.
    hold: while it is asked for, the run waits before its next batch; one without a next batch ends.
    memory: what networks work in, in place of the device's own (`device.virtual`, for tests and benchmarks).
    With `settings.supervise` a pipeline that is given must be one that can be pickled.

    The same call again goes on where an earlier one ended. A photograph that cannot be handled is an outcome
    in the summary, with its cause and remedy, and stops no other.

    Raises UsageError before any work (no such input, an output that cannot be used or is in use), ModelError
    for a network that cannot be loaded.
    """
    paths = read_inputs(inputs)
    counters = Counters()
    events = EventStream([counters, *subscribers])
    conveyor = Conveyor(choose_queue_bytes(settings), MemoryShares(settings.memory_limit))
    workspace, stop, hold = Workspace(read_path(output)), stop or StopRequest(), hold or Hold()
    run = _Run(paths, workspace, settings, events, counters, stop, conveyor, hold)
    sweep_temporary()
    with hold.over_a_run(), UsageSampler(events) as usage, ExitStack() as held:
        if settings.profile:
            events.subscribe(StageReport(Path(settings.profile)))
        for warning in settings.warnings:
            events.emit(Warned(message=warning))
        found = run.discover()
        if found.sources or found.problems:
            run, journal = run.survey(found, pipeline, memory, held)
            with counters.timing("load networks"):
                owner = held.enter_context(run.open_owner(pipeline, memory))
            usage.read_child = owner.read_usage
            if (card := open_card(settings)) is not None:
                held.callback(card.close)
                usage.read_card = card.read
            usage.read_metered = lambda: Metered(peak_bytes=owner.peak_bytes, staging=owner.staging)
            journal = journal or held.enter_context(run.open_workspace())
            finished_before = run.work(found, owner, journal)
        else:
            finished_before = run.find_nothing()
        usage.stop()
        summary = counters.summarise(
            finished_before=finished_before,
            interrupted=run.stop.requested,
            usage=usage.read(),
            marks=settings.mark,
        )
        summary = replace(summary, output=None if settings.dry_run else run.workspace.output)
        events.emit(RunFinished(summary=summary))
    return summary


@dataclass(frozen=True, eq=False)
class _Run:
    """What the steps of one run share."""

    inputs: Sequence[Path]
    workspace: Workspace
    settings: RepairSettings
    events: EventStream
    counters: Counters
    stop: StopRequest
    conveyor: Conveyor
    hold: Hold

    def discover(self) -> Discovery:
        """What there is to do. Raises UsageError where the names cannot be looked at."""
        try:
            found = discover(
                self.inputs,
                self.workspace.output,
                recursive=self.settings.recursive,
                limit=self.settings.limit,
                format=self.settings.format,
                masks=None if self.settings.masks is None else Path(self.settings.masks),
            )
        except OSError as exc:
            raise UsageError(
                f"{exc.filename}: it cannot be looked at ({exc.strerror or exc}); check its permissions"
            ) from exc
        found, warning = add_mask_keys(found, self.settings)
        for text in (*found.warnings, *([warning] if warning else [])):
            self.events.emit(Warned(message=text))
        return found

    def find_nothing(self) -> tuple[Outcome, ...]:
        """An empty folder is no error, but its owner should know."""
        where = ", ".join(str(given) for given in self.inputs)
        hint = "" if self.settings.recursive else "; --recursive searches the folders inside too"
        self.events.emit(RunStarted(total=0, skipped=0, dry_run=self.settings.dry_run))
        self.events.emit(Warned(message=f"no photographs were found in {where}{hint}"))
        return ()

    def is_stopping(self) -> bool:
        """Whether waiting for anything has lost its point."""
        return self.stop.requested or self.conveyor.error is not None

    def count_queue(self) -> int:
        """What pictures take, as another process must count it: under a limit all that they may take, since
        they cannot ask it each time."""
        held = self.conveyor.held_bytes
        return held if self.settings.memory_limit is None else max(self.conveyor.limit_bytes, held)

    def open_owner(
        self, pipeline: Pipeline | None, memory: DeviceMemory | None
    ) -> AbstractContextManager[DeviceOwner]:
        """Who runs the networks, here or in a process of its own, until the run ends."""
        make_policy = choose_policy if memory is None else partial(choose_policy, memory=memory)
        hooks: dict[str, Any] = {"emit": self.events.emit, "stopping": self.is_stopping}
        if is_supervised(self.settings, is_given=pipeline is not None or memory is not None):
            return SupervisedOwner(
                self.settings,
                make_pipeline=build_pipeline if pipeline is None else partial(_give, pipeline),
                make_policy=make_policy,
                limit_seconds=choose_limit(self.settings),
                queued_bytes=self.count_queue,
                **hooks,
            )
        built = build_pipeline(self.settings) if pipeline is None else pipeline
        return LocalOwner(
            built, self.settings, make_policy(self.settings, shares=self.conveyor.shares, **hooks)
        )

    def survey(
        self, found: Discovery, pipeline: Pipeline | None, memory: DeviceMemory | None, held: ExitStack
    ) -> tuple[_Run, Journal | None]:
        """The run with the marks that its photographs share, and the journal where that had to be opened.

        Not where the caller has brought a pipeline: what that does with a mark nobody here knows.
        Raises UsageError where a mark is required and none is shared.
        """
        keeper = MarkKeeper(self.workspace, self.settings, found.sources)
        if pipeline is not None:
            return self, None
        required = self.settings.shared_mark == "require"
        if required and not self.settings.surveys:
            raise UsageError(NOT_LOOKED_FOR)
        journal = None
        told = keeper.recall() if self.settings.surveys else None
        again = told is not None
        if told is None:
            if required and not keeper.is_worth_while:
                raise UsageError(say_none(len(found.sources)))
            if required and self.settings.dry_run:
                self.events.emit(Warned(message=NOT_ASKED_FOR))
            if not self.settings.surveys or self.settings.dry_run or not keeper.is_worth_while:
                return self, None
            looking = replace(self, settings=replace(self.settings, dry_run=True))
            with self.counters.timing("survey"), looking.open_owner(None, memory) as owner:
                journal = held.enter_context(self._journalling())
                policy = choose_policy(
                    replace(self.settings, device="cpu"),
                    emit=self.events.emit,
                    stopping=self.is_stopping,
                )
                self.events.emit(SurveyStarted(photographs=len(found.sources)))
                told = keeper.survey(owner, policy.attempt, self.is_stopping, self.conveyor.shares)
                self.events.emit(SurveyFinished())
                policy.close()
        if told is None:
            return self, journal
        settings = keeper.apply(told)
        if keeper.is_of_others(told):
            self.events.emit(Warned(message=keeper.say_others(told)))
        for mark in told.marks:
            self.events.emit(
                MarkShared(
                    mark=str(keeper.path(mark)),
                    looked_at=mark.looked_at,
                    sharing=mark.sharing,
                    sha256=mark.sha256,
                    again=again,
                    others=settings.other_marks == "on",
                )
            )
        return replace(self, settings=settings), journal

    def open_workspace(self) -> AbstractContextManager[Journal | None]:
        """The output folder, held for this run; for a dry run nothing, which writes nothing."""
        return nullcontext() if self.settings.dry_run else self._journalling()

    @contextmanager
    def _journalling(self) -> Iterator[Journal]:
        with self.workspace.opened() as journal, RunRecorder(self.workspace.output) as recorder:
            self.events.subscribe(journal)
            self.events.subscribe(recorder)
            yield journal

    def work(self, found: Discovery, owner: DeviceOwner, journal: Journal | None) -> tuple[Outcome, ...]:
        """Do what is to be done; the outcomes of what was finished before."""
        key = f"{self.settings.result_key}-{owner.fingerprint}"
        with self.counters.timing("plan"):
            history = self.workspace.read_history()
            plan = make_plan(
                found.sources,
                self.workspace,
                history,
                key=key,
                overwrite=self.settings.overwrite,
                save_masks=self.settings.save_masks and journal is not None,
            )
        refused = [*self._describe(found.problems), *_describe_refusals(plan)]
        self.events.emit(
            RunStarted(
                total=len(plan.jobs) + len(refused),
                skipped=len(plan.finished),
                key=key,
                dry_run=self.settings.dry_run,
                settings=self.settings.located.changed,
            )
        )
        if self.settings.save_masks and journal is not None:
            with self.counters.timing("masks"):
                add_missing_masks(
                    plan.finished,
                    self.workspace,
                    max_megapixels=self.settings.max_megapixels,
                    stopping=self.is_stopping,
                )
        held = HeldOwner(owner, self.hold, stopping=self.is_stopping, emit=self.events.emit)
        self._do(plan, refused, held, journal, key)
        return plan.finished

    def _do(
        self, plan: Plan, refused: Sequence[Failed], owner: DeviceOwner, journal: Journal | None, key: str
    ) -> None:
        bench = Workbench(self.settings, owner, self.workspace, journal, self.events, key)
        for failed in refused:
            bench.store(failed)
        if self.settings.optimize:
            Overlap(bench, owner, self.stop, self.settings, self.conveyor).run(plan.jobs)
        else:
            work_plainly(plan.jobs, bench, owner, self.stop)

    def _describe(self, problems: Sequence[PhotoError]) -> list[Failed]:
        """What looked like a photograph and is none, under its name below its input."""
        return [Failed(problem.path, self._name(problem.path), problem) for problem in problems]

    def _name(self, path: Path) -> str:
        for root in self.inputs:
            if path != root and path.is_relative_to(root):
                return path.relative_to(root).as_posix()
        return path.name


def _give(pipeline: Pipeline, _settings: RepairSettings) -> Pipeline:
    """A pipeline as what makes one."""
    return pipeline


def _describe_refusals(plan: Plan) -> list[Failed]:
    return [Failed(refusal.source.path, refusal.source.relative, refusal.error) for refusal in plan.refusals]
