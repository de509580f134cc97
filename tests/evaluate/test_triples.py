"""The folder of triples: what is written is read back, and what is wrong is named."""

import cv2
import numpy as np
import pytest

from cleanplate.errors import UsageError
from cleanplate.evaluate.triples import find_triples, read_picture, read_triple, write_triple
from tests.evaluate.conftest import draw_sample, make_triple


@pytest.mark.parametrize("quality", [None, 80])
def test_a_triple_is_read_as_it_was_drawn(tmp_path, quality):
    sample = draw_sample(jpeg_quality=quality)
    files = write_triple(tmp_path, "one", sample)
    assert files.marked.name == ("one.marked.png" if quality is None else "one.marked.jpg")
    triple = read_triple(find_triples(tmp_path)[0])
    np.testing.assert_array_equal(triple.marked_u8, sample.marked)
    np.testing.assert_array_equal(triple.truth_u8, sample.clean)
    np.testing.assert_allclose(triple.opacity, sample.alpha, atol=1e-5)
    np.testing.assert_array_equal(triple.inside, sample.alpha > 0.02)
    assert (triple.name, triple.about.kind, triple.about.opacity) == ("one", "text", 0.5)
    assert triple.about.jpeg_quality == quality
    assert not triple.is_clean


def test_a_clean_photograph_is_told_by_its_opacity(tmp_path):
    triple = make_triple(tmp_path, box=None)
    assert triple.is_clean
    assert (triple.about.kind, triple.about.opacity) == ("clean", 0.0)


def test_without_json_the_opacity_is_measured(tmp_path):
    files = write_triple(tmp_path, "one", draw_sample(opacity=0.7))
    files.about.unlink()
    about = read_triple(files).about
    assert about.kind == "unknown"
    assert about.opacity == pytest.approx(0.7, abs=0.01)
    assert about.jpeg_quality is None


def test_eight_bit_opacity_is_read_too(tmp_path):
    files = write_triple(tmp_path, "one", draw_sample(opacity=0.4))
    alpha = read_triple(files).opacity
    cv2.imwrite(str(files.opacity), np.round(alpha * 255).astype(np.uint8))
    np.testing.assert_allclose(read_triple(files).opacity, alpha, atol=0.5 / 255 + 1e-6)


def test_triples_are_found_by_name_and_other_files_are_left(tmp_path):
    for name in ("b", "a", "c.d"):
        write_triple(tmp_path, name, draw_sample())
    (tmp_path / "notes.txt").write_text("none")
    assert [files.name for files in find_triples(tmp_path)] == ["a", "b", "c.d"]


def test_folders_without_triples_are_named(tmp_path):
    with pytest.raises(UsageError, match=r"missing: there is no such folder; .*evaluate make"):
        find_triples(tmp_path / "missing")
    with pytest.raises(UsageError, match="no triple is there"):
        find_triples(tmp_path)


@pytest.mark.parametrize("part", ["truth", "opacity"])
def test_a_missing_part_is_named(tmp_path, part):
    files = write_triple(tmp_path, "one", draw_sample())
    getattr(files, part).unlink()
    with pytest.raises(UsageError, match=rf"one\.{part}\.png: is missing beside one\.marked\.png"):
        find_triples(tmp_path)


def test_two_marked_photographs_of_one_name_are_refused(tmp_path):
    write_triple(tmp_path, "one", draw_sample())
    write_triple(tmp_path, "one", draw_sample(jpeg_quality=80))
    with pytest.raises(UsageError, match="keep one of the two"):
        find_triples(tmp_path)


def test_a_part_of_another_size_is_named(tmp_path):
    files = write_triple(tmp_path, "one", draw_sample())
    cv2.imwrite(str(files.truth), np.zeros((10, 20, 3), np.uint8))
    with pytest.raises(UsageError, match=r"one\.truth\.png: has another size \(20x10, .* 200x120\)"):
        read_triple(files)


def test_a_coloured_opacity_is_refused(tmp_path):
    files = write_triple(tmp_path, "one", draw_sample())
    cv2.imwrite(str(files.opacity), np.zeros((120, 200, 3), np.uint8))
    with pytest.raises(UsageError, match="is not a grey picture"):
        read_triple(files)


@pytest.mark.parametrize("content", [b"", b"no picture"])
def test_a_damaged_part_is_named(tmp_path, content):
    files = write_triple(tmp_path, "one", draw_sample())
    files.truth.write_bytes(content)
    with pytest.raises(UsageError, match=r"one\.truth\.png: is not a picture"):
        read_triple(files)
    files.truth.unlink()
    with pytest.raises(UsageError, match=r"one\.truth\.png: cannot be read"):
        read_picture(files.truth)


@pytest.mark.parametrize(
    "content",
    ["{", "[1]", '{"opacity": "much"}', '{"opacity": NaN}', '{"opacity": 1.5}', '{"jpeg_quality": []}'],
)
def test_json_that_does_not_say_what_it_should_is_named(tmp_path, content):
    files = write_triple(tmp_path, "one", draw_sample())
    files.about.write_text(content, encoding="utf-8")
    with pytest.raises(UsageError, match=r"one\.json: is not what a triple's JSON holds"):
        read_triple(files)
