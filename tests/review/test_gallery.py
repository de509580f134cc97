"""Which pictures are served, and that nothing else is."""

import io
import json
import os

import numpy as np
import pytest
from PIL import Image

from cleanplate.report import photo_id
from tests.engine.simple import draw_photo
from tests.review.scene import ids_by_name, open_client, open_desk, run_batch, square_mask

SECRET = b"\x89PNG\r\n\x1a\n the secret"


def open_picture(answer):
    assert answer.status_code == 200, answer.text
    return Image.open(io.BytesIO(answer.content))


def test_before_after_and_thumbnails(client, ids, inputs, output):
    address = f"/pictures/{ids['a.png']}"
    before, after = client.get(f"{address}/before"), client.get(f"{address}/after")
    assert before.content == (inputs / "a.png").read_bytes()
    assert after.content == (output / "a.png").read_bytes()
    assert before.headers["content-type"] == "image/png"
    assert before.headers["cache-control"] == "private, no-cache"
    for side in ("before", "after"):
        small = client.get(f"{address}/thumbnail", params={"of": side})
        assert small.headers["content-type"] == "image/jpeg"
        assert max(open_picture(small).size) <= 360
    # what was not changed looks the same on both sides
    address = f"/pictures/{ids['clean.png']}/thumbnail"
    assert client.get(f"{address}?of=before").content == client.get(f"{address}?of=after").content


def test_a_picture_that_the_page_has_is_not_sent_again(client, ids):
    for path in ("before", "after", "thumbnail"):
        address = f"/pictures/{ids['a.png']}/{path}"
        tag = client.get(address).headers["etag"]
        again = client.get(address, headers={"If-None-Match": tag})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert client.get(address, headers={"If-None-Match": '"old"'}).status_code == 200


def test_formats_that_browsers_do_not_show_are_made_into_one(tmp_path):
    draw_photo(tmp_path / "in" / "deep.png", size=(80, 60))
    deep = np.asarray(Image.open(tmp_path / "in" / "deep.png"))
    (tmp_path / "in" / "deep.png").unlink()
    Image.fromarray(deep).save(tmp_path / "in" / "page.tif")
    desk = open_desk(run_batch(tmp_path / "in", tmp_path / "out"))
    client, ids = open_client(desk), ids_by_name(desk)
    for side in ("before", "after"):
        answer = client.get(f"/pictures/{ids['page.tif']}/{side}")
        assert answer.headers["content-type"] == "image/jpeg"
        assert open_picture(answer).size == (80, 60)
    desk.close()


def test_masks_are_the_painted_ones_before_what_was_changed(client, ids):
    address = f"/pictures/{ids['a.png']}/mask"
    made = np.asarray(open_picture(client.get(address)))
    assert made.shape == (64, 96)
    assert made[32, 48] == 255
    assert not made[0].any()
    png = square_mask()
    assert client.put(f"/api/photos/{ids['a.png']}/mask", content=png, headers=PNG).status_code == 200
    painted = open_picture(client.get(address))
    assert np.array_equal(np.asarray(painted), np.asarray(Image.open(io.BytesIO(png))))
    tag = client.get(address).headers["etag"]
    assert client.get(address, headers={"If-None-Match": tag}).status_code == 304


PNG = {"Content-Type": "image/png"}


def test_what_is_not_there_is_not_there(client, ids):
    for path in ("after", "thumbnail", "before", "thumbnail?of=before", "mask"):
        answer = client.get(f"/pictures/{ids['broken.jpg']}/{path}")
        # a broken JPEG is sent as it is, and the browser shows what it can
        assert answer.status_code == (404 if path != "before" else answer.status_code)
    assert client.get("/pictures/0000000000000000/after").status_code == 404
    assert client.get(f"/pictures/{ids['a.png']}/thumbnail?of=both").status_code == 422


@pytest.mark.parametrize(
    "path",
    [
        "/pictures/../../secret.png",
        "/pictures/..%2f..%2fsecret.png/after",
        "/pictures/%2e%2e/%2e%2e/secret.png",
        "/pictures//etc/passwd/after",
        "/pictures/%00/after",
        "/pictures/0123456789abcdef/../../../secret.png",
        "/pictures/0123456789ABCDEF/after",
        "/.cleanplate/journal.jsonl",
        "/a.png",
        "/api/photos/..%2f..%2fjournal.jsonl",
    ],
)
def test_no_path_leads_to_a_file(client, path):
    assert client.get(path).status_code in (404, 422)


def test_a_result_that_is_a_link_out_of_the_folder_is_not_served(client, ids, output, tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(SECRET)
    (output / "a.png").unlink()
    (output / "a.png").symlink_to(secret)
    for path in ("after", "thumbnail", "mask"):
        answer = client.get(f"/pictures/{ids['a.png']}/{path}")
        assert answer.status_code == 404
        assert b"secret" not in answer.content
    assert "link" in answer.json()["error"]["cause"]


def test_a_link_to_another_result_in_the_folder_is_one_of_its_files(client, ids, output):
    (output / "a.png").unlink()
    (output / "a.png").symlink_to(output / "clean.png")
    answer = client.get(f"/pictures/{ids['a.png']}/after")
    assert answer.content == (output / "clean.png").read_bytes()


def test_an_input_that_is_a_link_out_of_its_folder_is_not_served(tmp_path):
    elsewhere = draw_photo(tmp_path / "elsewhere" / "x.png")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x.png").symlink_to(elsewhere)
    output = run_batch(tmp_path / "in", tmp_path / "out")
    desk = open_desk(output)
    client, ids = open_client(desk), ids_by_name(desk)
    assert client.get(f"/pictures/{ids['x.png']}/before").status_code == 404
    assert client.get(f"/pictures/{ids['x.png']}/thumbnail?of=before").status_code == 404
    assert client.get(f"/pictures/{ids['x.png']}/mask").status_code == 404
    assert client.get(f"/pictures/{ids['x.png']}/after").status_code == 200
    desk.close()


def test_circles_of_links_and_vanished_files_are_not_there(client, ids, output, inputs):
    (output / "a.png").unlink()
    (output / "a.png").symlink_to(output / "a.png")
    assert client.get(f"/pictures/{ids['a.png']}/after").status_code == 404
    (inputs / "b.jpg").unlink()
    assert client.get(f"/pictures/{ids['b.jpg']}/before").status_code == 404
    (inputs / "b.jpg").mkdir()
    assert client.get(f"/pictures/{ids['b.jpg']}/before").status_code == 404


def add_line(output, source, relative, name):
    outcome = {"source": str(source), "relative": relative, "verdict": "repaired", "output": name}
    line = {"kind": "finished", "outcome": outcome, "time": "2026-01-01T00:00:00.000+00:00"}
    with (output / ".cleanplate" / "journal.jsonl").open("a") as stream:
        stream.write(json.dumps(line) + "\n")


def test_a_journal_that_names_other_files_gets_nothing_out(output, tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(SECRET)
    text = tmp_path / "notes" / "passwords.txt"
    text.parent.mkdir()
    text.write_text("secret", encoding="utf-8")
    for number, name in enumerate(("../secret.png", str(secret), "x/../../secret.png", "a\0b.png")):
        add_line(output, tmp_path / f"{number}.png", f"{number}.png", name)
    add_line(output, text, "passwords.txt", "a.png")
    desk = open_desk(output)
    client = open_client(desk)
    for number in range(4):
        for path in ("after", "thumbnail"):
            answer = client.get(f"/pictures/{photo_id(tmp_path / f'{number}.png')}/{path}")
            assert answer.status_code == 404
            assert b"secret" not in answer.content
    answer = client.get(f"/pictures/{photo_id(text)}/before")
    assert answer.status_code == 404, "what is no picture is not served, whoever names it"
    desk.close()


def test_pictures_of_photographs_with_hostile_names(tmp_path):
    names = ["<img src=x onerror=alert(1)>.png", 'quote".png', "new\nline.png", "%2e%2e.png", "&amp;#x.png"]
    if os.name == "nt":
        names = ["%2e%2e.png", "&amp;#x.png"]
    for name in names:
        draw_photo(tmp_path / "in" / name)
    desk = open_desk(run_batch(tmp_path / "in", tmp_path / "out"))
    client, ids = open_client(desk), ids_by_name(desk)
    assert set(ids) == set(names)
    for name in names:
        assert client.get(f"/pictures/{ids[name]}/after").status_code == 200
    page = client.get("/").text
    assert "<img src=x onerror" not in page
    assert [photo["name"] for photo in client.get("/api/photos").json()["photos"]] == sorted(names)
    desk.close()
