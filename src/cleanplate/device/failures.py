"""Which errors mean that memory ran out, and which that the device is lost.

torch has one exception type for its own allocators' failures; libraries below it (cuBLAS, cuDNN, cuFFT) and
the CUDA runtime report the same with a `RuntimeError`, so their messages must be read.
"""

from __future__ import annotations

import re
from enum import Enum

import torch


class ErrorKind(Enum):
    """What to do about an error.

    SHRINK: memory ran out; less work may fit. AMBIGUOUS: it may have; try once more. STICKY: the CUDA
    context is lost, and with it this process. BUG: it has nothing to do with memory.
    """

    SHRINK = "shrink"
    AMBIGUOUS = "ambiguous"
    STICKY = "sticky"
    BUG = "bug"


#: CUDA runtime codes after which every further call fails: illegal address, assert, hardware stack error,
#: invalid program counter, launch failure; each with the words that the runtime has for it.
STICKY_CODES = {
    700: "an illegal memory access was encountered",
    710: "device-side assert triggered",
    714: "hardware stack error",
    718: "invalid program counter",
    719: "unspecified launch failure",
}
#: The runtime's own out-of-memory code, also raised late for an earlier call's failure: hence ambiguous.
OUT_OF_MEMORY_CODE = 2

_OUTSIDE_ALLOCATOR = re.compile("CUBLAS_STATUS_ALLOC_FAILED|CUDNN_STATUS_ALLOC_FAILED|CUFFT_ALLOC_FAILED")
_HOST_ALLOCATOR = re.compile("DefaultCPUAllocator|Insufficient memory")  # torch's, and OpenCV's
_AMBIGUOUS = re.compile(
    "CUDA error: out of memory|unable to find an engine|CUBLAS_STATUS_NOT_INITIALIZED", re.IGNORECASE
)
_STICKY = re.compile("CUDA error: (" + "|".join(map(re.escape, STICKY_CODES.values())) + ")")
_ALLOCATOR_ASSERT = re.compile(r"INTERNAL ASSERT FAILED[^\n]*CUDACachingAllocator")


def classify_error(error: BaseException) -> ErrorKind:
    """Sort an error by its type, its CUDA code and its message.

    >>> classify_error(MemoryError())
    <ErrorKind.SHRINK: 'shrink'>
    >>> classify_error(ValueError("DefaultCPUAllocator"))
    <ErrorKind.BUG: 'bug'>
    """
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return ErrorKind.SHRINK
    if not (isinstance(error, RuntimeError) or type(error).__module__ == "cv2"):
        return ErrorKind.BUG
    message = str(error)
    code = getattr(error, "error_code", None)  # torch.AcceleratorError has it, from torch 2.8 on
    if code in STICKY_CODES or _STICKY.search(message) or _ALLOCATOR_ASSERT.search(message):
        return ErrorKind.STICKY
    if _OUTSIDE_ALLOCATOR.search(message) or _HOST_ALLOCATOR.search(message):
        return ErrorKind.SHRINK
    if code == OUT_OF_MEMORY_CODE or _AMBIGUOUS.search(message):
        return ErrorKind.AMBIGUOUS
    return ErrorKind.BUG


def is_outside_allocator(error: BaseException) -> bool:
    """Whether a library beside torch's allocator found no memory, so that emptying torch's cache may be
    enough.

    >>> is_outside_allocator(RuntimeError("cuFFT error: CUFFT_ALLOC_FAILED"))
    True
    """
    return _OUTSIDE_ALLOCATOR.search(str(error)) is not None
