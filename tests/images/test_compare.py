"""A slider as HTML."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from cleanplate.images.compare import LONGEST_PX, compare_html


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_both_pictures_are_in_it_and_small(dtype):
    most = np.iinfo(dtype).max
    before, after = np.zeros((400, 1200, 3), dtype), np.full((400, 1200, 3), most, dtype)
    text = compare_html(before, after, "<b>a & b</b>")
    shown = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
        for data in re.findall(r'base64,([^"]+)"', text)
    ]
    assert [picture.shape for picture in shown] == [(240, LONGEST_PX, 3)] * 2
    assert shown[0].min() > 250, "the result lies below"
    assert shown[1].max() < 5
    assert "&lt;b&gt;a &amp; b&lt;/b&gt;" in text
    assert 'type="range"' in text
    assert "http" not in text
