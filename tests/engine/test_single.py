"""One picture, in hand already."""

import numpy as np
import pytest
from PIL import Image

import cleanplate
from cleanplate.engine.single import repair
from cleanplate.errors import RepairFailedError, UnreadablePhotoError, UsageError
from cleanplate.structures import Verdict

from .simple import MagentaPipeline, draw_photo


@pytest.fixture
def marked(tmp_path):
    return draw_photo(tmp_path / "a.png")


@pytest.fixture
def array(marked):
    return np.array(Image.open(marked))


def test_a_path_a_picture_and_an_array_come_to_the_same(marked, array):
    pipeline = MagentaPipeline()
    results = [repair(given, pipeline=pipeline) for given in (marked, str(marked), Image.open(marked), array)]
    for result in results:
        assert result.verdict is Verdict.REPAIRED
        assert np.array_equal(result.mask, (array == (255, 0, 255)).all(axis=2))
        assert np.array_equal(result.rgb, results[0].rgb)
        assert np.array_equal(np.asarray(result.image), result.rgb)
        assert result.share == pytest.approx(result.mask.mean())
    assert [path.name for path in marked.parent.iterdir()] == ["a.png"]


def test_alpha_comes_back_with_the_picture(array):
    alpha = (
        np.arange(array.shape[0] * array.shape[1], dtype=np.uint32).reshape(array.shape[:2]).astype(np.uint8)
    )
    layers = np.dstack([array, alpha])
    for given in (layers, Image.fromarray(layers)):
        result = repair(given, pipeline=MagentaPipeline())
        assert result.image.mode == "RGBA"
        assert np.array_equal(np.asarray(result.image)[:, :, 3], alpha)


def test_premultiplied_grey_comes_back_with_its_alpha():
    grey = Image.new("LA", (9, 8), (200, 128)).convert("La")
    result = repair(grey, pipeline=MagentaPipeline())
    assert result.image.mode == "RGBA"
    assert np.array_equal(np.asarray(result.image), np.asarray(grey.convert("LA").convert("RGBA")))


def test_sixteen_bits_and_grey_keep_their_kind():
    deep = np.full((20, 30, 3), 40_000, np.uint16)
    deep[5:15, 5:15] = (65535, 0, 65535)
    result = repair(deep, pipeline=MagentaPipeline())
    assert result.rgb.dtype == np.uint16
    assert result.image.mode == "RGB"
    grey = repair(np.full((8, 9), 100, np.uint8), pipeline=MagentaPipeline())
    assert grey.rgb.shape == (8, 9, 3)
    assert grey.verdict is Verdict.CLEAN


def test_sixteen_bits_may_have_their_high_byte_first():
    deep = np.full((20, 30, 3), 40_000, ">u2")
    result = repair(deep, pipeline=MagentaPipeline())
    assert np.array_equal(result.rgb, deep)


def test_a_turned_picture_is_looked_at_upright(array, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(array).save(tmp_path / "turned.png", exif=exif)
    with Image.open(tmp_path / "turned.png") as turned:
        assert repair(turned, pipeline=MagentaPipeline()).rgb.shape == (96, 64, 3)


@pytest.mark.parametrize(
    "given", [None, 3, np.zeros((4, 4, 2), np.uint8), np.zeros((4, 4, 3)), np.zeros(4, np.uint8)]
)
def test_what_is_no_picture_is_said_to_be_none(given):
    with pytest.raises(UsageError, match="is no picture"):
        repair(given, pipeline=MagentaPipeline())


def test_trouble_is_named(tmp_path, array):
    with pytest.raises(UnreadablePhotoError):
        repair(tmp_path / "nowhere.png", pipeline=MagentaPipeline())

    class Failing(MagentaPipeline):
        def repair_one(self, *_):
            raise MemoryError

    with pytest.raises(RepairFailedError, match="memory ran out"):
        repair(array, pipeline=Failing())


def test_the_package_offers_both_doors_when_they_are_asked_for():
    from cleanplate.engine.run import repair_folder

    assert cleanplate.repair is repair
    assert cleanplate.repair_folder is repair_folder
    assert {"repair", "repair_folder", "RepairSettings"} <= set(dir(cleanplate))
    with pytest.raises(AttributeError, match="no attribute 'replace'"):
        _ = cleanplate.replace


def test_a_grey_picture_of_sixteen_bits_keeps_its_lightness():
    deep = np.full((20, 30), 127 * 257, np.uint16)
    result = repair(Image.fromarray(deep), pipeline=MagentaPipeline())
    assert result.rgb.dtype == np.uint16
    assert np.all(result.rgb == 127 * 257)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_a_picture_that_does_not_say_what_is_white_is_refused(mode):
    with pytest.raises(UsageError, match=f"mode {mode} does not say"):
        repair(Image.new(mode, (9, 8)), pipeline=MagentaPipeline())


def test_a_file_keeps_its_transparency_as_an_object_does(tmp_path):
    layers = np.full((12, 20, 4), 90, np.uint8)
    layers[..., 3] = np.arange(20)
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(layers).save(tmp_path / "turned.png", exif=turned)
    grey = Image.fromarray(np.ascontiguousarray(layers[..., 2:]))
    grey.save(tmp_path / "grey.png")
    palette = Image.fromarray(layers[..., :3]).convert("P")
    palette.save(tmp_path / "palette.png", transparency=int(np.asarray(palette)[0, 0]))
    Image.fromarray(layers[..., :3]).save(tmp_path / "key.png", transparency=(90, 90, 90))
    for path in sorted(tmp_path.iterdir()):
        result = repair(path, pipeline=MagentaPipeline())
        with Image.open(path) as picture:
            same = repair(picture, pipeline=MagentaPipeline())
        assert result.image.mode == "RGBA", path
        assert np.array_equal(np.asarray(result.image)[..., 3], np.asarray(same.image)[..., 3]), path
    Image.fromarray(layers[..., :3]).save(tmp_path / "plain.png")
    assert repair(tmp_path / "plain.png", pipeline=MagentaPipeline()).alpha is None


@pytest.mark.parametrize("shape", [(0, 40, 3), (40, 0, 3), (0, 0)])
def test_a_picture_without_pixels_is_refused(shape):
    with pytest.raises(UsageError, match="is no picture"):
        repair(np.zeros(shape, np.uint8), pipeline=MagentaPipeline())


def test_an_empty_path_is_refused():
    with pytest.raises(UsageError, match="an empty path names no folder or file"):
        repair("", pipeline=MagentaPipeline())
