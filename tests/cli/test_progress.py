"""A run is followed on a terminal, in a pipe and in a log file; and the end of it is told."""

import io
import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from cleanplate.cli.closing import format_json, print_summary
from cleanplate.cli.options import Watching
from cleanplate.cli.progress import LINE_EVERY_SECONDS, Heard, Pace, PlainLines, ProgressBar, follow
from cleanplate.cli.wording import describe_event, describe_outcome
from cleanplate.engine.events import (
    Cleaned,
    MarkShared,
    MemorySampled,
    Paused,
    PhotoFinished,
    RunFinished,
    RunStarted,
    SurveyFinished,
    SurveyStarted,
    Warned,
)
from cleanplate.engine.summary import RunSummary, Usage
from cleanplate.errors import UsageError
from cleanplate.structures import Outcome, Verdict

CLEAN = Outcome(source=Path("in/b.png"), relative="b.png", verdict=Verdict.CLEAN, seconds={"read": 0.5})
REPAIRED = Outcome(
    source=Path("in/a.jpg"),
    relative="a [1].jpg",
    verdict=Verdict.REPAIRED,
    output="a [1].jpg",
    share=0.0312,
    rounds=2,
    seconds={"read": 1.0, "remove": 2.5},
    notes=("C2PA data are no longer valid",),
)
FAILED = Outcome(
    source=Path("in") / "c.jpg",
    relative="c.jpg",
    verdict=Verdict.FAILED,
    cause="it is empty",
    remedy="copy it again",
)
FAILED_LINE = f"failed: {Path('in') / 'c.jpg'}: it is empty; copy it again"
MEMORY = MemorySampled(resident_bytes=1_200_000_000, peak_resident_bytes=1_500_000_000, available_bytes=9)


class Clock:
    """A clock that is moved by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def summary(**changes) -> RunSummary:
    given = {
        "outcomes": (REPAIRED, CLEAN, FAILED),
        "seconds_by_stage": {"plan": 0.01, "read": 1.5, "remove": 62.0},
        "wall_seconds": 10.0,
        "work_seconds": 6.0,
        "usage": Usage(cpu_share=0.83, memory_bytes=10**9, peak_memory_bytes=2 * 10**9),
        "notes": ("a note",),
    }
    return RunSummary(**(given | changes))


def test_an_outcome_is_one_line():
    assert describe_outcome(FAILED) == FAILED_LINE
    assert describe_outcome(CLEAN) == "b.png: clean, 0.5 s"
    assert describe_outcome(REPAIRED) == (
        "a [1].jpg: repaired, marks on 3.12%, 2 rounds, 3.5 s, C2PA data are no longer valid"
    )


@pytest.mark.parametrize(
    ("event", "level", "line"),
    [
        (RunStarted(total=2, skipped=0), logging.INFO, "2 photographs to look at"),
        (
            SurveyStarted(photographs=8),
            logging.INFO,
            "looking through 8 photographs for a mark that they share",
        ),
        (Paused(reason="memory is short", seconds=2.0), logging.INFO, "paused for 2.0 s: memory is short"),
        (Cleaned(reason="25 photographs"), logging.INFO, "cleaned up: 25 photographs"),
        (Cleaned(reason="idle", freed_bytes=10**6), logging.INFO, "cleaned up: idle (1.0 MB given back)"),
        (Warned(message="look out"), logging.WARNING, "look out"),
        (PhotoFinished(outcome=FAILED), logging.ERROR, FAILED_LINE),
    ],
)
def test_every_event_has_a_line_and_a_level(event, level, line):
    assert describe_event(event) == (level, line)


def test_figures_alone_are_no_line():
    assert describe_event(MEMORY) is None


def test_pace_tells_rate_time_left_and_memory():
    clock = Clock()
    pace = Pace(clock)
    pace(RunStarted(total=30, skipped=0))
    assert pace.describe() == ""
    clock.now += 4
    for _ in range(10):
        pace(PhotoFinished(outcome=CLEAN))
    assert pace.describe() == "2.5 a second, 8.0 s left"
    pace(MEMORY)
    assert pace.describe() == "2.5 a second, 8.0 s left; memory 1.2 GB, peak 1.5 GB"


def test_pace_keeps_the_highest_of_the_gpu():
    pace = Pace(Clock())
    for reserved in (3 * 10**9, 10**9):
        pace(
            MemorySampled(
                resident_bytes=0, peak_resident_bytes=0, available_bytes=0, gpu_reserved_bytes=reserved
            )
        )
    assert pace.describe().startswith("getting ready; GPU 1.0 GB, peak 3.0 GB; memory")


def test_plain_lines_tell_problems_at_once_and_the_rest_now_and_then():
    stream, clock = io.StringIO(), Clock()
    lines = PlainLines(stream, clock=clock)
    lines(RunStarted(total=4, skipped=1))
    lines(PhotoFinished(outcome=CLEAN))
    lines(PhotoFinished(outcome=FAILED))
    clock.now += LINE_EVERY_SECONDS
    lines(PhotoFinished(outcome=REPAIRED))
    lines(Warned(message="a warning"))
    clock.now += 2 * LINE_EVERY_SECONDS
    lines(RunFinished(summary=summary()))
    assert stream.getvalue().splitlines() == [
        "4 photographs to look at, 1 finished before",
        FAILED_LINE,
        "3 of 4 photographs; 1 failed, 0.3 a second, 3.3 s left",
        "a warning",
    ]


def test_plain_lines_tell_what_is_done_before_photographs_are_counted():
    stream, clock = io.StringIO(), Clock()
    lines = PlainLines(stream, clock=clock)
    for event in (MEMORY, SurveyStarted(photographs=8), MEMORY, SurveyFinished(), MEMORY):
        clock.now += LINE_EVERY_SECONDS
        lines(event)
    lines(RunStarted(total=8, skipped=0))
    memory = "memory 1.2 GB, peak 1.5 GB"
    looking = "looking through 8 photographs for a mark that they share"
    assert stream.getvalue().splitlines() == [
        f"getting ready; {memory}",
        looking,
        f"{looking}; {memory}",
        f"getting ready; {memory}",
        f"getting ready; {memory}",
        "8 photographs to look at",
    ]


def test_a_bar_counts_no_photographs_before_they_are_counted():
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=120, color_system=None)
    with ProgressBar(console) as bar:
        bar(SurveyStarted(photographs=8))
        bar(MEMORY)
    shown = stream.getvalue()
    assert "looking through 8 photographs for a mark that they share; memory 1.2 GB" in shown
    assert "0/" not in shown


def test_marks_that_are_shared_are_named_on_a_terminal_and_elsewhere():
    shared = [MarkShared(mark=f"OUT/{n}.png", looked_at=30, sharing=n, sha256="") for n in (12, 9)]
    said = [f"{n} of 30 photographs share a mark, which is inverted: OUT/{n}.png" for n in (12, 9)]
    plain, terminal = io.StringIO(), io.StringIO()
    lines = PlainLines(plain, clock=Clock())
    with ProgressBar(Console(file=terminal, force_terminal=True, width=120, color_system=None)) as bar:
        for event in shared:
            lines(event)
            bar(event)
    assert plain.getvalue().splitlines() == said
    assert all(line in terminal.getvalue() for line in said)


def test_verbose_plain_lines_name_every_photograph():
    stream = io.StringIO()
    lines = PlainLines(stream, verbose=True, clock=Clock())
    for event in (RunStarted(total=1, skipped=0), PhotoFinished(outcome=REPAIRED), MEMORY):
        lines(event)
    assert stream.getvalue().splitlines() == ["1 photograph to look at", describe_outcome(REPAIRED)]


def test_a_terminal_gets_a_bar_with_warnings_above_it():
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=100, color_system=None)
    with ProgressBar(console) as bar:
        bar(RunStarted(total=3, skipped=0))
        bar(PhotoFinished(outcome=REPAIRED))
        bar(PhotoFinished(outcome=FAILED))
        bar(Warned(message="look [here]"))
        bar(MEMORY)
    shown = stream.getvalue()
    assert "look [here]" in shown
    assert "a [1].jpg: repaired" not in shown
    assert "1 failed" in shown
    assert "2/3" in shown
    assert "memory 1.2 GB, peak 1.5 GB" in shown


def test_a_quiet_run_tells_failures_alone(capsys):
    with follow(Watching(quiet=True)) as subscribers:
        for subscriber in subscribers:
            for event in (
                RunStarted(total=1, skipped=0),
                Warned(message="w"),
                PhotoFinished(outcome=FAILED),
            ):
                subscriber(event)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", f"{FAILED_LINE}\n")


def test_without_a_terminal_the_lines_go_to_standard_error(capsys):
    with follow(Watching()) as (subscriber,):
        subscriber(RunStarted(total=1, skipped=0))
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "1 photograph to look at\n")


def test_on_a_terminal_a_bar_is_shown(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    with follow(Watching()) as (subscriber,):
        assert isinstance(subscriber, ProgressBar)


def test_a_log_file_has_every_event_and_what_the_package_logs(tmp_path, capsys):
    path = tmp_path / "run.log"
    with follow(Watching(quiet=True, log_file=path)) as subscribers:
        for subscriber in subscribers:
            subscriber(PhotoFinished(outcome=REPAIRED))
        logging.getLogger("cleanplate.engine.events").error("a listener failed")
    logging.getLogger("cleanplate").info("after the run")
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [line.split(" ", 2)[2] for line in lines] == [
        f"INFO {describe_outcome(REPAIRED)}",
        "ERROR a listener failed",
    ]
    assert capsys.readouterr().err == ""


def test_a_log_file_that_cannot_be_written_is_wrong_usage(tmp_path):
    with pytest.raises(UsageError, match="log file cannot be written"), follow(Watching(log_file=tmp_path)):
        pass


def test_the_closing_table_tells_all():
    stream = io.StringIO()
    told = summary(
        remaining=4,
        finished_before=(CLEAN,),
        pauses=("memory is short (2.0 s)",),
        usage=Usage(
            cpu_share=0.83,
            peak_memory_bytes=2 * 10**9,
            gpu_allocated_bytes=10**9,
            gpu_reserved_bytes=3 * 10**9,
        ),
    )
    print_summary(told, Console(file=stream, width=200))
    lines = [" ".join(line.split()) for line in stream.getvalue().splitlines()]
    assert lines == [
        "repaired 1",
        "clean 1",
        "under threshold 0",
        "failed 1",
        "finished before 1",
        "not reached 4",
        "time 10.0 s, 0.5 photographs a second",
        "by stage read 1.5 s, remove 1 min 02 s",
        "CPU use 83% of all processors",
        "memory 2.0 GB at its peak",
        "GPU memory 1.0 GB allocated, 3.0 GB reserved at its peak",
        "pauses 1 time; memory is short (2.0 s)",
        FAILED_LINE,
        "a note",
    ]


def test_no_rate_is_told_of_what_was_refused_alone():
    stream = io.StringIO()
    print_summary(summary(outcomes=(FAILED,), interrupted=True), Console(file=stream, width=100))
    assert "10.0 s" in stream.getvalue()
    assert "a second" not in stream.getvalue()


def test_notes_that_were_read_above_the_bar_are_not_printed_again():
    stream, heard = io.StringIO(), Heard()
    for event in (MEMORY, Warned(message="a note")):
        heard(event)
    told = summary(outcomes=(), notes=("a note", "advice"))
    print_summary(told, Console(file=stream, width=100), leave_out=heard.warnings)
    assert "a note" not in stream.getvalue()
    assert "advice" in stream.getvalue()


def test_a_dry_run_says_that_it_would():
    stream = io.StringIO()
    print_summary(summary(dry_run=True, outcomes=(REPAIRED,)), Console(file=stream, width=100))
    assert "would be repaired" in stream.getvalue()


def test_json_survives_any_name_of_a_file():
    odd = Outcome(source=Path("in/\udcff.jpg"), relative="\udcff.jpg", verdict=Verdict.CLEAN)
    text = format_json(summary(outcomes=(odd,)))
    assert text.isascii()
    told = json.loads(text)
    assert told["counts"]["clean"] == 1
    assert told["photographs"][0]["source"] == str(Path("in/\udcff.jpg"))


def test_a_log_is_never_written_to_a_photograph(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"\xff\xd8\xff\xe0 and so on")
    with pytest.raises(UsageError, match="is a photograph"), follow(Watching(log_file=path)):
        pass
    assert path.read_bytes() == b"\xff\xd8\xff\xe0 and so on"


def test_names_cannot_break_lines_or_colour_a_terminal():
    assert describe_outcome(replace(REPAIRED, relative="a\nb\x1b[31m.png")).startswith(r"a\nb\x1b[31m.png: ")
