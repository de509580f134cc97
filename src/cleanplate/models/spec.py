"""What a network in a file is: where the file comes from, and what the network can do, as fields."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FileKind(StrEnum):
    """What a weights file is, which decides how far it must be trusted."""

    #: Tensors only; harmless.
    SAFETENSORS = "safetensors"
    #: A pickle; read under `weights_only`, which admits tensors and plain values.
    STATE_DICT = "state dict"
    #: A program; run only with the catalogue's checksum, or where the user says so.
    TORCHSCRIPT = "TorchScript"
    #: A graph, run by onnxruntime.
    ONNX = "ONNX"


@dataclass(frozen=True, kw_only=True)
class InpaintSpec:
    """What an inpainting network takes.

    stride: edges are multiples of it. least_px: no edge is shorter. fixed_px: both edges are exactly so long
    and pictures are scaled to it; None: any size. most_px: no edge of a crop is longer. dtypes: names of
    torch's types that it runs in. batches: whether it takes several pictures at once. bytes_per_pixel: of
    input, most that it holds at once, for networks that cannot be traced on the meta device.
    """

    stride: int = 8
    least_px: int = 16
    fixed_px: int | None = None
    most_px: int = 1536
    dtypes: tuple[str, ...] = ("float32",)
    batches: bool = True
    bytes_per_pixel: int | None = None


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    """A weights file as someone publishes it. Checksums are None where none is known.

    name: on the command line. file: the published file's name. architecture: how it is run ("lama", "migan",
    "mat"). urls: where it is to be had, best first. source: who has published size and checksums. in_auto:
    whether `--inpaint auto` paints with it where it is at hand: made for photographs, free for any use.
    """

    name: str
    file: str
    architecture: str
    kind: FileKind
    licence: str
    purpose: str
    urls: tuple[str, ...]
    nbytes: int | None = None
    sha256: str | None = None
    md5: str | None = None
    source: str = ""
    in_auto: bool = False

    @property
    def has_checksum(self) -> bool:
        """Whether a file can be known to be this one."""
        return self.sha256 is not None or self.md5 is not None


#: What the inpainting networks take. The bytes by pixel are for those that cannot be traced. LaMa's has room
#: above the 676 that tracing it as published says (`benchmarks/lama_pass.py`); MI-GAN's and MAT's are
#: assumed, not measured: their published weights were not at hand, and the guard goes on with less where they
#: are too low.
SPECS = {
    "lama": InpaintSpec(stride=8, least_px=16, bytes_per_pixel=1000),
    "migan": InpaintSpec(fixed_px=512, least_px=512, most_px=1024, bytes_per_pixel=1000),
    "mat": InpaintSpec(fixed_px=512, least_px=512, most_px=1024, batches=False, bytes_per_pixel=4000),
}
