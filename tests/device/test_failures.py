"""The exact messages of every kind of failure."""

import cv2
import numpy as np
import pytest
import torch

from cleanplate.device.failures import ErrorKind, classify_error, is_outside_allocator

SHRINK, AMBIGUOUS, STICKY, BUG = ErrorKind.SHRINK, ErrorKind.AMBIGUOUS, ErrorKind.STICKY, ErrorKind.BUG
HINT = (
    "\nCUDA kernel errors might be asynchronously reported at some other API call, so the stacktrace below "
    "might be incorrect.\nFor debugging consider passing CUDA_LAUNCH_BLOCKING=1\n"
    "Compile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.\n"
)


def accelerator_error(message: str, code: int) -> RuntimeError:
    error = torch.AcceleratorError(message)
    error.error_code = code
    return error


TABLE = [
    (
        torch.OutOfMemoryError(
            "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 7.79 GiB of which "
            "1.02 GiB is free. Including non-PyTorch memory, this process has 6.75 GiB memory in use. Of the "
            "allocated memory 5.91 GiB is allocated by PyTorch, and 703.10 MiB is reserved by PyTorch but "
            "unallocated."
        ),
        SHRINK,
    ),
    (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), SHRINK),
    (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), SHRINK),
    (RuntimeError("cuFFT error: CUFFT_ALLOC_FAILED"), SHRINK),
    (
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you "
            "tried to allocate 4000000000000000 bytes. Error code 12 (Cannot allocate memory)\n"
        ),
        SHRINK,
    ),
    (
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:121] data. DefaultCPUAllocator: not enough memory: you tried to "
            "allocate 40000000000 bytes."
        ),
        SHRINK,
    ),
    (MemoryError(), SHRINK),
    (MemoryError("Unable to allocate 7.11 PiB for an array with shape (1000000000000000,)"), SHRINK),
    (accelerator_error("CUDA error: out of memory" + HINT, 2), AMBIGUOUS),
    (RuntimeError("CUDA error: out of memory" + HINT), AMBIGUOUS),
    (RuntimeError("Unable to find an engine to execute this computation"), AMBIGUOUS),
    (RuntimeError("GET was unable to find an engine to execute this computation"), AMBIGUOUS),
    (
        RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"),
        AMBIGUOUS,
    ),
    (accelerator_error("CUDA error: an illegal memory access was encountered" + HINT, 700), STICKY),
    (accelerator_error("CUDA error: device-side assert triggered" + HINT, 710), STICKY),
    (accelerator_error("CUDA error: hardware stack error" + HINT, 714), STICKY),
    (accelerator_error("CUDA error: invalid program counter" + HINT, 718), STICKY),
    (accelerator_error("CUDA error: unspecified launch failure" + HINT, 719), STICKY),
    (RuntimeError("CUDA error: an illegal memory access was encountered" + HINT), STICKY),
    (RuntimeError("CUDA error: device-side assert triggered" + HINT), STICKY),
    (RuntimeError("CUDA error: unspecified launch failure" + HINT), STICKY),
    (
        RuntimeError(
            'NVML_SUCCESS == r INTERNAL ASSERT FAILED at "/pytorch/c10/cuda/CUDACachingAllocator.cpp":1016, '
            "please report a bug to PyTorch. "
        ),
        STICKY,
    ),
    (accelerator_error("CUDA error: invalid device ordinal" + HINT, 101), BUG),
    (RuntimeError("Given groups=1, weight of size [8, 3, 3, 3], expected input[1, 4, 8, 8]"), BUG),
    (RuntimeError('it INTERNAL ASSERT FAILED at "/pytorch/aten/src/ATen/native/Pool.h":44'), BUG),
    (ValueError("CUDA error: out of memory"), BUG),
    (KeyboardInterrupt(), BUG),
    (OSError(28, "No space left on device"), BUG),
]


@pytest.mark.parametrize(("error", "kind"), TABLE, ids=lambda value: str(value)[:60])
def test_kind_of_error(error, kind):
    assert classify_error(error) is kind


def caught(function) -> BaseException:
    with pytest.raises(Exception) as caught_error:  # noqa: PT011  # what it is, is what is tested
        function()
    return caught_error.value


@pytest.mark.parametrize(
    "function",
    [
        lambda: torch.empty(10**15),
        lambda: np.empty(10**15),
        lambda: cv2.resize(np.zeros((9, 9, 3), np.uint8), (2_000_000, 300_000)),
    ],
    ids=["torch", "numpy", "opencv"],
)
def test_real_failures_of_the_host_are_recognised(function):
    assert classify_error(caught(function)) is SHRINK


def test_other_errors_of_opencv_are_bugs():
    assert classify_error(caught(lambda: cv2.cvtColor(np.zeros((3, 3), np.uint8), cv2.COLOR_BGR2GRAY))) is BUG


@pytest.mark.parametrize(
    ("message", "outside"),
    [
        ("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`", True),
        ("cuDNN error: CUDNN_STATUS_ALLOC_FAILED", True),
        ("cuFFT error: CUFFT_ALLOC_FAILED", True),
        ("CUDA out of memory. Tried to allocate 20.00 MiB.", False),
        ("DefaultCPUAllocator: can't allocate memory", False),
    ],
)
def test_failures_outside_the_allocator(message, outside):
    assert is_outside_allocator(RuntimeError(message)) is outside
