"""Writing the page into the output folder."""

import pytest

from cleanplate.errors import UsageError
from cleanplate.report import REPORT_FILE, write_report
from tests.report.outputs import make_many


def test_it_is_written_whole_and_written_again(output):
    path = write_report(output)
    assert path == output / REPORT_FILE
    assert path.read_text(encoding="utf-8").endswith("</html>\n")
    assert not list((output / ".cleanplate").glob("*.tmp"))


def test_someone_elses_page_stays(tmp_path):
    output = make_many(tmp_path / "out", 3)
    (output / REPORT_FILE).write_text("<h1>mine</h1>", encoding="utf-8")
    with pytest.raises(UsageError, match="was not written by cleanplate"):
        write_report(output)
    assert (output / REPORT_FILE).read_text(encoding="utf-8") == "<h1>mine</h1>"
    write_report(output, overwrite=True)
    write_report(output)


def test_a_folder_that_cannot_be_written_to(tmp_path):
    output = make_many(tmp_path / "out", 3)
    (output / ".cleanplate" / "previews").touch()
    with pytest.raises(UsageError, match="the report cannot be written"):
        write_report(output)
