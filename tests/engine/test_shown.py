"""Results in a notebook."""

import numpy as np
import pytest
from PIL import Image

from cleanplate import repair, repair_folder
from cleanplate.engine.shown import MOST_SHOWN
from cleanplate.settings import RepairSettings
from tests.engine.simple import MagentaPipeline, draw_folder, draw_photo

pytestmark = pytest.mark.usefixtures("unguarded")


def test_a_picture_shows_before_and_after(tmp_path):
    path = draw_photo(tmp_path / "a.png")
    result = repair(path, pipeline=MagentaPipeline())
    text = result._repr_html_()
    assert text.count("data:image/jpeg") == 2
    assert "repaired, marks on 9.4%" in text
    assert np.array_equal(result.before, np.asarray(Image.open(path)))


def test_a_folder_shows_its_counts_and_some_photographs(tmp_path):
    photos = draw_folder(tmp_path / "in", 12)
    draw_photo(photos / "<i>0.png")
    summary = repair_folder(photos, tmp_path / "out", pipeline=MagentaPipeline())
    text = summary._repr_html_()
    assert "<th>under threshold</th>" in text
    assert text.count('type="range"') == MOST_SHOWN
    assert "&lt;i&gt;0.png" in text
    assert "<i>0" not in text
    assert "more; <code>cleanplate report" in text
    (photos / "<i>0.png").unlink()
    assert "&lt;i&gt;0.png" not in summary._repr_html_()


def test_a_dry_run_shows_no_pictures(tmp_path):
    photos = draw_folder(tmp_path / "in", 4)
    settings = RepairSettings(dry_run=True)
    summary = repair_folder(photos, tmp_path / "out", settings, pipeline=MagentaPipeline())
    assert summary.output is None
    assert "<img" not in summary._repr_html_()
