"""The report as a person meets it: a file opened in a real browser, nothing served."""

import io

import numpy as np
import pytest
from PIL import Image

from cleanplate.report import write_report
from tests.browser import PHONE, Visit, fetch_axe, open_browser
from tests.engine.simple import MAGENTA
from tests.report.outputs import HOSTILE, make_many

pytestmark = pytest.mark.system

MANY = 2000


@pytest.fixture(scope="module")
def browser():
    with open_browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def axe(tmp_path_factory):
    return fetch_axe(tmp_path_factory.mktemp("axe"))


@pytest.fixture
def visit(browser):
    """Opens a report; when the test is over, nothing may have gone wrong or been asked of a network."""
    visits = []

    def open_report(folder, **looks):
        visits.append(Visit(browser, (folder / "report.html").as_uri(), **looks))
        return visits[-1]

    yield open_report
    for opened in visits:
        opened.close()
        assert opened.troubles == []
        assert [url for url in opened.requests if not url.startswith(("file:", "data:", "blob:"))] == []


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    output = make_many(tmp_path_factory.mktemp("many") / "results", MANY)
    write_report(output)
    return output


def read_names(page):
    return page.locator(".tile .name").all_text_contents()


def read_split(page):
    return page.locator(".side.before").evaluate("(side) => getComputedStyle(side).clipPath")


def photograph(page, selector=".stage"):
    """What is on the screen there, (H, W, 3) of int."""
    picture = Image.open(io.BytesIO(page.locator(selector).screenshot())).convert("RGB")
    return np.asarray(picture).astype(int)


def is_magenta(pixel):
    return np.abs(pixel - MAGENTA).max() < 40


def test_the_slider_shows_before_and_after(output, visit):
    seen = visit(output)
    page = seen.page
    seen.open("a marked.jpg")
    page.mouse.move(5, 5)
    scene = photograph(page)
    middle, centre = scene.shape[0] // 2, scene.shape[1] // 2
    # The mark is in the middle, as is the boundary; its knob is 20 pixels wide on each side.
    assert is_magenta(scene[middle + 60, centre - 60])
    assert not is_magenta(scene[middle + 60, centre + 60])
    box = page.locator(".handle").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 400, box["y"] + 100, steps=4)
    page.mouse.up()
    scene = photograph(page)
    assert is_magenta(scene[middle + 60, centre + 60])
    told = int(page.locator(".handle").get_attribute("aria-valuenow"))
    assert told > 60
    page.locator(".handle").focus()
    page.keyboard.press("ArrowDown")
    assert int(page.locator(".handle").get_attribute("aria-valuenow")) == told - 2
    page.keyboard.press("Home")
    assert not is_magenta(photograph(page)[middle + 60, centre - 60])
    page.keyboard.press("End")
    assert is_magenta(photograph(page)[middle + 60, centre + 60])


def test_space_flips_and_m_shows_the_mask(output, visit):
    seen = visit(output)
    page = seen.page
    seen.open("a marked.jpg")
    before = photograph(page)
    page.keyboard.press("m")
    seen.wait("document.querySelector('.mask').complete")
    assert page.locator(".overlay").evaluate("(overlay) => getComputedStyle(overlay).visibility") == "visible"
    assert np.abs(photograph(page) - before).max() > 60
    page.keyboard.press("m")
    for mode in ("before", "after", "before"):
        page.keyboard.press(" ")
        assert page.locator(".stage").get_attribute("data-mode") == mode
    page.get_by_role("button", name="Compare").click()
    assert page.locator(".stage").get_attribute("data-mode") == "compare"


def test_marks_are_looked_at_in_full_resolution(output, visit):
    seen = visit(output)
    page = seen.page
    seen.open("deep.tiff")
    assert page.locator(".side.after .whole").evaluate("(image) => image.naturalWidth") == 2048
    assert page.locator(".side.after .detail").evaluate("(image) => image.naturalWidth") == 328
    page.keyboard.press("z")
    assert float(page.locator(".zoom").text_content().rstrip("%")) >= 100
    stage, region = page.locator(".stage").bounding_box(), page.locator(".region").bounding_box()
    for edge, size in (("x", "width"), ("y", "height")):
        assert abs(region[edge] + region[size] / 2 - stage[edge] - stage[size] / 2) < 3
    page.keyboard.press("0")
    assert float(page.locator(".zoom").text_content().rstrip("%")) < 100


def test_facts_of_a_photograph_and_of_a_broken_one(output, visit):
    seen = visit(output)
    page = seen.page
    seen.open("a marked.jpg")
    facts = page.locator(".facts-panel").inner_text()
    for fact in (
        "Repaired",
        "Marks cover",
        "8.33%",
        "Score",
        "Rounds",
        "filled, opacity 0.63",
        "320 × 240",
        "Time",
    ):
        assert fact in facts
    page.keyboard.press("Escape")
    page.locator(".viewer").wait_for(state="hidden")
    seen.tile("broken.jpg").click()
    facts = page.locator(".facts-panel").inner_text()
    assert "Failed" in facts
    assert "is damaged" in facts
    assert page.locator(".no-picture").is_visible()


def test_names_are_text_wherever_they_are_shown(output, visit):
    seen = visit(output)
    page = seen.page
    assert HOSTILE in read_names(page)
    seen.open(HOSTILE)
    assert page.locator(".viewer-name").text_content() == HOSTILE
    assert page.locator(".side.after .whole").get_attribute("alt") == f"After: {HOSTILE}"
    assert page.title() == "results · cleanplate"
    for name in ("100% #2?.jpg", "草地.webp"):
        page.keyboard.press("Escape")
        page.locator(".viewer").wait_for(state="hidden")
        seen.open(name)
        assert page.locator(".side.before .whole").evaluate("(image) => image.naturalWidth") == 320


def test_filters_search_and_order(many, visit):
    page = visit(many).page
    assert page.locator(".shown").text_content() == "2,000 shown"
    page.locator(".chip.is-failed").click()
    assert page.locator(".shown").text_content() == "400 shown"
    assert set(page.locator(".tile .badge").all_text_contents()) == {"Failed"}
    page.locator(".chip.is-repaired").click()
    assert page.locator(".shown").text_content() == "800 shown"
    page.locator("#order").select_option("sureness")
    assert "50%" in page.locator(".tile .figures").first.text_content()
    page.locator(".chip.is-all").click()
    page.locator("#search").fill("1234 PHOTO")
    assert read_names(page) == ["photo-01234.jpg"]
    page.locator("#search").fill("none such")
    assert page.locator(".empty").is_visible()


def test_two_thousand_photographs_scroll(many, visit):
    page = visit(many).page
    assert page.locator(".tile").count() < 80
    seen = set(read_names(page))
    page.locator(".tile").first.focus()
    for _ in range(30):
        page.mouse.move(600, 500)
        page.mouse.wheel(0, 3000)
        page.wait_for_timeout(20)
        seen |= set(read_names(page))
        assert page.locator(".tile").count() < 120
    page.keyboard.press("End")
    page.wait_for_timeout(50)
    assert "photo-01999.jpg" in read_names(page)
    assert page.evaluate("document.activeElement.dataset.index") == "1999"
    assert len(seen) > 600
    page.keyboard.press("Home")
    assert page.evaluate("document.activeElement.dataset.index") == "0"
    assert page.locator(".cell[aria-posinset='1']").get_attribute("aria-setsize") == "2000"


def test_it_works_by_keyboard_alone(many, visit):
    page = visit(many).page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.dataset.index") == "0"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    index = int(page.evaluate("document.activeElement.dataset.index"))
    assert index > 2
    page.keyboard.press("Enter")
    assert page.locator(".viewer-name").text_content() == f"photo-{index:05}.jpg"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    assert page.locator(".viewer-place").text_content() == f"{index + 2} of 2,000"
    page.keyboard.press("Escape")
    page.locator(".viewer").wait_for(state="hidden")
    assert page.evaluate("document.activeElement.dataset.index") == str(index + 1), "where one was"
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "search"


def test_the_browsers_back_closes_a_photograph(output, visit):
    seen = visit(output)
    page = seen.page
    seen.open("a marked.jpg")
    address = page.url
    page.go_back()
    page.locator(".viewer").wait_for(state="hidden")
    page.goto("about:blank")
    page.goto(address)
    page.locator(".viewer").wait_for()
    assert page.locator(".viewer-name").text_content() == "a marked.jpg"


def test_charts_of_the_run(many, visit):
    page = visit(many).page
    page.get_by_role("tab", name="The run").click()
    charts = page.locator(".chart h3").all_text_contents()
    assert charts == [
        "Memory of the machine",
        "Memory of the GPU",
        "Photographs a second",
        "Where the time went",
        "Sizes of the photographs",
        "Photographs in a batch",
    ]
    assert page.locator(".threshold.warning").count() == 2
    assert page.locator(".threshold.critical").count() == 2
    assert page.locator(".chart .pause").count() == 2
    assert page.locator(".chart .retry").count() == 3
    assert "allocated" in page.locator(".legend").nth(1).inner_text()
    assert page.locator(".column").count() > 50
    assert "find" in page.locator(".stage-rows").inner_text()
    events = page.locator(".events").inner_text()
    assert "GPU memory is at 85%" in events
    assert "4 → 2" in events
    assert "Photographs a second\n8\n" in f"{page.locator('.run-facts').inner_text()}\n"


def test_chinese_dark_and_narrow(output, visit):
    seen = visit(output, locale="zh-CN", color_scheme="dark", **PHONE)
    page = seen.page
    assert page.locator("html").get_attribute("lang") == "zh-CN"
    assert page.locator("#tab-photographs").text_content() == "照片"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 20, 18)"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name="English").click()
    assert page.locator("#tab-photographs").text_content() == "Photographs"
    page.get_by_role("button", name="Light or dark").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(245, 244, 240)"
    seen.tile("a marked.jpg").tap()
    page.locator(".viewer").wait_for()
    box = page.locator(".stage").bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] * 0.25, box["y"] + 40)
    assert abs(int(page.locator(".handle").get_attribute("aria-valuenow")) - 25) < 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_accessibility_fault(output, many, visit, axe, scheme):
    seen = visit(many, color_scheme=scheme)
    page = seen.page
    assert seen.count_faults(axe) == []
    page.get_by_role("tab", name="The run").click()
    assert seen.count_faults(axe) == []
    page.get_by_role("tab", name="Photographs").click()
    seen.tile("photo-00000.jpg").click()
    page.locator(".viewer").wait_for()
    page.keyboard.press("m")
    page.locator(".keys summary").click()
    assert seen.count_faults(axe) == []
    narrow = visit(output, color_scheme=scheme, locale="zh-CN", **PHONE)
    assert narrow.count_faults(axe) == []
