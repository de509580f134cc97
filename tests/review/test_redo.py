"""Where photographs are done again: on CUDA in a process of its own, as in a run."""

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from cleanplate.engine import supervise
from cleanplate.engine.work import encode_mask
from cleanplate.errors import ModelError
from cleanplate.pipeline.known import KnownMarks
from cleanplate.pipeline.repair import MarkRepair
from cleanplate.review import redo
from tests.engine.sharing import SIZE, draw_mark, find_place, write_folder
from tests.review.scene import (
    SETTINGS,
    FillRemover,
    MagentaDetector,
    build,
    ids_by_name,
    open_client,
    open_desk,
    read_events,
    run_batch,
    sha256,
    square_mask,
    wait_for_queue,
)


class TellingRemover(FillRemover):
    """Its fingerprint tells in which process it works; where the file `dying` is, that process ends."""

    def __init__(self, how: str, dying: Path) -> None:
        super().__init__(how)
        self.fingerprint = f"fill-{how}-in-{os.getpid()}"
        self._dying = dying

    def remove(self, crops, attempt):
        if self._dying.exists():
            self._dying.unlink()
            os._exit(7)
        return super().remove(crops, attempt)


@dataclass(frozen=True)
class BuildTelling:
    """Makes pipelines that tell where they work; one method cannot be had."""

    dying: Path

    def __call__(self, settings):
        if settings.inpaint == "patchmatch":
            raise ModelError("its network is not there; fetch it")
        return MarkRepair(MagentaDetector(), TellingRemover(settings.inpaint, self.dying))


@pytest.fixture
def dying(tmp_path):
    return tmp_path / "dying"


@pytest.fixture
def _cuda(monkeypatch):
    """A machine whose networks would run on a card; processes that are started find that there is none."""
    monkeypatch.setattr(supervise, "_find_device_type", lambda _: "cuda")
    monkeypatch.setattr(redo, "choose_policy", choose_policy_here)


def choose_policy_here(settings, **hooks):
    """The policy for what the server does itself, which is never done on a card."""
    assert settings.device == "cpu", "the card is used here"
    return supervise.choose_policy(settings, **hooks)


@pytest.fixture
def desk(output, dying, _cuda):
    desk = open_desk(output, BuildTelling(dying))
    with desk.opened():
        yield desk
    left = [process.cmdline() for process in psutil.Process().children(recursive=True)]
    assert not [words for words in left if "resource_tracker" not in " ".join(words)]


def do_again(client, desk, photo_id, **wish):
    client.post(f"/api/photos/{photo_id}/again", json=wish)
    return wait_for_queue(desk)


def read_processes(output):
    """The process that made each result that a person asked for, in order."""
    lines = (output / ".cleanplate" / "journal.jsonl").read_text(encoding="ascii").splitlines()
    keys = [json.loads(line).get("outcome", {}).get("settings_key", "") for line in lines]
    return [int(key.rpartition("-")[2]) for key in keys if key.startswith("reviewed-") and "-in-" in key]


def test_all_wishes_go_to_one_process_and_come_to_the_same(inputs, output, desk, client, ids, tmp_path):
    """`client` and `ids` are of the desk of this file."""
    png = square_mask()
    client.put(f"/api/photos/{ids['clean.png']}/mask", content=png, headers={"Content-Type": "image/png"})
    do_again(client, desk, ids["clean.png"], mask=True)
    do_again(client, desk, ids["faint.png"], threshold=0.0, method="opencv")
    assert do_again(client, desk, ids["a.png"])["failed"] == 0
    first, *others = read_processes(output)
    assert first != os.getpid()
    assert others == [first, first]

    here = run_batch(inputs, tmp_path / "here")
    local = open_desk(here, build)
    with pytest.MonkeyPatch.context() as patch, local.opened():
        patch.setattr(redo, "is_supervised", lambda _: False)
        patch.setattr(redo, "choose_policy", supervise.choose_policy)
        other, names = open_client(local), ids_by_name(local)
        address = f"/api/photos/{names['clean.png']}/mask"
        other.put(address, content=png, headers={"Content-Type": "image/png"})
        do_again(other, local, names["clean.png"], mask=True)
        do_again(other, local, names["faint.png"], threshold=0.0, method="opencv")
    for name in ("clean.png", "faint.png", "a.png"):
        assert sha256(output / name) == sha256(here / name)


def test_what_cannot_be_built_there_is_said_and_the_next_job_goes_on(output, desk, client, ids):
    assert do_again(client, desk, ids["a.png"], method="patchmatch")["failed"] == 1
    assert do_again(client, desk, ids["a.png"])["failed"] == 0
    assert do_again(client, desk, ids["a.png"], method="patchmatch")["failed"] == 1
    failed = [job for kind, job in read_events(desk) if kind == "job" and job["state"] == "failed"]
    assert {(job["cause"], job["remedy"]) for job in failed} == {("its network is not there", "fetch it")}
    assert len(read_processes(output)) == 1


def test_a_process_that_dies_is_replaced_and_the_photograph_done(output, desk, client, ids, dying):
    do_again(client, desk, ids["a.png"])
    dying.touch()
    assert do_again(client, desk, ids["b.jpg"])["failed"] == 0
    do_again(client, desk, ids["a.png"], method="opencv")
    first, _, third = read_processes(output)
    assert third != first


def test_the_original_is_kept_without_a_process(desk, client, ids):
    client.post(f"/api/photos/{ids['a.png']}/keep")
    assert wait_for_queue(desk)["failed"] == 0
    assert not [
        process
        for process in psutil.Process().children(recursive=True)
        if "resource_tracker" not in " ".join(process.cmdline())
    ]


def paint_over(mark):
    """A mask over the mark as it lies on the photographs of `write_folder`, and a little more."""
    painted = np.zeros(SIZE, bool)
    left, top = find_place(mark)
    height, width = mark.alpha.shape
    painted[top - 3 : top + height + 3, left - 3 : left + width + 3] = True
    return painted


def give_to_all(desk, painted):
    """(what was told of the mark, the others' notes) after the first one's mask was given to all."""
    client, ids = open_client(desk), ids_by_name(desk)
    png = encode_mask(painted)
    client.put(f"/api/photos/{ids['00.jpg']}/mask", content=png, headers={"Content-Type": "image/png"})
    assert len(client.post(f"/api/photos/{ids['00.jpg']}/apply", json={}).json()["jobs"]) == 8
    assert wait_for_queue(desk)["failed"] == 0
    told = [data["found"] for kind, data in read_events(desk) if kind == "mark"]
    return told, [client.get(f"/api/photos/{ids[f'{at:02}.jpg']}").json()["notes"] for at in range(1, 9)]


def read_keys(output):
    """The key of each photograph's last result, by name."""
    lines = (output / ".cleanplate" / "journal.jsonl").read_text(encoding="ascii").splitlines()
    outcomes = [line["outcome"] for line in map(json.loads, lines) if "outcome" in line]
    return {outcome["relative"]: outcome["settings_key"] for outcome in outcomes}


@pytest.mark.parametrize("is_shared", [True, False])
@pytest.mark.usefixtures("_cuda")
def test_a_mark_that_is_shared_is_worked_out_here_once_and_inverted_there(tmp_path, is_shared):
    mark = draw_mark()
    inputs, painted = tmp_path / "in", paint_over(mark)
    write_folder(inputs, 9, mark=mark if is_shared else None)
    output, here = run_batch(inputs, tmp_path / "out"), run_batch(inputs, tmp_path / "here")
    desk, local = open_desk(output, build), open_desk(here, build)
    with desk.opened():
        told, notes = give_to_all(desk, painted)
    with pytest.MonkeyPatch.context() as patch, local.opened():
        patch.setattr(redo, "is_supervised", lambda _: False)
        patch.setattr(redo, "choose_policy", supervise.choose_policy)
        assert give_to_all(local, painted) == (told, notes)
    assert len(told) == 1
    assert (told[0] is not None) == is_shared
    assert [("was inverted" in note) for (note,) in notes].count(True) >= (7 if is_shared else 0)
    assert is_shared or all("the mask was used" in note for (note,) in notes)
    assert read_keys(output) == read_keys(here)
    others = [key for name, key in read_keys(output).items() if name != "00.jpg"]
    assert all(key.startswith("reviewed-") and ("/known:" in key) == is_shared for key in others)
    for path in inputs.iterdir():
        assert sha256(output / path.name) == sha256(here / path.name)


def test_a_painted_mask_comes_before_marks_that_the_run_was_given():
    mark = draw_mark()
    painted = paint_over(mark)
    given = replace(build(SETTINGS), known=KnownMarks((mark,)))
    assert redo._build(lambda _: given, None, (), None, SETTINGS) is given
    alone = redo._build(lambda _: given, painted, (), None, SETTINGS)
    assert alone.known is None
    assert alone.fingerprint != given.fingerprint
