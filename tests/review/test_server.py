"""The real server on loopback: the stream of events, the end, the port; and the programs that serve."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading

import httpx2
import pytest

from cleanplate.cli import main
from cleanplate.engine.lock import OutputLock
from cleanplate.errors import MissingExtraError, UsageError
from cleanplate.review.live import NoRun
from cleanplate.review.serve import Server, open_socket
from tests.engine.simple import draw_photo, leftovers
from tests.review.scene import build_slowly, ids_by_name, open_desk, sha256, square_mask, wait_until


@pytest.fixture
def server(output):
    desk = open_desk(output, build_slowly)
    with desk.opened(), Server(desk, NoRun(desk)) as server:
        server.desk = desk
        yield server


@contextlib.contextmanager
def let_in(address):
    """A client with the cookie that an address gives."""
    origin = address.partition("/?")[0]
    headers = {"Origin": origin}
    with httpx2.Client(base_url=origin, headers=headers, timeout=20, trust_env=False) as client:
        assert client.get(address).status_code == 303
        yield client


def read_stream(client, until, after=None):
    """Events until one of a kind comes."""
    events = []
    params = {} if after is None else {"after": after}
    with client.stream("GET", "/api/events", params=params) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        kind = ""
        for line in stream.iter_lines():
            name, _, value = line.partition(": ")
            if name == "event":
                kind = value
            elif name == "data":
                events.append((kind, json.loads(value)))
                if until(*events[-1]):
                    break
    return events


def test_a_photograph_is_redone_while_a_page_listens(server, output):
    ids = ids_by_name(server.desk)
    before = sha256(output / "clean.png")
    with let_in(server.make_address()) as client:
        page = client.get("/")
        assert page.status_code == 200
        number = client.get("/api/photos").json()["sequence"]
        png = {"Content-Type": "image/png"}
        path = f"/api/photos/{ids['clean.png']}"
        assert client.put(f"{path}/mask", content=square_mask(), headers=png).status_code == 200
        assert client.post(f"{path}/again", json={"mask": True, "method": "opencv"}).status_code == 202
        events = read_stream(client, lambda kind, data: kind == "job" and data["state"] == "done", number)
        assert sha256(output / "clean.png") != before
    assert events[0] == ("hello", {"sequence": number, "missed": False})
    stages = [data["stage"] for kind, data in events if kind == "job"]
    assert stages == [None, "read", "repair", "write", None]


def test_foreign_requests_are_refused_by_the_real_server_too(server):
    with httpx2.Client(base_url=server.origin, trust_env=False) as stranger:
        assert stranger.get("/api/photos").status_code == 401
        assert stranger.get("/", headers={"Host": "evil.example"}).status_code == 403
        post = stranger.post("/api/approve", json={"ids": []}, headers={"Origin": "http://evil.example"})
        assert post.status_code == 403


def test_a_socket_that_speaks_nonsense_or_another_protocol_is_turned_away(server):
    for request in (
        b"GET /../../etc/passwd HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"nonsense\r\n\r\n",
        f"GET /api/events HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n".encode(),
    ):
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as raw:
            raw.sendall(request)
            assert re.match(rb"HTTP/1.1 40[0134] ", raw.recv(1000))


def test_it_listens_on_loopback_alone(server):
    assert server._socket.getsockname()[0] == "127.0.0.1"


def test_a_used_address_makes_the_terminal_show_a_new_one(server):
    shown = []
    server.on_address = shown.append
    address = server.make_address()
    with httpx2.Client(trust_env=False) as stranger:
        assert stranger.get(f"{server.origin}/").status_code == 401
        assert shown == [], "the address in the terminal is still good"
        with let_in(address):
            pass
        assert stranger.get(f"{server.origin}/").status_code == 401
        assert stranger.get(f"{server.origin}/").status_code == 401
    assert len(shown) == 1
    with let_in(shown[0]):
        pass


def test_the_end_lets_listening_pages_go(output):
    desk = open_desk(output)
    told = []

    def listen(address):
        with let_in(address) as client:
            told.extend(read_stream(client, lambda kind, _: kind == "bye"))

    with desk.opened(), Server(desk, NoRun(desk)) as server:
        thread = threading.Thread(target=listen, args=(server.make_address(),), daemon=True)
        thread.start()
        wait_until(lambda: desk.feed._listeners)
    thread.join(20)
    assert [kind for kind, _ in told] == ["hello", "bye"]


def test_a_taken_port_is_said(output):
    with open_socket(0) as taken:
        port = taken.getsockname()[1]
        desk = open_desk(output)
        with pytest.raises(UsageError, match=f"--port {port}: nothing can be served"):
            Server(desk, NoRun(desk), port)
        desk.close()
        assert main(["review", str(output), "--port", str(port), "--no-browser"]) == 2


def test_the_command_says_what_is_wrong(output, tmp_path, monkeypatch, capsys):
    assert main(["review", str(tmp_path / "nowhere"), "--no-browser"]) == 2
    assert "there is no such folder" in capsys.readouterr().err
    assert main(["review", str(tmp_path), "--no-browser"]) == 2
    assert "no run has written here" in capsys.readouterr().err
    assert main(["review", str(output), "--port", "70000"]) == 2
    assert "--port is 70000" in capsys.readouterr().err
    with OutputLock(output / ".cleanplate" / "lock", output):
        assert main(["review", str(output), "--no-browser"]) == 2
    assert "another run is writing here" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert main(["review", str(output), "--no-browser"]) == 2
    assert "pip install 'cleanplate[review]'" in capsys.readouterr().err
    assert issubclass(MissingExtraError, UsageError)


class Program:
    """`cleanplate` in a process of its own, and the address that it shows."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cleanplate", *map(str, arguments)],
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        self.lines = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line.rstrip())

    def find(self, pattern):
        """The first group of the first line that fits, once there is one."""
        return wait_until(
            lambda: next((found[1] for line in self.lines if (found := re.search(pattern, line))), None), 90
        )

    def end(self):
        """Ctrl-C; the exit code."""
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(60)
        self._reader.join(20)
        self.process.stdout.close()
        self.process.stderr.close()
        return code


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C cannot be sent to one process there")
def test_the_whole_program_with_the_shipped_networks(tmp_path):
    draw_photo(tmp_path / "in" / "a.png", mark_px=0)
    output = tmp_path / "out"
    repair = ["repair", str(tmp_path / "in"), "-o", str(output), "--quiet", "--device", "cpu"]
    assert main([*repair, "--report"]) == 0
    report = (output / "report.html").read_text(encoding="utf-8")
    program = Program("review", output, "--no-browser")
    try:
        with let_in(program.find(r"(http://127\.0\.0\.1:\d+/\?token=\S+)")) as client:
            (photo,) = client.get("/api/photos").json()["photos"]
            png = {"Content-Type": "image/png"}
            client.put(f"/api/photos/{photo['id']}/mask", content=square_mask(), headers=png)
            before = sha256(output / "a.png")
            client.post(f"/api/photos/{photo['id']}/again", json={"mask": True, "method": "opencv"})
            wait_until(lambda: client.get("/api/queue").json()["finished"] == 1, 90)
            assert sha256(output / "a.png") != before
            assert client.post(f"/api/photos/{photo['id']}/approve").status_code == 200
    finally:
        code = program.end()
    assert code == 0
    assert (output / "report.html").read_text(encoding="utf-8") != report
    kept = sha256(output / "a.png")
    assert main(repair) == 0
    assert sha256(output / "a.png") == kept


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C cannot be sent to one process there")
def test_a_live_run_ends_and_its_page_stays_for_review(tmp_path):
    for number in range(3):
        draw_photo(tmp_path / "in" / f"{number}.png", seed=number, mark_px=0)
    output = tmp_path / "out"
    program = Program("repair", tmp_path / "in", "-o", output, "--live", "--no-browser", "--device", "cpu")
    try:
        with let_in(program.find(r"(http://127\.0\.0\.1:\d+/\?token=\S+)")) as client:
            program.find("(the run is over)")
            assert client.get("/api/run").json()["state"] == "finished"
            photos = client.get("/api/photos").json()["photos"]
            assert len(photos) == 3
            assert client.post(f"/api/photos/{photos[0]['id']}/keep").status_code == 202
            wait_until(lambda: client.get("/api/queue").json()["finished"] == 1, 60)
    finally:
        code = program.end()
    assert code == 0


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C cannot be sent to one process there")
def test_ctrl_c_in_a_live_run_ends_the_page_too(tmp_path):
    for number in range(40):
        draw_photo(tmp_path / "in" / f"{number:02}.png", seed=number, size=(320, 240))
    output = tmp_path / "out"
    program = Program("repair", tmp_path / "in", "-o", output, "--live", "--no-browser", "--device", "cpu")
    try:
        with let_in(program.find(r"(http://127\.0\.0\.1:\d+/\?token=\S+)")) as client:
            assert client.post("/api/run/pause").status_code == 200
            wait_until(lambda: client.get("/api/run").json()["state"] == "paused", 90)
            program.process.send_signal(signal.SIGINT)
            events = read_stream(client, lambda kind, _: kind == "bye")
            assert events[-1] == ("bye", {})
    finally:
        code = program.process.wait(60)
        program.end()
    assert code == 130
    assert leftovers(output) == []


def test_a_dry_run_has_nothing_to_show_live(tmp_path, capsys):
    draw_photo(tmp_path / "in" / "a.png")
    arguments = ["repair", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--live", "--dry-run"]
    assert main(arguments) == 2
    assert "--dry-run writes none" in capsys.readouterr().err


def test_no_page_is_opened_for_inputs_that_are_not_there(tmp_path, capsys):
    assert main(["repair", str(tmp_path / "nope"), "-o", str(tmp_path / "out"), "--live"]) == 2
    said = capsys.readouterr().err
    assert "there is no such file or folder" in said
    assert "the page is at" not in said
