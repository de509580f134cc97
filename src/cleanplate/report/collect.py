"""What the page shows, read from an output folder: the journal, the samples, which files are there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from cleanplate import __version__
from cleanplate.engine.decisions import read_decisions
from cleanplate.engine.journal import read_lines
from cleanplate.engine.records import outcome_from_json
from cleanplate.engine.workspace import Workspace
from cleanplate.errors import UsageError
from cleanplate.monitor.records import read_samples
from cleanplate.report.links import FileLinks, Links, ServedLinks
from cleanplate.report.photos import ReportPhoto
from cleanplate.structures import Outcome, Verdict

#: Points of a chart over time; a night's samples are thinned to these.
MOST_SAMPLES = 1500
#: Regions that a record lists, largest first; a tiled mark has hundreds, and only their number is of use.
MOST_REGIONS = 24

#: Journal lines that the charts mark, and what of each the page needs.
_MARKED = ("paused", "cleaned", "retried", "warned")

#: Of several samples in one thinned point: the least of what is free, the most of everything else.
_LEAST = frozenset({"system_available_bytes", "gpu_free_bytes"})


@dataclass(frozen=True, kw_only=True)
class RunStory:
    """How the last run went. Times in seconds since 1970.

    state: "running" where the journal has no end of it (it goes on, or was killed), "finished" or
    "interrupted". events: pauses, clean-ups, retries and warnings, each with `kind` and `at`. samples:
    memory over time, thinned, each with `seconds`.
    """

    began: float
    ended: float | None = None
    state: str = "running"
    total: int = 0
    skipped: int = 0
    events: tuple[Mapping[str, Any], ...] = ()
    samples: tuple[Mapping[str, float], ...] = ()


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """All that the page shows. photos: one a source, in name order."""

    output: Path
    photos: tuple[ReportPhoto, ...] = ()
    run: RunStory | None = None

    @classmethod
    def empty(cls, output: Path) -> ReportData:
        """Of a run that has not written anything yet."""
        return cls(output=output)

    def to_json(self, *, served: bool = False) -> dict[str, Any]:
        """Plain values for `json.dumps`. served: pictures by the server's addresses, not as files."""
        links: Links = ServedLinks(self.output) if served else FileLinks(self.output)
        return {
            "made_by": f"cleanplate {__version__}",
            "title": self.output.absolute().name,
            "photos": [_record(photo, links) for photo in self.photos],
            "run": None if self.run is None else _plain_run(self.run),
        }


def collect(output: Path) -> ReportData:
    """Read what the runs into `output` have left behind.

    Raises UsageError where there is no journal or it cannot be read.
    """
    Workspace(output).require_run()
    journal = Workspace(output).journal
    story = _Story()
    try:
        for line in read_lines(journal):
            story.take(line)
    except OSError as exc:
        raise UsageError(
            f"{journal}: the journal cannot be read ({exc.strerror or exc}); check its permissions"
        ) from exc
    photos = sorted(story.photos.values(), key=lambda photo: (photo.outcome.relative, photo.outcome.source))
    decided = tuple(_lay_decisions(photos, Workspace(output).decisions))
    return ReportData(output=output, photos=decided, run=story.tell(output))


def describe_photo(
    output: Path, outcome: Outcome, *, at: float | None = None, served: bool = True
) -> dict[str, Any]:
    """The record of one photograph, as `ReportData.to_json` has it. served: see there."""
    links: Links = ServedLinks(output) if served else FileLinks(output)
    return _record(ReportPhoto(outcome=outcome, at=at), links)


def _lay_decisions(photos: Sequence[ReportPhoto], path: Path) -> Iterator[ReportPhoto]:
    """The photographs with what was decided about the results that they still have."""
    try:
        decisions = read_decisions(path)
    except OSError:
        decisions = {}
    for photo in photos:
        made = decisions.get(str(photo.outcome.source))
        holds = made is not None and made.sha256 == photo.output_sha256
        yield replace(photo, decision=made.verb.value) if made is not None and holds else photo


@dataclass(eq=False)
class _Story:
    """Reads the journal's lines in order.

    finished: photographs of the last run, but for those that failed before and failed again. What a review
    did after it is no part of it.
    """

    photos: dict[str, ReportPhoto] = field(default_factory=dict)
    began: float | None = None
    ended: float | None = None
    state: str = "running"
    total: int = 0
    skipped: int = 0
    events: list[dict[str, Any]] = field(default_factory=list)
    before: RunStory | None = None
    finished: int = 0

    def take(self, line: Mapping[str, Any]) -> None:
        try:
            self._take(str(line["kind"]), line)
        except (KeyError, TypeError, ValueError, AttributeError):
            return  # a line of another version

    def _take(self, kind: str, line: Mapping[str, Any]) -> None:
        at = datetime.fromisoformat(line["time"]).timestamp()
        if kind == "finished":
            outcome = outcome_from_json(line["outcome"])
            receipt = line.get("receipt") or {}
            sha256 = receipt.get("output", {}).get("sha256")
            before = self.photos.get(str(outcome.source))
            self.photos[str(outcome.source)] = ReportPhoto(outcome=outcome, at=at, output_sha256=sha256)
            fails_again = _has_failed(before) and outcome.verdict is Verdict.FAILED
            self.finished += self.ended is None and not fails_again
        elif kind == "started":
            self._begin(at, int(line["total"]), int(line["skipped"]))
        elif kind == "ended":
            self.ended, self.state = at, "interrupted" if line["interrupted"] else "finished"
        elif kind in _MARKED:
            self.events.append({**line, "at": at})

    def _begin(self, at: float, total: int, skipped: int) -> None:
        if self.finished:  # a later run with nothing to do tells nothing: the one before stays
            self.before = self._story()
        self.began, self.ended, self.state = at, None, "running"
        self.total, self.skipped, self.events, self.finished = total, skipped, [], 0

    def _story(self) -> RunStory | None:
        if self.began is None:
            return None
        return RunStory(
            began=self.began,
            ended=self.ended,
            state=self.state,
            total=self.total,
            skipped=self.skipped,
            events=tuple(self.events),
        )

    def tell(self, output: Path) -> RunStory | None:
        """The last run that did anything, with its samples."""
        story = self._story()
        if story is not None and not self.finished and self.before is not None and self.ended is not None:
            story = self.before
        if story is None:
            return None
        last = story.ended if story.ended is not None else float("inf")
        samples = [
            sample
            for sample in read_samples(output, last=1_000_000)
            if isinstance(sample.get("seconds"), (int, float))
            and story.began - 60 <= sample["seconds"] <= last + 60
        ]
        thinned = thin_samples(samples, MOST_SAMPLES)
        return RunStory(**{**_fields(story), "samples": tuple(thinned)})


def _has_failed(photo: ReportPhoto | None) -> bool:
    return photo is not None and photo.outcome.verdict is Verdict.FAILED


def _fields(story: RunStory) -> dict[str, Any]:
    return {name: getattr(story, name) for name in story.__dataclass_fields__}


def thin_samples(samples: Sequence[Mapping[str, float]], most: int) -> list[dict[str, float]]:
    """At most `most` samples that keep every extreme: of neighbours, the least free and the most used.

    >>> thin_samples([{"seconds": 0, "process_bytes": 5}, {"seconds": 1, "process_bytes": 9}], 1)
    [{'seconds': 0, 'process_bytes': 9}]
    """
    size = max(1, -(-len(samples) // most))
    thinned = []
    for start in range(0, len(samples), size):
        together = samples[start : start + size]
        names = {name: None for sample in together for name in sample}
        point = {
            name: (min if name in _LEAST else max)(sample[name] for sample in together if name in sample)
            for name in names
        }
        thinned.append({**point, "seconds": together[0]["seconds"]})
    return thinned


def _plain_run(run: RunStory) -> dict[str, Any]:
    events = [
        {name: value for name, value in event.items() if name != "time" and value is not None}
        for event in run.events
    ]
    return {**_fields(run), "events": events, "samples": list(run.samples)}


def _record(photo: ReportPhoto, links: Links) -> dict[str, Any]:
    """What the page gets of one photograph; what is empty is left out."""
    outcome = photo.outcome
    largest = sorted(outcome.regions, key=lambda region: -region.box.area)[:MOST_REGIONS]
    record = {
        "id": photo.id,
        "name": outcome.relative,
        "verdict": outcome.verdict.value,
        "share": round(outcome.share, 6),
        "score": round(outcome.score, 4),
        "rounds": outcome.rounds,
        "width": outcome.width,
        "height": outcome.height,
        "batch": outcome.batch,
        "methods": dict(Counter(region.method.value for region in outcome.regions)),
        "sureness": _find_sureness(outcome),
        "regions": [
            {
                "box": [region.box.left, region.box.top, region.box.right, region.box.bottom],
                "method": region.method.value,
                "opacity": None if region.opacity is None else round(region.opacity, 3),
                "confidence": round(region.confidence, 3),
            }
            for region in largest
        ],
        "seconds": {stage: round(seconds, 4) for stage, seconds in outcome.seconds.items()},
        "notes": list(outcome.notes),
        "cause": outcome.cause,
        "remedy": outcome.remedy,
        "at": photo.at,
        "pictures": links.pictures(photo),
        "review": {"decision": photo.decision} if photo.decision else None,
    }
    return {name: value for name, value in record.items() if value not in (None, [], {})}


def _find_sureness(outcome: Outcome) -> float | None:
    """How sure the program is of what it found and did, in [0, 1]; None where it found nothing."""
    if outcome.share <= 0:
        return None
    return round(min([outcome.score, *(region.confidence for region in outcome.regions)]), 4)
