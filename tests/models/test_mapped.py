"""Weights that stay in their file: the same results, pages let go, and what becomes of a changed file."""

from __future__ import annotations

import copy
import os
import re
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from cleanplate.device.meter import StorageMeter
from cleanplate.errors import ModelError
from cleanplate.models import archive, mapped
from cleanplate.models.archive import map_tensors
from cleanplate.models.filler import Inpainter
from cleanplate.models.inpainters import load_inpainter
from cleanplate.models.mapped import MappedFile, MappedLayers
from cleanplate.models.memory import identify_network, trace_peak_bytes
from cleanplate.models.nets import pieces
from cleanplate.models.nets.lama import Lama
from cleanplate.models.registry import Registry
from cleanplate.models.spec import FileKind
from cleanplate.models.store import ModelStore
from tests.models.weightsfiles import TwoInputs, Wrapped, small_lama, write_script, write_tensors

needs_pages = pytest.mark.skipif(not mapped.CAN_LET_GO, reason="this system lets no pages go")


def load(path: Path) -> Inpainter:
    return load_inpainter(
        str(path), ModelStore(Registry([]), (path.parent,)), torch.device("cpu"), trust=True
    )


def load_plainly(path: Path) -> Inpainter:
    """As where pages cannot be let go."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(archive, "CAN_LET_GO", False)
        return load(path)


def lends(inpainter: Inpainter) -> bool:
    assert isinstance(inpainter.network, Lama)
    return isinstance(inpainter.network.generator.lend, MappedLayers)


def fill(inpainter: Inpainter) -> torch.Tensor:
    torch.manual_seed(1)
    batch = torch.rand(1, 4, 48, 40)
    batch[:, 3] = batch[:, 3] > 0.7
    with torch.no_grad():
        return inpainter.run(batch)


def write(folder: Path, kind: str, lama: Lama) -> Path:
    if kind == "script":
        return write_script(folder / "lama.pt", Wrapped(lama))
    return write_tensors(folder / "lama.safetensors", lama.state_dict())


def trained_lama() -> Lama:
    """Norms that scale and shift, so that folding them does something."""
    lama = Lama(width=16, blocks=2).eval()
    torch.manual_seed(2)
    for name, tensor in lama.state_dict().items():
        if tensor.dtype == torch.float32 and tensor.dim() == 1:
            tensor.copy_(torch.rand_like(tensor) + (0.5 if "mean" not in name else 0))
    return lama


@needs_pages
@pytest.mark.parametrize("kind", ["script", "safetensors"])
def test_a_lama_left_in_its_file_fills_bit_for_bit_as_one_in_memory(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path, kind, trained_lama())
    left, read = load(path), load_plainly(path)
    assert lends(left)
    assert not lends(read)
    for _ in range(2):  # its pages have been let go in between
        assert torch.equal(fill(left), fill(read))
    assert fill(left).std() > 0.01
    assert left.fingerprint == read.fingerprint


@needs_pages
@pytest.mark.parametrize("kind", ["script", "safetensors"])
def test_the_tensors_are_those_of_the_file(tmp_path: Path, kind: str) -> None:
    lama = trained_lama()
    path = write(tmp_path, kind, lama)
    found = map_tensors(path, FileKind.TORCHSCRIPT if kind == "script" else FileKind.SAFETENSORS)
    assert found is not None
    tensors, file = found
    prefix = "model." if kind == "script" else ""
    for name, tensor in lama.state_dict().items():
        assert torch.equal(tensors[prefix + name], tensor)
        assert file.holds(tensors[prefix + name])
    if kind == "script":
        with pytest.warns(DeprecationWarning, match="jit"):
            assert tensors.keys() == torch.jit.load(path).state_dict().keys()


@needs_pages
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="resident pages are read from Linux")
def test_pages_are_let_go_after_every_layer(tmp_path: Path) -> None:
    lama = Lama(width=32, blocks=3).eval()
    path = write(tmp_path, "safetensors", lama)
    left = load(path)
    assert count_resident(path) == 0
    most = 0
    lend = left.network.generator.lend

    def watch(layer: object) -> object:
        nonlocal most
        folded = lend(layer)
        most = max(most, count_resident(path))
        return folded

    left.network.generator.lend = watch
    fill(left)
    assert most == 0
    assert lend.file.holds(left.network.generator.model[5].conv1.ffc.convl2l.weight)


def count_resident(path: Path) -> int:
    """Bytes of a mapped file in this process's memory."""
    maps = Path("/proc/self/smaps").read_text()
    areas = re.split(r"\n(?=[0-9a-f]+-[0-9a-f]+ )", maps)
    own = [area for area in areas if str(path) in area.splitlines()[0]]
    assert own
    return sum(1024 * int(re.search(r"^Rss:\s+(\d+)", area, re.M)[1]) for area in own)  # type: ignore[index]


@needs_pages
def test_what_a_pass_takes_is_predicted_with_the_layers_that_are_lent(tmp_path: Path) -> None:
    path = write(tmp_path, "safetensors", trained_lama())
    left, read = load(path).network, load_plainly(path).network
    shape = (1, 4, 32, 40)
    meter = StorageMeter()
    with torch.no_grad(), meter.metering():
        left(torch.zeros(shape))
    assert trace_peak_bytes(left, shape) == pytest.approx(meter.peak_bytes, rel=0.01)
    layer = sum(weight.nbytes for weight in left.generator.model[5].conv1.parameters())
    assert 0 <= trace_peak_bytes(left, shape) - trace_peak_bytes(read, shape) < 2 * layer


def test_on_a_processor_pieces_are_smaller_and_predictions_kept_apart(tmp_path: Path) -> None:
    path = write(tmp_path, "safetensors", trained_lama())
    network = load_plainly(path).network
    assert network.generator.piece_pixels == pieces.HOST_PIECE_PIXELS
    identity = identify_network(network)
    network.generator.piece_pixels = None
    assert identify_network(network) != identity


@needs_pages
def test_copies_of_a_network_read_the_same_file(tmp_path: Path) -> None:
    left = load(write(tmp_path, "safetensors", trained_lama()))
    twin = copy.deepcopy(left.network)
    assert twin.generator.lend is left.network.generator.lend
    assert torch.equal(fill(Inpainter(left.spec, "", twin, twin)), fill(left))


@needs_pages
def test_another_file_of_the_name_is_not_looked_at(tmp_path: Path) -> None:
    path = write(tmp_path, "safetensors", trained_lama())
    left = load(path)
    before = fill(left)
    (tmp_path / "other").write_bytes(b"short")
    (tmp_path / "other").replace(path)
    assert torch.equal(fill(left), before)


@needs_pages
def test_a_file_that_is_written_to_is_not_gone_on_with(tmp_path: Path) -> None:
    path = write(tmp_path, "safetensors", trained_lama())
    left = load(path)
    with path.open("r+b") as stream:
        stream.truncate(path.stat().st_size - 4096)
    with pytest.raises(ModelError, match=r"lama\.safetensors: it was changed while it was in use"):
        fill(left)
    path = write(tmp_path, "script", trained_lama())
    left = load(path)
    os.utime(path, ns=(1, 1))
    with pytest.raises(ModelError, match=r"lama\.pt: it was changed while it was in use"):
        fill(left)


def rewrite(path: Path, how: int = zipfile.ZIP_STORED, **replaced: bytes) -> None:
    """Pack an archive anew, some entries replaced (a dot in a name is written as two underscores)."""
    with zipfile.ZipFile(path) as old:
        entries = {info.filename: old.read(info) for info in old.infolist()}
    with zipfile.ZipFile(path, "w", how) as new:
        for name, data in entries.items():
            new.writestr(name, replaced.get(name.partition("/")[2].replace(".", "__"), data))


def test_what_cannot_stay_in_its_file_is_read_as_ever(tmp_path: Path) -> None:
    path = write(tmp_path, "script", small_lama())
    wanted = fill(load_plainly(path))
    rewrite(path, zipfile.ZIP_DEFLATED)
    assert map_tensors(path, FileKind.TORCHSCRIPT) is None
    half = {name: tensor.half() for name, tensor in small_lama().state_dict().items()}
    halved = load(write_tensors(tmp_path / "half.safetensors", half))
    assert not lends(halved)
    assert torch.allclose(fill(halved), wanted, atol=0.05)
    double = {name: tensor.double() for name, tensor in small_lama().state_dict().items()}
    doubled = load(write_tensors(tmp_path / "double.safetensors", double))
    assert not lends(doubled)
    assert torch.allclose(fill(doubled), wanted, atol=1e-6)
    torch.save(small_lama().state_dict(), tmp_path / "lama.ckpt")
    pickled = load(tmp_path / "lama.ckpt")
    assert not lends(pickled)
    assert torch.equal(fill(pickled), wanted)
    assert map_tensors(tmp_path / "lama.ckpt", FileKind.STATE_DICT) is None
    assert map_tensors(tmp_path / "none.pt", FileKind.TORCHSCRIPT) is None


def test_other_programs_and_other_tensors_are_left_to_their_readers(tmp_path: Path) -> None:
    assert not hasattr(load(write_script(tmp_path / "other.pt", TwoInputs())).network, "generator")
    found = map_tensors(tmp_path / "other.pt", FileKind.TORCHSCRIPT)
    assert found is None or found[0] == {}


def test_a_damaged_archive_is_left_to_torch_which_says_what_is_wrong(tmp_path: Path) -> None:
    path = write(tmp_path, "script", small_lama())
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as archive_:
        entry = next(info for info in archive_.infolist() if info.filename.endswith("data/0"))
    for damaged in (
        whole[: len(whole) // 2],
        whole[: entry.header_offset] + b"no" + whole[entry.header_offset + 2 :],
    ):
        path.write_bytes(damaged)
        assert map_tensors(path, FileKind.TORCHSCRIPT) is None
        with pytest.raises(ModelError, match=r"lama\.pt: "):
            load(path)
    path.write_bytes(whole)
    rewrite(path, **{"data/0": b"1234"})
    assert map_tensors(path, FileKind.TORCHSCRIPT) is None


@pytest.mark.parametrize(
    "index",
    [
        b"cbuiltins\nprint\n(Va pickle ran\ntR.",
        b"c__torch__\nA\n)\x81}Vname\ncposix\nsystem\nsb.",
        b"nonsense",
        b"",
    ],
)
def test_an_index_runs_nothing(tmp_path: Path, index: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, "script", small_lama())
    rewrite(path, data__pkl=index)
    assert map_tensors(path, FileKind.TORCHSCRIPT) is None
    assert "ran" not in capsys.readouterr().out


def test_archives_of_the_other_order_of_bytes_are_left_to_torch(tmp_path: Path) -> None:
    path = write(tmp_path, "script", small_lama())
    rewrite(path, byteorder=b"big")
    assert map_tensors(path, FileKind.TORCHSCRIPT) is None


def test_no_tensor_lies_outside_its_file_or_askew(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(bytes(64))
    file = MappedFile(tmp_path / "x")
    assert file.tensor(32, torch.float32, (2, 4)).shape == (2, 4)
    assert file.tensor(64, torch.float32, (0, 3)).shape == (0, 3)
    for start, shape in ((36, (2, 4)), (2, (1,)), (-4, (1,))):
        with pytest.raises(ValueError, match="lies at"):
            file.tensor(start, torch.float32, shape)
    assert not file.holds(torch.zeros(3))
    assert not file.holds(torch.zeros(3, device="meta"))
    file.let_go()
    (tmp_path / "y").touch()
    with pytest.raises(ValueError, match="empty"):
        MappedFile(tmp_path / "y")
