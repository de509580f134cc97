"""What a Linux control group (a container, a service, a cluster's job) leaves of the machine.

Both versions of the interface are read; elsewhere than on Linux there is nothing to read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MOUNT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")

#: Version 1 writes "no limit" as the largest multiple of a page that fits into 63 bits.
NO_LIMIT_BYTES = 1 << 60


@dataclass(frozen=True, slots=True)
class MemoryLimit:
    """The tightest memory limit over the process: its size and what is still free under it, in bytes."""

    limit_bytes: int
    free_bytes: int


def read_memory_limit(membership: Path = MEMBERSHIP, mount: Path = MOUNT) -> MemoryLimit | None:
    """The limit that leaves least, over the process's group and all groups round it; None where there is
    none.

    Pages of files that the kernel can drop at once count as free.
    """
    limits = [
        limit
        for folder, version in _folders("memory", membership, mount)
        if (limit := _read_limit(folder, version)) is not None
    ]
    return min(limits, key=lambda limit: limit.free_bytes, default=None)


def read_core_limit(membership: Path = MEMBERSHIP, mount: Path = MOUNT) -> int | None:
    """Whole cores that the processor quota allows, at least 1; None where there is no quota."""
    cores = []
    for folder, version in _folders("cpu", membership, mount):
        if version == 2:
            quota, _, period = _read_text(folder / "cpu.max").partition(" ")
        else:
            quota = _read_text(folder / "cpu.cfs_quota_us")
            period = _read_text(folder / "cpu.cfs_period_us")
        if quota.isdecimal() and period.isdecimal() and int(period) > 0:
            cores.append(max(1, math.floor(int(quota) / int(period))))
    return min(cores, default=None)


def _folders(controller: str, membership: Path, mount: Path) -> Iterator[tuple[Path, int]]:
    """(folder, version of the interface) of the process's group and of every group above it."""
    for line in _read_text(membership).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, version = mount, 2
        elif controller in controllers.split(","):
            root, version = mount / controller, 1
        else:
            continue
        # In a container the path is often the host's and is missing here; then only its root is there.
        folder = root / path.strip("/")
        while folder != root and root in folder.parents:
            yield folder, version
            folder = folder.parent
        yield root, version


def _read_limit(folder: Path, version: int) -> MemoryLimit | None:
    names = ("memory.max", "memory.current", "inactive_file")
    if version == 1:
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    limit, used = _read_text(folder / names[0]), _read_text(folder / names[1])
    if not (limit.isdecimal() and used.isdecimal()) or int(limit) >= NO_LIMIT_BYTES:
        return None
    droppable = 0
    for line in _read_text(folder / "memory.stat").splitlines():
        name, _, value = line.partition(" ")
        if name == names[2] and value.isdecimal():
            droppable = int(value)
    return MemoryLimit(int(limit), max(0, int(limit) - max(0, int(used) - droppable)))


def _read_text(path: Path) -> str:
    """A file's content without the newline at its end; empty where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""
