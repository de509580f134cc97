"""The weights that ship inside the package."""

from importlib.resources import as_file, files

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
