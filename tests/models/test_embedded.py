"""The weights that ship inside the package."""

from importlib.resources import as_file, files

import pytest
import torch

from cleanplate.models.weights import EMBEDDED_FILE, load_networks, read_weights

LARGEST_BYTES = 12_000_000


def test_both_networks_are_there_and_small_enough():
    with as_file(files("cleanplate.models") / EMBEDDED_FILE) as path:
        tensors, _ = read_weights(path)
        assert path.stat().st_size <= LARGEST_BYTES
    assert {name.split(".", 1)[0] for name in tensors} == {"finder", "restorer"}
    assert all(torch.isfinite(tensor).all() for tensor in tensors.values())


def test_they_load_with_a_fingerprint_that_stays():
    assert load_networks().fingerprint == load_networks().fingerprint


@pytest.mark.parametrize("name", ["finder", "restorer"])
def test_in_half_the_digits_they_say_nearly_the_same(name):
    exact, quick = (getattr(load_networks(), name) for _ in range(2))
    quick.to(torch.bfloat16)
    channels = 3 if name == "finder" else 4
    x = torch.rand(1, channels, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        one, other = exact(x), quick(x)
    pairs = [(one.sigmoid(), other.sigmoid())] if name == "finder" else [(one[k], other[k]) for k in one]
    for right, near in pairs:
        assert near.dtype == torch.float32
        assert (right - near).abs().mean() < 0.02 * max(1.0, float(right.abs().mean()))
