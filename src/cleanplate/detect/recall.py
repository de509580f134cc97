"""What a finder said of photographs that it will be shown again: a survey looks first, then comes the run."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict

import numpy as np

from cleanplate.structures import FloatArray, Photo

#: What is kept at most, in bytes; the oldest goes first. Source: 24 photographs at the working size.
MOST_BYTES = 96 * 1024**2


class Recall:
    """Keeps answers until they are asked for, at most `most_bytes` of them. Any thread may call it.

    >>> from pathlib import Path
    >>> photo = Photo(Path("a.png"), np.zeros((4, 4, 3), np.uint8), None, asked_again=True)
    >>> recall = Recall()
    >>> recall.keep(photo, np.ones((4, 4), np.float32))
    >>> recall.take(photo).shape, recall.take(photo)
    ((4, 4), None)
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._kept: OrderedDict[bytes, FloatArray] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, photo: Photo, answer: FloatArray) -> None:
        """Keep the answer to a photograph that will be shown again; of any other it is forgotten."""
        if not photo.asked_again:
            return
        key = _name(photo)
        with self._lock:
            self._kept[key] = answer
            while sum(kept.nbytes for kept in self._kept.values()) > self._most_bytes:
                self._kept.popitem(last=False)

    def take(self, photo: Photo) -> FloatArray | None:
        """The answer to a photograph with the same pixels, forgotten now; None where there is none."""
        if not self._kept:  # nothing to name it for
            return None
        key = _name(photo)
        with self._lock:
            return self._kept.pop(key, None)


def _name(photo: Photo) -> bytes:
    digest = hashlib.blake2b(repr((photo.rgb.shape, photo.rgb.dtype.str)).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(photo.rgb).data)
    return digest.digest()
