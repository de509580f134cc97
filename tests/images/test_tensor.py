from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cleanplate.device import staging
from cleanplate.device.staging import CudaStaging, staging_through
from cleanplate.images.tensor import (
    fetch_batch,
    from_tensor,
    pad_to_stride,
    resize,
    resize_to_long_side,
    stage_batch,
    to_tensor,
    unpad,
)


@given(
    st.sampled_from([np.uint8, np.uint16]).flatmap(
        lambda dtype: arrays.arrays(dtype, st.tuples(st.integers(1, 6), st.integers(1, 6), st.just(3)))
    )
)
def test_there_and_back_is_exact(picture: Any) -> None:
    batch = to_tensor([picture, picture])
    assert batch.shape == (2, 3, *picture.shape[:2])
    assert batch.dtype == torch.float32
    assert 0 <= float(batch.min()) <= float(batch.max()) <= 1
    for back in from_tensor(batch, dtype=picture.dtype):
        np.testing.assert_array_equal(back, picture)


def test_channels_keep_their_places() -> None:
    picture = np.zeros((2, 3, 3), np.uint8)
    picture[1, 2] = (255, 0, 51)
    assert to_tensor([picture])[0, :, 1, 2].tolist() == pytest.approx([1.0, 0.0, 0.2])


def test_floats_and_masks_pass_as_they_are() -> None:
    values = np.array([[0.25, -1.5]], np.float32)
    assert to_tensor([values]).tolist() == [[[[0.25, -1.5]]]]
    assert to_tensor([np.array([[True, False]])]).tolist() == [[[[1.0, 0.0]]]]
    (back,) = from_tensor(to_tensor([values]))
    np.testing.assert_array_equal(back[:, :, 0], values)


def test_values_outside_are_clipped_and_low_precision_is_accepted() -> None:
    batch = torch.tensor([-1.0, 0.5, 7.0], dtype=torch.bfloat16).reshape(1, 1, 1, 3)
    (picture,) = from_tensor(batch, dtype=np.uint8)
    assert picture[0, :, 0].tolist() == [0, 128, 255]


def test_batches_of_different_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        to_tensor([np.zeros((2, 2, 3), np.uint8), np.zeros((2, 3, 3), np.uint8)])
    with pytest.raises(ValueError, match="one shape"):
        to_tensor([])


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 2, 8, 32]))
def test_padding_can_be_undone(height: int, width: int, stride: int) -> None:
    batch = torch.arange(height * width, dtype=torch.float32).reshape(1, 1, height, width)
    padded = pad_to_stride(batch, stride)
    assert padded.shape[-2] % stride == 0
    assert padded.shape[-1] % stride == 0
    assert padded.shape[-2] - height < stride
    assert torch.equal(unpad(padded, height, width), batch)
    assert float(padded[0, 0, -1, -1]) == float(batch[0, 0, -1, -1])


def test_resizing_keeps_the_shape_and_never_enlarges_by_itself() -> None:
    picture = np.full((30, 90, 3), 9, np.uint8)
    assert resize_to_long_side(picture, 45).shape == (15, 45, 3)
    assert resize_to_long_side(picture, 90) is picture
    assert resize_to_long_side(np.zeros((1, 1000), np.float32), 10).shape == (1, 10)
    assert resize(picture, 60, 60).shape == (60, 60, 3)
    assert resize(picture, 30, 90) is picture
    assert (resize(picture, 7, 11) == 9).all()


def test_results_own_their_memory():
    """A view would keep a whole batch alive, on the meter as in the machine."""
    batch = torch.rand(2, 1, 4, 4)
    for picture in from_tensor(batch):
        assert picture.base is None
        assert not np.shares_memory(picture, batch.numpy())


@given(
    st.sampled_from([np.uint8, np.uint16, np.float32]),
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(1, 3),
)
def test_a_staged_batch_is_what_plain_conversion_and_padding_give(
    dtype: Any, height: int, width: int, count: int
) -> None:
    rng = np.random.default_rng(height)
    most = 1 if dtype == np.float32 else np.iinfo(dtype).max
    pictures = [(rng.random((height, width, 3)) * most).astype(dtype) for _ in range(count)]
    planes = [rng.random((height, width)).astype(np.float32) for _ in range(count)]
    expected = pad_to_stride(torch.cat([to_tensor(pictures), to_tensor(planes)], dim=1), 8)
    layers = list(zip(pictures, planes, strict=True))
    with stage_batch(layers, *expected.shape[-2:]) as batch:
        assert batch.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(batch, expected, rtol=0, atol=1e-6)
        back = fetch_batch(batch, [(height, width)] * count)
    for picture, plane, values in zip(pictures, planes, back, strict=True):
        assert values.base is None
        np.testing.assert_allclose(values[..., :3], picture / np.float32(most), atol=1e-6)
        np.testing.assert_array_equal(values[..., 3], plane)


def test_bytes_go_over_to_a_card_as_bytes(monkeypatch):
    """With the meta device for the card: it has shapes and types, and copies of nothing."""
    card = torch.device("meta")
    asked = []

    class Way(CudaStaging):
        def upload(self, shape, dtype, lay):
            asked.append(dtype)
            return super().upload(shape, dtype, lay)

    class Stream:
        def wait_stream(self, _):
            pass

        def synchronize(self):
            pass

    class Cuda:
        Stream = current_stream = lambda *_: Stream()
        stream = staging_through

    way = Way(card, cuda=Cuda(), allocate=staging.allocate_block)
    monkeypatch.setattr(Cuda, "stream", lambda *_: staging_through(way))
    with staging_through(way):
        with stage_batch([[np.zeros((4, 4, 3), np.uint8)]], 8, 8, device=card) as batch:
            assert (batch.dtype, tuple(batch.shape)) == (torch.float32, (1, 3, 8, 8))
        with stage_batch([[np.zeros((4, 4, 3), np.uint16)]], 8, 8, device=card) as batch:
            assert batch.dtype == torch.float32
    assert asked == [torch.uint8, torch.float32]
