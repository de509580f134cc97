"""Inpainting networks as ONNX files, run by onnxruntime: LaMa and MI-GAN as they are published."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cleanplate.errors import ModelError
from cleanplate.extras import require
from cleanplate.models.filler import Inpainter, Metered
from cleanplate.models.spec import SPECS, InpaintSpec

#: Floating-point results above this are in 0..255, as the published LaMa gives them.
MOST_IN_UNITS = 2.0


def load_onnx(path: Path, fingerprint: str, device: torch.device) -> Inpainter:
    """A network with two inputs, a picture (N, 3, H, W) and a mask (N, 1, H, W), and one output.

    Inputs of bytes are as MI-GAN's pipeline has them: 0 to 255, the mask 0 in the hole and 255 elsewhere;
    floats are in [0, 1], the mask 1 in the hole. Raises ModelError for anything else, MissingExtraError
    where onnxruntime is not installed.
    """
    runtime = require("onnxruntime", extra="onnx")
    providers = ["CPUExecutionProvider"]
    if device.type == "cuda" and "CUDAExecutionProvider" in runtime.get_available_providers():
        providers.insert(0, "CUDAExecutionProvider")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        session = runtime.InferenceSession(str(path), options, providers=providers)
    except Exception as exc:  # onnxruntime's errors have no common root of their own
        raise ModelError(f"{path}: onnxruntime cannot load it ({exc}); download it again") from exc
    inputs = session.get_inputs()
    planes = [given.shape[1] if len(given.shape) == 4 else None for given in inputs]
    if sorted(planes, key=str) != [1, 3]:
        shapes = ", ".join(f"{given.name} {given.shape}" for given in inputs)
        raise ModelError(f"{path}: wanted inputs (N, 3, H, W) and (N, 1, H, W), it has {shapes}")
    picture, mask = (inputs[planes.index(count)] for count in (3, 1))
    in_bytes = picture.type == "tensor(uint8)"
    edge = picture.shape[2] if isinstance(picture.shape[2], int) else None
    base = SPECS["migan" if in_bytes else "lama"]
    spec = InpaintSpec(
        stride=base.stride,
        least_px=edge or 16,
        fixed_px=edge,
        most_px=2 * edge if edge else base.most_px,
        batches=not isinstance(picture.shape[0], int),
        bytes_per_pixel=base.bytes_per_pixel,
    )

    def run(batch: Tensor) -> Tensor:
        values = batch.cpu().numpy()
        parts = [values] if spec.batches else list(values[:, None])
        filled = [_run(session, picture.name, mask.name, part, in_bytes=in_bytes) for part in parts]
        return torch.from_numpy(np.concatenate(filled)).to(batch.device)

    assert spec.bytes_per_pixel is not None  # both have it
    return Inpainter(spec, fingerprint, Metered(spec.bytes_per_pixel), run)


def _run(
    session: Any, picture: str, mask: str, batch: NDArray[np.float32], *, in_bytes: bool
) -> NDArray[np.float32]:
    rgb, hole = np.ascontiguousarray(batch[:, :3]), np.ascontiguousarray(batch[:, 3:])
    feed: dict[str, Any]
    if in_bytes:
        feed = {picture: np.rint(rgb * 255).astype(np.uint8), mask: ((1 - hole) * 255).astype(np.uint8)}
    else:
        feed = {picture: rgb, mask: hole}
    (filled, *_) = session.run(None, feed)
    values = np.asarray(filled)
    in_255 = values.dtype == np.uint8 or float(values.max()) > MOST_IN_UNITS
    return (values.astype(np.float32) / (255 if in_255 else 1)).astype(np.float32)
