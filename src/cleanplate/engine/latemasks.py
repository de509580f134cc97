"""Masks of results that were made without keeping any: the result stays, and what it rewrote is looked at."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cleanplate.device.threads import count_cores
from cleanplate.engine.bytebudget import ByteBudget
from cleanplate.engine.plan import needs_mask
from cleanplate.engine.work import encode_mask
from cleanplate.engine.workspace import Workspace
from cleanplate.errors import PhotoError, UnreadablePhotoError
from cleanplate.images.difference import find_rewritten
from cleanplate.images.read import read
from cleanplate.structures import BoolArray, Outcome, Verdict

_log = logging.getLogger(__name__)

#: What decoded photographs may take together.
MEMORY_BYTES = 1 << 30
#: Of a pixel: the samples and the RGB of two pictures, their distance and the mask (benchmarks/previews.py).
BYTES_PER_PIXEL = 20
_MOST_THREADS = 4


def add_missing_masks(
    finished: Sequence[Outcome],
    workspace: Workspace,
    *,
    max_megapixels: float,
    stopping: Callable[[], bool] = lambda: False,
) -> None:
    """Write the masks that are missing of repaired photographs, in parallel, within bounded memory.

    The workspace must be held. A mask that cannot be made, because one of the files cannot be read or
    nothing more can be written, stays missing, which the log says.
    """
    budget = ByteBudget(MEMORY_BYTES)

    def add(outcome: Outcome) -> None:
        if stopping() or outcome.output is None:
            return
        with budget.held(outcome.width * outcome.height * BYTES_PER_PIXEL):
            try:
                mask = find_late_mask(outcome, workspace.destination(outcome.output), max_megapixels)
                workspace.commit_bytes(encode_mask(mask), workspace.mask(outcome.output))
            except (PhotoError, OSError) as error:
                _log.info("no mask of %s: %s", outcome.relative, error)

    wanted = [
        outcome
        for outcome in finished
        if outcome.verdict is Verdict.REPAIRED and needs_mask(outcome, workspace)
    ]
    if wanted:
        with ThreadPoolExecutor(min(_MOST_THREADS, count_cores()), "cleanplate-masks") as pool:
            for _ in pool.map(add, wanted):
                pass


def find_late_mask(outcome: Outcome, result: Path, max_megapixels: float) -> BoolArray:
    """(H, W) bool: what a result rewrote of its photograph. Raises PhotoError; see `find_rewritten`."""
    before = read(outcome.source, max_megapixels=max_megapixels)
    after = read(result, max_megapixels=max_megapixels)
    if before.rgb.shape != after.rgb.shape:
        raise UnreadablePhotoError(result, "it has another size than its photograph", "do it again")
    return find_rewritten(before.rgb, after.rgb, [region.box for region in outcome.regions])
