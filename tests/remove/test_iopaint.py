"""IOPaint as a program: every way in which it can misbehave, through the pipeline and against a stand-in."""

from __future__ import annotations

import errno
import os
import pickle
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

from cleanplate.detect.mask import detect_from_probability
from cleanplate.engine.run import repair_folder
from cleanplate.errors import ProgramFailedError, RepairFailedError, UsageError
from cleanplate.models.request import Attempt, Item, Request, Result, plainly
from cleanplate.pipeline.repair import MarkRepair
from cleanplate.remove import iopaint
from cleanplate.remove.base import Crop, Removal
from cleanplate.remove.iopaint import (
    GROW_PX,
    IOPaintRemover,
    choose_environment,
    make_remover,
    parse_command,
    read_version,
)
from cleanplate.remove.processes import Finished
from cleanplate.settings import RepairSettings
from cleanplate.structures import Box, Detection, Method, Photo, Repair, RgbArray, Verdict

STAND_IN = Path(__file__).with_name("stand_in_iopaint.py")
SETTINGS = RepairSettings(device="cpu", max_iterations=1)
FILL = (10, 20, 30)
MARK = (slice(20, 30), slice(20, 44))


@dataclass
class FindsWhite:
    """Takes full white for a mark."""

    fingerprint: str = "white"

    def detect(self, photos: Sequence[Photo], attempt: Attempt) -> list[Detection | Exception]:  # noqa: ARG002  # the protocol's
        return [
            detect_from_probability(np.all(photo.rgb_u8 == 255, axis=2).astype(np.float32))
            for photo in photos
        ]


@dataclass
class Bench:
    """A stand-in, and what it has written down."""

    folder: Path
    temporary: Path

    @property
    def diary(self) -> Path:
        return self.folder / "diary"

    @property
    def batches(self) -> list[int]:
        return [int(line.split()[0]) for line in self.diary.read_text(encoding="utf-8").splitlines()]

    @property
    def grandchild(self) -> int:
        return int((self.folder / "diary.pid").read_text(encoding="utf-8"))

    def remover(self, behaviour: str, timeout_seconds: float = 60, device: str = "cpu") -> IOPaintRemover:
        command = (sys.executable, str(STAND_IN), behaviour, str(self.diary))
        return IOPaintRemover(model="lama", command=command, device=device, timeout_seconds=timeout_seconds)

    def repair(self, photos: Sequence[Photo], remover: IOPaintRemover) -> list[Repair | Exception]:
        try:
            return MarkRepair(FindsWhite(), remover).repair(photos, SETTINGS, plainly)
        finally:
            assert list(self.temporary.iterdir()) == []
            assert not [child for child in psutil.Process().children() if STAND_IN.name in _say(child)]


def _say(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    return Bench(tmp_path, temporary)


def photo(number: int, *, bad: bool = False, marked: bool = True) -> Photo:
    rgb: RgbArray = np.random.default_rng(number).integers(0, 200, (64, 64, 3)).astype(np.uint8)
    if marked:
        rgb[MARK] = 255
    if bad:
        rgb[0, 0] = (255, 0, 0)
    return Photo(Path(f"{number}.png"), rgb, None)


def assert_filled(photo: Photo, result: Repair | Exception) -> None:
    assert isinstance(result, Repair), result
    assert result.verdict is Verdict.REPAIRED
    assert (result.rgb[MARK] == FILL).all()
    far = np.ones((64, 64), bool)
    far[20 - GROW_PX : 30 + GROW_PX, 20 - GROW_PX : 44 + GROW_PX] = False
    assert (result.rgb[far] == photo.rgb[far]).all()
    assert [region.method for region in result.regions] == [Method.FILLED]


def assert_failed(result: Repair | Exception, cause: str, remedy: str, name: str = "2.png") -> None:
    assert isinstance(result, RepairFailedError)
    assert result.path == Path(name)
    assert cause in result.cause
    assert remedy in result.remedy


def test_every_mark_is_filled_in_one_start_and_the_rest_is_the_photographs_own(bench: Bench) -> None:
    photos = [photo(1), photo(2, marked=False), photo(3)]
    first, clean, third = bench.repair(photos, bench.remover("behaves"))
    assert_filled(photos[0], first)
    assert_filled(photos[2], third)
    assert isinstance(clean, Repair)
    assert clean.verdict is Verdict.CLEAN
    assert bench.batches == [2]
    assert bench.diary.read_text(encoding="utf-8").split()[1:3] == ["lama", "cpu"]


def test_a_numbered_card_is_called_cuda(bench: Bench) -> None:
    assert_filled(photo(1), bench.repair([photo(1)], bench.remover("behaves", device="cuda:1"))[0])
    assert bench.diary.read_text(encoding="utf-8").split()[2] == "cuda"


@pytest.mark.parametrize(
    ("behaviour", "cause", "remedy"),
    [
        ("crashes", "exit code 1: ValueError: this picture is too much", "by hand"),
        ("skips", "wrote no result", "by hand"),
        ("cuts", "no whole PNG", "by hand"),
        ("wrong-size", "gave back 72 x 64 pixels for 64 x 64", "names IOPaint 1.6"),
    ],
)
def test_a_bad_photograph_is_found_and_fails_alone(
    bench: Bench, behaviour: str, cause: str, remedy: str
) -> None:
    photos = [photo(number, bad=number == 2) for number in range(4)]
    results = bench.repair(photos, bench.remover(behaviour))
    for number in (0, 1, 3):
        assert_filled(photos[number], results[number])
    assert_failed(results[2], cause, remedy)
    assert bench.batches[0] == 4
    assert bench.batches[-1] == 1
    assert bench.batches == sorted(bench.batches, reverse=True)


def test_a_run_names_the_photograph_whose_fill_failed_and_fills_it_no_other_way(bench: Bench) -> None:
    for number in range(2):
        (bench.folder / "in").mkdir(exist_ok=True)
        Image.fromarray(photo(number, bad=number == 1).rgb).save(bench.folder / "in" / f"{number}.png")
    summary = repair_folder(
        bench.folder / "in",
        bench.folder / "out",
        RepairSettings(device="cpu", max_iterations=1, inpaint="iopaint:lama", supervise=False),
        pipeline=MarkRepair(FindsWhite(), bench.remover("crashes")),
    )
    assert summary.exit_code == 1
    (failure,) = summary.failures
    assert failure.relative == "1.png"
    assert "this picture is too much" in str(failure)
    assert [path.name for path in (bench.folder / "out").glob("*.png")] == ["0.png"]


def test_a_photograph_that_hangs_fails_alone_with_the_option_that_helps(bench: Bench) -> None:
    photos = [photo(2, bad=True), photo(3)]
    results = bench.repair(photos, bench.remover("hangs", timeout_seconds=2.5))
    assert_failed(results[0], "took longer than 2.5 s", "--timeout")
    assert_filled(photos[1], results[1])
    assert bench.batches == [2, 1]


@pytest.mark.parametrize("listed", [0, -1])
def test_of_those_for_which_the_time_ran_out_the_one_it_had_begun_with_is_set_aside(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, listed: int
) -> None:
    orders: list[list[int]] = []

    def note(folder: Path) -> int:
        orders.append([int(path.stem) for path in folder.glob("*.*")])
        return find_first(folder)

    find_first = iopaint._find_first
    monkeypatch.setattr(iopaint, "_find_first", note)
    bench.repair([photo(number) for number in range(4)], bench.remover("behaves"))
    at_fault = orders[0][listed]
    bench.diary.unlink()
    photos = [photo(number, bad=number == at_fault) for number in range(4)]
    results = bench.repair(photos, bench.remover("hangs", timeout_seconds=4))
    assert_failed(results[at_fault], "took longer than 4 s", "--timeout", f"{at_fault}.png")
    for number in {0, 1, 2, 3} - {at_fault}:
        assert_filled(photos[number], results[number])
    assert bench.batches == ([4, 3] if listed == 0 else [4, 1])


@pytest.mark.parametrize("most", [9, 2])
def test_one_that_hangs_whatever_it_is_given_is_started_twice_and_no_more(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    starts: list[int] = []

    def hang(command: Sequence[str], **_: object) -> Finished:
        (images,) = (Path(word.partition("=")[2]) for word in command if word.startswith("--image="))
        starts.append(len(list(images.iterdir())))
        return Finished(None, "")

    def in_pieces(request: Request[Item, Result]) -> list[Result | Exception]:
        cuts = range(0, len(request.items), most)
        return [result for at in cuts for result in request.run(request.items[at : at + most], None)]

    monkeypatch.setattr(iopaint, "run_bounded", hang)
    photos = [photo(number) for number in range(6)]
    remover = bench.remover("behaves", timeout_seconds=300)
    results = MarkRepair(FindsWhite(), remover).repair(photos, SETTINGS, in_pieces)
    assert starts == ([6, 5] if most == 9 else [2, 2])
    assert all(isinstance(result, RepairFailedError) for result in results)
    set_aside, *given_up = sorted(results, key=lambda result: "in a row" in str(result))
    assert "took longer than 300 s; give it more with --timeout" in str(set_aside)
    assert all("took longer than 300 s twice in a row and filled nothing" in str(each) for each in given_up)


def test_one_that_always_hangs_is_started_ever_more_rarely_until_it_fills_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls_that_started: list[int] = []
    run_bounded, well_from = iopaint.run_bounded, 31

    def hang(command: Sequence[str], **keywords: Any) -> Finished:
        calls_that_started.append(call)
        return run_bounded(command, **keywords) if call >= well_from else Finished(None, "")

    monkeypatch.setattr(iopaint, "run_bounded", hang)
    remover = bench.remover("behaves", timeout_seconds=300)
    given_up = []
    for call in range(40):
        (result,) = bench.repair([photo(call)], remover)
        given_up += [call] if "in a row" in str(result) else []
        assert isinstance(result, RepairFailedError) == (call < 37), call
    assert calls_that_started == [0, 1, 3, 6, 11, 20, 37, 38, 39]
    assert given_up == list(range(1, 37))


def test_a_full_pipe_does_not_block_it(bench: Bench) -> None:
    assert_filled(photo(1), bench.repair([photo(1)], bench.remover("talks"))[0])


@pytest.mark.parametrize("behaviour", ["grandchild-hang", "grandchild-left"])
def test_what_it_has_started_ends_with_it(bench: Bench, behaviour: str) -> None:
    result = bench.repair([photo(2)], bench.remover(behaviour, timeout_seconds=3))[0]
    if behaviour == "grandchild-hang":
        assert_failed(result, "took longer", "--timeout")
    else:
        assert_filled(photo(2), result)
    assert _is_gone(bench.grandchild)


def _is_gone(pid: int) -> bool:
    """Whether a killed process, whose parent may have to collect it first, is no more."""
    for _ in range(100):
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


def test_a_wrong_call_fails_all_at_once(bench: Bench) -> None:
    results = bench.repair([photo(1), photo(2)], bench.remover("wrong-usage"))
    assert_failed(results[1], "did not understand", "docs/iopaint.md")
    assert bench.batches == [2]


def test_a_program_that_vanished_fails_all_at_once_and_says_how_to_install_it(bench: Bench) -> None:
    remover = IOPaintRemover(model="lama", command=(str(bench.folder / "gone"),))
    results = bench.repair([photo(1), photo(2)], remover)
    assert_failed(results[1], "could not be run", "pip install torch==2.14.1 torchvision==0.29.1")


def test_a_full_disk_is_none_of_the_programs_and_says_where_to_make_room(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, _picture: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(iopaint, "_write_png", refuse)
    results = bench.repair([photo(1), photo(2)], bench.remover("behaves"))
    assert_failed(results[1], f"{bench.temporary} ({os.strerror(errno.ENOSPC)})", "make room in it")
    assert isinstance(results[1], RepairFailedError)
    assert "pip install" not in results[1].remedy
    assert not bench.diary.exists()


def test_ctrl_c_ends_it_and_clears_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_pid: int) -> list[psutil.Process]:
        monkeypatch.undo()
        monkeypatch.setattr(tempfile, "tempdir", str(bench.temporary))
        raise KeyboardInterrupt

    monkeypatch.setattr("cleanplate.remove.processes.find_descendants", interrupt)
    with pytest.raises(KeyboardInterrupt):
        bench.repair([photo(2, bad=True)], bench.remover("hangs"))


def test_a_failure_of_the_policy_is_the_crops_and_does_not_start_it_again(bench: Bench) -> None:
    crop = Crop(
        np.zeros((8, 8, 3), np.float32), np.ones((8, 8), np.float32), np.eye(8, dtype=bool), Box(0, 0, 8, 8)
    )
    asked: list[int] = []

    def refuse(request):  # type: ignore[no-untyped-def]  # a generic protocol's
        asked.append(len(request.items))
        return [MemoryError("no")] * len(request.items)

    assert [type(result) for result in bench.remover("behaves").remove([crop, crop], refuse)] == [
        MemoryError
    ] * 2
    assert asked == [2]


def test_a_crop_without_a_mark_is_left_and_starts_nothing(bench: Bench) -> None:
    empty = Crop(
        np.zeros((8, 8, 3), np.float32), np.zeros((8, 8), np.float32), np.zeros((8, 8), bool), Box(0, 0, 8, 8)
    )
    (left,) = bench.remover("behaves").remove([empty], plainly)
    assert isinstance(left, Removal)
    assert not left.changed.any()
    assert not bench.diary.exists()


def test_the_fingerprint_names_model_and_version(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "iopaint"
    packages = tmp_path / "lib" / "python3.11" / "site-packages"
    (packages / "IOPaint-1.6.0.dist-info").mkdir(parents=True)
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    if os.name == "posix":
        assert read_version([str(program)]) == "1.6.0"
        assert IOPaintRemover(model="mat", command=(str(program),)).fingerprint == "iopaint:mat@1.6.0"
    (packages / "IOPaint-1.6.0.dist-info").rmdir()
    assert IOPaintRemover(model="mat", command=(str(program),)).fingerprint == "iopaint:mat@unknown"


def test_a_remover_is_made_of_a_command_and_refused_before_any_work(tmp_path: Path) -> None:
    remover = make_remover("mat", command=shlex.quote(sys.executable), device="cpu", timeout_seconds=5)
    assert (remover.model, remover.timeout_seconds) == ("mat", 5)
    assert Path(remover.command[0]).samefile(sys.executable)
    with pytest.raises(UsageError, match="is not there; make an environment"):
        make_remover("mat", command=str(tmp_path / "none"), device="cpu", timeout_seconds=5)


def test_commands_are_read(tmp_path: Path) -> None:
    spaced = tmp_path / "my program"
    spaced.touch()
    assert parse_command(str(spaced)) == (str(spaced),)
    assert parse_command(["a", "b c"]) == ("a", "b c")
    assert parse_command("'a b' c", windows=False) == ("a b", "c")
    for wrong in ("", "'open"):
        with pytest.raises(UsageError, match="--iopaint-command"):
            parse_command(wrong)


def test_only_the_asked_card_is_shown() -> None:
    assert "CUDA_VISIBLE_DEVICES" not in choose_environment("cuda", {})
    assert choose_environment("cuda:2", {})["CUDA_VISIBLE_DEVICES"] == "2"


def test_its_failure_travels_between_processes() -> None:
    error = pickle.loads(pickle.dumps(ProgramFailedError("why", "how")))
    assert (error.cause, error.remedy, str(error)) == ("why", "how", "why; how")


@pytest.mark.second_environment
def test_the_real_iopaint_fills_a_mark(bench: Bench) -> None:
    command = parse_command(os.environ["CLEANPLATE_IOPAINT"])
    photos = [photo(1), photo(2)]
    photos[0].rgb[...] = np.where(photos[0].rgb == 255, 255, 90)
    remover = IOPaintRemover(model="cv2", command=command)
    first, second = bench.repair(photos, remover)
    assert isinstance(first, Repair)
    assert isinstance(second, Repair)
    assert np.abs(first.rgb[MARK].astype(int) - 90).max() <= 1
    assert not (second.rgb[MARK] == 255).all(axis=2).any()
    assert remover.fingerprint == "iopaint:cv2@1.6.0"
