"""The doctor's findings; what this machine has not is pretended."""

import hashlib
from types import SimpleNamespace

import pytest
import torch

from cleanplate.device import precision
from cleanplate.engine import diagnosis
from cleanplate.engine.diagnosis import Finding, diagnose, to_json
from cleanplate.errors import ModelError
from cleanplate.models import catalog, weights
from cleanplate.models.registry import Registry
from cleanplate.models.spec import FileKind, ModelFile


@pytest.fixture(autouse=True)
def networks(monkeypatch):
    """Three small networks instead of the embedded ones."""
    small = torch.nn.Linear(1, 1)
    loaded = SimpleNamespace(
        finder=torch.nn.Linear(9, 100), restorer=small, chooser=small, fingerprint="abc123"
    )
    monkeypatch.setattr(weights, "load_networks", lambda: loaded)


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    """This user has fetched nothing."""
    monkeypatch.setenv("CLEANPLATE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "models"


def find(topic: str) -> Finding:
    return next(finding for finding in diagnose() if finding.topic == topic)


def test_everything_is_looked_at(tmp_path):
    topics = {finding.topic for finding in diagnose(tmp_path)}
    assert {"cleanplate", "Python", "torch", "CUDA", "threads", "memory", "networks", "disk"} <= topics
    assert {"extra gpu", "extra heic", "finder", "restorer"} <= topics


def test_what_is_not_good_has_a_remedy():
    for finding in diagnose():
        assert (finding.remedy is None) == (finding.verdict == "good"), finding


def test_networks_and_their_checksum():
    assert find("networks").fact == "fingerprint abc123"


@pytest.mark.parametrize(
    ("facts", "says", "verdict"),
    [
        ("flags : fpu avx512_bf16 amx_bf16\n", "bfloat16 is multiplied (amx_bf16, avx512_bf16)", "good"),
        ("flags : fpu avx512f\n", "bfloat16 is not multiplied, networks run in float32", "note"),
        (None, "whether bfloat16 is multiplied is not known", "note"),
    ],
)
def test_whether_the_processor_multiplies_bfloat16(monkeypatch, tmp_path, facts, says, verdict):
    file = tmp_path / "cpuinfo"
    if facts is not None:
        file.write_text(facts, encoding="ascii")
    monkeypatch.setattr(precision, "PROCESSOR_FACTS", file)
    finding = find("processor")
    assert says in finding.fact
    assert finding.fact.startswith(torch.backends.cpu.get_cpu_capability())
    assert finding.verdict == verdict


def test_fetched_models_are_verified(monkeypatch, cache):
    assert find("fetched models").fact == f"none in {cache}; none is needed"
    content = b"weights"
    files = {
        "whole": ModelFile(sha256=hashlib.sha256(content).hexdigest(), **describe("whole")),
        "old": ModelFile(md5=hashlib.md5(content).hexdigest(), **describe("old")),
        "damaged": ModelFile(sha256="0" * 64, **describe("damaged")),
        "absent": ModelFile(sha256="0" * 64, **describe("absent")),
    }
    monkeypatch.setattr(catalog, "CATALOG", Registry(tuple(files.values())))
    cache.mkdir(parents=True)
    for name in ("whole", "old", "damaged"):
        (cache / f"{name}.pt").write_bytes(content)
    assert find("model whole").fact.endswith("its SHA-256 is right")
    assert find("model old").fact.endswith("its md5 is right")
    damaged = find("model damaged")
    assert damaged.verdict == "bad"
    assert str(cache / "damaged.pt") in damaged.fact
    assert "fetch it again" in damaged.remedy
    topics = [finding.topic for finding in diagnose()]
    assert "model absent" not in topics
    assert "fetched models" not in topics
    assert not to_json(diagnose())["healthy"]
    assert (cache / "damaged.pt").read_bytes() == content, "it was left as it is"


def describe(name):
    """All of a model but its checksums."""
    return {
        "name": name,
        "file": f"{name}.pt",
        "architecture": "lama",
        "kind": FileKind.TORCHSCRIPT,
        "licence": "MIT",
        "purpose": "tests",
        "urls": ("https://example.invalid/small.pt",),
    }


def test_missing_networks_are_bad(monkeypatch):
    def fail():
        raise ModelError("embedded.safetensors: there is no such model")

    monkeypatch.setattr(weights, "load_networks", fail)
    assert find("networks").verdict == "bad"
    assert not to_json(diagnose())["healthy"]


def test_a_missing_package_is_bad(monkeypatch):
    monkeypatch.setattr(diagnosis, "_find_version", lambda _: None)
    finding = find("numpy")
    assert (finding.verdict, finding.remedy) == ("bad", "pip install numpy")
    assert find("extra gpu").remedy == "pip install 'cleanplate[gpu]'"


def test_another_build_of_opencv_serves_as_well(monkeypatch):
    monkeypatch.setattr(
        diagnosis, "_find_version", lambda name: None if name == "opencv-python-headless" else "1"
    )
    assert find("opencv-python-headless").verdict == "good"


@pytest.mark.parametrize(
    ("threads", "policy", "remedy"),
    [
        (8, "PASSIVE", "set OMP_NUM_THREADS=2"),
        (2, "ACTIVE", "set OMP_WAIT_POLICY=PASSIVE"),
        (1, "passive", None),
    ],
)
def test_threads(monkeypatch, threads, policy, remedy):
    monkeypatch.setattr(diagnosis, "count_cores", lambda: 2)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    monkeypatch.setenv("OMP_WAIT_POLICY", policy)
    assert find("threads").remedy == remedy


@pytest.mark.parametrize(
    ("switch", "asked", "remedy"),
    [
        ("always [madvise] never", "1", None),
        ("always [madvise] never", "0", "set THP_MEM_ALLOC_ENABLE=1"),
        ("always madvise [never]", "1", "as root: echo madvise > "),
    ],
)
def test_large_pages(monkeypatch, tmp_path, switch, asked, remedy):
    monkeypatch.setattr(diagnosis, "PAGES_FILE", tmp_path / "enabled")
    diagnosis.PAGES_FILE.write_text(switch + "\n", encoding="ascii")
    monkeypatch.setenv("THP_MEM_ALLOC_ENABLE", asked)
    found = find("large pages").remedy
    assert found is None if remedy is None else found.startswith(remedy)


def test_a_system_without_large_pages_is_not_blamed(monkeypatch, tmp_path):
    monkeypatch.setattr(diagnosis, "PAGES_FILE", tmp_path / "none")
    assert "large pages" not in {finding.topic for finding in diagnose()}


def test_little_memory_and_disk(monkeypatch):
    monkeypatch.setattr(diagnosis, "read_system_memory", lambda: (1_000_000_000, 4_000_000_000))
    monkeypatch.setattr(diagnosis.shutil, "disk_usage", lambda _: SimpleNamespace(free=5_000_000))
    assert find("memory").fact == "1 GB of 4 GB available"
    assert find("memory").verdict == find("disk").verdict == "note"


def test_a_card_that_is_not_seen(monkeypatch):
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    assert find("CUDA").remedy == "check the driver with nvidia-smi"


@pytest.fixture
def card(monkeypatch):
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda _: SimpleNamespace(name="Card", major=8, minor=6)
    )
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (6_000_000_000, 8_000_000_000))
    for name in diagnosis.ALLOCATOR_VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("card")
def test_a_card(monkeypatch):
    assert find("CUDA").fact.startswith("12.8, cuDNN")
    assert find("cuda:0").fact == "Card, 6 GB of 8 GB free, float32, float16, bfloat16"
    assert find("driver").topic == "driver"
    monkeypatch.setattr(diagnosis.sys, "platform", "linux")
    assert find("allocator").remedy.startswith("set PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True")
    monkeypatch.setenv("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")
    assert find("allocator").verdict == "good"
