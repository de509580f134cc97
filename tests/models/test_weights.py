"""Weights files: round trip, what is taken from where, and every way they can be wrong."""

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from cleanplate.errors import ModelError
from cleanplate.models.nets.finder import Finder
from cleanplate.models.weights import load_into, load_networks, read_weights, write_weights
from tests.models.conftest import make_networks


def assert_same_to_half_precision(network: torch.nn.Module, wanted: torch.nn.Module) -> None:
    for name, tensor in wanted.state_dict().items():
        torch.testing.assert_close(network.state_dict()[name], tensor.half().float(), msg=name)


def test_round_trip_is_exact_in_half_precision(tmp_path):
    networks = make_networks(3)
    write_weights(tmp_path / "both.safetensors", networks, {"step": "7"})
    tensors, fingerprint = read_weights(tmp_path / "both.safetensors")
    assert all(tensor.dtype == torch.float32 for tensor in tensors.values())
    assert len(fingerprint) == 16
    fresh = make_networks(4)
    for name, network in fresh.items():
        load_into(network, name, tensors, "here")
        assert_same_to_half_precision(network, networks[name])
    with safe_open(tmp_path / "both.safetensors", framework="pt") as file:
        assert file.metadata() == {"step": "7"}
        assert file.get_tensor(next(iter(file.keys()))).dtype == torch.float16
    assert [p.name for p in tmp_path.iterdir()] == ["both.safetensors"]  # no temporary file stays


def test_the_fingerprint_follows_the_content(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        metadata = {f"{name}{n}": "x" for n in range(9)}  # says nothing of the weights
        write_weights(tmp_path / name, {"restorer": make_networks(seed)["restorer"]}, metadata)
    a, b, c = (read_weights(tmp_path / name)[1] for name in "abc")
    assert a == b != c


def test_networks_come_ready_to_run(embedded):
    networks = load_networks()
    assert networks.fingerprint == read_weights(embedded)[1]
    for network in (networks.finder, networks.restorer, networks.chooser):
        assert not network.training
        assert not any(p.requires_grad for p in network.parameters())
    wanted = make_networks(1)
    assert_same_to_half_precision(networks.finder, wanted["finder"])
    assert_same_to_half_precision(networks.restorer, wanted["restorer"])
    assert_same_to_half_precision(networks.chooser, wanted["chooser"])


@pytest.mark.usefixtures("embedded")
def test_a_checkpoint_with_all_networks_replaces_all(tmp_path):
    given = make_networks(5)
    path = tmp_path / "given.safetensors"
    write_weights(path, given, {})
    networks = load_networks(str(path))
    assert networks.fingerprint == read_weights(path)[1]
    assert_same_to_half_precision(networks.finder, given["finder"])
    assert_same_to_half_precision(networks.restorer, given["restorer"])


@pytest.mark.parametrize("trained", ["finder", "restorer", "chooser"])
def test_a_checkpoint_with_one_network_keeps_the_others_embedded(embedded, tmp_path, trained):
    given, kept = make_networks(5), make_networks(1)
    path = tmp_path / "one.safetensors"
    write_weights(path, {trained: given[trained]}, {})
    networks = load_networks(str(path))
    for name in given:
        wanted = given if name == trained else kept
        assert_same_to_half_precision(getattr(networks, name), wanted[name])
    assert networks.fingerprint == f"{read_weights(path)[1]}+{read_weights(embedded)[1]}"


@pytest.mark.usefixtures("embedded")
def test_a_missing_file_is_named_with_the_way_out(tmp_path):
    with pytest.raises(ModelError, match=r"nowhere\.safetensors: there is no such model; give a checkpoint"):
        load_networks(str(tmp_path / "nowhere.safetensors"))


@pytest.mark.parametrize("content", [b"", b"not weights", b"\xff" * 64])
def test_a_damaged_file_is_named_with_the_cause(tmp_path, content):
    path = tmp_path / "damaged.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"damaged\.safetensors: not a readable \.safetensors file"):
        read_weights(path)


def test_a_truncated_file_is_damaged(embedded):
    embedded.write_bytes(embedded.read_bytes()[:-1000])
    with pytest.raises(ModelError, match="not a readable"):
        read_weights(embedded)


def test_a_folder_is_no_model(tmp_path):
    with pytest.raises(ModelError, match="not a readable"):
        read_weights(tmp_path)


@pytest.mark.parametrize("tensors", [{}, {"detector.weight": torch.zeros(2)}])
def test_other_networks_weights_are_refused(tmp_path, tensors):
    save_file(tensors, tmp_path / "other.safetensors")
    with pytest.raises(ModelError, match="holds other networks"):
        read_weights(tmp_path / "other.safetensors")


@pytest.mark.parametrize("fault", ["missing", "further", "shape"])
def test_tensors_that_do_not_fit_are_named(fault):
    tensors = {f"finder.{name}": tensor for name, tensor in Finder().state_dict().items()}
    if fault == "missing":
        del tensors["finder.head.bias"]
    elif fault == "further":
        tensors["finder.tail.bias"] = torch.zeros(1)
    else:
        tensors["finder.head.bias"] = torch.zeros(99)
    with pytest.raises(ModelError, match=r"old\.safetensors: does not fit .* first (head|tail)\.bias"):
        load_into(Finder(), "finder", tensors, "old.safetensors")
