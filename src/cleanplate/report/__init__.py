"""What a run came to, as a page: `report.html` in the output folder, complete in itself and offline.

`collect` reads the journal, `render_page` makes the page, `write_report` does both and makes the small
pictures. The review server serves the same page; `review` is then what it tells the page of itself.
"""

from __future__ import annotations

from cleanplate.report.collect import ReportData, RunStory, collect, describe_photo
from cleanplate.report.page import render_page
from cleanplate.report.photos import ReportPhoto, photo_id
from cleanplate.report.pictures import picture_for_browser, thumbnail
from cleanplate.report.previews import Previews
from cleanplate.report.write import REPORT_FILE, write_report

__all__ = [
    "REPORT_FILE",
    "Previews",
    "ReportData",
    "ReportPhoto",
    "RunStory",
    "collect",
    "describe_photo",
    "photo_id",
    "picture_for_browser",
    "render_page",
    "thumbnail",
    "write_report",
]
