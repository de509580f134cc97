"""What only a card can show: real reserved peaks, copies, and a child that comes back.

On an H100 (torch 2.11, CUDA 13) all but `test_a_shape_that_is_new` have passed; docs/benchmarks.md has the
figures that were kept.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from cleanplate.detect.network import NetworkDetector
from cleanplate.device.memory import release_memory
from cleanplate.device.notebook import Notebook
from cleanplate.device.staging import make_staging, staging_through
from cleanplate.device.units import format_bytes
from cleanplate.engine.admission import MOST_FACTOR
from cleanplate.engine.guard import Guard
from cleanplate.engine.supervise import NO_PROGRESS_SECONDS, SupervisedOwner
from cleanplate.errors import RepairFailedError
from cleanplate.images.tensor import fetch_batch, stage_batch
from cleanplate.models.memory import trace_peak_bytes
from cleanplate.models.weights import load_networks
from cleanplate.settings import RepairSettings
from cleanplate.structures import Verdict
from tests.engine.simple import draw_photo
from tests.engine.troubled import make_photo

from .lost import make_losing

pytestmark = pytest.mark.gpu
ROOT = Path(__file__).resolve().parents[2]
CUDA = torch.device("cuda", 0)
SETTINGS = RepairSettings(device="cuda")
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
#: What another program leaves of the card: from the start, and once a run has taken its context and networks.
LEFT_MB, TAKEN_LEFT_MB, ONCE_USED_MB = 1500, 200, 600


@pytest.mark.parametrize(("name", "channels"), [("finder", 3), ("restorer", 4)])
@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("edge", [256, 1024])
def test_the_reserved_peak_is_near_its_prediction(note_figure, name, channels, batch, edge):
    """More than the predicted tensors, for the sake of workspaces, but within what the guard corrects for."""
    network = getattr(load_networks(device=CUDA), name)
    shape = (batch, channels, edge, edge)
    predicted = trace_peak_bytes(network, shape)
    release_memory(CUDA)
    torch.cuda.reset_peak_memory_stats(CUDA)
    before = torch.cuda.memory_reserved(CUDA)
    with torch.no_grad():
        network(torch.rand(shape, device=CUDA))
    torch.cuda.synchronize(CUDA)
    reserved = torch.cuda.max_memory_reserved(CUDA) - before
    allocated = torch.cuda.max_memory_allocated(CUDA)
    note_figure(
        f"{name} {batch} x {edge}: reserved over predicted",
        f"{reserved / predicted:.2f} ({format_bytes(reserved)} over {format_bytes(predicted)})",
    )
    assert allocated > 0.5 * predicted
    assert reserved <= MOST_FACTOR * predicted


def test_pinned_copies_bring_the_same_and_how_fast(note_figure):
    pageable = torch.from_numpy(np.random.default_rng(0).integers(0, 256, 1 << 28, dtype=np.uint8))
    for name, host in (("pageable", pageable), ("pinned", pageable.pin_memory())):
        host.to(CUDA, non_blocking=True)
        torch.cuda.synchronize(CUDA)
        began = time.perf_counter()
        arrived = host.to(CUDA, non_blocking=True)
        torch.cuda.synchronize(CUDA)
        note_figure(
            f"copy to the card, {name}", f"{host.nbytes / (time.perf_counter() - began) / 1e9:.1f} GB/s"
        )
        assert torch.equal(arrived.cpu(), pageable)


def test_staged_batches_bring_the_same_and_pin_once(note_figure):
    """Pinned memory, a stream of its own for the copies, and results that come back the same way."""
    rng = np.random.default_rng(0)
    pictures = [[rng.integers(0, 256, (768, 1024, 3), dtype=np.uint8)] for _ in range(5)]
    staging = make_staging(CUDA, 1 << 30)
    seconds = []
    for _ in range(6):
        torch.cuda.synchronize(CUDA)
        began = time.perf_counter()
        with staging_through(staging), stage_batch(pictures, 768, 1024, device=CUDA) as batch:
            back = fetch_batch(batch, [(768, 1024)] * 5)
        seconds.append(time.perf_counter() - began)
        for (picture,), values in zip(pictures, back, strict=True):
            assert np.array_equal(np.rint(values * 255).astype(np.uint8), picture)
    assert staging.use.reused_bytes == 5 * staging.use.allocated_bytes
    note_figure("5 x 0.8 megapixel to the card and back, first", f"{1000 * seconds[0]:.1f} ms")
    note_figure("5 x 0.8 megapixel to the card and back, later", f"{1000 * min(seconds[1:]):.1f} ms")


def test_the_cards_factor_is_remembered_for_the_next_process(tmp_path, note_figure):
    notes = Notebook(tmp_path / "memory.json")
    finder = load_networks(device=CUDA).finder
    pictures = [np.zeros((512, 512, 3), np.uint8)] * 2
    request = NetworkDetector(finder, CUDA, "test")._ask(pictures, (512, 512))
    Guard(SETTINGS, CUDA, notes=notes).attempt(request)
    remembered = Guard(SETTINGS, CUDA, notes=Notebook(tmp_path / "memory.json"))
    assert not remembered.admission.wants_measuring(finder)
    note_figure("finder 2 x 512: the factor", f"{remembered.admission._factor(finder):.2f}")


@pytest.mark.parametrize("with_cudnn", [True, False])
def test_a_shape_that_is_new(note_figure, with_cudnn):
    """What the first call at a size costs over the second, with cuDNN and without: from cuDNN 9.10 on it is
    said to compile depthwise convolutions for each, and photographs come in every size."""
    finder = load_networks(device=CUDA).finder
    pictures = [torch.rand((1, 3, 256 + 32 * k, 640 - 32 * k), device=CUDA) for k in range(1, 7)]
    seconds = {"first": [], "second": []}
    with torch.no_grad(), torch.backends.cudnn.flags(enabled=with_cudnn):
        finder(torch.rand((1, 3, 256, 640), device=CUDA))
        for picture in pictures:
            for call in seconds.values():
                torch.cuda.synchronize(CUDA)
                began = time.perf_counter()
                finder(picture)
                torch.cuda.synchronize(CUDA)
                call.append(time.perf_counter() - began)
    how = "with cuDNN" if with_cudnn else "without cuDNN"
    for name, call in seconds.items():
        note_figure(f"finder, six new sizes, {how}: {name} call, median", f"{1000 * np.median(call):.1f} ms")


def run_in_a_process(folder, count):
    """What `parent` says of a run over `count` photographs of 1 megapixel."""
    for number in range(count):
        draw_photo(folder / "in" / f"photo-{number}.png", seed=number, mark_px=96, size=(1200, 800))
    command = [sys.executable, "-m", "tests.gpu.parent", str(folder / "in"), str(folder / "out")]
    ended = subprocess.run(
        command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=300
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


@contextlib.contextmanager
def another_program(*arguments):
    """`hog` beside what is tested; gives its process."""
    command = [sys.executable, "-m", "tests.gpu.hog", *map(str, arguments)]
    with subprocess.Popen(
        command, cwd=ROOT, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as hog:
        assert hog.stdout.readline() == "ready\n"
        try:
            yield hog
        finally:
            hog.kill()


def test_a_card_that_is_nearly_full_is_enough(tmp_path, note_figure):
    """What another program has left of it: about what a card of 2 GB has."""
    with another_program(LEFT_MB) as hog:
        assert hog.stdout.readline() == "taken\n"
        said = run_in_a_process(tmp_path, 12)
    note_figure(
        f"12 x 1 megapixel with {LEFT_MB} MB of the card free",
        f"reserved peak {format_bytes(said['metered_bytes'])}, {said['retries']} retries, "
        f"{said['photographs_per_second']:.2f} photographs/s",
    )
    assert (said["done"], said["failures"]) == (12, [])


def test_a_card_that_fills_up_during_the_run_costs_no_photograph(tmp_path, note_figure):
    """Admitted while the whole card was free, then another program takes it: real errors, real retries."""
    with another_program(TAKEN_LEFT_MB, ONCE_USED_MB) as hog:
        said = run_in_a_process(tmp_path, 12)
        hog.kill()
        assert "taken" in hog.stdout.read()
    note_figure(
        f"12 x 1 megapixel, the card taken but {TAKEN_LEFT_MB} MB once {ONCE_USED_MB} were used",
        f"reserved peak {format_bytes(said['metered_bytes'])}, {said['retries']} retries, "
        f"{said['pauses']} pauses, {said['photographs_per_second']:.2f} photographs/s",
    )
    assert (said["done"], said["failures"]) == (12, [])


def test_the_parent_of_a_run_never_initialises_cuda(tmp_path, note_figure):
    said = run_in_a_process(tmp_path, 12)
    assert said["supervised"]
    assert not said["initialised"]
    assert (said["done"], said["failures"]) == (12, [])
    assert said["metered_bytes"] > 0
    note_figure("run of 12 x 1 megapixel: reserved peak", format_bytes(said["metered_bytes"]))
    note_figure("run of 12 x 1 megapixel", f"{said['photographs_per_second']:.2f} photographs/s")


def test_a_killed_child_is_replaced_and_gives_the_same(tmp_path, note_figure):
    photo = make_photo(tmp_path, "fine")
    with SupervisedOwner(SETTINGS, limit_seconds=NO_PROGRESS_SECONDS["cuda"]) as owner:
        (first,) = owner.repair([photo])
        psutil.Process(owner.pid).kill()
        began = time.perf_counter()
        (second,) = owner.repair([photo])
        note_figure("a killed child: until the next answer", f"{time.perf_counter() - began:.1f} s")
    assert first.result.verdict is second.result.verdict
    difference = first.result.rgb.astype(int) - second.result.rgb.astype(int)
    assert np.abs(difference).max() <= 1  # a card's sums may come in another order


def test_a_lost_context_costs_only_the_photograph_that_loses_it(tmp_path):
    photos = [make_photo(tmp_path, name) for name in ("fine-1", "lost", "fine-2")]
    with SupervisedOwner(SETTINGS, make_pipeline=make_losing) as owner:
        answers = owner.repair(photos)
    assert isinstance(answers[1].result, RepairFailedError)
    assert "lost the device" in answers[1].result.cause
    assert [answers[at].result.verdict for at in (0, 2)] == [Verdict.REPAIRED] * 2


def test_a_small_limit_makes_the_pieces_smaller_and_the_results_the_same(tmp_path, note_figure):
    photos = [make_photo(tmp_path, f"fine-{number}", number, (1200, 800)) for number in range(5)]
    results = []
    for settings in (SETTINGS, RepairSettings(device="cuda", memory_limit=30_000_000)):
        with SupervisedOwner(settings) as owner:
            results.append([answer.result for answer in owner.repair(photos)])
            limit = "no limit" if settings.memory_limit is None else "a limit of 30 MB"
            note_figure(f"5 x 1 megapixel under {limit}: reserved peak", format_bytes(owner.peak_bytes))
    for free, limited in zip(*results, strict=True):
        assert free.verdict is limited.verdict
        assert np.abs(free.rgb.astype(int) - limited.rgb.astype(int)).max() <= 1
