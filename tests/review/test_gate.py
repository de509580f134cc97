"""Who is let in, and what the answers forbid."""

import re

import pytest
from starlette.testclient import TestClient

from cleanplate.review.app import make_app
from cleanplate.review.gate import BODY_BYTES, MASK_BYTES, Gate
from cleanplate.review.live import NoRun
from tests.review.scene import ORIGIN, PORT, open_client

SOMEWHERE = "/api/queue"


@pytest.fixture
def stranger(desk):
    return open_client(desk, let_in=False)


def error_of(answer):
    return answer.json()["error"]["cause"]


def test_a_token_opens_once():
    gate = Gate(PORT)
    token = gate.mint()
    assert gate.exchange("wrong") is None
    assert gate.exchange(token)
    assert gate.exchange(token) is None
    assert not gate.has_token


def test_a_newer_token_makes_the_older_void():
    gate = Gate(PORT)
    older = gate.mint()
    newer = gate.mint()
    assert gate.exchange(older) is None
    assert gate.exchange(newer)


def test_the_cookie_is_for_this_site_and_out_of_scripts_reach(desk):
    gate = Gate(PORT)
    client = TestClient(make_app(desk, gate, NoRun(desk)), base_url=ORIGIN, follow_redirects=False)
    token = gate.mint()
    answer = client.get("/", params={"token": token})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert token not in cookie
    # the same address once more: this browser has its cookie, another one is refused
    assert client.get("/", params={"token": token}).status_code == 303
    client.cookies.clear()
    assert client.get("/", params={"token": token}).status_code == 401


def test_who_has_no_cookie_is_told_and_the_terminal_too(desk):
    told = []
    gate = Gate(PORT)
    app = make_app(desk, gate, NoRun(desk), on_stranger=lambda: told.append(True))
    client = TestClient(app, base_url=ORIGIN)
    answer = client.get("/")
    assert answer.status_code == 401
    assert "terminal" in answer.json()["error"]["remedy"]
    assert told == [True]


def test_cookies_of_other_servers_are_no_hindrance(client):
    mine = client.cookies[f"cleanplate-{PORT}"]
    client.cookies.clear()
    cookies = f'a b:c="x; cleanplate-{PORT}={mine}; _xsrf=2|x'
    assert client.get(SOMEWHERE, headers={"Cookie": cookies}).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/photos"),
        ("GET", "/api/events"),
        ("GET", "/api/openapi.json"),
        ("GET", "/pictures/0123456789abcdef/before"),
        ("POST", "/api/photos/0123456789abcdef/approve"),
        ("PUT", "/api/photos/0123456789abcdef/mask"),
        ("DELETE", "/api/queue"),
    ],
)
def test_nothing_is_done_without_the_cookie(stranger, method, path):
    assert stranger.request(method, path, headers={"Origin": ORIGIN}).status_code == 401
    wrong = {"Origin": ORIGIN, "Cookie": f"cleanplate-{PORT}=guessed"}
    assert stranger.request(method, path, headers=wrong).status_code == 401
    broken = {"Origin": ORIGIN, "Cookie": b'x="\x80; =;;;'}
    assert stranger.request(method, path, headers=broken).status_code == 401


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        f"evil.example:{PORT}",
        "127.0.0.1",
        "127.0.0.1:1",
        f"127.0.0.1:{PORT}.evil.example",
        "",
    ],
)
def test_other_hosts_are_refused(client, host):
    answer = client.get(SOMEWHERE, headers={"Host": host, "Origin": f"http://{host}"})
    assert answer.status_code == 403
    assert "127.0.0.1" in error_of(answer)


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", f"https://127.0.0.1:{PORT}", "http://127.0.0.1:1", ""]
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_foreign_origins_are_refused(client, method, origin):
    answer = client.request(method, SOMEWHERE, headers={"Origin": origin})
    assert answer.status_code == 403
    assert "another page" in error_of(answer)


def test_writing_needs_an_origin_reading_none(client):
    del client.headers["Origin"]
    assert client.get(SOMEWHERE).status_code == 200
    assert client.delete(SOMEWHERE).status_code == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_other_pages_requests_are_known_by_what_browsers_say_of_them(client, site):
    assert client.get("/", headers={"Sec-Fetch-Site": site}).status_code == 403
    assert client.get(SOMEWHERE, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200
    assert client.get("/", headers={"Sec-Fetch-Site": "none"}).status_code == 200


@pytest.mark.parametrize("method", ["OPTIONS", "PATCH", "TRACE"])
def test_other_methods_are_not_done(client, method):
    assert client.request(method, SOMEWHERE).status_code == 405


def test_requests_are_limited_in_length(client, ids):
    post, put = f"/api/photos/{ids['a.png']}/again", f"/api/photos/{ids['a.png']}/mask"
    assert client.post(post, content=b" " * (BODY_BYTES + 1)).status_code == 413
    too_long = {"Content-Length": str(MASK_BYTES + 1)}
    assert client.put(put, content=b"", headers=too_long).status_code == 413
    assert client.request("GET", SOMEWHERE, content=b"body").status_code == 413
    assert client.post(post, content=iter([b"{", b"}"])).status_code == 411
    assert client.post(post, content=b"", headers={"Content-Length": "-5"}).status_code == 400


def test_every_answer_says_what_a_browser_may_not_do(client, stranger, ids):
    for answer in (
        client.get("/"),
        client.get("/nowhere"),
        client.get(f"/pictures/{ids['a.png']}/after"),
        client.delete("/api/queue/99"),
        stranger.get("/api/photos"),
        stranger.get("/api/photos", headers={"Host": "evil.example"}),
    ):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "server" not in answer.headers


def test_the_page_runs_its_own_scripts_only(client):
    first, second = client.get("/"), client.get("/")
    nonces = []
    for page in (first, second):
        policy = page.headers["content-security-policy"]
        assert "unsafe" not in policy
        (nonce,) = set(re.findall(r"'nonce-([\w-]+)'", policy))
        nonces.append(nonce)
        tags = re.findall(r"<(?:script|style)\b[^>]*>", page.text)
        assert tags
        assert all(f'nonce="{nonce}"' in tag for tag in tags)
    assert nonces[0] != nonces[1]


def test_no_page_loads_anything_from_elsewhere(client):
    for path in ("/docs", "/redoc", "/openapi.json"):
        assert client.get(path).status_code == 404
    assert client.get("/api/openapi.json").json()["openapi"].startswith("3.")
