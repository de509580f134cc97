"""What torch is told of the processor before it works: threads, how idle ones wait, pages, what is kept."""

from __future__ import annotations

import ctypes
import os
import sys
from dataclasses import dataclass

import psutil

from cleanplate.device.cgroups import read_core_limit

WAIT_POLICY = "OMP_WAIT_POLICY"
#: Whether torch asks Linux for pages of 2 MB. A network's planes of many megabytes come from the system anew
#: each time; clearing them in pages of 4 KB takes a third of the finder's processor time, in large ones under
#: a tenth (`benchmarks/batch_size.py`). Torch looks when it first allocates; elsewhere it means nothing.
LARGE_PAGES = "THP_MEM_ALLOC_ENABLE"
#: oneDNN keeps compiled convolutions by shape, 1024 of them without this. Crops have many shapes, and of most
#: no other comes: 256 hold the last ten or so of a network. Source: benchmarks/primitive_cache.py (over 200
#: shapes memory grows by 60 MB instead of 91, and shapes that come twice in a row are as fast).
PRIMITIVE_CACHE = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"
PRIMITIVES_KEPT = 256
#: glibc gives each thread an arena of pieces of 64 MB, which planes of many megabytes fill badly: runs over
#: four photographs of up to 8 megapixels with LaMa (`benchmarks/against_iopaint.py`, text) had peaks of
#: 769 to 810 MB with one arena for all (five runs) and of 788 to 1013 MB without (three).
ARENAS = "MALLOC_ARENA_MAX"
_M_ARENA_MAX = -8  # of glibc's malloc.h


@dataclass(frozen=True, kw_only=True)
class ThreadSettings:
    """cores: physical cores that this process may use. threads: what torch uses. wait_policy: OMP_WAIT_POLICY
    as OpenMP will have read it, None where it was not set in time."""

    cores: int
    threads: int
    wait_policy: str | None


def count_cores() -> int:
    """Physical cores that this process may use: the machine's, its affinity's, its control group's quota.

    >>> count_cores() >= 1
    True
    """
    cores = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        cores = min(cores, len(os.sched_getaffinity(0)))
    quota = read_core_limit()
    return max(1, cores if quota is None else min(cores, quota))


def configure_threads(threads: int | None = None) -> ThreadSettings:
    """Let torch use at most one thread a physical core, idle ones sleep, large pages; oneDNN keeps less.

    threads: how many are wanted; None: one a core, or OMP_NUM_THREADS where that is less. Call it before
    torch is imported: OpenMP reads its wait policy only once, oneDNN its cache's capacity. More threads than
    cores make everything slower.
    """
    os.environ.setdefault(LARGE_PAGES, "1")
    if ARENAS not in os.environ:
        _share_one_arena()
    in_time = "torch" not in sys.modules
    if in_time:
        os.environ.setdefault(WAIT_POLICY, "PASSIVE")
        os.environ.setdefault(PRIMITIVE_CACHE, str(PRIMITIVES_KEPT))
    import torch

    cores = count_cores()
    asked = os.environ.get("OMP_NUM_THREADS", "")
    wanted = threads or (int(asked) if asked.isdecimal() and int(asked) > 0 else cores)
    torch.set_num_threads(min(wanted, cores))
    return read_threads()


def _share_one_arena() -> None:
    """Let threads that start from now on allocate where the first one does; only glibc needs to be told."""
    if sys.platform.startswith("linux"):
        library = ctypes.CDLL(None)
        if hasattr(library, "gnu_get_libc_version"):
            library.mallopt(_M_ARENA_MAX, 1)


def read_threads() -> ThreadSettings:
    """The settings as they are now."""
    import torch

    return ThreadSettings(
        cores=count_cores(), threads=torch.get_num_threads(), wait_policy=os.environ.get(WAIT_POLICY)
    )
