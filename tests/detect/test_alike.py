"""What a finder sees at one place on several photographs is found; what it sees here and there is not."""

from __future__ import annotations

import numpy as np
import pytest

from cleanplate.detect.alike import find_alike, find_common
from cleanplate.detect.consistent import Rule
from cleanplate.structures import BoolArray

HEIGHT, WIDTH = 80, 120


def draw_photos(seeing: int, count: int, jitter_px: int = 0) -> tuple[list[np.ndarray], list[BoolArray]]:
    """Photographs with a bright bar, and masks that show it on the first few."""
    rng = np.random.default_rng(3)
    photos, masks = [], []
    for at in range(count):
        photo = np.full((HEIGHT, WIDTH, 3), rng.integers(40, 120), np.uint8)
        mask = np.zeros((HEIGHT, WIDTH), bool)
        down, right = (int(rng.integers(-jitter_px, jitter_px + 1)) for _ in range(2))
        box = (slice(50 + down, 62 + down), slice(70 + right, 100 + right))
        photo[box] += 60
        mask[box] = at < seeing
        photos.append(photo)
        masks.append(mask)
    return photos, masks


def test_what_several_have_is_common() -> None:
    masks = [np.eye(3, dtype=bool)] * 2 + [np.zeros((3, 3), bool)] * 6
    assert np.array_equal(find_common(masks, 2), np.eye(3, dtype=bool))
    assert not find_common(masks, 3).any()
    assert not find_common([*masks, np.zeros((3, 3), bool)], 2).any()


def test_a_mark_that_is_seen_on_few_photographs_gives_its_outline() -> None:
    photos, masks = draw_photos(3, 8)
    found = find_alike(photos, masks, [Rule((1.0, 1.0))])
    assert found is not None
    left, top = found.place(HEIGHT, WIDTH)
    assert abs(left - 67) <= 1
    assert abs(top - 47) <= 1
    assert found.field.any()
    assert found.strength > 0.9


@pytest.mark.parametrize(("seeing", "jitter_px"), [(2, 0), (0, 0), (8, 15)])
def test_what_is_seen_by_chance_or_elsewhere_gives_none(seeing: int, jitter_px: int) -> None:
    photos, masks = draw_photos(seeing, 8, jitter_px)
    assert find_alike(photos, masks, [Rule((1.0, 1.0))]) is None


def test_photographs_of_other_sizes_are_laid_at_the_same_corner() -> None:
    photos, masks = draw_photos(4, 8)
    larger = [np.pad(photo, ((9, 0), (5, 0), (0, 0)), mode="edge") for photo in photos[4:]]
    wider = [np.pad(mask, ((9, 0), (5, 0))) for mask in masks[4:]]
    rules = [Rule((0.0, 0.0)), Rule((1.0, 1.0))]
    found = find_alike([*photos[:4], *larger], [*masks[:4], *wider], rules)
    assert found is not None
    assert found.rule.anchor in {rule.anchor for rule in rules}
    assert found.place(HEIGHT, WIDTH)[0] in (66, 67, 68)
