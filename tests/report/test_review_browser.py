"""The review page as a person meets it: in a real browser, with the server behind it and files on disk."""

import http.server
import threading
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

from cleanplate.engine.hold import Hold
from cleanplate.engine.run import repair_folder
from cleanplate.engine.stop import StopRequest
from cleanplate.pipeline.repair import MarkRepair
from cleanplate.review.desk import Desk
from cleanplate.review.live import LiveRun, NoRun
from cleanplate.review.serve import Server
from tests.browser import PHONE, Visit, fetch_axe, open_browser
from tests.engine.simple import draw_photo
from tests.report.outputs import HOSTILE
from tests.review.scene import (
    SETTINGS,
    FillRemover,
    MagentaDetector,
    build,
    build_slowly,
    open_desk,
    run_batch,
    sha256,
    wait_for_queue,
    wait_until,
)

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def browser():
    with open_browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def axe(tmp_path_factory):
    return fetch_axe(tmp_path_factory.mktemp("axe"))


@pytest.fixture
def output(tmp_path):
    """Marked photographs, a clean one, one with a hostile name, a broken one; repaired."""
    photos = tmp_path / "in"
    for number, name in enumerate(("a.png", "b.png", "c.png", HOSTILE)):
        draw_photo(photos / name, seed=number, size=(192, 128))
    draw_photo(photos / "clean.png", seed=9, mark_px=0, size=(192, 128))
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not much of a picture")
    return run_batch(photos, tmp_path / "out")


@contextmanager
def reviewing(browser, output, build=build, **looks):
    """A desk, and the page of it in a browser."""
    desk = open_desk(output, build)
    with desk.opened(), Server(desk, NoRun(desk)) as server:
        seen = Visit(browser, server.make_address(), **looks)
        try:
            yield desk, seen, server
        finally:
            seen.close()
    assert seen.troubles == []
    assert [url for url in seen.requests if not url.startswith((server.origin, "data:", "blob:"))] == []


def paint(page, start, end):
    """Draw a stroke; points as shares of the photograph."""
    box = page.locator("canvas.paint").bounding_box()
    page.mouse.move(box["x"] + box["width"] * start[0], box["y"] + box["height"] * start[1])
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * end[0], box["y"] + box["height"] * end[1], steps=6)
    page.mouse.up()


def count_painted(page):
    return page.evaluate(
        "(() => { const canvas = document.querySelector('canvas.paint');"
        " const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;"
        " let count = 0; for (let i = 3; i < data.length; i += 4) count += data[i] > 127; return count; })()"
    )


def test_a_painted_mask_changes_the_file(browser, output):
    before = sha256(output / "clean.png")
    with reviewing(browser, output) as (desk, seen, _):
        page = seen.page
        seen.open("clean.png")
        page.keyboard.press("e")
        assert count_painted(page) == 0
        paint(page, (0.2, 0.3), (0.6, 0.3))
        stroke = count_painted(page)
        assert stroke > 100
        page.keyboard.press("Control+z")
        assert count_painted(page) == 0
        page.keyboard.press("Control+Shift+z")
        assert count_painted(page) == stroke
        page.get_by_role("button", name="Box", exact=True).click()
        paint(page, (0.5, 0.5), (0.75, 0.75))
        boxed = count_painted(page)
        assert abs(boxed - stroke - 48 * 32) < 120
        page.get_by_role("button", name="Eraser").click()
        page.get_by_role("button", name="Lasso").click()
        paint(page, (0.5, 0.5), (0.75, 0.75))
        paint(page, (0.1, 0.1), (0.7, 0.1))
        page.get_by_role("button", name="Again with this mask").click()
        wait_until(lambda: sha256(output / "clean.png") != before)
        wait_for_queue(desk)
        page.locator(".facts-panel .badge.is-repaired").wait_for()
        page.get_by_role("button", name="Forget the painted mask").wait_for()
        seen.wait("document.querySelector('.side.before .whole').naturalWidth === 192")
    result, source = (
        np.asarray(Image.open(folder / "clean.png")) for folder in (output, output.parent / "in")
    )
    changed = np.any(result != source, axis=2)
    assert changed[int(0.3 * 128), int(0.4 * 192)]
    assert not changed[100:, :60].any()


def touch(page, *places):
    """A finger put down, moved from place to place, in shares of the photograph, and lifted."""
    box = page.locator("canvas.paint").bounding_box()
    points = [{"x": box["x"] + box["width"] * x, "y": box["y"] + box["height"] * y} for x, y in places]
    session = page.context.new_cdp_session(page)
    for kind, point in zip(["touchStart"] + ["touchMove"] * (len(points) - 1), points, strict=True):
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def tap_switch(page, name):
    """A tap on a button that stays down; what it does follows the finger, late on a busy machine."""
    page.get_by_role("button", name=name).tap()
    page.get_by_role("button", name=name, pressed=True).wait_for()


def test_fingers_paint_with_brush_and_lasso_and_rub_out(browser, output):
    whole, corner = 192 * 128, ((0.2, 0.2), (0.8, 0.2), (0.8, 0.8))
    with reviewing(browser, output, **PHONE) as (_, seen, _):
        page = seen.page
        seen.open("clean.png")
        page.get_by_role("button", name="Edit the mask").tap()
        page.locator(".palette").wait_for()
        touch(page, (0.2, 0.9), (0.4, 0.9), (0.6, 0.9))
        page.get_by_role("button", name="Undo", disabled=False).wait_for()  # the stroke has ended
        stroke = count_painted(page)
        assert stroke > 100
        tap_switch(page, "Lasso")
        touch(page, *corner)  # half of 0.6 by 0.6
        wait_until(lambda: abs(count_painted(page) - stroke - whole * 0.18) < whole * 0.02)
        tap_switch(page, "Eraser")
        touch(page, *corner)
        wait_until(lambda: abs(count_painted(page) - stroke) < whole * 0.02)
        page.get_by_role("button", name="Undo").tap()
        wait_until(lambda: count_painted(page) > stroke + whole * 0.16)
        page.get_by_role("button", name="Save the mask").tap()
        page.get_by_role("button", name="Forget the painted mask").wait_for()
    (saved,) = (output / ".cleanplate" / "painted").glob("*.png")
    assert np.asarray(Image.open(saved)).shape == (128, 192)


def test_a_mask_is_painted_by_keyboard_too(browser, output):
    with reviewing(browser, output) as (_, seen, _):
        page = seen.page
        seen.open("clean.png")
        page.keyboard.press("e")
        page.keyboard.press("ArrowRight")
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press(" ")
        assert count_painted(page) > 5
        page.keyboard.press("Escape")
        assert page.locator("canvas.paint").count() == 0
        assert page.locator(".viewer").is_visible(), "only painting has ended"


def test_decisions_by_keys_outlive_a_restart(browser, output):
    with reviewing(browser, output) as (desk, seen, _):
        page = seen.page
        seen.open("a.png")
        page.keyboard.press("a")
        seen.wait("document.querySelector('.viewer-name').textContent === 'b.png'")
        page.keyboard.press("x")
        seen.wait("document.querySelector('.viewer-name').textContent !== 'b.png'")
        wait_for_queue(desk)
        page.keyboard.press("Escape")
        seen.tile("b.png").locator(".badge.is-kept").wait_for()
    assert sha256(output / "b.png") == sha256(output.parent / "in" / "b.png")
    with reviewing(browser, output) as (_, seen, _):
        page = seen.page
        assert page.locator(".chip.is-approved .count").text_content() == "1"
        assert page.locator(".chip.is-kept .count").text_content() == "1"
        page.locator(".chip.is-open").click()
        assert page.locator(".tile").count() == 4
        seen.open("c.png")
        page.get_by_role("button", name="Approve", exact=True).click()
        seen.wait("document.querySelector('.chip.is-approved .count').textContent === '2'")
        page.keyboard.press("Escape")
        page.locator(".chip.is-approved").click()
        seen.open("a.png")
        page.get_by_role("button", name="Take the decision back").click()
        seen.wait("document.querySelector('.chip.is-approved .count').textContent === '1'")


def test_all_shown_are_approved_at_once(browser, output):
    with reviewing(browser, output) as (_, seen, _):
        page = seen.page
        page.locator(".chip.is-repaired").click()
        page.get_by_role("button", name="Approve all shown").click()
        assert "Approve 4 photographs?" in page.locator(".question").inner_text()
        page.get_by_role("button", name="Yes").click()
        seen.wait("document.querySelector('.chip.is-approved .count').textContent === '4'")
        assert seen.tile(HOSTILE).locator(".badge.is-approved").is_visible()


class HeldRemover(FillRemover):
    """Waits before it fills."""

    def __init__(self, may_go):
        super().__init__()
        self.may_go = may_go

    def remove(self, crops, attempt):
        assert self.may_go.wait(60)
        return super().remove(crops, attempt)


def test_the_queue_shows_what_waits_while_one_goes_on(browser, output):
    may_go = threading.Event()
    held = MarkRepair(MagentaDetector(), HeldRemover(may_go))
    with reviewing(browser, output, lambda _settings: held) as (desk, seen, _):
        page = seen.page
        for name in ("a.png", "b.png", "c.png"):
            seen.open(name)
            if name == "a.png":  # it stays open
                page.locator(".again summary").click()
            page.locator(".again select").select_option(index=0)
            page.locator("#again-threshold").fill("0.001")
            page.locator("[data-act=again]").click()
            page.locator(".job").wait_for()
            page.keyboard.press("Escape")
            page.locator(".viewer").wait_for(state="hidden")
        page.locator(".queue summary").click()
        page.locator(".queue-body li", has_text="c.png").get_by_role("button", name="Take out").click()
        page.locator(".queue-body li", has_text="c.png").wait_for(state="detached")
        assert page.locator(".queue-body li").count() == 2
        may_go.set()
        wait_for_queue(desk)
        page.locator(".queue-body", has_text="Nothing is waiting").wait_for()
        assert page.locator(".badge.is-busy").count() == 0


def test_what_the_server_refuses_is_said(browser, output):
    with reviewing(browser, output) as (_, seen, _):
        page = seen.page
        seen.tile("broken.jpg").click()
        assert page.get_by_role("button", name="Approve", exact=True).is_disabled()
        page.locator(".again summary").click()
        page.locator("[data-act=again]").click()
        page.locator(".toast").wait_for()
        assert "broken.jpg" in page.locator(".toast").inner_text()


def test_a_mask_goes_to_all_photographs_like_it(browser, output):
    with reviewing(browser, output) as (desk, seen, _):
        page = seen.page
        seen.open("a.png")
        page.keyboard.press("e")
        seen.wait("document.querySelector('canvas.paint')")
        page.get_by_role("button", name="Box", exact=True).click()
        paint(page, (0.42, 0.38), (0.58, 0.62))
        page.get_by_role("button", name="Save the mask").click()
        page.get_by_role("button", name="All photographs like this one").click()
        assert "more photographs of the same size" in page.locator(".question").inner_text()
        page.get_by_role("button", name="Yes").click()
        wait_until(lambda: desk.queue.to_json()["total"] >= 2)
        wait_for_queue(desk)


class Elsewhere(http.server.BaseHTTPRequestHandler):
    """A page of another origin on the same machine."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>elsewhere</title>")

    def log_message(self, *_):
        pass


def test_a_page_from_elsewhere_can_do_nothing(browser, output):
    other = http.server.HTTPServer(("127.0.0.1", 0), Elsewhere)
    thread = threading.Thread(target=other.serve_forever)
    thread.start()
    try:
        with reviewing(browser, output) as (_, seen, server):
            wanted = seen.tile("a.png").get_attribute("data-id")
            stranger = seen.context.new_page()
            stranger.goto(f"http://127.0.0.1:{other.server_address[1]}/")
            told = stranger.evaluate(
                "(url) => fetch(url, {method: 'POST', mode: 'no-cors', credentials: 'include'})"
                ".then((answer) => answer.type, (error) => String(error))",
                f"{server.origin}/api/photos/{wanted}/approve",
            )
            assert told.startswith("opaque") or "TypeError" in told
            seen.page.reload()
            seen.page.wait_for_selector("html[data-ready]")
            assert seen.page.locator(".chip.is-approved .count").text_content() == "0"
            seen.requests.clear()
    finally:
        other.shutdown()
        thread.join()
        other.server_close()


def test_a_run_is_watched_and_held(browser, tmp_path):
    photos = tmp_path / "in"
    for number in range(12):
        draw_photo(photos / f"{number:02}.png", seed=number)
    desk, hold, stop = Desk(tmp_path / "out", SETTINGS, build=build), Hold(), StopRequest()
    live = LiveRun(desk, hold, stop)
    with Server(desk, live) as server:
        seen = Visit(browser, server.make_address())
        page = seen.page
        assert page.locator(".empty").first.is_visible()
        run = threading.Thread(
            target=repair_folder,
            args=(photos, tmp_path / "out", SETTINGS),
            kwargs={"pipeline": build_slowly(SETTINGS), "subscribers": [live], "stop": stop, "hold": hold},
            daemon=True,  # held, it would keep the program from ending if the page fails
        )
        run.start()
        page.locator("[data-act=hold]").click()
        page.locator(".live", has_text="paused").wait_for()
        assert run.is_alive()
        page.locator("[data-act=hold]").click()
        page.locator(".live", has_text="finished").wait_for()
        run.join(30)
        live.end()
        seen.wait("document.querySelector('.chip.is-all .count').textContent === '12'")
        page.get_by_role("tab", name="The run").click()
        page.locator(".chart").first.wait_for()
        seen.close()
    desk.close()
    assert seen.troubles == []


@pytest.mark.parametrize("looks", [{}, {"color_scheme": "dark", **PHONE}], ids=["desktop", "phone"])
def test_no_serious_accessibility_fault(browser, output, axe, looks):
    with reviewing(browser, output, **looks) as (_, seen, _):
        page = seen.page
        assert seen.count_faults(axe) == []
        seen.open("a.png")
        page.locator(".again summary").click()
        assert seen.count_faults(axe) == []
        page.keyboard.press("e")
        page.locator(".palette").wait_for()
        assert seen.count_faults(axe) == []
