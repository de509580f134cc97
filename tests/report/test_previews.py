"""The small pictures: what they show, that they are made once, and within bounds."""

import os

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from cleanplate.errors import UnreadablePhotoError
from cleanplate.report import Previews, ReportPhoto, collect, picture_for_browser, pictures, thumbnail
from cleanplate.report.pictures import SMALL_PX, is_showable, open_picture
from cleanplate.report.previews import find_detail_box
from cleanplate.structures import Box, Method, Outcome, Region, Verdict
from tests.report.outputs import make_many, make_output


def open_bytes(data):
    return np.asarray(Image.open(__import__("io").BytesIO(data)).convert("RGB"))


def read_rgb(path):
    return np.asarray(Image.open(path).convert("RGB"))


@pytest.fixture
def turned(tmp_path):
    """A JPEG that is 40 wide and 80 high for looking: red above, blue below."""
    stored = np.zeros((40, 80, 3), np.uint8)
    stored[:, :40, 0] = stored[:, 40:, 2] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "turned.jpg"
    Image.fromarray(stored).save(path, exif=exif, quality=95, subsampling=0)
    return path


def test_thumbnails_are_upright_and_small(turned):
    small = open_bytes(thumbnail(turned))
    assert small.shape == (80, 40, 3)
    assert small[10, 20, 0] > 200
    assert small[70, 20, 2] > 200


def test_large_photographs_become_small(tmp_path):
    for name in ("wide.jpg", "wide.png", "wide.tiff"):
        Image.new("RGB", (1600, 400), (10, 200, 30)).save(tmp_path / name)
        small = open_bytes(thumbnail(tmp_path / name))
        assert small.shape == (90, SMALL_PX, 3)
        assert np.abs(small[40, 100].astype(int) - (10, 200, 30)).max() < 6


def test_sixteen_bits_become_eight(tmp_path):
    cv2.imwrite(str(tmp_path / "deep.tiff"), np.full((20, 30, 3), 257 * 100, np.uint16))
    data, kind = picture_for_browser(tmp_path / "deep.tiff")
    assert kind == "image/jpeg"
    assert open_bytes(data).shape == (20, 30, 3)
    assert abs(int(open_bytes(data)[5, 5, 0]) - 100) <= 1


def test_the_file_itself_will_do_where_browsers_show_it(tmp_path, turned):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    Image.new("RGB", (8, 8)).save(tmp_path / "a.bmp")
    Image.new("RGB", (8, 8)).save(tmp_path / "a.webp")
    Image.new("RGB", (8, 8)).save(tmp_path / "a.avif")
    for path in (turned, *(tmp_path / f"a.{suffix}" for suffix in ("png", "bmp", "webp", "avif"))):
        assert is_showable(path), path
        assert picture_for_browser(path) is None


def test_what_browsers_show_wrongly_is_converted(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (8, 4)).save(tmp_path / "turned.png", exif=exif)
    Image.new("CMYK", (8, 4)).save(tmp_path / "inks.jpg")
    for name in ("turned.png", "inks.jpg"):
        assert not is_showable(tmp_path / name)
        assert picture_for_browser(tmp_path / name) is not None
    (tmp_path / "damaged.png").write_bytes(b"\x89PNG\r\n\x1a\nrest")
    assert not is_showable(tmp_path / "damaged.png")


def test_heic_is_converted_too(tmp_path):
    import pillow_heif

    path = tmp_path / "a.heic"
    picture = Image.new("RGB", (64, 48), (200, 30, 30))
    pillow_heif.from_pillow(picture).save(path, quality=90)
    made, kind = picture_for_browser(path)
    assert kind == "image/jpeg"
    assert open_bytes(made).shape == (48, 64, 3)
    assert open_bytes(thumbnail(path))[20, 20, 0] > 150


def test_colour_profiles_go_along(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for name in ("a.jpg", "a.tiff"):
        Image.new("RGB", (600, 400)).save(tmp_path / name, icc_profile=profile)
        assert Image.open(__import__("io").BytesIO(thumbnail(tmp_path / name))).info["icc_profile"] == profile


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff\xe0 nothing")
    with pytest.raises(UnreadablePhotoError):
        open_picture(tmp_path / "a.jpg", longest_px=SMALL_PX)


def test_previews_are_made_once_and_swept(output, monkeypatch):
    data = collect(output)
    folder = Previews(output).folder
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert before
    (folder / "old.small.jpg").write_bytes(b"of a photograph that is gone")
    monkeypatch.setattr(pictures, "open_picture", lambda *_, **__: pytest.fail("it was there already"))
    told = []
    broken = [photo for photo in data.photos if photo.outcome.relative != "broken.jpg"]
    Previews(output).make_all(broken, on_progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (len(broken), len(broken))
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_equal_pictures_share_their_preview(tmp_path):
    output = make_many(tmp_path / "out", 40)
    Previews(output).make_all(collect(output).photos, threads=3)
    assert len(list((output / ".cleanplate" / "previews").iterdir())) == 4, "failed ones have no source"


def test_a_mask_that_was_not_kept_is_made_of_what_was_changed(tmp_path):
    output = make_output(tmp_path, masks=False)
    Previews(output).make_all(collect(output).photos)
    data = {record["name"]: record for record in collect(output).to_json()["photos"]}
    made = data["b marked.png"]["pictures"]["mask"]
    assert made.startswith(".cleanplate/previews/")
    marked = read_rgb(tmp_path / "photos" / "b marked.png")
    assert np.array_equal(read_rgb(output / made)[..., 0] > 0, (marked == (255, 0, 255)).all(axis=2))
    assert "mask" not in data["slight.png"]["pictures"], "nothing was changed: only looking again would tell"
    Previews(output).make_all([])
    assert list(Previews(output).folder.iterdir()) == []


def test_the_piece_at_full_resolution_holds_marks_that_lie_together(tmp_path):
    def outcome(*boxes):
        regions = tuple(Region(box, Method.FILLED, None, 1.0) for box in boxes)
        return Outcome(
            source=tmp_path, relative="a", verdict=Verdict.REPAIRED, width=6000, height=4000, regions=regions
        )

    near = find_detail_box(outcome(Box(1000, 1000, 1200, 1100), Box(1300, 1000, 1350, 1100)))
    assert near == Box(936, 936, 1414, 1164)
    far = find_detail_box(outcome(Box(1000, 1000, 1200, 1100), Box(5900, 3900, 5950, 3950)))
    assert far == Box(936, 936, 1264, 1164)
    whole = find_detail_box(outcome(Box(0, 0, 6000, 4000)))
    assert (whole.width, whole.height) == (2048, 2048)
    assert whole.left == 1976


def test_the_piece_of_what_came_in_is_made_anew_where_the_marks_lie_elsewhere(tmp_path):
    """Done again, the same file has its marks elsewhere; its previews are called by its content."""
    deep = np.zeros((300, 4000, 3), np.uint16)
    deep[:, 3000:] = 40_000
    cv2.imwrite(str(tmp_path / "a.tiff"), deep)
    shown = []
    for left in (100, 3500):
        region = Region(Box(left, 50, left + 60, 90), Method.FILLED, None, 1.0)
        outcome = Outcome(
            source=tmp_path / "a.tiff",
            relative="a.tiff",
            verdict=Verdict.REPAIRED,
            width=4000,
            height=300,
            regions=(region,),
            input_sha256="ab" * 32,
        )
        previews = Previews(tmp_path / "out")
        previews.make_all([ReportPhoto(outcome=outcome, at=0.0)])
        files = previews.files(ReportPhoto(outcome=outcome, at=0.0), after=False)
        shown.append(float(read_rgb(files.detail).mean()))
    assert shown[0] < 10
    assert shown[1] > 100
    assert len(list(previews.folder.glob("*.detail.jpg"))) == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(FileNotFoundError):
        is_showable(tmp_path / "pipe.jpg")


def test_an_unreadable_result_has_no_preview(tmp_path):
    output = tmp_path / "out"
    gone = Outcome(source=tmp_path / "a.jpg", relative="a.jpg", verdict=Verdict.CLEAN, output="a.jpg")
    Previews(output).make_all([ReportPhoto(outcome=gone)])
    assert list(Previews(output).folder.iterdir()) == []
