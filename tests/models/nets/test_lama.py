"""LaMa's shapes, names and arithmetic; with random weights, so nothing is said of quality."""

import copy

import numpy as np
import pytest
import torch

from cleanplate.models.nets import pieces, sparing
from cleanplate.models.nets.fourier import FourierConvolution, ResidualBlock
from cleanplate.models.nets.lama import Lama

#: Tensors under `generator.` in the published big-lama checkpoint, and their numbers.
PUBLISHED_TENSORS = 989
PUBLISHED_NUMBERS = 51_057_179


@pytest.fixture(scope="module")
def narrow():
    torch.manual_seed(0)
    return Lama(width=4, blocks=2).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def published_shapes():
    """Names and shapes of the full network, without its 200 MB."""
    with torch.device("meta"):
        return {name: tuple(tensor.shape) for name, tensor in Lama().state_dict().items()}


def norm_shapes(name, channels):
    shapes = {f"{name}.{part}": (channels,) for part in ("weight", "bias", "running_mean", "running_var")}
    return shapes | {f"{name}.num_batches_tracked": ()}


def table_of_shapes():
    """What the published file holds under `generator.model.`, written out from its description."""
    shapes = {"1.ffc.convl2l.weight": (64, 4, 7, 7), **norm_shapes("1.bn_l", 64)}
    shapes |= {"2.ffc.convl2l.weight": (128, 64, 3, 3), **norm_shapes("2.bn_l", 128)}
    shapes |= {"3.ffc.convl2l.weight": (256, 128, 3, 3), **norm_shapes("3.bn_l", 256)}
    shapes |= {"4.ffc.convl2l.weight": (128, 256, 3, 3), "4.ffc.convl2g.weight": (384, 256, 3, 3)}
    shapes |= norm_shapes("4.bn_l", 128) | norm_shapes("4.bn_g", 384)
    for block in range(5, 23):
        for conv in ("conv1", "conv2"):
            name = f"{block}.{conv}"
            shapes |= {
                f"{name}.ffc.convl2l.weight": (128, 128, 3, 3),
                f"{name}.ffc.convl2g.weight": (384, 128, 3, 3),
                f"{name}.ffc.convg2l.weight": (128, 384, 3, 3),
                f"{name}.ffc.convg2g.conv1.0.weight": (192, 384, 1, 1),
                f"{name}.ffc.convg2g.fu.conv_layer.weight": (384, 384, 1, 1),
                f"{name}.ffc.convg2g.conv2.weight": (384, 192, 1, 1),
            }
            shapes |= norm_shapes(f"{name}.ffc.convg2g.conv1.1", 192)
            shapes |= norm_shapes(f"{name}.ffc.convg2g.fu.bn", 384)
            shapes |= norm_shapes(f"{name}.bn_l", 128) | norm_shapes(f"{name}.bn_g", 384)
    for place, channels in ((24, 256), (27, 128), (30, 64)):
        shapes |= {f"{place}.weight": (2 * channels, channels, 3, 3), f"{place}.bias": (channels,)}
        shapes |= norm_shapes(str(place + 1), channels)
    shapes |= {"34.weight": (3, 64, 7, 7), "34.bias": (3,)}
    return {f"generator.model.{name}": shape for name, shape in shapes.items()}


def test_names_and_shapes_are_the_published_ones(published_shapes):
    assert published_shapes == table_of_shapes()


def test_counts_are_the_published_ones(published_shapes):
    assert len(published_shapes) == PUBLISHED_TENSORS
    assert sum(int(np.prod(shape)) for shape in published_shapes.values()) == PUBLISHED_NUMBERS
    with torch.device("meta"):
        parameters = sum(weight.numel() for weight in Lama().parameters())
    counted = ("running_mean", "running_var", "num_batches_tracked")
    statistics = sum(int(np.prod(s)) for name, s in published_shapes.items() if name.endswith(counted))
    assert parameters == PUBLISHED_NUMBERS - statistics
    assert round(parameters / 1e6) == 51


def test_a_file_of_that_structure_loads_by_name(narrow):
    other = Lama(width=4, blocks=2).eval()
    given = narrow.state_dict()
    published = given | {"discriminator.model0.0.weight": torch.zeros(1)}
    other.load_state_dict({name: t for name, t in published.items() if name.startswith("generator.")})
    x = torch.rand(1, 4, 32, 32)
    with torch.no_grad():
        assert torch.equal(other(x), narrow(x))


@pytest.mark.parametrize(("batch", "height", "width"), [(1, 16, 16), (2, 24, 72), (1, 104, 16), (3, 40, 56)])
def test_what_is_outside_the_mask_stays_bit_for_bit(narrow, batch, height, width):
    picture, mask = torch.rand(batch, 3, height, width), torch.zeros(batch, 1, height, width)
    mask[..., 3 : height // 2, 5:14] = 1
    filled = narrow(picture, mask)
    assert filled.shape == picture.shape
    hole = mask.expand_as(picture) == 1
    assert torch.equal(filled[~hole], picture[~hole])
    assert not torch.equal(filled[hole], picture[hole])
    assert filled.min() >= 0
    assert filled.max() <= 1


def test_what_is_under_the_mask_does_not_matter(narrow):
    picture, mask = torch.rand(1, 3, 32, 32), torch.zeros(1, 1, 32, 32)
    mask[..., 8:20, 8:20] = 1
    other = torch.where(mask == 1, torch.rand(1, 3, 32, 32), picture)
    torch.testing.assert_close(narrow(picture, mask), narrow(other, mask), rtol=0, atol=0)


def test_one_tensor_of_both_is_the_same(narrow):
    x = torch.rand(2, 4, 24, 32)
    assert torch.equal(narrow(x), narrow(x[:, :3], x[:, 3:]))


def test_every_pixel_depends_on_all_others(narrow):
    # Untrained, a far pixel's weight is lost in float32. By the kernels alone reach would end at 60 pixels.
    network = copy.deepcopy(narrow.generator).double()
    x = torch.rand(1, 4, 128, 128, dtype=torch.float64)
    nudged = x.clone()
    nudged[:, :3, :8, :8] = 1 - nudged[:, :3, :8, :8]
    change = (network(nudged) - network(x)).abs()
    assert change[..., 127, 127].max() > 1e-12


@pytest.mark.parametrize(
    ("picture", "mask", "message"),
    [
        ((1, 3, 20, 32), (1, 1, 20, 32), "multiples of 8 from 16 on, not 20 and 32: pad"),
        ((1, 3, 32, 8), (1, 1, 32, 8), "multiples of 8 from 16 on, not 32 and 8"),
        ((1, 3, 32, 32), (1, 1, 32, 40), "a mask"),
        ((1, 1, 32, 32), (1, 1, 32, 32), "a picture"),
    ],
)
def test_other_shapes_are_refused(narrow, picture, mask, message):
    with pytest.raises(ValueError, match=message):
        narrow(torch.zeros(picture), torch.zeros(mask))


def test_other_types_are_refused(narrow):
    with pytest.raises(ValueError, match=r"want float32, not torch\.bfloat16"):
        narrow(torch.zeros(1, 4, 32, 32, dtype=torch.bfloat16))
    with pytest.raises(ValueError, match="width must be at least 1"):
        Lama(width=0)


def convolve(x, weight):
    """(C, H, W) by (C', C, k, k), mirrored at the edges: a sum over the kernel's places."""
    kernel = weight.shape[-1]
    reach = kernel // 2
    height, width = x.shape[1:]
    padded = np.pad(x, ((0, 0), (reach, reach), (reach, reach)), mode="reflect")
    return sum(
        np.einsum("oc,chw->ohw", weight[:, :, i, j], padded[:, i : i + height, j : j + width])
        for i in range(kernel)
        for j in range(kernel)
    )


def normalise(x, tensors, name):
    """A batch norm by its statistics, then ReLU."""
    mean, variance, weight, bias = (
        tensors[f"{name}.{part}"][:, None, None] for part in ("running_mean", "running_var", "weight", "bias")
    )
    return np.maximum((x - mean) / np.sqrt(variance + 1e-5) * weight + bias, 0)


def transform(far, tensors, name):
    """The global features' own way, by numpy's FFT."""
    y = normalise(convolve(far, tensors[f"{name}.conv1.0.weight"]), tensors, f"{name}.conv1.1")
    spectrum = np.fft.rfft2(y, norm="ortho")
    parts = np.empty((2 * len(spectrum), *spectrum.shape[1:]))
    parts[0::2], parts[1::2] = spectrum.real, spectrum.imag
    parts = normalise(convolve(parts, tensors[f"{name}.fu.conv_layer.weight"]), tensors, f"{name}.fu.bn")
    back = np.fft.irfft2(parts[0::2] + 1j * parts[1::2], s=y.shape[1:], norm="ortho")
    return convolve(y + back, tensors[f"{name}.conv2.weight"])


def convolve_features(near, far, tensors, name):
    """Local and global features through one Fourier convolution."""
    weights = {way: tensors[f"{name}conv{way}.weight"] for way in ("l2l", "l2g", "g2l")}
    return (
        convolve(near, weights["l2l"]) + convolve(far, weights["g2l"]),
        convolve(near, weights["l2g"]) + transform(far, tensors, f"{name}convg2g"),
    )


def randomise(network):
    """Weights and statistics that leave nothing at a neutral value; returns them for numpy."""
    draw = torch.Generator().manual_seed(3)
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            tensor.copy_(torch.randn(tensor.shape, generator=draw, dtype=torch.float64) * 0.5)
        if name.endswith("running_var"):
            tensor.abs_().add_(0.5)
    return {name: tensor.numpy() for name, tensor in network.state_dict().items()}


@pytest.mark.parametrize(("height", "width"), [(4, 6), (5, 7), (2, 2)])
def test_a_fourier_convolution_equals_numpys(height, width):
    network = FourierConvolution((2, 4), (2, 4), 3).eval().double().requires_grad_(False)
    tensors = randomise(network)
    near, far = (torch.rand(1, channels, height, width, dtype=torch.float64) for channels in (2, 4))
    got = network((near, far))
    wanted = convolve_features(near[0].numpy(), far[0].numpy(), tensors, "")
    for ours, theirs in zip(got, wanted, strict=True):
        np.testing.assert_allclose(ours[0].numpy(), theirs, atol=1e-10)


def test_a_residual_block_equals_numpys():
    network = ResidualBlock((2, 4)).eval().double().requires_grad_(False)
    tensors = randomise(network)
    given = tuple(torch.rand(1, channels, 6, 5, dtype=torch.float64) for channels in (2, 4))
    wanted = [part[0].numpy() for part in given]
    for conv in ("conv1", "conv2"):
        made = convolve_features(*wanted, tensors, f"{conv}.ffc.")
        wanted = [
            normalise(part, tensors, f"{conv}.{norm}")
            for part, norm in zip(made, ("bn_l", "bn_g"), strict=True)
        ]
    for ours, part, before in zip(network(given), wanted, given, strict=True):
        np.testing.assert_allclose(ours[0].numpy(), part + before[0].numpy(), atol=1e-10)


@pytest.fixture(scope="module")
def trained():
    """As trained: statistics and weights that leave nothing at a neutral value, answers of every size."""
    torch.manual_seed(5)
    network = Lama(width=8, blocks=3).eval().requires_grad_(False)
    for name, tensor in network.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.3, 2)
        elif name.endswith(("running_mean", "bias")):
            tensor.normal_(0, 0.2)
        elif tensor.dim() == 4:
            tensor.mul_(2)
    return network


@pytest.mark.parametrize("parted", [1, 1 << 13])
@pytest.mark.parametrize("piece_pixels", [1, 700, 1500, 1 << 15])
@pytest.mark.parametrize(("batch", "height", "width"), [(1, 16, 16), (2, 24, 72), (1, 104, 16), (3, 40, 56)])
def test_folded_and_in_pieces_it_gives_what_it_gives_as_published(
    trained, batch, height, width, piece_pixels, parted, monkeypatch
):
    monkeypatch.setattr(pieces, "PIECE_PIXELS", piece_pixels)
    monkeypatch.setattr(sparing, "LEAST_PARTED_PIXELS", parted)
    x = torch.rand(batch, 4, height, width)
    wanted = trained.generator.model(x)
    assert wanted.std() > 0.05
    assert (trained.generator(x) - wanted).abs().max() < 1e-5
    folded = copy.deepcopy(trained).fold_norms()
    assert (folded.generator(x) - wanted).abs().max() < 1e-4
    assert (folded.generator.model(x) - wanted).abs().max() < 1e-4
    mask = (x[:, 3:] > 0.5).float()
    filled = folded(x[:, :3], mask)
    assert (filled - trained(x[:, :3], mask)).abs().max() < 1e-4
    assert torch.equal(filled.where(mask == 0, 0), x[:, :3].where(mask == 0, 0))


def test_folding_leaves_no_norm_and_can_be_repeated(trained):
    folded = copy.deepcopy(trained).fold_norms()
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in folded.modules())
    state = {name: tensor.clone() for name, tensor in folded.state_dict().items()}
    again = folded.fold_norms().state_dict()
    assert state.keys() == again.keys()
    assert all(torch.equal(tensor, again[name]) for name, tensor in state.items())
