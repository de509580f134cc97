"""Masks as files: which one belongs to a photograph, which way round it is, and what cannot be one."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from cleanplate.detect.maskfiles import MaskFiles, list_names, open_masks
from cleanplate.errors import RepairFailedError, UsageError
from cleanplate.images.container import Container, Samples
from cleanplate.images.orientation import to_stored, to_upright
from cleanplate.images.read import read
from cleanplate.structures import BoolArray, Photo

HEIGHT, WIDTH = 60, 80


def photo(path: Path = Path("trip/a.jpg"), height: int = HEIGHT, width: int = WIDTH) -> Photo:
    return Photo(path, np.zeros((height, width, 3), np.uint8), None)


def drawn(height: int = HEIGHT, width: int = WIDTH) -> BoolArray:
    mask = np.zeros((height, width), bool)
    mask[height // 2 : height // 2 + height // 6, width // 4 : width // 2] = True
    return mask


def u8(mask: BoolArray) -> NDArray[np.uint8]:
    return mask.astype(np.uint8) * np.uint8(255)


def find(path: Path, of: Photo | None = None) -> BoolArray:
    given = open_masks(str(path)).find(of or photo())
    assert given is not None
    return given.mask


@pytest.mark.parametrize("name", ["a.png", "a.jpg.png", "a.bmp", "a.tif", "a.webp", "trip/a.png"])
def test_a_mask_is_found_by_the_photographs_name(tmp_path: Path, name: str) -> None:
    (tmp_path / "trip").mkdir()
    cv2.imwrite(str(tmp_path / name), u8(drawn()))
    assert np.array_equal(find(tmp_path), drawn())
    assert open_masks(str(tmp_path)).find(photo(Path("trip/b.jpg"))) is None


@pytest.mark.parametrize(
    ("kind", "value"), [(np.uint8, 1), (np.uint8, 7), (np.uint8, 100), (np.uint16, 1), (np.uint16, 255)]
)
def test_a_mask_of_0_and_1_marks_what_is_1(tmp_path: Path, kind: type, value: int) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), drawn().astype(kind) * kind(value))
    given = open_masks(str(tmp_path)).find(photo())
    assert given is not None
    assert np.array_equal(given.mask, drawn())
    assert given.notes == (f"its mask holds 0 and {value}, of which {value} was taken for marked (a.png)",)


def test_a_mask_of_several_dark_values_is_refused(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), (np.arange(HEIGHT * WIDTH) % 5).astype(np.uint8).reshape(HEIGHT, -1))
    with pytest.raises(RepairFailedError, match="dark throughout"):
        find(tmp_path)


def test_a_dark_jpeg_mask_is_refused_and_not_taken_for_empty(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.jpg"), u8(drawn()) // 2 - 20 * drawn(), [cv2.IMWRITE_JPEG_QUALITY, 70])
    with pytest.raises(RepairFailedError, match="dark throughout"):
        find(tmp_path)


def test_a_jpeg_mask_is_cut_at_half(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.jpg"), u8(drawn()), [cv2.IMWRITE_JPEG_QUALITY, 70])
    assert (find(tmp_path) != drawn()).sum() < 20


def test_the_nearest_folder_and_the_whole_name_win(tmp_path: Path) -> None:
    (tmp_path / "trip").mkdir()
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((HEIGHT, WIDTH), np.uint8))
    cv2.imwrite(str(tmp_path / "trip" / "a.png"), u8(drawn()))
    assert find(tmp_path).any()
    cv2.imwrite(str(tmp_path / "trip" / "a.jpg.png"), np.zeros((HEIGHT, WIDTH), np.uint8))
    assert not find(tmp_path).any()


def test_two_masks_of_one_name_are_refused(tmp_path: Path) -> None:
    for suffix in ("png", "bmp"):
        cv2.imwrite(str(tmp_path / f"a.{suffix}"), u8(drawn()))
    with pytest.raises(RepairFailedError, match=r"several masks .*a\.png, a\.bmp"):
        find(tmp_path)


def test_a_photograph_is_not_its_own_mask(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), u8(drawn()))
    assert open_masks(str(tmp_path)).find(photo(tmp_path / "a.png")) is None


def test_one_file_holds_for_all(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "logo.png"), u8(drawn()))
    masks = open_masks(str(tmp_path / "logo.png"))
    for name in ("a.jpg", "b.jpg"):
        given = masks.find(photo(Path(name)))
        assert given is not None
        assert np.array_equal(given.mask, drawn())


def test_nothing_there_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder or file of masks"):
        open_masks(str(tmp_path / "none"))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "I;16", "LA"])
def test_every_kind_of_file_gives_the_same_mask(tmp_path: Path, mode: str) -> None:
    grey = Image.fromarray(u8(drawn()))
    if mode == "I;16":
        Image.fromarray(u8(drawn()).astype(np.uint16) * 257).save(tmp_path / "a.png")
    else:
        grey.convert(mode).save(tmp_path / "a.png")
    assert np.array_equal(find(tmp_path), drawn())


def test_a_float_mask_counts_too(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.tiff"), drawn().astype(np.float32))
    assert np.array_equal(find(tmp_path), drawn())


def test_transparency_draws_the_mask_whatever_the_colour(tmp_path: Path) -> None:
    layers = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    layers[drawn()] = (200, 0, 0, 255)
    Image.fromarray(layers).save(tmp_path / "a.png")
    assert np.array_equal(find(tmp_path), drawn())


def test_a_mask_the_other_way_round_is_turned_with_a_note(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), u8(~drawn()))
    given = open_masks(str(tmp_path)).find(photo())
    assert given is not None
    assert np.array_equal(given.mask, drawn())
    assert given.notes == ("its mask was white round the mark and was taken the other way round (a.png)",)


def test_a_large_mark_inside_a_black_rim_is_not_turned(tmp_path: Path) -> None:
    large = np.zeros((HEIGHT, WIDTH), bool)
    large[3:-3, 3:-3] = True
    cv2.imwrite(str(tmp_path / "a.png"), u8(large))
    assert np.array_equal(find(tmp_path), large)


@pytest.mark.parametrize("scale", [2, 0.5])
def test_a_mask_of_another_size_is_resized_with_a_note(tmp_path: Path, scale: float) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), u8(drawn(int(HEIGHT * scale), int(WIDTH * scale))))
    given = open_masks(str(tmp_path)).find(photo())
    assert given is not None
    assert given.mask.shape == (HEIGHT, WIDTH)
    assert (given.mask != drawn()).sum() <= 70
    assert "resized from" in given.notes[0]


def test_thin_strokes_survive_shrinking(tmp_path: Path) -> None:
    line = np.zeros((4 * HEIGHT, 4 * WIDTH), bool)
    line[100] = True
    cv2.imwrite(str(tmp_path / "a.png"), u8(line))
    assert find(tmp_path).any(axis=0).all()


def test_a_mask_of_another_shape_is_refused_by_name(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), u8(drawn(WIDTH, HEIGHT)))
    with pytest.raises(RepairFailedError, match=r"a\.png has 60 x 80 pixels, another shape .* 80 x 60"):
        find(tmp_path)


def test_rounding_does_not_make_another_shape(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), u8(drawn(15, 21)))
    assert find(tmp_path).shape == (HEIGHT, WIDTH)


def test_a_photograph_is_no_mask(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), data.camera()[:HEIGHT, :WIDTH])
    with pytest.raises(RepairFailedError, match="not black and white"):
        find(tmp_path)


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n"])
def test_a_damaged_mask_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(RepairFailedError, match=r"a\.png is not an image"):
        find(tmp_path)


def test_the_key_follows_the_photographs_own_mask(tmp_path: Path) -> None:
    a, b = Path("trip/a.jpg"), Path("trip/b.jpg")
    for name in ("a", "b"):
        cv2.imwrite(str(tmp_path / f"{name}.png"), u8(drawn()))
    masks = MaskFiles(tmp_path)
    before = masks.key_of(a), masks.key_of(b)
    cv2.imwrite(str(tmp_path / "a.png"), u8(~drawn()))
    assert masks.key_of(a) != before[0]
    assert masks.key_of(b) == before[1]
    assert masks.key_of(Path("c.jpg")) == "unmasked"
    cv2.imwrite(str(tmp_path / "a.bmp"), u8(drawn()))
    assert masks.key_of(a) == "unreadable"


def test_a_photograph_near_the_root_is_never_its_own_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "absolute", lambda path: path if path.is_absolute() else Path("/in") / path)
    for photo in (Path("a.png"), Path("/in/a.png")):
        names = [name for several in list_names(photo) for name in several]
        assert not any(Path(name).is_absolute() for name in names)
        assert names[0] == "in/a.png.png"
    assert [names[0] for names in list_names(Path("/a.png"))] == ["a.png.png", "a.png"]


def stored(orientation: int, height: int, width: int) -> Photo:
    """A photograph of that size upright, whose file stores it turned."""
    container = Container(
        format="JPEG", samples=Samples("RGB", np.zeros((1, 1, 3), np.uint8)), orientation=orientation
    )
    return Photo(Path("trip/a.jpg"), np.zeros((height, width, 3), np.uint8), container)


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
@pytest.mark.parametrize("scale", [1, 2])
def test_a_mask_drawn_on_what_the_file_stores_is_turned(tmp_path: Path, orientation: int, scale: int) -> None:
    upright = drawn()
    as_stored = to_stored(upright, orientation)
    Image.fromarray(u8(as_stored)).resize((HEIGHT * scale, WIDTH * scale), 0).save(tmp_path / "a.png")
    given = open_masks(str(tmp_path)).find(stored(orientation, HEIGHT, WIDTH))
    assert given is not None
    assert np.array_equal(given.mask, upright)
    assert given.notes[0].endswith("was turned upright with it (a.png)")


@pytest.mark.parametrize("orientation", [1, 3, 5, 6, 7, 8])
def test_a_mask_drawn_upright_stays_as_it_is(tmp_path: Path, orientation: int) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), u8(drawn()))
    given = open_masks(str(tmp_path)).find(stored(orientation, HEIGHT, WIDTH))
    assert given is not None
    assert np.array_equal(given.mask, drawn())
    assert len(given.notes) == (orientation == 3)  # whose shape would be the same as stored


@pytest.mark.parametrize("orientation", [3, 6])
def test_of_a_square_upright_is_meant(tmp_path: Path, orientation: int) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), u8(drawn(64, 64)))
    assert np.array_equal(find(tmp_path, stored(orientation, 64, 64)), drawn(64, 64))
    given = open_masks(str(tmp_path)).find(stored(orientation, 64, 64))
    assert given is not None
    assert "taken as drawn upright" in given.notes[0]


def test_of_a_nearly_square_photograph_the_exact_size_tells(tmp_path: Path) -> None:
    upright = drawn(300, 302)
    cv2.imwrite(str(tmp_path / "a.png"), u8(to_stored(upright, 6)))
    assert np.array_equal(find(tmp_path, stored(6, 300, 302)), upright)


@pytest.mark.parametrize("orientation", [1, 2, 3, 4])
def test_a_mask_on_its_side_is_refused_where_nothing_turns_the_photograph(
    tmp_path: Path, orientation: int
) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), u8(drawn(WIDTH, HEIGHT)))
    with pytest.raises(RepairFailedError, match="another shape"):
        find(tmp_path, stored(orientation, HEIGHT, WIDTH))


def test_a_photograph_on_disk_and_a_mask_that_another_program_wrote(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    noise = np.random.default_rng(0).integers(0, 255, (WIDTH, HEIGHT, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "p.png", exif=exif)
    (tmp_path / "masks").mkdir()
    mask = np.zeros((WIDTH, HEIGHT), bool)
    mask[:20, :10] = True
    cv2.imwrite(str(tmp_path / "masks" / "p.png"), u8(mask))
    of = read(tmp_path / "p.png", max_megapixels=1)
    assert (of.height, of.width) == (HEIGHT, WIDTH)
    given = open_masks(str(tmp_path / "masks")).find(of)
    assert given is not None
    assert np.array_equal(of.rgb[given.mask], to_upright(noise, 6)[to_upright(mask, 6)])
    assert given.mask[:10, -20:].all(), "the stored left upper corner is the right upper one"
