"""The main job on real folders."""

import dataclasses
import json
import os
import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cleanplate.engine import run as engine_run
from cleanplate.engine.events import PhotoFinished, RunFinished, RunStarted, Warned
from cleanplate.engine.run import StopRequest, repair_folder
from cleanplate.errors import OutputInUseError, UsageError
from cleanplate.monitor.gpu import GpuFigures
from cleanplate.monitor.records import read_samples, read_status
from cleanplate.settings import RepairSettings
from cleanplate.structures import Verdict

from .simple import MagentaPipeline, detect, draw_folder, draw_photo, leftovers, read_tree

pytestmark = pytest.mark.usefixtures("unguarded")
BOTH = pytest.mark.parametrize("optimize", [True, False], ids=["overlapped", "plain"])


def repair(inputs, output, *, pipeline=None, subscribers=(), stop=None, **settings):
    return repair_folder(
        inputs,
        output,
        RepairSettings(**settings),
        pipeline=pipeline or MagentaPipeline(),
        subscribers=subscribers,
        stop=stop,
    )


@BOTH
def test_marked_photographs_are_repaired_and_others_copied(tmp_path, optimize):
    photos = draw_folder(tmp_path / "in", 8)
    before = read_tree(photos)
    summary = repair(photos, tmp_path / "out", optimize=optimize)
    assert summary.counts == {"repaired": 4, "clean": 2, "under_threshold": 2, "failed": 0, "skipped": 0}
    assert summary.exit_code == 0
    after = read_tree(tmp_path / "out")
    assert after.keys() == before.keys()
    for outcome in summary.outcomes:
        copied = outcome.verdict is not Verdict.REPAIRED
        assert (after[outcome.output] == before[outcome.relative]) is copied, outcome.relative
    assert read_tree(photos) == before
    assert leftovers(tmp_path / "out") == []


def test_what_stays_as_it_is_and_is_in_the_wanted_format_is_copied_byte_for_byte(tmp_path):
    (tmp_path / "in").mkdir()
    grain = np.random.default_rng(0).integers(90, 110, (60, 80, 3), np.uint8)
    picture = Image.fromarray(grain)
    picture.save(tmp_path / "in" / "a.webp", quality=60)
    picture.save(tmp_path / "in" / "b.png")
    summary = repair(tmp_path / "in", tmp_path / "out", format="webp")
    assert summary.counts["clean"] == 2
    assert (tmp_path / "out" / "a.webp").read_bytes() == (tmp_path / "in" / "a.webp").read_bytes()
    with Image.open(tmp_path / "out" / "b.webp") as converted:
        assert converted.format == "WEBP"


@BOTH
def test_the_mark_is_gone_and_the_rest_untouched(tmp_path, optimize):
    source = draw_photo(tmp_path / "in" / "a.png")
    repair(source, tmp_path / "out", optimize=optimize)
    marked = np.asarray(Image.open(source))
    repaired = np.asarray(Image.open(tmp_path / "out" / "a.png"))
    mask = (marked == (255, 0, 255)).all(axis=2)
    assert np.array_equal(marked[~mask], repaired[~mask])
    assert repaired[mask][:, 1].min() > 20


def test_both_modes_and_every_batch_size_give_the_same_bytes(tmp_path):
    photos = draw_folder(tmp_path / "in", 11)
    repair(photos, tmp_path / "plain", optimize=False)
    expected = read_tree(tmp_path / "plain")
    for batch_size in (1, 3, 20):
        output = tmp_path / f"out-{batch_size}"
        repair(photos, output, batch_size=batch_size)
        assert read_tree(output) == expected


def test_batches_are_cut_from_the_full_list_also_when_work_goes_on(tmp_path):
    photos = draw_folder(tmp_path / "in", 7)
    pipeline = MagentaPipeline()
    repair(photos, tmp_path / "out", pipeline=pipeline, batch_size=3)
    names = sorted(path.name for path in photos.iterdir())
    assert pipeline.batches == [names[:3], names[3:6], names[6:]]
    (tmp_path / "out" / names[1]).unlink()
    (tmp_path / "out" / names[3]).unlink()
    again = MagentaPipeline()
    summary = repair(photos, tmp_path / "out", pipeline=again, batch_size=3)
    assert again.batches == [[names[1]], [names[3]]]
    assert summary.counts["skipped"] == 5


def test_batches_are_cut_smaller_where_photographs_are_large(tmp_path):
    for number in range(4):
        draw_photo(tmp_path / "in" / f"{number}.png", size=(200, 100), seed=number)
    pipeline = MagentaPipeline()
    # A quarter of the limit is for queues and half of that for a batch: two photographs of 320,000 bytes.
    repair(tmp_path / "in", tmp_path / "out", pipeline=pipeline, memory_limit=8 * 700_000)
    assert [len(batch) for batch in pipeline.batches] == [2, 2]
    tiny = MagentaPipeline()
    summary = repair(tmp_path / "in", tmp_path / "small", pipeline=tiny, memory_limit=1000)
    assert [len(batch) for batch in tiny.batches] == [1] * 4
    assert summary.counts["repaired"] == 4


@BOTH
def test_one_bad_file_of_each_kind_is_one_line(tmp_path, optimize):
    photos = draw_folder(tmp_path / "in", 4)
    (photos / "empty.jpg").touch()
    (photos / "words.png").write_text("not an image")
    (photos / "truncated.png").write_bytes((photos / "photo-00.png").read_bytes()[:300])
    draw_photo(photos / "huge.png", size=(1200, 1000))
    (photos / "broken-link.jpg").symlink_to(photos / "nowhere.jpg")
    (photos / "folder.jpg").mkdir()
    summary = repair(photos, tmp_path / "out", optimize=optimize, max_megapixels=1.0)
    assert summary.exit_code == 1
    assert {outcome.relative for outcome in summary.failures} == {
        "empty.jpg",
        "words.png",
        "truncated.png",
        "huge.png",
        "broken-link.jpg",
        "folder.jpg",
    }
    assert all(outcome.cause and outcome.remedy for outcome in summary.failures)
    assert sorted(read_tree(tmp_path / "out")) == [
        f"photo-{n:02}.{'png' if n % 2 == 0 else 'jpg'}" for n in range(4)
    ]


@BOTH
def test_failures_are_tried_again_and_finished_files_are_not(tmp_path, optimize):
    photos = draw_folder(tmp_path / "in", 4)
    good = (photos / "photo-00.png").read_bytes()
    (photos / "photo-00.png").write_bytes(good[:200])
    assert repair(photos, tmp_path / "out", optimize=optimize).counts["failed"] == 1
    (photos / "photo-00.png").write_bytes(good)
    pipeline = MagentaPipeline()
    summary = repair(photos, tmp_path / "out", optimize=optimize, pipeline=pipeline)
    assert pipeline.batches == [["photo-00.png"]]
    assert (summary.exit_code, summary.counts["skipped"], summary.counts["repaired"]) == (0, 3, 1)


def test_a_finished_file_is_valid_only_under_the_same_settings_networks_and_content(tmp_path):
    photos = draw_folder(tmp_path / "in", 4)
    output = tmp_path / "out"

    def worked_on(pipeline=None, **settings) -> list[str]:
        pipeline = pipeline or MagentaPipeline()
        repair(photos, output, pipeline=pipeline, **settings)
        return sorted(name for batch in pipeline.batches for name in batch)

    everything = worked_on()
    assert len(everything) == 4
    assert worked_on() == []
    assert worked_on(batch_size=2, optimize=False, pause_interval=3) == []
    assert worked_on(threshold=0.2) == everything
    assert worked_on(threshold=0.2) == []
    assert worked_on(MagentaPipeline("magenta-2"), threshold=0.2) == everything
    assert worked_on(threshold=0.2) == everything
    draw_photo(photos / "photo-01.jpg", seed=99, mark_px=0)
    assert worked_on(threshold=0.2) == ["photo-01.jpg"]
    (output / "photo-02.png").unlink()
    assert worked_on(threshold=0.2) == ["photo-02.png"]
    touched = photos / "photo-03.jpg"
    os.utime(touched, ns=(0, 0))
    assert worked_on(threshold=0.2) == []


def test_a_changed_input_of_the_same_size_and_a_new_time_is_done_again(tmp_path):
    source = tmp_path / "in" / "a.png"
    draw_photo(source, mark_px=0)
    repair(source, tmp_path / "out")
    content = bytearray(source.read_bytes())
    content[-1] ^= 0  # the same bytes under a new time: still finished
    source.write_bytes(content)
    os.utime(source, (1_000_000_000, 1_000_000_000))
    assert repair(source, tmp_path / "out").counts["skipped"] == 1


def test_a_result_that_was_changed_is_made_anew_and_the_change_is_kept(tmp_path):
    photos = draw_folder(tmp_path / "in", 2)
    repair(photos, tmp_path / "out")
    expected = read_tree(tmp_path / "out")
    for round_ in ("first retouch", "second"):
        (tmp_path / "out" / "photo-00.png").write_text(round_)
        summary = repair(photos, tmp_path / "out")
        assert summary.counts["repaired"] == 1
        assert "changed" in summary.outcomes[0].notes[-1]
        assert read_tree(tmp_path / "out") == expected
    kept = tmp_path / "out" / ".cleanplate" / "replaced"
    assert {path.name: path.read_text() for path in kept.iterdir()} == {
        "photo-00.png": "first retouch",
        "photo-00-2.png": "second",
    }


@BOTH
def test_a_file_that_someone_else_wrote_is_not_overwritten(tmp_path, optimize):
    photos = draw_folder(tmp_path / "in", 4)
    output = tmp_path / "out"
    output.mkdir()
    (output / "photo-00.png").write_text("precious")
    (output / "photo-01.jpg").mkdir()
    pipeline = MagentaPipeline()
    summary = repair(photos, output, optimize=optimize, pipeline=pipeline)
    assert {outcome.relative for outcome in summary.failures} == {"photo-00.png", "photo-01.jpg"}
    assert "--overwrite" in summary.failures[0].remedy
    assert (output / "photo-00.png").read_text() == "precious"
    assert all("photo-00.png" not in batch for batch in pipeline.batches)
    summary = repair(photos, output, optimize=optimize, overwrite=True)
    assert [outcome.relative for outcome in summary.failures] == ["photo-01.jpg"]
    assert (output / "photo-00.png").read_bytes().startswith(b"\x89PNG")


def test_a_file_that_appears_while_work_goes_on_is_not_overwritten(tmp_path):
    photos = draw_folder(tmp_path / "in", 2)

    class Intruding(MagentaPipeline):
        def repair_one(self, photo, settings):
            (tmp_path / "out" / photo.path.name).write_text("mine")
            return super().repair_one(photo, settings)

    summary = repair(photos, tmp_path / "out", pipeline=Intruding())
    assert summary.counts["failed"] == 2
    assert (tmp_path / "out" / "photo-00.png").read_text() == "mine"


def test_another_folders_results_are_not_taken_for_ours(tmp_path):
    draw_photo(tmp_path / "one" / "a.png", seed=1)
    draw_photo(tmp_path / "two" / "a.png", seed=2)
    repair(tmp_path / "one", tmp_path / "out")
    expected = read_tree(tmp_path / "out")
    summary = repair(tmp_path / "two", tmp_path / "out")
    assert "another photograph" in summary.failures[0].cause
    assert read_tree(tmp_path / "out") == expected
    shutil.move(tmp_path / "one", tmp_path / "moved")
    assert repair(tmp_path / "moved", tmp_path / "out").counts["skipped"] == 1


def test_two_inputs_with_equal_names_both_arrive(tmp_path):
    draw_photo(tmp_path / "one" / "a.png", seed=1)
    draw_photo(tmp_path / "two" / "a.png", seed=2)
    summary = repair([tmp_path / "one", str(tmp_path / "two")], tmp_path / "out")
    assert summary.counts["repaired"] == 2
    assert list(read_tree(tmp_path / "out")) == ["a.png", "two/a.png"]


def test_thirty_files_come_out_in_name_order(tmp_path):
    photos = draw_folder(tmp_path / "in", 30)
    summary = repair(photos, tmp_path / "out", batch_size=4)
    assert [outcome.relative for outcome in summary.outcomes] == sorted(
        path.name for path in photos.iterdir()
    )
    assert len(read_tree(tmp_path / "out")) == 30


@BOTH
def test_a_dry_run_writes_nothing_at_all(tmp_path, optimize):
    photos = draw_folder(tmp_path / "in", 4)
    summary = repair(photos, tmp_path / "out", optimize=optimize, dry_run=True, save_masks=True)
    assert summary.counts["repaired"] == 2
    assert summary.dry_run
    assert not (tmp_path / "out").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]
    assert all(outcome.output is None for outcome in summary.outcomes)


def test_a_dry_run_knows_what_is_finished(tmp_path):
    photos = draw_folder(tmp_path / "in", 4)
    repair(photos, tmp_path / "out")
    state = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    assert repair(photos, tmp_path / "out", dry_run=True).counts["skipped"] == 4
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == state


def test_masks_are_saved_beside_the_journal_and_never_collide(tmp_path):
    draw_photo(tmp_path / "in" / "a.jpg")
    draw_photo(tmp_path / "in" / "a.png", seed=3)
    draw_photo(tmp_path / "in" / "a.jpg.png" / "b.png", seed=4)
    draw_photo(tmp_path / "in" / "clean.png", mark_px=0)
    repair(tmp_path / "in", tmp_path / "out", save_masks=True, recursive=True)
    masks = tmp_path / "out" / ".cleanplate" / "masks"
    names = sorted(path.relative_to(masks).as_posix() for path in masks.rglob("*") if path.is_file())
    assert names == ["a.jpg.png", "a.jpg.png_/b.png.png", "a.png.png"]
    mask = np.asarray(Image.open(masks / "a.png.png"))
    marked = np.asarray(Image.open(tmp_path / "in" / "a.png"))
    assert np.array_equal(mask > 0, (marked == (255, 0, 255)).all(axis=2))


def test_a_mask_goes_when_nothing_is_found_any_more(tmp_path):
    draw_photo(tmp_path / "in" / "a.png")
    mask = tmp_path / "out" / ".cleanplate" / "masks" / "a.png.png"
    repair(tmp_path / "in", tmp_path / "out", save_masks=True)
    assert mask.exists()
    draw_photo(tmp_path / "in" / "a.png", mark_px=0, seed=5)
    repair(tmp_path / "in", tmp_path / "out", save_masks=True)
    assert not mask.exists()


def test_clean_photographs_are_converted_where_another_format_is_asked_for(tmp_path):
    draw_photo(tmp_path / "in" / "a.jpg", mark_px=0)
    repair(tmp_path / "in", tmp_path / "out", format="png")
    with Image.open(tmp_path / "out" / "a.png") as written:
        assert written.format == "PNG"


def test_an_empty_folder_is_said_to_be_empty(tmp_path):
    (tmp_path / "in").mkdir()
    summary = repair(tmp_path / "in", tmp_path / "out")
    assert summary.exit_code == 0
    assert "no photographs were found" in summary.notes[0]
    assert not (tmp_path / "out").exists()


def test_wrong_usage_is_told_before_any_work(tmp_path):
    draw_photo(tmp_path / "in" / "a.png")
    with pytest.raises(UsageError, match="no such file or folder"):
        repair(tmp_path / "nowhere", tmp_path / "out")
    with pytest.raises(UsageError, match="output folder is an input"):
        repair(tmp_path / "in", tmp_path / "in")
    (tmp_path / "plain-file").touch()
    with pytest.raises(UsageError, match="cannot be written to"):
        repair(tmp_path / "in", tmp_path / "plain-file" / "below")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "plain-file"]


def test_a_second_run_on_the_same_output_is_refused(tmp_path):
    photos = draw_folder(tmp_path / "in", 2)
    refused = []

    class Greedy(MagentaPipeline):
        def repair_one(self, photo, settings):
            with pytest.raises(OutputInUseError) as error:
                repair(photos, tmp_path / "out")
            refused.append(str(error.value))
            return super().repair_one(photo, settings)

    summary = repair(photos, tmp_path / "out", pipeline=Greedy())
    assert summary.exit_code == 0
    assert f"process {os.getpid()}" in refused[0]
    assert repair(photos, tmp_path / "out").counts["skipped"] == 2


@BOTH
def test_a_stop_finishes_what_is_in_hand(tmp_path, optimize):
    photos = draw_folder(tmp_path / "in", 12)
    stop = StopRequest()

    class Stopping(MagentaPipeline):
        def repair_one(self, photo, settings):
            if photo.path.name == "photo-04.png":
                stop.request()
            return super().repair_one(photo, settings)

    summary = repair(
        photos, tmp_path / "out", optimize=optimize, batch_size=3, pipeline=Stopping(), stop=stop
    )
    assert summary.interrupted
    assert summary.exit_code == 130
    done = 6 if optimize else 5
    assert [outcome.relative for outcome in summary.outcomes] == sorted(p.name for p in photos.iterdir())[
        :done
    ]
    assert summary.remaining == 12 - done
    assert "not reached" in summary.notes[-1]
    assert len(read_tree(tmp_path / "out")) == done
    assert leftovers(tmp_path / "out") == []
    rest = repair(photos, tmp_path / "out", optimize=optimize, batch_size=3)
    assert (rest.counts["skipped"], len(rest.outcomes)) == (done, 12 - done)


def test_a_stop_before_the_work_leaves_all_for_later(tmp_path):
    photos = draw_folder(tmp_path / "in", 4)
    stop = StopRequest()
    stop.request()
    summary = repair(photos, tmp_path / "out", stop=stop)
    assert (summary.exit_code, summary.remaining, len(summary.outcomes)) == (130, 4, 0)


@BOTH
def test_one_photographs_trouble_in_the_pipeline_is_its_own(tmp_path, optimize, caplog):
    photos = draw_folder(tmp_path / "in", 6)

    class Fragile(MagentaPipeline):
        def repair_one(self, photo, settings):
            if photo.path.name == "photo-02.png":
                raise ZeroDivisionError("no such number")
            if photo.path.name == "photo-04.png":
                raise MemoryError
            return super().repair_one(photo, settings)

    with caplog.at_level("DEBUG"):
        summary = repair(photos, tmp_path / "out", optimize=optimize, pipeline=Fragile())
    assert "in repair_one" in caplog.text
    assert summary.counts["failed"] == 2
    assert summary.failures[0].cause == "ZeroDivisionError: no such number"
    assert "report it with the file that --log-file writes" in summary.failures[0].remedy
    assert summary.failures[1].cause == "memory ran out"
    assert len(read_tree(tmp_path / "out")) == 4


def test_a_pipeline_that_loses_photographs_is_found_out(tmp_path):
    class Losing(MagentaPipeline):
        def repair(self, photos, settings, attempt):
            return super().repair(photos, settings, attempt)[1:]

    summary = repair(draw_folder(tmp_path / "in", 3), tmp_path / "out", pipeline=Losing())
    assert summary.counts["failed"] == 3
    assert "0 results for 1 photographs" in summary.failures[0].cause


def test_events_come_in_order_and_one_at_a_time(tmp_path):
    photos = draw_folder(tmp_path / "in", 9)
    events = []
    busy = threading.Lock()

    def listen(event):
        assert busy.acquire(blocking=False), "two events at once"
        events.append(event)
        busy.release()

    summary = repair(photos, tmp_path / "out", subscribers=[listen], batch_size=11)
    assert isinstance(events[0], Warned)
    started = next(event for event in events if isinstance(event, RunStarted))
    assert (started.total, started.skipped) == (9, 0)
    finished = [event.outcome for event in events if isinstance(event, PhotoFinished)]
    assert sorted(outcome.relative for outcome in finished) == [o.relative for o in summary.outcomes]
    assert isinstance(events[-1], RunFinished)
    assert events[-1].summary is summary


def test_a_listener_that_fails_ends_nothing(tmp_path):
    photos = draw_folder(tmp_path / "in", 5)

    def broken(event):
        if isinstance(event, PhotoFinished):
            raise BrokenPipeError("nobody reads")

    summary = repair(photos, tmp_path / "out", subscribers=[broken])
    assert summary.exit_code == 0
    assert any("nobody reads" in note for note in summary.notes)


def test_the_summary_has_the_figures(tmp_path):
    photos = draw_folder(tmp_path / "in", 8)
    summary = repair(photos, tmp_path / "out")
    assert {"load networks", "plan", "read", "detect", "compose", "write"} <= summary.seconds_by_stage.keys()
    assert summary.wall_seconds >= summary.work_seconds > 0
    assert summary.photographs_per_second == pytest.approx(8 / summary.work_seconds)
    assert 0 <= summary.usage.cpu_share <= 1
    assert summary.usage.peak_memory_bytes >= summary.usage.memory_bytes > 1_000_000
    assert json.loads(json.dumps(summary.to_json()))["counts"]["repaired"] == 4
    assert summary.usage.gpu_reserved_bytes is None


def test_the_advised_threshold_really_repairs(tmp_path):
    photos = draw_folder(tmp_path / "in", 8)
    summary = repair(photos, tmp_path / "out")
    advice = next(note for note in summary.notes if "--threshold" in note)
    assert advice.startswith("2 photographs have marks smaller than --threshold")
    threshold = float(advice.split("--threshold ")[1].split()[0])
    again = repair(photos, tmp_path / "again", threshold=threshold)
    assert again.counts["under_threshold"] == 0
    # Also when all of them were finished before.
    assert advice in repair(photos, tmp_path / "out").notes


def test_a_mark_that_was_given_and_shows_nowhere_is_told(tmp_path):
    (tmp_path / "in").mkdir()
    Image.new("RGB", (64, 48), (90, 120, 90)).save(tmp_path / "in" / "plain.png")
    mark = tmp_path / "logo.png"
    Image.new("RGBA", (20, 10), (255, 255, 255, 120)).save(mark)
    for _ in range(2):  # also when all of them were finished before
        notes = repair(tmp_path / "in", tmp_path / "out", mark=(str(mark),)).notes
        assert [note for note in notes if note.startswith(f"the photograph does not show {mark}, which is")]
    notes = repair(draw_folder(tmp_path / "marked", 4), tmp_path / "all", mark=(str(mark),)).notes
    assert not [note for note in notes if "logo.png" in note]


def test_what_the_journal_says_of_a_photograph_comes_back(tmp_path):
    photos = draw_folder(tmp_path / "in", 4)
    first = repair(photos, tmp_path / "out")
    again = repair(photos, tmp_path / "out")
    assert [outcome.relative for outcome in again.finished_before] == [o.relative for o in first.outcomes]
    for before, after in zip(first.outcomes, again.finished_before, strict=True):
        assert dataclasses.replace(after, seconds=before.seconds) == before


def test_the_same_pipeline_is_built_once(tmp_path, monkeypatch):
    built = []
    monkeypatch.setattr(
        engine_run, "build_pipeline", lambda settings: built.append(settings) or MagentaPipeline()
    )
    photos = draw_folder(tmp_path / "in", 6)
    off = RepairSettings(shared_mark="off")
    summary = repair_folder([photos], str(tmp_path / "out"), off)
    assert summary.counts["repaired"] == 3
    assert len(built) == 1


def test_relative_paths_and_the_same_folder_seen_from_elsewhere(tmp_path, monkeypatch):
    draw_folder(tmp_path / "in", 3)
    monkeypatch.chdir(tmp_path)
    repair("in", "out")
    monkeypatch.chdir(tmp_path / "in")
    assert repair("../in", Path("../out")).counts["skipped"] == 3


def test_the_simple_detector_sees_only_marks(tmp_path):
    from cleanplate.images.read import read

    marked = read(draw_photo(tmp_path / "marked.png"), max_megapixels=1)
    assert detect(marked).mask.sum() == 24 * 24
    clean = read(draw_photo(tmp_path / "clean.png", mark_px=0), max_megapixels=1)
    assert not detect(clean).mask.any()


def test_the_card_is_read_by_the_run_itself_and_let_go(tmp_path, monkeypatch):
    class Card:
        closed = False

        def read(self):
            return GpuFigures(name="Card", temperature_celsius=61.0, power_watts=120.0, utilisation_share=0.5)

        def close(self):
            self.closed = True

    class Slow(MagentaPipeline):
        def repair_one(self, photo, settings):
            time.sleep(0.4)
            return super().repair_one(photo, settings)

    card = Card()
    monkeypatch.setattr(engine_run, "open_card", lambda _: card)
    repair(draw_folder(tmp_path / "in", 2), tmp_path / "out", pipeline=Slow())
    assert card.closed
    told = [sample for sample in read_samples(tmp_path / "out") if "gpu_temperature_celsius" in sample]
    assert told
    assert told[-1]["gpu_power_watts"] == 120.0
    assert told[-1]["gpu_throttled"] == 0.0


def test_a_run_can_be_watched_from_elsewhere(tmp_path):
    repair(draw_folder(tmp_path / "in", 4), tmp_path / "out")
    status = read_status(tmp_path / "out")
    assert (status.state, status.total, status.done) == ("finished", 4, 4)
