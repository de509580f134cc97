"""What is to be done for every photograph, decided before any work: work on it, pass over it, refuse it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from cleanplate.engine.decisions import is_reviewed
from cleanplate.engine.journal import Entry, History
from cleanplate.engine.records import hash_file
from cleanplate.engine.workspace import Workspace, in_the_way
from cleanplate.errors import PhotoError, UnwritablePhotoError
from cleanplate.images.discover import Source
from cleanplate.structures import Outcome, Verdict


@dataclass(frozen=True, slots=True)
class Job:
    """One photograph to work on.

    number: its place among all photographs of the run, finished ones included; batches are cut by it.
    may_replace: whether a file under the result's name may be written over.
    set_aside: whether that file was changed after it was written, and is to be kept elsewhere.
    """

    number: int
    source: Source
    may_replace: bool = False
    set_aside: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """A photograph that cannot be worked on, and why."""

    source: Source
    error: PhotoError


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run does: jobs in name order, refusals, and the outcomes of what is finished and still valid."""

    jobs: tuple[Job, ...]
    refusals: tuple[Refusal, ...]
    finished: tuple[Outcome, ...]


def make_plan(
    sources: Sequence[Source],
    workspace: Workspace,
    history: History,
    *,
    key: str,
    overwrite: bool,
    save_masks: bool = False,
) -> Plan:
    """Look at every photograph's result and at the journal. Writes nothing.

    key: settings and networks under which a finished file is valid, with its own `Source.key`; what a person
    decided is valid anyway. save_masks: whether a photograph on which something was found and left alone is
    looked at again where its mask was not kept; of one that was repaired the mask can be had without that.
    """
    jobs: list[Job] = []
    refusals: list[Refusal] = []
    finished: list[Outcome] = []
    names = {os.path.realpath(source.path): source.output for source in sources}
    for number, source in enumerate(sources):
        entry = history.results.get(source.output)
        try:
            if (
                entry is not None
                and _is_finished(source, workspace, entry, history, key + source.key)
                and not (save_masks and _must_be_looked_at(source, entry, workspace, history))
            ):
                # a folder that was moved keeps its results, and is where it is now
                finished.append(replace(entry.outcome, source=source.path, relative=source.relative))
            else:
                jobs.append(make_job(number, source, workspace, history, overwrite=overwrite, names=names))
        except UnwritablePhotoError as error:
            refusals.append(Refusal(source, error))
    return Plan(tuple(jobs), tuple(refusals), tuple(finished))


def _is_finished(source: Source, workspace: Workspace, entry: Entry, history: History, key: str) -> bool:
    if entry.outcome.settings_key != key and not _is_decided(source, entry, history):
        return False
    destination = workspace.destination(source.output)
    try:
        return entry.receipt.output.still_fits(destination) and entry.receipt.input.still_fits(source.path)
    except OSError:
        return False  # one of the two is gone or cannot be read: reading it again says what is wrong


def _must_be_looked_at(source: Source, entry: Entry, workspace: Workspace, history: History) -> bool:
    """Whether nothing but looking again tells what was found; never where a person has decided."""
    outcome = entry.outcome
    if outcome.verdict is Verdict.REPAIRED or _is_decided(source, entry, history):
        return False
    return needs_mask(outcome, workspace)


def _is_decided(source: Source, entry: Entry, history: History) -> bool:
    approved = history.decided.get(source.output) == entry.receipt.output.sha256
    return approved or is_reviewed(entry.outcome.settings_key)


def needs_mask(outcome: Outcome, workspace: Workspace) -> bool:
    """Whether something was found on a finished photograph of which no mask was kept."""
    found = outcome.verdict is Verdict.REPAIRED or outcome.share > 0
    return found and outcome.output is not None and not workspace.mask(outcome.output).is_file()


def make_job(
    number: int,
    source: Source,
    workspace: Workspace,
    history: History,
    *,
    overwrite: bool,
    names: Mapping[str, str] = MappingProxyType({}),
) -> Job:
    """The work on one photograph, whether its result is valid or not.

    names: what the results of the run's photographs are called, by the photographs' real paths.

    Raises UnwritablePhotoError where the result's name is taken by a file that must stay.
    """
    destination = workspace.destination(source.output)
    _check_folders(workspace.output, destination)
    if not os.path.lexists(destination):
        return Job(number, source, may_replace=overwrite)
    if destination.is_dir():
        raise UnwritablePhotoError(
            destination,
            f"a folder is in the way of its result ({destination})",
            "move it, or name another output folder",
        )
    if overwrite:
        return Job(number, source, may_replace=True)
    entry = history.results.get(source.output)
    if entry is not None:
        _check_same_photograph(source, entry, destination, names)
        changed = not _holds(destination, entry.receipt.output.sha256, history, source.output)
        return Job(number, source, may_replace=True, set_aside=changed)
    if _was_announced(destination, history, source.output):
        return Job(number, source, may_replace=True)
    raise in_the_way(destination)


def _check_folders(output: Path, destination: Path) -> None:
    for folder in destination.parents:
        if folder == output:
            return
        if os.path.lexists(folder) and not folder.is_dir():
            raise UnwritablePhotoError(
                destination, f"the file {folder} is where its result's folder should be", "move it away"
            )


def _check_same_photograph(source: Source, entry: Entry, destination: Path, names: Mapping[str, str]) -> None:
    """Two folders repaired one after the other into one output must not take each other's results.

    One whose result this run writes under another name has no claim to this one any more.
    """
    earlier = entry.outcome.source
    place = os.path.realpath(earlier)
    if place == os.path.realpath(source.path) or names.get(place, source.output) != source.output:
        return
    if _has_content(source.path, entry.receipt.input.sha256):
        return
    raise UnwritablePhotoError(
        destination,
        f"{destination} is the result of another photograph ({earlier})",
        "name another output folder, or use --overwrite",
    )


def _holds(destination: Path, sha256: str, history: History, output: str) -> bool:
    return _has_content(destination, sha256) or _was_announced(destination, history, output)


def _was_announced(destination: Path, history: History, output: str) -> bool:
    """Whether the file is a result that got its name just before a crash."""
    return any(_has_content(destination, sha256) for sha256 in history.announced.get(output, ()))


def _has_content(path: Path, sha256: str) -> bool:
    try:
        return hash_file(path) == sha256
    except OSError:
        return False
