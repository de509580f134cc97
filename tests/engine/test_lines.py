"""Files of lines that grow, and following them."""

from cleanplate.engine.lines import LineFile, LineReader, read_lines


def test_a_reader_gets_each_line_once_and_whole(tmp_path):
    path = tmp_path / "lines.jsonl"
    reader = LineReader(path)
    assert list(reader.read()) == []
    with LineFile(path) as lines:
        lines.append({"n": 1})
        assert [line["n"] for line in reader.read()] == [1]
        lines.append({"n": 2}, {"n": 3})
        assert [line["n"] for line in reader.read()] == [2, 3]
    with path.open("ab") as stream:
        stream.write(b'{"n":')
        stream.flush()
        assert list(reader.read()) == []
        stream.write(b"4}\n")
    assert [line["n"] for line in reader.read()] == [4]
    assert [line["n"] for line in read_lines(path)] == [1, 2, 3, 4]


def test_a_reader_notices_that_another_file_has_taken_its_place(tmp_path):
    path = tmp_path / "lines.jsonl"
    path.write_text('{"n": 1}\n{"n": 2}\n', encoding="utf-8")
    reader = LineReader(path)
    assert len(list(reader.read())) == 2
    path.write_text('{"n": 9}\n', encoding="utf-8")
    assert [line["n"] for line in reader.read()] == [9]


def test_lines_that_are_appended_together_bear_the_same_time(tmp_path):
    path = tmp_path / "lines.jsonl"
    with LineFile(path) as lines:
        lines.append({"n": 1}, {"n": 2})
    one, other = read_lines(path)
    assert one["time"] == other["time"]
