"""Before and after as a piece of HTML with a slider, complete in itself: how results show themselves in
notebooks."""

from __future__ import annotations

import base64
import html
import io
from typing import Any

from numpy.typing import NDArray
from PIL import Image

from cleanplate.images.preview import make_preview

#: Longest edge of the pictures in it.
LONGEST_PX = 720

_LAYER = "position:absolute;inset:0;width:100%;height:100%;display:block"


def compare_html(before: NDArray[Any], after: NDArray[Any], caption: str = "") -> str:
    """HTML that shows `before` left of a line and `after` right of it; a range input moves the line.

    before, after: (H, W, 3) uint8 or uint16 of one size. caption: plain text. Where a notebook allows no
    scripts the line stays in the middle.
    """
    first, second = (_shrink(rgb) for rgb in (before, after))
    move = "this.parentNode.style.setProperty('--split', this.value + '%')"
    return (
        f'<figure style="margin:0;max-width:{first.width}px;--split:50%">'
        f'<div style="position:relative;aspect-ratio:{first.width}/{first.height};overflow:hidden">'
        f'<img alt="after" src="{_embed(second)}" style="{_LAYER}">'
        f'<img alt="before" src="{_embed(first)}" '
        f'style="{_LAYER};clip-path:inset(0 calc(100% - var(--split)) 0 0)">'
        '<span style="position:absolute;top:0;bottom:0;left:var(--split);width:2px;background:#fff;'
        'box-shadow:0 0 3px #000"></span></div>'
        f'<input type="range" min="0" max="100" value="50" aria-label="before and after" oninput="{move}" '
        'style="width:100%;margin:4px 0 0">'
        f'<figcaption style="font-size:90%;opacity:.8">{html.escape(caption)}</figcaption></figure>'
    )


def _shrink(rgb: NDArray[Any]) -> Image.Image:
    small = make_preview(rgb)
    small.thumbnail((LONGEST_PX, LONGEST_PX), Image.Resampling.LANCZOS)
    return small


def _embed(picture: Image.Image) -> str:
    target = io.BytesIO()
    picture.save(target, "JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(target.getvalue()).decode("ascii")
