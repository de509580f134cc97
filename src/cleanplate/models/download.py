"""Downloading a weights file: bounded in time and size, gone on with after a break, checked at the end.

The standard library's client is enough for one file over https with ranges and redirects, honours the
system's proxies and certificates, and adds nothing to install.
"""

from __future__ import annotations

import http.client
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from cleanplate.errors import ModelError
from cleanplate.models.spec import ModelFile
from cleanplate.models.store import ModelStore, compare, compute_checksums, set_aside

#: Seconds without a single byte, and over how many seconds the rate is looked at.
SILENCE_SECONDS = 30.0
WINDOW_SECONDS = 60.0
#: A connection under this is given up.
LEAST_BYTES_PER_SECOND = 2_000
#: Of a file whose size nobody knows.
MOST_BYTES = 8 << 30
_CHUNK_BYTES = 1 << 18
_HTTPS = "https"

#: Told (bytes so far, bytes in all or None).
Progress = Callable[[int, int | None], None]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How long and how much a download may take. schemes: what addresses may begin with; tests add http."""

    silence_seconds: float = SILENCE_SECONDS
    window_seconds: float = WINDOW_SECONDS
    least_bytes_per_second: float = LEAST_BYTES_PER_SECOND
    most_bytes: int = MOST_BYTES
    schemes: tuple[str, ...] = (_HTTPS,)


class _BrokenOffError(Exception):
    """One address did not give the file; the next may."""


def fetch(
    model: ModelFile,
    store: ModelStore,
    *,
    mirrors: tuple[str, ...] = (),
    trust: bool = False,
    progress: Progress = lambda _done, _total: None,
    limits: Limits = Limits(),  # frozen: one for all calls is safe
) -> Path:
    """A model's file in the cache; what is there already is checked, not fetched again.

    mirrors: addresses to try first, of the file itself or of a folder that holds it. trust: fetch a file of
    which no checksum is known. What was received before a break is kept as `.part` and gone on with.

    Raises ModelError: no address gave the file; its checksum is wrong (it is kept as `.rejected`); none is
    known.
    """
    if not model.has_checksum and not trust:
        raise ModelError(
            f"no checksum of {model.name} is known, so what is downloaded cannot be checked; add --trust "
            f"to fetch "
            f"it all the same, or download {model.urls[0]} yourself and use `cleanplate models import`"
        )
    target = store.cache / model.file
    if target.is_file():
        if model.has_checksum:
            store.verify(model, target)
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    addresses = [*(_complete(mirror, model.file) for mirror in mirrors), *model.urls]
    for address in addresses:
        _check_scheme(address, limits)
    troubles: list[str] = []
    for address in addresses:
        try:
            _receive(address, part, model.nbytes, progress, limits)
        except _BrokenOffError as error:
            troubles.append(f"{address}: {error}")
            continue
        if model.has_checksum:
            try:
                compare(model, compute_checksums(part), part)
            except ModelError as error:
                kept = set_aside(part)
                troubles.append(f"{address}: wrong checksum, what it sent is kept as {kept} ({error})")
                continue
        part.replace(target)
        return target
    kept_bytes = part.stat().st_size if part.exists() else 0
    kept_note = (
        f" {kept_bytes} bytes are kept as {part}: the same command goes on from there." if kept_bytes else ""
    )
    raise ModelError(
        f"{model.file} could not be fetched ({'; '.join(troubles)}); try again later, name another address "
        f"with "
        f"--mirror, or download it elsewhere and use `cleanplate models import FILE`.{kept_note}"
    )


def _complete(mirror: str, file: str) -> str:
    return mirror if mirror.endswith(file) else f"{mirror.rstrip('/')}/{file}"


def _check_scheme(address: str, limits: Limits) -> None:
    if urllib.parse.urlsplit(address).scheme not in limits.schemes:
        raise ModelError(f"{address}: weights are fetched over https only; name a mirror that has it")


class _SameSchemeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never away from the schemes that are allowed."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        _check_scheme(newurl, self._limits)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _receive(address: str, part: Path, wanted_bytes: int | None, progress: Progress, limits: Limits) -> None:
    """Fill `part`. Raises _BrokenOffError where the address gives less, more, too slowly, or nothing."""
    have = part.stat().st_size if part.exists() else 0
    if wanted_bytes is not None and have >= wanted_bytes:
        if have > wanted_bytes:
            set_aside(part)
            have = 0
        else:
            return
    request = urllib.request.Request(address, headers={"User-Agent": "cleanplate"})  # checked
    if have:
        request.add_header("Range", f"bytes={have}-")
    opener = urllib.request.build_opener(_SameSchemeRedirects(limits))
    try:
        with opener.open(request, timeout=limits.silence_seconds) as answer:
            goes_on = answer.status == http.client.PARTIAL_CONTENT
            have = have if goes_on else 0
            announced = answer.headers.get("Content-Length")
            total = have + int(announced) if announced and announced.isdecimal() else wanted_bytes
            _check_room(part, total, have)
            most = wanted_bytes or total or limits.most_bytes
            with part.open("ab" if goes_on else "wb") as stream:
                for chunk in _read_in_time(answer, limits):
                    if have + len(chunk) > most:
                        raise _BrokenOffError(f"it sends more than the file's {most} bytes")
                    stream.write(chunk)
                    have += len(chunk)
                    progress(have, total)
    except urllib.error.HTTPError as exc:
        raise _BrokenOffError(f"the server says {exc.code} {exc.reason}") from exc
    except (OSError, http.client.HTTPException) as exc:
        reason = getattr(exc, "reason", None) or exc
        raise _BrokenOffError(f"the connection failed ({reason})") from exc
    if not have:
        raise _BrokenOffError("it sent nothing")
    if total is not None and have < total:
        raise _BrokenOffError(f"it broke off after {have} of {total} bytes")


def _read_in_time(answer: Any, limits: Limits) -> Iterator[bytes]:
    window_began, window_bytes = time.monotonic(), 0
    while chunk := answer.read1(_CHUNK_BYTES):
        window_bytes += len(chunk)
        yield chunk
        seconds = time.monotonic() - window_began
        if seconds >= limits.window_seconds:
            if window_bytes < limits.least_bytes_per_second * seconds:
                raise _BrokenOffError(f"it is too slow ({window_bytes / seconds:.0f} bytes a second)")
            window_began, window_bytes = time.monotonic(), 0


def _check_room(part: Path, total: int | None, have: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if total is not None and total - have > free:
        raise _BrokenOffError(f"the disk has {free} bytes free, the rest of the file has {total - have}")
