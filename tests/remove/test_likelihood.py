"""The step towards the mark that explains photographs best: what its parts promise each other."""

from __future__ import annotations

import pytest
import torch

from cleanplate.device.meter import StorageMeter
from cleanplate.remove.gradients import FREEDOM, NOISE, Scales, Sums, find_shifts, first, second
from cleanplate.remove.likelihood import Grid, Step, Unknown, Views, see_colours, take_steps

SIZE = (16, 20)


@pytest.fixture
def draw() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _even_scales(size: tuple[int, int], scale: float) -> Scales:
    return Scales(torch.full(size, scale), (1.0,) * len(find_shifts(*size)))


def _draw_unknown(draw: torch.Generator) -> Unknown:
    half = (SIZE[0] // 2, SIZE[1] // 2)
    return Unknown(
        1 + torch.rand(SIZE, generator=draw),
        torch.rand((1, *SIZE), generator=draw),
        torch.rand((2, *half), generator=draw) - 0.5,
    )


def _draw_step(draw: torch.Generator, halved: tuple[bool, bool] = (True, True)) -> Step:
    half = (SIZE[0] // 2, SIZE[1] // 2)
    step = Step(_draw_unknown(draw), Grid(halved), torch.ones(SIZE), torch.ones(half), 3)
    for _ in range(3):
        light, colours = torch.rand((1, *SIZE), generator=draw), torch.rand((2, *half), generator=draw) - 0.5
        step.add(Views(light, colours, _even_scales(SIZE, 0.1), _even_scales(half, 0.1)))
    return step


@pytest.mark.parametrize("halved", [(True, True), (True, False), (False, False)])
def test_a_grid_and_its_transpose_agree(halved: tuple[bool, bool], draw: torch.Generator) -> None:
    grid = Grid(halved)
    large, small = torch.rand(SIZE, generator=draw), torch.rand(SIZE[0] // 2, SIZE[1] // 2, generator=draw)
    one, other = (grid.shrink(large) * small).sum(), (large * grid.spread(small)).sum()
    assert float(one) == pytest.approx(float(other), rel=1e-5)


def test_the_matrix_is_symmetric_and_positive(draw: torch.Generator) -> None:
    step = _draw_step(draw)
    one, other = _draw_unknown(draw), _draw_unknown(draw)
    there, back = step._multiply(one).dot(other), step._multiply(other).dot(one)
    assert there == pytest.approx(back, rel=1e-4)
    assert step._multiply(one).dot(one) > 0


def test_the_slope_of_what_is_out_of_range_is_that_of_its_cost(draw: torch.Generator) -> None:
    """Against the difference of the cost itself, a little to either side."""
    at, towards = _draw_unknown(draw), _draw_unknown(draw)
    free = torch.ones(SIZE), torch.ones(SIZE[0] // 2, SIZE[1] // 2)

    def cost(by: float) -> float:
        out = Step(at.plus(towards, by), Grid((True, True)), *free, 1).range
        return 0.5 * float((out.too_light * out.above**2 + out.too_dark * out.below**2).sum())

    slope = Step(at, Grid((True, True)), *free, 1).range.find_slope().dot(towards)
    assert slope == pytest.approx((cost(1e-3) - cost(-1e-3)) / 2e-3, rel=2e-2)


def test_the_slope_is_that_of_the_likelihood(draw: torch.Generator) -> None:
    """Of the gradients alone, against the difference of what they cost, a little to either side."""
    unknown, towards = torch.rand((3, *SIZE), generator=draw), torch.rand((3, *SIZE), generator=draw) - 0.5
    unknown, towards = (plane.double() for plane in (unknown + 1, towards))
    marked = torch.rand((2, *SIZE), generator=draw).double() * 0.02
    shifts = find_shifts(*SIZE)
    scales = Scales(torch.full(SIZE, 0.01).double(), tuple(1.0 + 0.3 * n for n in range(len(shifts))))

    def cost(by: float) -> float:
        at = unknown + by * towards
        behind = marked * at[0] - at[1:]
        total = 0.0
        for shift, growth in zip(shifts, scales.growth, strict=True):
            squared = ((first(behind, shift) - second(behind, shift)) ** 2).sum(dim=0)
            scale = (0.01 * growth) ** 2 + NOISE**2 * (first(at[0], shift) ** 2 + second(at[0], shift) ** 2)
            spread = torch.log1p(squared / (FREEDOM * scale)) * (FREEDOM + 2) / 2
            total += float((spread + torch.log(scale)).sum())
        return total

    sums = Sums.start(unknown, is_bounded=False)
    sums.add(marked, scales, unknown)
    sums.beyond.zero_()
    slope = float((sums.find_slope(unknown) * towards).sum())
    assert slope == pytest.approx((cost(1e-5) - cost(-1e-5)) / 2e-5, rel=1e-4)


def test_a_small_change_of_c_is_seen_by_the_colours_as_it_is(draw: torch.Generator) -> None:
    step = _draw_step(draw)
    towards = torch.rand(SIZE, generator=draw)
    moved = Unknown(step.unknown.kept + 1e-3 * towards, step.unknown.light, step.unknown.colours)
    change = (see_colours(moved, step.grid)[0] - step.seen[0]) / 1e-3
    assert torch.allclose(change, step.see(towards), atol=1e-2)


def test_where_the_mark_cannot_be_nothing_is_changed(draw: torch.Generator) -> None:
    half = (SIZE[0] // 2, SIZE[1] // 2)
    free, free_colours = torch.zeros(SIZE), torch.zeros(half)
    free[4:12, 4:12], free_colours[2:6, 2:6] = 1, 1
    start = Unknown(torch.ones(SIZE), torch.zeros(1, *SIZE), torch.zeros(2, *half))
    photographs = [
        Views(
            torch.rand((1, *SIZE), generator=draw),
            torch.rand((2, *half), generator=draw) - 0.5,
            _even_scales(SIZE, 0.1),
            _even_scales(half, 0.1),
        )
        for _ in range(4)
    ]
    found = take_steps(start, photographs, Grid((True, True)), (free, free_colours), steps=2, rounds=10)
    assert not (found.kept - 1)[free == 0].any()
    assert not found.light[0][free == 0].any()
    assert not found.colours[:, free_colours == 0].any()
    assert float(found.kept.min()) >= 1


def test_steps_take_what_metering_each_operation_says() -> None:
    """The meter looks at the first step and round only; one whose failures are arranged at all of them."""
    torch.manual_seed(0)
    photographs = [
        Views(
            torch.rand(1, 32, 48),
            torch.rand(2, 16, 24),
            _even_scales((32, 48), 0.05),
            _even_scales((16, 24), 0.05),
        )
        for _ in range(4)
    ]
    begun = Unknown(torch.full((32, 48), 1.3), torch.full((1, 32, 48), 0.2), torch.zeros(2, 16, 24))
    free = torch.ones(32, 48), torch.ones(16, 24)
    counts, marks = [], []
    for meter in (StorageMeter(), StorageMeter(fault=lambda _number, _size: None)):
        with torch.no_grad(), meter.metering():
            marks.append(take_steps(begun, photographs, Grid((True, True)), free, steps=3, rounds=5))
        counts.append((meter.live_bytes, meter.peak_bytes))
        assert meter.allocations > 100
    assert counts[0] == counts[1]
    assert torch.equal(marks[0].kept, marks[1].kept)
    assert torch.equal(begun.kept, torch.full((32, 48), 1.3))
