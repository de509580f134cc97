"""Weights files of the published files' structure, small and with random numbers."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from cleanplate.models.nets.lama import Lama


class Wrapped(nn.Module):
    """Holds a LaMa as the published TorchScript does: picture and mask in, the composite out."""

    def __init__(self, lama: Lama) -> None:
        super().__init__()
        self.model = lama

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """(N, 3, H, W) and (N, 1, H, W) -> (N, 3, H, W)."""
        fill = self.model.generator.model(torch.cat([image * (1 - mask), mask], dim=1))
        return mask * fill + (1 - mask) * image


class TwoInputs(nn.Module):
    """Paints holes grey."""

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """As LaMa's."""
        return image * (1 - mask) + 0.5 * mask


class OneInput(nn.Module):
    """As MI-GAN is traced: (N, 4, 512, 512), half minus mask and [-1, 1] picture -> [-1, 1] picture."""

    def forward(self, x: Tensor) -> Tensor:
        """Paints holes white."""
        hole = 0.5 - x[:, :1]
        return x[:, 1:] + hole


class NoInput(nn.Module):
    """Takes nothing."""

    def forward(self) -> Tensor:
        """One zero."""
        return torch.zeros(1)


def small_lama(seed: int = 0) -> Lama:
    torch.manual_seed(seed)
    return Lama(width=4, blocks=2).eval()


def write_script(path: Path, module: nn.Module) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of TorchScript as such
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # nobody runs it at another size
        if isinstance(module, Wrapped):
            _trace(path, module)
        else:
            torch.jit.script(module).save(str(path))
    return path


def _trace(path: Path, module: Wrapped) -> None:
    picture, mask = torch.rand(1, 3, 32, 32), torch.ones(1, 1, 32, 32)
    torch.jit.trace(module.eval(), (picture, mask), check_trace=False).save(str(path))


def write_tensors(path: Path, tensors: dict[str, Tensor]) -> Path:
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    return path
