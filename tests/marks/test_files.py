"""Marks as RGBA PNG files."""

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from cleanplate.errors import UsageError
from cleanplate.marks import read_mark, write_mark
from cleanplate.marks.files import ESTIMATED, FIXED_SIZE
from cleanplate.structures import Mark, UsualPlace


def test_round_trip_is_exact_to_half_a_level(tmp_path):
    rng = np.random.default_rng(0)
    mark = Mark(
        alpha=rng.uniform(0, 1, (9, 14)).astype(np.float32),
        rgb=rng.uniform(0, 1, (9, 14, 3)).astype(np.float32),
    )
    write_mark(mark, tmp_path / "mark.png")
    back = read_mark(tmp_path / "mark.png")
    assert back.kind == "given"
    np.testing.assert_allclose(back.alpha, mark.alpha, atol=0.5 / 255 + 1e-6)
    np.testing.assert_allclose(back.rgb, mark.rgb, atol=0.5 / 255 + 1e-6)
    write_mark(back, tmp_path / "again.png")
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "mark.png").read_bytes()


def test_a_palette_with_transparency_is_a_mark(tmp_path):
    picture = Image.new("RGBA", (4, 4), (255, 0, 0, 255))
    picture.putpixel((0, 0), (0, 0, 0, 0))
    picture.quantize(4).save(tmp_path / "palette.png")
    mark = read_mark(tmp_path / "palette.png")
    assert mark.alpha[0, 0] == 0
    assert mark.alpha[3, 3] == 1


@pytest.mark.parametrize(
    ("name", "picture", "said"),
    [
        ("opaque.png", Image.new("RGB", (4, 4)), "no alpha channel"),
        ("empty.png", Image.new("RGBA", (4, 4), (9, 9, 9, 0)), "wholly transparent"),
    ],
)
def test_a_picture_that_is_no_mark_is_refused(tmp_path, name, picture, said):
    picture.save(tmp_path / name)
    with pytest.raises(UsageError, match=said) as caught:
        read_mark(tmp_path / name)
    assert name in str(caught.value)


def test_a_file_that_is_no_picture_is_refused(tmp_path):
    (tmp_path / "mark.png").write_bytes(b"not a picture")
    with pytest.raises(UsageError, match="cannot be read"):
        read_mark(tmp_path / "mark.png")
    with pytest.raises(UsageError, match="cannot be read"):
        read_mark(tmp_path / "missing.png")


@pytest.mark.parametrize("kind", [FIXED_SIZE, ESTIMATED])
@pytest.mark.parametrize("anchor", [None, (0, 0), (1, 0.5)])
def test_what_is_known_of_an_estimated_mark_is_kept_in_its_file(tmp_path, kind, anchor):
    place = UsualPlace(-3, 123456789, 480, 320, anchor)
    mark = Mark(np.full((4, 4), 0.5, np.float32), np.ones((4, 4, 3), np.float32), kind, 24, place)
    write_mark(mark, tmp_path / "mark.png")
    kept = read_mark(tmp_path / "mark.png")
    assert (kept.kind, kept.photographs, kept.place) == (kind, 24, place)


@pytest.mark.parametrize("said", ["", "-3", "many", "9" * 5000])
def test_a_number_of_photographs_that_is_none_is_not_known(tmp_path, said):
    notes = PngImagePlugin.PngInfo()
    notes.add_text("cleanplate photographs", said)
    notes.add_text("cleanplate place", f"{said} 1 2 3")
    Image.new("RGBA", (4, 4), (9, 9, 9, 99)).save(tmp_path / "mark.png", pnginfo=notes)
    assert read_mark(tmp_path / "mark.png").photographs == 0
    assert read_mark(tmp_path / "mark.png").place is None or said == "-3"


def test_a_picture_too_large_to_decode_is_no_mark(tmp_path, monkeypatch):
    Image.new("RGBA", (40, 40), (9, 9, 9, 99)).save(tmp_path / "mark.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(UsageError, match="the mark cannot be read"):
        read_mark(tmp_path / "mark.png")
