"""Predicted peaks against metered runs on the CPU."""

import gc
import inspect
import random
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cleanplate.device.meter import StorageMeter
from cleanplate.models.memory import PeakPredictor, identify_network, trace_peak_bytes
from cleanplate.models.nets import pieces
from cleanplate.models.nets.finder import Finder
from cleanplate.models.nets.lama import Lama
from cleanplate.models.nets.restorer import Restorer


class TinyNet(nn.Module):
    """Convolutions in a row, with a norm."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(inplace=True),
            nn.Conv2d(8, 4, 3, stride=2, padding=1),
            nn.GELU(),
            nn.AdaptiveAvgPool2d(4),
        )

    def forward(self, x):
        return self.body(x)


class SmallUNet(nn.Module):
    """Skips keep early features alive."""

    def __init__(self):
        super().__init__()
        self.down = nn.ModuleList([nn.Conv2d(a, b, 3, 2, 1) for a, b in [(3, 8), (8, 16), (16, 32)]])
        self.up = nn.ModuleList([nn.Conv2d(a, b, 3, 1, 1) for a, b in [(48, 16), (24, 8), (11, 4)]])
        self.norm = nn.GroupNorm(2, 8)

    def forward(self, x):
        skips = []
        for level, down in enumerate(self.down):
            skips.append(x)
            x = F.relu(down(x))
            if level == 0:
                x = self.norm(x)
        for up in self.up:
            skip = skips.pop()
            x = F.interpolate(x, size=skip.shape[-2:], mode="bilinear", align_corners=False)
            x = F.silu(up(torch.cat([x, skip], 1)))
        return x.softmax(1)


def measure_peak(network: nn.Module, shape, *, channels_last: bool = False) -> int:
    meter = StorageMeter()
    layout = torch.channels_last if channels_last else torch.contiguous_format
    with torch.no_grad(), meter.metering():
        x = torch.empty(shape, memory_format=layout).zero_()
        y = network(x)
        del x, y
    assert meter.live_bytes == 0
    return meter.peak_bytes


def draw_shapes(count: int, *, channels: int, multiple: int, least: int, most: int):
    draw = random.Random(0)
    for _ in range(count):
        height, width = (multiple * draw.randint(least, most) for _ in range(2))
        yield (draw.randint(1, 4), channels, height, width)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("make", [TinyNet, SmallUNet])
def test_prediction_equals_the_metered_run(make, channels_last):
    network = make().eval()
    if channels_last:
        network.to(memory_format=torch.channels_last)
    # On meta a norm also makes its two statistics, a kilobyte in all: not a hundredth from 48 pixels on.
    for shape in draw_shapes(40, channels=3, multiple=8, least=6, most=18):
        measured = measure_peak(network, shape, channels_last=channels_last)
        assert trace_peak_bytes(network, shape) == pytest.approx(measured, rel=0.01), shape


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("make", "channels"), [(Finder, 3), (Restorer, 4)])
def test_prediction_equals_the_metered_run_of_the_shipped_networks(make, channels, dtype):
    network = make().eval().to(dtype=dtype, memory_format=torch.channels_last)
    predictor = PeakPredictor()
    for shape in draw_shapes(40, channels=channels, multiple=32, least=1, most=5):
        measured = measure_peak(network, shape, channels_last=True)
        assert predictor.predict(network, shape) == pytest.approx(measured, rel=0.01), shape


def test_prediction_equals_the_metered_run_of_a_network_with_fourier_transforms():
    network = Lama(width=8, blocks=2).eval()
    predictor = PeakPredictor()
    for shape in draw_shapes(40, channels=4, multiple=8, least=6, most=18):
        measured = measure_peak(network, shape)
        assert predictor.predict(network, shape) == pytest.approx(measured, rel=0.01), shape


def test_prediction_equals_the_metered_run_of_the_full_lama():
    network = Lama().eval().requires_grad_(False).fold_norms()
    for shape in [(1, 4, 64, 96), (2, 4, 72, 40), (1, 4, 328, 128)]:
        assert trace_peak_bytes(network, shape) == pytest.approx(measure_peak(network, shape), rel=0.01)


@pytest.mark.parametrize("piece_pixels", [1, 1000, 5000])
def test_prediction_equals_the_metered_run_in_pieces(piece_pixels, monkeypatch):
    monkeypatch.setattr(pieces, "PIECE_PIXELS", piece_pixels)
    network = Lama(width=8, blocks=2).eval().requires_grad_(False).fold_norms()
    for shape in draw_shapes(25, channels=4, multiple=8, least=6, most=18):
        measured = measure_peak(network, shape)
        assert trace_peak_bytes(network, shape) == pytest.approx(measured, rel=0.01), shape


def test_a_limit_of_what_is_predicted_is_enough_and_less_is_not(monkeypatch):
    monkeypatch.setattr(pieces, "PIECE_PIXELS", 1500)
    network = Lama(width=8, blocks=1).eval().requires_grad_(False).fold_norms()
    for shape in draw_shapes(10, channels=4, multiple=8, least=6, most=14):
        peak = trace_peak_bytes(network, shape)
        run_within(peak + peak // 100, network, shape)
        with pytest.raises(torch.OutOfMemoryError):
            run_within(peak - peak // 100, network, shape)


def run_within(budget_bytes, network, shape):
    with torch.no_grad(), StorageMeter(budget_bytes=budget_bytes).metering():
        network(torch.zeros(shape))


def test_in_pieces_lama_takes_a_quarter_of_the_bytes():
    with torch.device("meta"):
        network = Lama().eval().requires_grad_(False)
    shape = (1, 4, 512, 768)
    whole = trace_peak_bytes(network.generator.model, shape)
    assert trace_peak_bytes(network.fold_norms(), shape) < whole / 4


def test_half_precision_takes_half():
    network = nn.Conv2d(3, 3, 3, padding=1)
    single = trace_peak_bytes(network, (1, 3, 64, 64))
    assert trace_peak_bytes(network.to(torch.bfloat16), (1, 3, 64, 64), torch.bfloat16) * 2 == single


def test_weights_are_neither_counted_nor_touched():
    network = nn.Conv2d(3, 3, 33, padding=16)
    before = network.weight.detach().clone()
    assert trace_peak_bytes(network, (1, 3, 16, 16)) == 2 * 3 * 16 * 16 * 4
    assert network.weight.device.type == "cpu"
    assert torch.equal(network.weight, before)


def test_a_peak_is_traced_once(monkeypatch):
    network, runs = nn.Conv2d(3, 3, 1), []
    monkeypatch.setattr(
        nn.Conv2d, "forward", lambda self, x: runs.append(x.device.type) or F.conv2d(x, self.weight)
    )
    predictor = PeakPredictor()
    for _ in range(3):
        assert predictor.predict(network, (1, 3, 8, 8)) == predictor.predict(network, (1, 3, 8, 8))
    assert runs == ["meta"]


class Undecided(nn.Module):
    """Looks at its input's values, which meta tensors do not have."""

    def forward(self, x):
        return x * 2 if x.sum().item() > 0 else x


def test_what_cannot_be_traced_uses_what_was_measured():
    network, predictor = Undecided(), PeakPredictor()
    with pytest.raises(RuntimeError):
        trace_peak_bytes(network, (1, 3, 8, 8))
    assert predictor.predict(network, (1, 3, 8, 8)) is None
    network.bytes_per_pixel = 900
    assert predictor.predict(network, (2, 3, 8, 4)) == 900 * 2 * 8 * 4


def test_a_network_outside_torch_has_measured_bytes():
    class OnnxSession:
        bytes_per_pixel = 10.5

    assert PeakPredictor().predict(OnnxSession(), (1, 3, 4, 4)) == 168
    assert PeakPredictor().predict(object(), (1, 3, 4, 4)) is None


def test_a_network_is_known_by_the_code_that_its_parts_use_too(monkeypatch):
    before = identify_network(Lama(width=4, blocks=0))
    assert before is not None
    path, read = Path(inspect.getsourcefile(pieces)), Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda self: b"" if self == path else read(self))
    assert identify_network(Lama(width=4, blocks=0)) not in (before, None)


def test_predictions_do_not_keep_networks_alive():
    predictor = PeakPredictor()
    network = nn.Conv2d(3, 3, 1)
    predictor.predict(network, (1, 3, 8, 8))
    del network
    gc.collect()
    assert len(predictor._peaks) == 0
