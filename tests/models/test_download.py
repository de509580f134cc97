"""Downloads from a server on loopback: the right file, a wrong one, half of one, nothing, one without end."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cleanplate.errors import ModelError
from cleanplate.models.download import Limits, fetch
from cleanplate.models.registry import Registry
from cleanplate.models.spec import FileKind, ModelFile
from cleanplate.models.store import ModelStore

CONTENT = bytes(range(256)) * 2000
Answer = Callable[[BaseHTTPRequestHandler], None]


class Server(ThreadingHTTPServer):
    """Answers by path; remembers what was asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, Answer] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.closing = threading.Event()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{path}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:  # the library's name
        assert isinstance(self.server, Server)
        self.server.asked.append((self.path, self.headers.get("Range")))
        self.server.answers[self.path](self)

    def log_message(self, *_: object) -> None:
        """Quiet."""


def whole(handler: BaseHTTPRequestHandler, content: bytes = CONTENT, *, ranges: bool = True) -> None:
    start = 0
    asked = handler.headers.get("Range")
    if asked and ranges:
        start = int(asked.removeprefix("bytes=").rstrip("-"))
    handler.send_response(206 if start else 200)
    handler.send_header("Content-Length", str(len(content) - start))
    handler.end_headers()
    handler.wfile.write(content[start:])


def half(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(CONTENT)))
    handler.end_headers()
    handler.wfile.write(CONTENT[: len(CONTENT) // 2])
    handler.close_connection = True


def nothing(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True


def empty(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "0")
    handler.end_headers()


def without_end(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    try:
        for _ in range(10_000):
            handler.wfile.write(b"x" * 65536)
    except OSError:
        pass  # the client has had enough


def silent(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(CONTENT)))
    handler.end_headers()
    handler.wfile.write(b"x")
    handler.wfile.flush()
    assert isinstance(handler.server, Server)
    handler.server.closing.wait(20)


def trickling(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    assert isinstance(handler.server, Server)
    try:
        for _ in range(400):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            if handler.server.closing.wait(0.05):
                return
    except OSError:
        pass  # the client has had enough


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield made
    made.closing.set()
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def model(server: Server) -> ModelFile:
    return ModelFile(
        name="small",
        file="small.pt",
        architecture="lama",
        kind=FileKind.TORCHSCRIPT,
        licence="MIT",
        purpose="tests",
        urls=(server.url("/small.pt"),),
        nbytes=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
    )


@pytest.fixture
def store(tmp_path: Path, model: ModelFile) -> ModelStore:
    return ModelStore(Registry((model,)), (tmp_path,))


LIMITS = Limits(silence_seconds=0.5, window_seconds=0.3, schemes=("https", "http"))


def test_the_right_file_is_kept_and_not_fetched_again(
    server: Server, model: ModelFile, store: ModelStore
) -> None:
    server.answers["/small.pt"] = whole
    told: list[tuple[int, int | None]] = []
    path = fetch(model, store, limits=LIMITS, progress=lambda done, total: told.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert fetch(model, store, limits=LIMITS) == path
    assert len(server.asked) == 1
    assert [file.name for file in store.cache.iterdir()] == ["small.pt"]


def test_a_wrong_file_is_set_aside_and_said(server: Server, model: ModelFile, store: ModelStore) -> None:
    wrong = bytes(len(CONTENT))
    server.answers["/small.pt"] = lambda handler: whole(handler, wrong)
    with pytest.raises(ModelError, match=r"wrong checksum.*small\.pt\.rejected.*models import"):
        fetch(model, store, limits=LIMITS)
    assert (store.cache / "small.pt.rejected").read_bytes() == wrong
    assert not (store.cache / "small.pt").exists()


def test_half_a_file_is_gone_on_with(server: Server, model: ModelFile, store: ModelStore) -> None:
    server.answers["/small.pt"] = half
    with pytest.raises(ModelError, match=r"(broke off|connection failed).*256000 bytes are kept"):
        fetch(model, store, limits=LIMITS)
    assert (store.cache / "small.pt.part").read_bytes() == CONTENT[: len(CONTENT) // 2]
    server.answers["/small.pt"] = whole
    assert fetch(model, store, limits=LIMITS).read_bytes() == CONTENT
    assert server.asked[-1][1] == f"bytes={len(CONTENT) // 2}-"


def test_a_server_without_ranges_sends_it_all_again(
    server: Server, model: ModelFile, store: ModelStore
) -> None:
    (store.cache / "small.pt.part").write_bytes(CONTENT[:1000])
    server.answers["/small.pt"] = lambda handler: whole(handler, ranges=False)
    assert fetch(model, store, limits=LIMITS).read_bytes() == CONTENT


def test_a_whole_part_is_only_checked(server: Server, model: ModelFile, store: ModelStore) -> None:
    (store.cache / "small.pt.part").write_bytes(CONTENT)
    assert fetch(model, store, limits=LIMITS).read_bytes() == CONTENT
    assert server.asked == []


def test_a_part_that_is_too_long_is_set_aside(server: Server, model: ModelFile, store: ModelStore) -> None:
    (store.cache / "small.pt.part").write_bytes(CONTENT + b"x")
    server.answers["/small.pt"] = whole
    assert fetch(model, store, limits=LIMITS).read_bytes() == CONTENT
    assert (store.cache / "small.pt.rejected").exists()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (nothing, "connection failed"),
        (empty, "sent nothing"),
        (without_end, "more than the file's 512000 bytes"),
        (silent, "connection failed"),
        (trickling, "too slow"),
        (lambda handler: handler.send_error(404), "404"),
    ],
    ids=["nothing", "empty", "without end", "silent", "trickling", "404"],
)
def test_a_bad_server_is_left_and_said(
    server: Server, model: ModelFile, store: ModelStore, answer: Answer, reason: str
) -> None:
    server.answers["/small.pt"] = answer
    with pytest.raises(ModelError, match=reason):
        fetch(model, store, limits=LIMITS)
    assert not (store.cache / "small.pt").exists()


def test_mirrors_are_tried_first_and_left_when_they_fail(
    server: Server, model: ModelFile, store: ModelStore
) -> None:
    server.answers |= {"/mirror/small.pt": nothing, "/small.pt": whole}
    mirrors = (server.url("/mirror/"),)
    assert fetch(model, store, mirrors=mirrors, limits=LIMITS).read_bytes() == CONTENT
    assert [path for path, _ in server.asked] == ["/mirror/small.pt", "/small.pt"]


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:1/small.pt", "ftp://127.0.0.1/small.pt", "file:///small.pt"]
)
def test_only_https_is_asked(model: ModelFile, store: ModelStore, address: str) -> None:
    with pytest.raises(ModelError, match="https only"):
        fetch(replace(model, urls=(address,)), store)
    with pytest.raises(ModelError, match="https only"):
        fetch(replace(model, urls=("https://example.invalid/x",)), store, mirrors=(address,))


def test_a_redirect_may_not_leave_https(server: Server, model: ModelFile, store: ModelStore) -> None:
    def elsewhere(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", "ftp://127.0.0.1/small.pt")
        handler.end_headers()

    server.answers["/small.pt"] = elsewhere
    with pytest.raises(ModelError, match="https only"):
        fetch(model, store, limits=LIMITS)


def test_a_file_without_a_checksum_wants_trust(server: Server, model: ModelFile, store: ModelStore) -> None:
    bare = replace(model, sha256=None)
    server.answers["/small.pt"] = whole
    with pytest.raises(ModelError, match="--trust"):
        fetch(bare, store, limits=LIMITS)
    assert server.asked == []
    assert fetch(bare, store, trust=True, limits=LIMITS).read_bytes() == CONTENT
    assert fetch(bare, store, trust=True, limits=LIMITS).exists()


def test_a_full_disk_is_said_before_anything_is_written(
    server: Server, model: ModelFile, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 10

    server.answers["/small.pt"] = whole
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage)
    with pytest.raises(ModelError, match="10 bytes free"):
        fetch(model, store, limits=LIMITS)
