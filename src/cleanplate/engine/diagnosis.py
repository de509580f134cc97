"""What a report of a problem needs: each fact about the installation and the machine, with a verdict and a
remedy."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import cleanplate
from cleanplate.device.memory import read_system_memory
from cleanplate.device.threads import LARGE_PAGES, count_cores
from cleanplate.device.units import format_bytes
from cleanplate.errors import CleanplateError

#: Oldest Python that the package supports.
LEAST_PYTHON = (3, 11)
#: Below, a run of large photographs has to go one tile at a time, or fails.
LEAST_MEMORY_BYTES = 2_000_000_000
LEAST_DISK_BYTES = 1_000_000_000
#: Extra -> (distribution, what it is for).
EXTRAS = {
    "gpu": ("nvidia-ml-py", "utilisation, temperature and power of NVIDIA cards"),
    "heic": ("pillow-heif", "HEIC files"),
    "ocr": ("rapidocr", "lettering found by an OCR engine"),
    "onnx": ("onnxruntime", "inpainting networks as ONNX files"),
    "spandrel": ("spandrel", "inpainting networks besides LaMa and MI-GAN"),
    "prometheus": ("prometheus-client", "metrics of `cleanplate monitor --prometheus`"),
    "review": ("fastapi", "the page of `cleanplate review` and `repair --live`"),
    "train": ("cairosvg", "SVG logos in training"),
}
PACKAGES = ("torch", "numpy", "opencv-python-headless", "pillow", "safetensors", "rich", "psutil")
ALLOCATOR_VARIABLES = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")
#: Linux's switch for pages of 2 MB: always, madvise (programs that ask) or never.
PAGES_FILE = Path("/sys/kernel/mm/transparent_hugepage/enabled")
EXPANDABLE = "expandable_segments:True"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One fact. verdict: "good", "note" (works, could be better or is not there) or "bad" (must be mended).

    remedy: what to do about it, None where nothing needs doing.
    """

    topic: str
    fact: str
    verdict: str = "good"
    remedy: str | None = None


def diagnose(folder: Path | None = None) -> list[Finding]:
    """Look at everything. folder: whose disk is looked at; None: the current one. Changes nothing."""
    checks: tuple[Callable[[], Iterator[Finding]], ...] = (
        _check_python,
        _check_packages,
        _check_cuda,
        _check_processor,
        _check_threads,
        _check_pages,
        _check_memory,
        _check_extras,
        _check_networks,
        _check_fetched,
    )
    findings = [finding for check in checks for finding in check()]
    return [*findings, _check_disk(folder or Path.cwd())]


def _check_python() -> Iterator[Finding]:
    yield Finding(topic="cleanplate", fact=cleanplate.__version__)
    found = sys.version_info[:3]
    fine = found >= LEAST_PYTHON
    yield Finding(
        topic="Python",
        fact=f"{'.'.join(map(str, found))} on {platform.platform()}",
        verdict="good" if fine else "bad",
        remedy=None if fine else "install Python 3.11 or newer",
    )


def _check_packages() -> Iterator[Finding]:
    for name in PACKAGES:
        found = _find_version(name)
        # A build of OpenCV under another of its names serves as well.
        missing = found is None and not (name.startswith("opencv") and _find_version("opencv-python"))
        yield Finding(
            topic=name,
            fact=found or "not installed under this name",
            verdict="bad" if missing else "good",
            remedy=f"pip install {name}" if missing else None,
        )


def _check_cuda() -> Iterator[Finding]:
    import torch

    if not torch.cuda.is_available():
        built = torch.version.cuda is not None
        yield Finding(
            topic="CUDA",
            fact="torch is built for it and sees no card" if built else "this build of torch has none",
            verdict="note",
            remedy="check the driver with nvidia-smi"
            if built
            else "with an NVIDIA card, install torch as pytorch.org says; without one, the CPU does the work",
        )
        return
    cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    yield Finding(topic="CUDA", fact=f"{torch.version.cuda}, cuDNN {cudnn}")
    yield from _check_driver()
    for index in range(torch.cuda.device_count()):
        yield _check_card(index)
    yield _check_allocator()


def _check_driver() -> Iterator[Finding]:
    from cleanplate.monitor.gpu import GpuReader

    reader = GpuReader()
    try:
        found = reader.read_driver()
    finally:
        reader.close()
    yield Finding(
        topic="driver",
        fact=found or "unknown",
        verdict="good" if found else "note",
        remedy=None if found else reader.missing,
    )


def _check_card(index: int) -> Finding:
    import torch

    card = torch.cuda.get_device_properties(index)
    # From Ampere (8.0) on, bfloat16 is computed by the card itself.
    types = "float32, float16" + (", bfloat16" if card.major >= 8 else "")
    free, total = torch.cuda.mem_get_info(index)
    short = free < LEAST_MEMORY_BYTES
    return Finding(
        topic=f"cuda:{index}",
        fact=f"{card.name}, {format_bytes(free)} of {format_bytes(total)} free, {types}",
        verdict="note" if short else "good",
        remedy="end other programs on this card, or use --device cpu" if short else None,
    )


def _check_allocator() -> Finding:
    settings = [f"{name}={os.environ[name]}" for name in ALLOCATOR_VARIABLES if name in os.environ]
    fine = any(EXPANDABLE in setting for setting in settings) or sys.platform == "win32"
    return Finding(
        topic="allocator",
        fact=", ".join(settings) or "torch's defaults",
        verdict="good" if fine else "note",
        remedy=None if fine else f"set PYTORCH_CUDA_ALLOC_CONF={EXPANDABLE}: less is lost between shapes",
    )


def _check_processor() -> Iterator[Finding]:
    """In which format networks run on it: bfloat16 takes about half the time where it is multiplied."""
    import torch

    from cleanplate.device.precision import PROCESSOR_FACTS, find_bfloat16

    found = find_bfloat16(PROCESSOR_FACTS)
    instructions = torch.backends.cpu.get_cpu_capability()
    if found:
        fact = f"{instructions}; bfloat16 is multiplied ({', '.join(found)}), networks run in it"
    elif PROCESSOR_FACTS.is_file():
        fact = f"{instructions}; bfloat16 is not multiplied, networks run in float32"
    else:
        fact = f"{instructions}; whether bfloat16 is multiplied is not known, networks run in float32"
    yield Finding(
        topic="processor",
        fact=fact,
        verdict="good" if found else "note",
        remedy=None if found else "a processor with avx512_bf16, amx_bf16 or ARM's bf16 takes half the time",
    )


def _check_threads() -> Iterator[Finding]:
    import torch

    cores, threads = count_cores(), torch.get_num_threads()
    policy = os.environ.get("OMP_WAIT_POLICY", "not set")
    many = threads > cores
    passive = policy.upper() == "PASSIVE"
    remedy = f"set OMP_NUM_THREADS={cores}" if many else None if passive else "set OMP_WAIT_POLICY=PASSIVE"
    yield Finding(
        topic="threads",
        fact=f"{threads} on {cores} cores, OMP_WAIT_POLICY {policy}",
        verdict="note" if remedy else "good",
        remedy=remedy,
    )


def _check_pages() -> Iterator[Finding]:
    """Whether networks on the processor get large pages; nothing where the system has no such switch."""
    try:
        switch = PAGES_FILE.read_text(encoding="ascii")
    except OSError:
        return
    asked = os.environ.get(LARGE_PAGES, "not set")
    remedy = None
    if "[never]" in switch:
        remedy = f"as root: echo madvise > {PAGES_FILE}; without, a processor's work takes a third longer"
    elif asked != "1":
        remedy = f"set {LARGE_PAGES}=1"
    mode = switch.partition("[")[2].partition("]")[0]
    yield Finding(
        topic="large pages",
        fact=f"the system's switch is at {mode or 'an unknown place'}, {LARGE_PAGES} {asked}",
        verdict="note" if remedy else "good",
        remedy=remedy,
    )


def _check_memory() -> Iterator[Finding]:
    available, total = read_system_memory()
    short = available < LEAST_MEMORY_BYTES
    yield Finding(
        topic="memory",
        fact=f"{format_bytes(available)} of {format_bytes(total)} available",
        verdict="note" if short else "good",
        remedy="close other programs, or raise the container's limit" if short else None,
    )


def _check_extras() -> Iterator[Finding]:
    for extra, (distribution, purpose) in EXTRAS.items():
        found = _find_version(distribution)
        yield Finding(
            topic=f"extra {extra}",
            fact=f"{distribution} {found}" if found else f"not installed ({purpose})",
            verdict="good" if found else "note",
            remedy=None if found else f"pip install 'cleanplate[{extra}]'",
        )


def _check_networks() -> Iterator[Finding]:
    try:
        from cleanplate.models.weights import load_networks

        networks = load_networks()
    except (CleanplateError, OSError) as error:
        yield Finding(topic="networks", fact=str(error), verdict="bad", remedy="install cleanplate again")
        return
    for name in ("finder", "restorer", "chooser"):
        count = sum(parameter.numel() for parameter in getattr(networks, name).parameters())
        yield Finding(topic=name, fact=f"embedded, {count / 1e6:.1f} million parameters")
    yield Finding(topic="networks", fact=f"fingerprint {networks.fingerprint}")


def _check_fetched() -> Iterator[Finding]:
    """Whether the published networks that are at hand are what the catalogue says."""
    from cleanplate.models.catalog import CATALOG
    from cleanplate.models.store import open_store

    store = open_store(CATALOG)
    at_hand = [(model, path) for model in store.catalog if (path := store.find(model)) is not None]
    if not at_hand:
        yield Finding(topic="fetched models", fact=f"none in {store.cache}; none is needed")
    for model, path in at_hand:
        try:
            store.verify(model, path)
        except CleanplateError as error:
            fact, _, remedy = str(error).partition("; ")
            yield Finding(topic=f"model {model.name}", fact=fact, verdict="bad", remedy=remedy)
        else:
            checksum = "SHA-256" if model.sha256 is not None else "md5"
            size = format_bytes(path.stat().st_size)
            yield Finding(topic=f"model {model.name}", fact=f"{size} at {path}, its {checksum} is right")


def _check_disk(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    short = free < LEAST_DISK_BYTES
    return Finding(
        topic="disk",
        fact=f"{format_bytes(free)} free at {folder}",
        verdict="note" if short else "good",
        remedy="make room, or give an --output on another disk" if short else None,
    )


def _find_version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def to_json(findings: list[Finding]) -> dict[str, Any]:
    """Findings as plain values. healthy: whether none is bad.

    >>> to_json([Finding(topic="disk", fact="1 GB free")])["healthy"]
    True
    """
    return {
        "healthy": all(finding.verdict != "bad" for finding in findings),
        "findings": [
            {"topic": f.topic, "fact": f.fact, "verdict": f.verdict, "remedy": f.remedy} for f in findings
        ],
    }
