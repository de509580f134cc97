"""How the file behind a crop was compressed, as numbers beside the crop: batches hold nothing else."""

from __future__ import annotations

import torch
from torch import Tensor

from cleanplate.structures import Quantisation


def pack_coding(steps: Quantisation | None, left: int, top: int) -> dict[str, Tensor]:
    """`steps` (2, 8, 8), luma's and colours', all 0 without a JPEG file; `halved` (2,); `corner` (2,).

    left, top: where the crop begins on the photograph. `unpack_coding` is the way back.
    """
    planes = torch.zeros(2, 8, 8)
    if steps is not None:
        planes[0], planes[1] = torch.from_numpy(steps.luma.copy()), torch.from_numpy(steps.chroma.copy())
    halved = steps.halved if steps is not None else (False, False)
    return {"steps": planes, "halved": torch.tensor(halved), "corner": torch.tensor([left, top])}


def unpack_coding(batch: dict[str, Tensor], number: int) -> tuple[Quantisation | None, int, int]:
    """(steps, left, top) of the crop of that number in a batch.

    >>> one = torch.ones(8, 8).numpy()
    >>> packed = pack_coding(Quantisation(12 * one, one, (True, False)), 3, 5)
    >>> steps, left, top = unpack_coding({name: plane[None] for name, plane in packed.items()}, 0)
    >>> (float(steps.luma[0, 0]), steps.halved, left, top)
    (12.0, (True, False), 3, 5)
    """
    left, top = (int(value) for value in batch["corner"][number])
    planes = batch["steps"][number].cpu().numpy()
    if not planes.any():
        return None, left, top
    across, down = (bool(value) for value in batch["halved"][number])
    return Quantisation(planes[0], planes[1], (across, down)), left, top
