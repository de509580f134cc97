"""What a person can do to photographs, through the endpoints; and that it lasts."""

import json
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cleanplate.engine.run import repair_folder
from cleanplate.engine.work import encode_mask
from cleanplate.errors import OutputInUseError, UsageError
from cleanplate.report import photo_id
from cleanplate.review import redo
from cleanplate.review.desk import Desk, read_run_settings
from cleanplate.review.waiting import WaitingFile
from cleanplate.settings import RepairSettings
from cleanplate.structures import Mark
from tests.engine.sharing import draw_mark, find_place, write_folder
from tests.engine.simple import draw_photo, leftovers
from tests.review.scene import (
    SETTINGS,
    build,
    build_slowly,
    ids_by_name,
    open_client,
    open_desk,
    read_events,
    run_batch,
    sha256,
    square_mask,
    wait_for_queue,
    wait_until,
    with_threshold,
)

PNG = {"Content-Type": "image/png"}


def act(client, photo_id, action, **body):
    return client.post(f"/api/photos/{photo_id}/{action}", **({"json": body} if body else {}))


def paint(client, photo_id, png=None):
    return client.put(f"/api/photos/{photo_id}/mask", content=png or square_mask(), headers=PNG)


def review_of(client, photo_id):
    return client.get(f"/api/photos/{photo_id}").json()["review"]


def read_journal(output):
    lines = (output / ".cleanplate" / "journal.jsonl").read_text(encoding="ascii").splitlines()
    return [json.loads(line) for line in lines]


def read_rgb(path):
    return np.asarray(Image.open(path).convert("RGB"))


def test_every_photograph_is_listed_with_what_the_review_knows(client, ids):
    listed = client.get("/api/photos").json()["photos"]
    assert {photo["name"] for photo in listed} == set(ids)
    nothing = {"decision": None, "redone": False, "painted": False, "revision": 0, "job": None}
    assert all(photo["review"] == nothing for photo in listed)
    one = client.get(f"/api/photos/{ids['a.png']}").json()
    assert one["verdict"] == "repaired"
    assert one["pictures"]["after"] == f"/pictures/{ids['a.png']}/after"
    assert client.get("/api/photos/0000000000000000").status_code == 404


def test_again_under_a_painted_mask_rewrites_what_is_painted_and_nothing_else(
    client, desk, ids, inputs, output
):
    before = sha256(output / "clean.png")
    assert paint(client, ids["clean.png"]).json()["review"]["painted"]
    answer = act(client, ids["clean.png"], "again", mask=True, method="opencv")
    assert answer.status_code == 202
    job = answer.json()
    assert (job["action"], job["method"], job["mask"], job["state"]) == ("again", "opencv", True, "waiting")
    assert wait_for_queue(desk)["finished"] == 1
    assert sha256(output / "clean.png") != before
    changed = (read_rgb(output / "clean.png") != read_rgb(inputs / "clean.png")).any(axis=2)
    assert changed[20:40, 30:50].any()
    changed[20:40, 30:50] = False
    assert not changed.any()
    assert leftovers(output) == []
    photo = client.get(f"/api/photos/{ids['clean.png']}").json()
    assert photo["verdict"] == "repaired"
    assert photo["review"] == {**photo["review"], "redone": True, "decision": None, "job": None}
    assert (output / ".cleanplate" / "masks" / "clean.png.png").is_file()


def test_again_with_another_threshold_looks_anew(client, desk, ids, output):
    before = sha256(output / "faint.png")
    act(client, ids["faint.png"], "again", threshold=0.0005)
    wait_for_queue(desk)
    assert sha256(output / "faint.png") != before
    assert client.get(f"/api/photos/{ids['faint.png']}").json()["verdict"] == "repaired"


def test_keeping_the_original_gives_its_bytes_back(client, desk, ids, inputs, output):
    assert sha256(output / "a.png") != sha256(inputs / "a.png")
    assert act(client, ids["a.png"], "keep").status_code == 202
    wait_for_queue(desk)
    assert sha256(output / "a.png") == sha256(inputs / "a.png")
    assert review_of(client, ids["a.png"])["decision"] == "kept"
    # and done again, it is a repaired one, about which nothing is decided
    act(client, ids["a.png"], "again")
    wait_for_queue(desk)
    assert sha256(output / "a.png") != sha256(inputs / "a.png")
    assert review_of(client, ids["a.png"])["decision"] is None


def test_approving_and_taking_it_back(client, ids):
    answer = act(client, ids["a.png"], "approve")
    assert (answer.status_code, answer.json()["review"]["decision"]) == (200, "approved")
    assert act(client, ids["a.png"], "reopen").json()["review"]["decision"] is None
    assert act(client, ids["b.jpg"], "reopen").json()["review"]["decision"] is None


def test_approving_many_at_once(client, ids):
    chosen = [ids["a.png"], ids["b.jpg"], ids["broken.jpg"], "0" * 16, ids["a.png"]]
    answer = client.post("/api/approve", json={"ids": chosen}).json()
    assert [photo["id"] for photo in answer["photos"]] == chosen[:2]
    assert {refused["id"] for refused in answer["refused"]} == {ids["broken.jpg"], "0" * 16}


def test_decisions_and_painted_masks_outlive_a_restart(client, desk, ids, output):
    act(client, ids["a.png"], "approve")
    act(client, ids["b.jpg"], "keep")
    act(client, ids["clean.png"], "approve")
    act(client, ids["clean.png"], "reopen")
    paint(client, ids["faint.png"])
    wait_for_queue(desk)
    desk.close()
    later = open_desk(output)
    told = {
        photo["name"]: photo["review"] for photo in open_client(later).get("/api/photos").json()["photos"]
    }
    later.close()
    assert told["a.png"]["decision"] == "approved"
    assert told["b.jpg"]["decision"] == "kept"
    assert told["b.jpg"]["redone"]
    assert told["clean.png"]["decision"] is None
    assert told["faint.png"]["painted"]


def test_a_later_run_undoes_nothing_that_a_person_chose(inputs, output):
    desk = open_desk(output)
    with desk.opened():
        client, ids = open_client(desk), ids_by_name(desk)
        act(client, ids["a.png"], "approve")
        act(client, ids["b.jpg"], "keep")
        paint(client, ids["clean.png"])
        act(client, ids["clean.png"], "again", mask=True)
        wait_for_queue(desk)
    chosen = {name: sha256(output / name) for name in ("a.png", "b.jpg", "clean.png")}
    for settings in (SETTINGS, with_threshold(0.0005)):
        summary = repair_folder(inputs, output, settings, pipeline=build(settings))
        done = {outcome.relative for outcome in summary.outcomes}
        assert done == {"broken.jpg"} if settings is SETTINGS else {"broken.jpg", "faint.png", "large.png"}
        assert {name: sha256(output / name) for name in chosen} == chosen
    (output / "b.jpg").unlink()  # what is gone is made again
    summary = repair_folder(inputs, output, SETTINGS, pipeline=build(SETTINGS))
    assert "b.jpg" in {outcome.relative for outcome in summary.outcomes}


def test_an_approval_is_of_one_result(inputs, output):
    desk = open_desk(output)
    with desk.opened():
        client, ids = open_client(desk), ids_by_name(desk)
        act(client, ids["faint.png"], "approve")
    (output / "faint.png").unlink()
    settings = with_threshold(0.0005)
    repair_folder(inputs, output, settings, pipeline=build(settings))
    desk = open_desk(output)
    assert open_client(desk).get(f"/api/photos/{ids['faint.png']}").json()["review"]["decision"] is None
    desk.close()


def test_never_two_jobs_on_one_photograph(output):
    desk = open_desk(output, build_slowly)
    with desk.opened():
        client, ids = open_client(desk), ids_by_name(desk)
        answers = []
        together = threading.Barrier(6)

        def ask(action):
            together.wait(30)
            answers.append(act(client, ids["a.png"], action).status_code)

        threads = [threading.Thread(target=ask, args=(action,)) for action in ("again", "keep") * 3]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(answers) == [202, 409, 409, 409, 409, 409]
        assert wait_for_queue(desk)["total"] == 1
        assert act(client, ids["a.png"], "again").status_code == 202


def test_a_broken_photograph_fails_alone_and_says_why(client, desk, ids, output):
    lines = read_journal(output)
    act(client, ids["broken.jpg"], "again")
    act(client, ids["a.png"], "again", method="opencv")
    wait_for_queue(desk)
    failed = [job for kind, job in read_events(desk) if kind == "job" and job["state"] == "failed"]
    assert [job["name"] for job in failed] == ["broken.jpg"]
    assert "JPEG" in failed[0]["cause"]
    assert failed[0]["remedy"]
    added = read_journal(output)[len(lines) :]
    assert [line["outcome"]["relative"] for line in added if line["kind"] == "finished"] == ["a.png"]
    assert act(client, ids["broken.jpg"], "approve").status_code == 409
    assert paint(client, ids["broken.jpg"]).status_code == 422


def test_a_photograph_that_was_mended_gets_its_first_result(client, desk, ids, inputs, output):
    draw_photo(inputs / "broken.jpg", seed=7)
    assert paint(client, ids["broken.jpg"]).status_code == 200
    act(client, ids["broken.jpg"], "again")
    wait_for_queue(desk)
    assert (output / "broken.jpg").is_file()
    assert act(client, ids["broken.jpg"], "approve").status_code == 200


def test_a_failure_leaves_the_earlier_result_and_the_journal_as_they_were(client, desk, ids, inputs, output):
    act(client, ids["a.png"], "approve")
    (inputs / "a.png").unlink()
    before, lines = sha256(output / "a.png"), len(read_journal(output))
    act(client, ids["a.png"], "again")
    assert wait_for_queue(desk)["failed"] == 1
    assert sha256(output / "a.png") == before
    assert len(read_journal(output)) == lines
    assert review_of(client, ids["a.png"])["decision"] == "approved"


def test_a_result_that_somebody_changed_is_set_aside_not_lost(client, desk, ids, output):
    (output / "a.png").write_bytes(b"retouched by hand")
    act(client, ids["a.png"], "again")
    wait_for_queue(desk)
    assert (output / ".cleanplate" / "replaced" / "a.png").read_bytes() == b"retouched by hand"


def test_a_file_in_the_way_stays(client, desk, ids, inputs, output):
    draw_photo(inputs / "broken.jpg", seed=7)
    (output / "broken.jpg").write_bytes(b"somebody else's")
    act(client, ids["broken.jpg"], "again")
    assert wait_for_queue(desk)["failed"] == 1
    assert (output / "broken.jpg").read_bytes() == b"somebody else's"


def test_results_keep_the_runs_format_and_names(tmp_path):
    draw_photo(tmp_path / "in" / "a.jpg")
    (tmp_path / "in" / "b.jpg").write_bytes(b"")
    settings = RepairSettings(threshold=0.01, format="png")
    output = run_batch(tmp_path / "in", tmp_path / "out", settings)
    draw_photo(tmp_path / "in" / "b.jpg", seed=3)
    desk = open_desk(output)
    with desk.opened():
        client, ids = open_client(desk), ids_by_name(desk)
        assert desk.settings == settings
        act(client, ids["a.jpg"], "keep")
        act(client, ids["b.jpg"], "again")
        wait_for_queue(desk)
    for name in ("a.png", "b.png"):
        assert (output / name).read_bytes().startswith(b"\x89PNG")
    assert not repair_folder(tmp_path / "in", output, settings, pipeline=build(settings)).outcomes


def test_one_mask_for_all_photographs_like_this_one(client, desk, ids, output):
    kinds = ("a.png", "b.jpg", "clean.png", "faint.png")
    before = {name: sha256(output / name) for name in (*kinds, "large.png")}
    assert client.get(f"/api/photos/{ids['a.png']}/alike").status_code == 409
    paint(client, ids["a.png"])
    act(client, ids["faint.png"], "approve")
    alike = client.get(f"/api/photos/{ids['a.png']}/alike").json()
    assert alike == {
        "ids": [ids["b.jpg"], ids["clean.png"]],
        "skipped": {"decided": 1, "busy": 0, "painted": 0, "elsewhere": 2},
    }
    wrong = act(client, ids["a.png"], "apply", ids=[ids["large.png"]])
    assert wrong.status_code == 422
    answer = act(client, ids["a.png"], "apply", method="opencv")
    assert [job["id"] for job in answer.json()["jobs"]] == alike["ids"]
    wait_for_queue(desk)
    for name in ("b.jpg", "clean.png"):
        assert sha256(output / name) != before[name]
        assert review_of(client, ids[name]) == {
            **review_of(client, ids[name]),
            "painted": True,
            "redone": True,
        }
    for name in ("a.png", "faint.png", "large.png"):
        assert sha256(output / name) == before[name]


def open_sharing_desk(folder: Path, mark: Mark | None) -> Desk:
    """A desk over photographs in which the batch has found nothing, with a mark that they share or not."""
    write_folder(folder / "in", 9, mark=mark)
    return open_desk(run_batch(folder / "in", folder / "out"))


def apply_painted(desk: Desk, painted: bytes) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """(what was told of the mark, the other photographs' records) after one's mask was given to all."""
    with desk.opened():
        client, ids = open_client(desk), ids_by_name(desk)
        assert paint(client, ids["00.jpg"], painted).is_success
        assert len(act(client, ids["00.jpg"], "apply").json()["jobs"]) == 8
        wait_for_queue(desk)
        told = [data for name, data in read_events(desk) if name == "mark"]
        assert len(told) == 1
        return told[0], [client.get(f"/api/photos/{ids[f'{at:02}.jpg']}").json() for at in range(1, 9)]


def test_the_mark_that_they_share_under_the_mask_is_inverted(tmp_path):
    mark = draw_mark()
    left, top = find_place(mark)
    height, width = mark.alpha.shape
    painted = np.zeros((200, 280), bool)
    painted[top - 3 : top + height + 3, left - 3 : left + width + 3] = True
    told, records = apply_painted(open_sharing_desk(tmp_path, mark), encode_mask(painted))
    assert told["found"]["sharing"] >= 8
    inverted = [record for record in records if "was inverted" in record["notes"][0]]
    assert len(inverted) >= 7
    assert all(region["method"] == "unblended" for record in inverted for region in record["regions"])
    errors = []
    for path, rgb in write_folder(tmp_path / "again", 9, mark=mark).items():
        result = np.asarray(Image.open(tmp_path / "out" / path.name), np.float32) / 255
        errors.append(float(((result - rgb)[painted] ** 2).mean()))
    assert np.median(errors[1:]) < 0.002


def test_where_they_share_none_the_mask_is_used_and_that_is_said(tmp_path):
    painted = square_mask(280, 200, at=(100, 80), edge=40)
    told, records = apply_painted(open_sharing_desk(tmp_path, None), painted)
    assert told == {"found": None}
    assert all("the mask was used" in record["notes"][0] for record in records)
    assert all(region["method"] == "filled" for record in records for region in record["regions"])


def test_a_mark_that_was_being_worked_out_when_the_review_ended_is_in_the_next(tmp_path, monkeypatch):
    begun, ended = threading.Event(), threading.Event()

    def find_until_stopped(photo_set, _painted):
        begun.set()
        wait_until(photo_set.is_stopping)
        ended.set()

    desk = open_sharing_desk(tmp_path, None)
    painted = square_mask(280, 200, at=(100, 80), edge=40)
    with monkeypatch.context() as patch, desk.opened():
        patch.setattr(redo, "find_mark_at", find_until_stopped)
        client, ids = open_client(desk), ids_by_name(desk)
        paint(client, ids["00.jpg"], painted)
        act(client, ids["00.jpg"], "apply", ids=[ids["01.jpg"], ids["02.jpg"]])
        assert begun.wait(20)
    assert ended.is_set()
    assert desk.queue.to_json()["waiting_count"] == 2
    assert [kind for kind, _ in read_events(desk)].count("mark") == 0
    again = open_desk(tmp_path / "out")
    assert [(job.name, job.alike) for job in again.queue.list_jobs().values()] == [
        ("01.jpg", True),
        ("02.jpg", True),
    ]
    with again.opened():
        assert wait_for_queue(again)["failed"] == 0
    assert [data for kind, data in read_events(again) if kind == "mark"] == [{"found": None}]


def test_masks_of_other_sizes_and_kinds_are_refused(client, ids):
    for png, status in (
        (square_mask(width=95), 422),
        (square_mask(edge=0), 422),
        (b"not a PNG", 415),
        (square_mask()[:60], 422),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 20, 415),
    ):
        assert paint(client, ids["a.png"], png).status_code == status
    plain = client.put(f"/api/photos/{ids['a.png']}/mask", content=square_mask())
    assert plain.status_code == 415
    assert not review_of(client, ids["a.png"])["painted"]
    assert act(client, ids["a.png"], "again", mask=True).status_code == 409


def test_a_painted_mask_can_be_taken_away(client, ids, output):
    paint(client, ids["a.png"])
    assert (output / ".cleanplate" / "painted" / f"{ids['a.png']}.png").is_file()
    answer = client.delete(f"/api/photos/{ids['a.png']}/mask")
    assert not answer.json()["review"]["painted"]
    assert list((output / ".cleanplate" / "painted").iterdir()) == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b'{"threshold": 2}', 422),
        (b'{"threshold": "0.1"}', 422),
        (b'{"method": "iopaint:lama"}', 422),
        (b'{"method": "rm -rf"}', 422),
        (b'{"mask": 1}', 422),
        (b'{"force": true}', 422),
        (b"[]", 422),
    ],
)
def test_malformed_wishes_are_refused_in_words(client, ids, body, status):
    answer = client.post(
        f"/api/photos/{ids['a.png']}/again", content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == status
    assert answer.json()["error"]["cause"]


def test_the_queue_is_told_and_waiting_jobs_can_be_taken_out(output):
    desk = open_desk(output, build_slowly)
    with desk.opened():
        client, ids = open_client(desk), ids_by_name(desk)
        jobs = [act(client, ids[name], "again").json()["job"] for name in ("a.png", "b.jpg", "large.png")]
        wait_until(lambda: client.get("/api/queue").json()["running"])
        assert review_of(client, ids["a.png"])["job"]["state"] == "running"
        assert client.delete(f"/api/queue/{jobs[0]}").status_code == 409
        assert client.delete("/api/queue/77").status_code == 404
        left = client.delete(f"/api/queue/{jobs[1]}").json()
        assert [job["id"] for job in left["waiting"]] == [ids["large.png"]]
        assert review_of(client, ids["b.jpg"])["job"] is None
        assert client.delete("/api/queue").json()["waiting_count"] == 0
        assert wait_for_queue(desk)["finished"] == 1
    assert WaitingFile(output / ".cleanplate" / "waiting.jsonl").read() == []
    states = [(job["name"], job["state"]) for kind, job in read_events(desk) if kind == "job"]
    assert ("b.jpg", "cancelled") in states
    assert ("a.png", "done") in states


def test_pages_are_told_the_stages_of_a_job(client, desk, ids):
    act(client, ids["a.png"], "again")
    wait_for_queue(desk)
    told = wait_until(lambda: [e for e in read_events(desk) if e[0] == "job" and e[1]["state"] == "done"])
    assert told
    stages = [job["stage"] for kind, job in read_events(desk) if kind == "job"]
    assert stages[:4] == [None, "read", "repair", "write"]
    kinds = {kind for kind, _ in read_events(desk)}
    assert {"job", "photo", "queue"} <= kinds
    assert [e for kind, e in read_events(desk) if kind == "photo"][-1]["review"]["redone"]


def test_ending_lets_the_running_job_end_and_the_others_wait_for_the_next_review(inputs, output):
    desk = open_desk(output, build_slowly)
    before = {name: sha256(output / name) for name in ("a.png", "b.jpg")}
    with desk.opened():
        client, ids = open_client(desk), ids_by_name(desk)
        act(client, ids["a.png"], "again", method="opencv")
        act(client, ids["b.jpg"], "keep")
        wait_until(lambda: desk.queue.to_json()["running"])
    assert review_of(client, ids["a.png"])["redone"]
    assert sha256(output / "b.jpg") == before["b.jpg"]
    assert leftovers(output) == []
    assert act(client, ids["a.png"], "again").status_code == 409
    # the folder is free again
    repair_folder(inputs, output, SETTINGS, pipeline=build(SETTINGS))
    # A decision was made, and is not lost because other work came before it.
    with closing(open_desk(output)) as unopened:
        assert [job.name for job in unopened.queue.list_jobs().values()] == ["b.jpg"]
    again = open_desk(output)
    with again.opened():
        assert wait_for_queue(again)["failed"] == 0
        assert review_of(open_client(again), ids["b.jpg"])["decision"] == "kept"
    assert sha256(output / "b.jpg") == sha256(inputs / "b.jpg")
    with closing(open_desk(output)) as empty:
        assert empty.queue.list_jobs() == {}


@pytest.mark.usefixtures("desk")
def test_the_folder_is_held_against_runs_and_other_reviews(inputs, output):
    with pytest.raises(OutputInUseError):
        repair_folder(inputs, output, SETTINGS, pipeline=build(SETTINGS))
    other = open_desk(output)
    with pytest.raises(OutputInUseError), other.opened():
        pass
    other.close()


def test_what_cannot_be_written_is_said(client, desk, ids, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(desk.album, "paint", fail)
    monkeypatch.setattr(desk.album, "decide", fail)
    for answer in (paint(client, ids["a.png"]), act(client, ids["a.png"], "approve")):
        assert answer.status_code == 507
        assert "No space" in answer.json()["error"]["cause"]


def test_an_unforeseen_error_ends_one_job_only(output):
    def build_badly(settings):
        if settings.inpaint == "opencv":
            raise ZeroDivisionError("oh")
        return build(settings)

    desk = open_desk(output, build_badly)
    with desk.opened():
        client, ids = open_client(desk), ids_by_name(desk)
        act(client, ids["a.png"], "again", method="opencv")
        act(client, ids["b.jpg"], "again")
        wait_for_queue(desk)
    ended = {job["name"]: job["state"] for kind, job in read_events(desk) if kind == "job"}
    assert ended == {"a.png": "failed", "b.jpg": "done"}


def test_a_mask_needs_a_pipeline_that_takes_one(output):
    from tests.engine.simple import MagentaPipeline

    desk = open_desk(output, lambda _: MagentaPipeline())
    with desk.opened():
        client, ids = open_client(desk), ids_by_name(desk)
        paint(client, ids["a.png"])
        act(client, ids["a.png"], "again", mask=True)
        assert wait_for_queue(desk)["failed"] == 1


def test_settings_of_the_run_come_from_its_journal(output, tmp_path):
    assert read_run_settings(output) == SETTINGS
    with pytest.raises(UsageError, match="there is no such folder"):
        read_run_settings(tmp_path / "nowhere")
    journal = output / ".cleanplate" / "journal.jsonl"
    with journal.open("a") as stream:
        stream.write('{"kind": "started", "settings": {"threshold": 7, "later_version": 1}}\n')
    with pytest.raises(UsageError, match="threshold is 7"):
        read_run_settings(output)


def test_ids_are_of_the_inputs_own_paths(ids, inputs):
    assert ids["a.png"] == photo_id(inputs / "a.png")


def test_a_mark_that_was_worked_out_is_found_where_the_output_folder_has_gone(tmp_path):
    inputs = tmp_path / "in"
    write_folder(inputs, 9, mark=draw_mark())
    repair_folder(inputs, tmp_path / "out", RepairSettings(device="cpu"))
    (mark,) = read_run_settings(tmp_path / "out").mark
    assert mark == str(tmp_path / "out" / ".cleanplate" / "shared-mark.png")
    moved = (tmp_path / "out").rename(tmp_path / "elsewhere")
    assert read_run_settings(moved).mark == (str(moved / ".cleanplate" / "shared-mark.png"),)


def test_what_was_changed_or_removed_since_it_was_written_cannot_be_approved(client, ids, output):
    act(client, ids["clean.png"], "approve")
    (output / "clean.png").write_bytes(b"retouched by hand")
    assert act(client, ids["clean.png"], "reopen").json()["review"]["decision"] is None
    (output / "a.png").write_bytes(b"retouched by hand")
    (output / "b.jpg").unlink()
    for name in ("a.png", "b.jpg"):
        answer = act(client, ids[name], "approve")
        assert answer.status_code == 409
        assert "changed or removed" in answer.json()["error"]["cause"]
        assert review_of(client, ids[name])["decision"] is None
    assert (output / "a.png").read_bytes() == b"retouched by hand"


def test_a_mask_that_is_handed_on_lies_behind_a_photographs_own(client, desk, ids, output):
    paint(client, ids["a.png"])
    kept = output / ".cleanplate" / "painted" / f"{ids['b.jpg']}.png"
    paint(client, ids["b.jpg"])
    own = kept.read_bytes()
    alike = client.get(f"/api/photos/{ids['a.png']}/alike").json()
    assert alike["skipped"]["painted"] == 1
    assert ids["b.jpg"] not in alike["ids"]
    for _ in range(2):  # what was handed on once may be handed on anew
        answer = act(client, ids["a.png"], "apply", method="opencv")
        assert [job["id"] for job in answer.json()["jobs"]] == alike["ids"]
        wait_for_queue(desk)
    assert kept.read_bytes() == own
    assert desk.album.painted_file(desk.album.find(alike["ids"][0])).name.endswith(".handed-on.png")
    client.delete(f"/api/photos/{alike['ids'][0]}/mask")
    assert desk.album.painted_file(desk.album.find(alike["ids"][0])) is None
