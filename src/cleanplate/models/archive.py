"""The tensors of a weights file where they lie in it, without running or copying what is there.

Both kinds that are read so have an index of names, types, shapes and places: safetensors a JSON header,
TorchScript a pickle in a zip archive. That pickle makes nothing here but dictionaries and places.
"""

from __future__ import annotations

import io
import json
import pickle
import struct
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cleanplate.models.mapped import CAN_LET_GO, MappedFile
from cleanplate.models.spec import FileKind

#: What is read so; a file with anything else in it is read as ever.
_SAFETENSORS_TYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64}
_STORAGE_TYPES = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
}
#: A zip archive's entry: 26 bytes, then the lengths of its name and of an extra field, then both.
_ENTRY = struct.Struct("<4s22xHH")


@dataclass(frozen=True)
class _Stored:
    """A tensor in an archive: of which entry, from which of its numbers on."""

    entry: str
    dtype: torch.dtype
    first: int
    shape: tuple[int, ...]


class _Part:
    """Stands for an object of the program: its attributes and nothing else."""


class _UnsuitedError(Exception):
    """The file has something that is not read here."""


#: What readers of damaged files raise: json's, zipfile's and pickle's errors are among their kinds.
_DAMAGE = (
    _UnsuitedError,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    EOFError,
    RuntimeError,
    struct.error,
    zipfile.BadZipFile,
    pickle.UnpicklingError,
)


def map_tensors(path: Path, kind: FileKind) -> tuple[dict[str, Tensor], MappedFile] | None:
    """A file's tensors by name, in its own pages, and these; None where they must be read another way.

    None for other kinds of file, for compressed or damaged ones, and where pages cannot be let go. Of
    TorchScript the names are as in its `state_dict()`, among them all tensors that are attributes.
    """
    readers = {FileKind.SAFETENSORS: _read_safetensors, FileKind.TORCHSCRIPT: _read_torchscript}
    if not CAN_LET_GO or sys.byteorder != "little" or kind not in readers:
        return None
    try:
        file = MappedFile(path)
        tensors = readers[kind](file)
    except _DAMAGE:
        return None  # whoever reads it the other way says what is wrong with it
    file.let_go()
    return tensors, file


def _read_safetensors(file: MappedFile) -> dict[str, Tensor]:
    (length,) = struct.unpack("<Q", file.read(0, 8))
    index = json.loads(file.read(8, 8 + length))
    index.pop("__metadata__", None)
    return {
        name: file.tensor(
            8 + length + entry["data_offsets"][0],
            _SAFETENSORS_TYPES[entry["dtype"]],
            tuple(map(int, entry["shape"])),
        )
        for name, entry in index.items()
    }


def _read_torchscript(file: MappedFile) -> dict[str, Tensor]:
    with zipfile.ZipFile(file.path) as archive:
        entries = {info.filename.partition("/")[2]: info for info in archive.infolist()}
        if "byteorder" in entries and archive.read(entries["byteorder"]) != b"little":
            raise _UnsuitedError("of a machine with another order of bytes")
        program = _IndexReader(io.BytesIO(archive.read(entries["data.pkl"]))).load()
    tensors = {}
    for name, stored in _list_tensors(program, ""):
        entry = entries[f"data/{stored.entry}"]
        if (stored.first + prod(stored.shape)) * stored.dtype.itemsize > entry.file_size:
            raise _UnsuitedError("a tensor with too few numbers")
        start = _find_bytes(file, entry) + stored.first * stored.dtype.itemsize
        tensors[name] = file.tensor(start, stored.dtype, stored.shape)
    return tensors


def _find_bytes(file: MappedFile, info: zipfile.ZipInfo) -> int:
    """Where an entry's bytes begin. (Whether they are the right ones is told by the file's checksum.)"""
    if info.compress_type != zipfile.ZIP_STORED:
        raise _UnsuitedError("compressed")
    header = file.read(info.header_offset, info.header_offset + _ENTRY.size + 4)
    signature, *lengths = _ENTRY.unpack(header[: _ENTRY.size])
    start: int = info.header_offset + _ENTRY.size + sum(lengths)
    if signature != b"PK\x03\x04":
        raise _UnsuitedError("damaged")
    return start


class _IndexReader(pickle.Unpickler):
    """Reads an archive's `data.pkl`: no class but these is ever looked up, and none of them does anything."""

    def find_class(self, module: str, name: str) -> Any:
        """See `pickle.Unpickler`."""
        if module.split(".")[0] == "__torch__":
            return _Part
        if module == "torch" and name in _STORAGE_TYPES:
            return _STORAGE_TYPES[name]
        known: dict[tuple[str, str], Callable[..., Any]] = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _place_tensor,
        }
        if (module, name) not in known:
            raise _UnsuitedError(f"{module}.{name}")
        return known[module, name]

    def persistent_load(self, pid: Any) -> Any:
        """See `pickle.Unpickler`: a tensor's numbers, as (entry, type)."""
        what, dtype, entry, *_ = pid
        if what != "storage" or not isinstance(dtype, torch.dtype):
            raise _UnsuitedError("a storage of another kind")
        return str(entry), dtype


def _place_tensor(
    storage: tuple[str, torch.dtype], first: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object
) -> _Stored:
    in_order = tuple(prod(shape[at + 1 :]) for at in range(len(shape)))
    if strides != in_order:
        raise _UnsuitedError("a tensor in another order")
    entry, dtype = storage
    return _Stored(entry, dtype, int(first), shape)


def _list_tensors(part: object, prefix: str) -> Iterator[tuple[str, _Stored]]:
    """(name, tensor) of an object and of those that are its attributes, as `state_dict()` names them."""
    for name, value in vars(part).items():
        if isinstance(value, _Stored):
            yield prefix + name, value
        elif isinstance(value, _Part):
            yield from _list_tensors(value, f"{prefix}{name}.")
