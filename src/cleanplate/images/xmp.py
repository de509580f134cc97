"""The few things in an XMP packet that must agree with the picture, found without parsing all of it."""

from __future__ import annotations

import html
import re

_ORIENTATION = re.compile(rb"(tiff:Orientation(?:=[\"']|>))[1-8]")
_ITEM = re.compile(r"<rdf:li[^>]*>([^<]+)</rdf:li>")
_NAMES = {"author": "dc:creator", "copyright": "dc:rights", "description": "dc:description"}


def upright(packet: bytes) -> bytes:
    """The packet with its orientation, where it has one, set to 1.

    >>> upright(b'<a tiff:Orientation="6"/>')
    b'<a tiff:Orientation="1"/>'
    """
    return _ORIENTATION.sub(rb"\g<1>1", packet)


def authorship(packet: bytes | None) -> dict[str, str]:
    """The author, copyright and caption that the packet names, as far as it does.

    >>> authorship(b"<dc:rights><rdf:Alt><rdf:li>me &amp; you</rdf:li></rdf:Alt></dc:rights>")
    {'copyright': 'me & you'}
    """
    text = (packet or b"").decode("utf-8", "replace")
    found = {}
    for name, element in _NAMES.items():
        start, end = text.find(f"<{element}>"), text.find(f"</{element}>")
        items = _ITEM.findall(text[start:end]) if 0 <= start < end else []
        if items:
            found[name] = "; ".join(html.unescape(item.strip()) for item in items)
    return found
