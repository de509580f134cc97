"""What a HEIC file's parameter sets say about how its picture was coded."""

from __future__ import annotations

_CONFIGURATION = b"hvcC"
_PICTURE_PARAMETERS = 34


def is_lossless(data: bytes) -> bool:
    """Whether a HEIC file's picture skips transform and quantiser; False where that cannot be read.

    Source: ITU-T H.265, 7.3.2.3 (picture parameters); ISO/IEC 14496-15, 8.3.3 (the configuration box).

    >>> is_lossless(b"hvcC" + bytes(22) + bytes([1, 34, 0, 1, 0, 8]) + bytes.fromhex("4401c1703060b120"))
    True
    """
    at = data.find(_CONFIGURATION) + len(_CONFIGURATION)
    parameters = _unit(data, at) if at >= len(_CONFIGURATION) else None
    if parameters is None:
        return False
    try:
        return _bypasses(_Bits(parameters[2:]))
    except IndexError:
        return False


def _unit(data: bytes, at: int) -> bytes | None:
    """The picture parameters among the units of the configuration that starts at `at`."""
    arrays = data[at + 22 : at + 23]
    at += 23
    for _ in range(arrays[0] if arrays else 0):
        kind = data[at : at + 1]
        count = int.from_bytes(data[at + 1 : at + 3], "big")
        at += 3
        for _ in range(count):
            length = int.from_bytes(data[at : at + 2], "big")
            if not kind or not length:
                return None
            if kind[0] & 0x3F == _PICTURE_PARAMETERS:
                return data[at + 2 : at + 2 + length]
            at += 2 + length
    return None


def _bypasses(bits: _Bits) -> bool:
    bits.golomb()  # its own number, and that of the sequence's parameters
    bits.golomb()
    bits.skip(7)  # slices, output, extra header bits, hidden signs, tables
    for _ in range(3):  # default references, quantiser
        bits.golomb()
    bits.skip(2)  # prediction, transform skipping
    if bits.flag():  # quantisers differ inside the picture: how finely
        bits.golomb()
    bits.golomb()  # the colours' quantisers
    bits.golomb()
    bits.skip(3)  # the same by slice, weights
    return bits.flag()


class _Bits:
    """The bits of a coded unit, without the bytes that only keep start codes from appearing."""

    def __init__(self, unit: bytes) -> None:
        self._bits = "".join(f"{byte:08b}" for byte in unit.replace(b"\0\0\3", b"\0\0"))
        self._at = 0

    def flag(self) -> bool:
        bit = self._bits[self._at]
        self._at += 1
        return bit == "1"

    def skip(self, count: int) -> None:
        self._at += count

    def golomb(self) -> None:
        """Pass over a number of variable length: as many zeros as bits follow its first one."""
        zeros = 0
        while not self.flag():
            zeros += 1
        self.skip(zeros)
