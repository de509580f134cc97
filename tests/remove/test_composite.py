from __future__ import annotations

import numpy as np
import pytest

from cleanplate.remove.base import Removal
from cleanplate.remove.composite import paste
from cleanplate.structures import Box


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_only_changed_pixels_are_rewritten_at_full_depth(dtype: type) -> None:
    rng = np.random.default_rng(0)
    peak = np.iinfo(dtype).max
    picture = rng.integers(0, peak, (30, 40, 3)).astype(dtype)
    box = Box(5, 10, 25, 20)
    changed = np.zeros((10, 20), bool)
    changed[2:5, 3:9] = True
    wanted = rng.random((10, 20, 3)).astype(np.float32)
    result, differs = paste(picture, [(box, Removal(wanted, changed, ()))])
    assert result.dtype == dtype
    whole = np.zeros((30, 40), bool)
    whole[10:20, 5:25] = changed
    assert np.array_equal(result[~whole], picture[~whole])
    assert np.allclose(result[whole] / peak, wanted[changed], atol=0.5001 / peak + 1e-6)
    assert not differs[~whole].any()


def test_the_input_is_not_written_into() -> None:
    picture = np.zeros((4, 4, 3), np.uint8)
    paste(picture, [(Box(0, 0, 4, 4), Removal(np.ones((4, 4, 3), np.float32), np.ones((4, 4), bool), ()))])
    assert not picture.any()
