"""Why a request is not done, in the words of HTTP and of people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

NOT_KNOWN, BUSY, UNFIT = 404, 409, 422


class RefusalError(Exception):
    """A request that is not done. status: HTTP's number; cause: what is wrong; remedy: what to do."""

    def __init__(self, status: int, cause: str, remedy: str = "") -> None:
        super().__init__(f"{cause}; {remedy}" if remedy else cause)
        self.status = status
        self.cause = cause
        self.remedy = remedy

    def to_json(self) -> Mapping[str, Mapping[str, str]]:
        """The body of the answer."""
        return {"error": {"cause": self.cause, "remedy": self.remedy}}


@contextmanager
def storing() -> Iterator[None]:
    """What cannot be written down inside the block is refused."""
    try:
        yield
    except OSError as error:
        raise RefusalError(
            507, f"it cannot be written down ({error.strerror or error})", "make room"
        ) from error
