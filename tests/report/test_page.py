"""The page's text: complete in itself, escaped, and the scripts put together."""

import base64
import hashlib
import json
import re

import pytest

from cleanplate.report import bundle, collect, render_page
from cleanplate.report.bundle import bundle_scripts, read_page_file
from tests.report.outputs import HOSTILE

MODULES = [
    *(
        "api",
        "charts",
        "desk",
        "dom",
        "facts",
        "filters",
        "grid",
        "i18n",
        "main",
        "painter",
        "review",
        "store",
    ),
    *("stage", "viewer", "words"),
]


def read_data(page):
    return json.loads(
        re.search(r'<script type="application/json" id="data"[^>]*>(.*?)</script>', page, re.DOTALL)[1]
    )


def test_it_holds_everything_and_asks_for_nothing(output):
    page = render_page(collect(output))
    assert "%%" not in page
    assert not re.search(r'(src|href)="(?!data:,")', page)
    assert "import " not in bundle_scripts().replace("// ", "")[:20]
    for address in re.findall(r"https?://[^\s\"'`]+", page):
        assert address == "http://www.w3.org/2000/svg"


def test_names_of_files_stay_text(output):
    page = render_page(collect(output))
    assert HOSTILE not in page
    assert "onerror=alert(1)\\u003e" in page
    assert page.count("<script") == 2
    assert page.count("</script>") == 2
    assert HOSTILE in [photo["name"] for photo in read_data(page)["photos"]]


def test_its_policy_allows_its_own_script_and_style_only(output):
    page = render_page(collect(output))
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)[1]
    for element in ('script type="module"', "style"):
        text = re.search(rf"<{element}>(.*?)</{element.split()[0]}>", page, re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"sha256-{digest}" in policy
    assert "default-src &#x27;none&#x27;" in policy
    assert "unsafe" not in policy


def test_a_server_marks_scripts_and_tells_of_itself(output):
    page = render_page(collect(output), review={"nonce": 'n"<', "live": True, "methods": ["auto"]})
    assert "Content-Security-Policy" not in page
    assert page.count(' nonce="n&quot;&lt;"') == 3
    data = read_data(page)
    assert data["review"] == {"live": True, "methods": ["auto"]}
    assert data["photos"][0]["pictures"]["thumb_before"].startswith("/pictures/")


def test_plain_values_will_do():
    page = render_page({"title": "</script><script>alert(1)</script>", "photos": [], "run": None})
    assert "</script><script>alert" not in page
    assert read_data(page)["title"] == "</script><script>alert(1)</script>"


def test_every_module_is_in_once_after_what_it_needs():
    text = bundle_scripts()
    places = {name: text.index(f"// ---- {name}.js\n") for name in MODULES}
    assert places["dom"] < places["grid"] < places["main"]
    assert not re.search(r"^(import|export)\b", text, re.MULTILINE)
    assert "</script" not in text
    assert "innerHTML" not in text


def test_both_languages_say_the_same_things():
    text = read_page_file("words.js")
    english, chinese = (
        re.findall(
            r"^  (\w+): \"(.*)\",$",
            re.search(rf"export const {name} = {{(.*?)^}};", text, re.DOTALL | re.MULTILINE)[1],
            re.MULTILINE,
        )
        for name in ("ENGLISH", "CHINESE")
    )
    assert [key for key, _ in english] == [key for key, _ in chinese]
    for (key, one), (_, other) in zip(english, chinese, strict=True):
        assert set(re.findall(r"{\w+}", one)) == set(re.findall(r"{\w+}", other)), key


def test_what_the_page_says_has_words():
    keys = set(re.findall(r"^  (\w+): \"", read_page_file("words.js"), re.MULTILINE))
    for module in MODULES:
        said = set(re.findall(r'say\("(\w+)"', read_page_file(f"{module}.js")))
        assert said <= keys, f"{module}: {said - keys}"


def bundling(monkeypatch, **modules):
    bundle_scripts.cache_clear()
    monkeypatch.setattr(bundle, "read_page_file", lambda name: modules[name.removesuffix(".js")])
    try:
        return bundle_scripts()
    finally:
        bundle_scripts.cache_clear()


@pytest.mark.parametrize(
    ("modules", "complaint"),
    [
        ({"main": 'import { a } from "./b.js";\n', "b": ""}, "does not have"),
        (
            {
                "main": 'import { a } from "./b.js";\n',
                "b": 'import { c } from "./main.js";\nexport const a = 1;\n',
            },
            "each other",
        ),
        (
            {
                "main": 'import { a } from "./b.js";\nconst x = 1;\n',
                "b": "export const a = 1;\nconst x = 2;\n",
            },
            "both declare",
        ),
        ({"main": "export default 3;\n"}, "plain kind"),
    ],
)
def test_modules_of_another_kind_are_refused(monkeypatch, modules, complaint):
    with pytest.raises(ValueError, match=complaint):
        bundling(monkeypatch, **modules)


def test_words_of_modules_are_taken_off(monkeypatch):
    text = bundling(monkeypatch, main='import { a } from "./b.js";\na();\n', b="export function a() {}\n")
    assert text == "// ---- b.js\nfunction a() {}\n\n// ---- main.js\na();\n"
