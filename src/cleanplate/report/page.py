"""The page itself: one file with its style, its scripts and its data."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Mapping
from typing import Any

from cleanplate import __version__
from cleanplate.report.bundle import bundle_scripts, read_page_file
from cleanplate.report.collect import ReportData

#: By this a page of ours is told from someone else's file of the same name.
GENERATOR = '<meta name="generator" content="cleanplate'


def render_page(data: ReportData | Mapping[str, Any], *, review: Mapping[str, Any] | None = None) -> str:
    """The whole page. data: what it shows, or that as plain values already (`ReportData.to_json`).

    review: given by a server that can act; the page gets it as it is. Its `nonce` marks scripts and style for
    the server's content security policy. Without it the page is for a file and carries a policy of its own:
    nothing but its own script runs, nothing is loaded but pictures beside it.
    """
    values = data.to_json(served=review is not None) if isinstance(data, ReportData) else dict(data)
    style, script = read_page_file("page.css"), bundle_scripts()
    policy, mark = "", ""
    if review is None:
        rules = html.escape(_make_policy(style, script))
        policy = f'<meta http-equiv="Content-Security-Policy" content="{rules}">'
    else:
        mark = f' nonce="{html.escape(str(review["nonce"]))}"'
        values["review"] = {name: value for name, value in review.items() if name != "nonce"}
    parts = {
        "GENERATOR": f'{GENERATOR} {__version__}">',
        "POLICY": policy,
        "MARK": mark,
        "STYLE": style,
        "SCRIPT": script,
        "DATA": _escape(values),
    }
    pieces = read_page_file("page.html").split("%%")
    return "".join(parts[piece] if number % 2 else piece for number, piece in enumerate(pieces))


def _escape(values: Mapping[str, Any]) -> str:
    """JSON that cannot end the element it stands in, whatever files are called."""
    text = json.dumps(values, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _make_policy(style: str, script: str) -> str:
    return (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; "
        "img-src 'self' file: data: blob:; base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
