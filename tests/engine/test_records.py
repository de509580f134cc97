"""Stamps: when a file still counts as the one that was looked at."""

import os

import pytest

from cleanplate.engine import records
from cleanplate.engine.records import Stamp, hash_file, read_stamp

LONG_AGO = 1_500_000_000_000_000_000


def make_file(path, content=b"some content", when=LONG_AGO):
    path.write_bytes(content)
    os.utime(path, ns=(when, when))
    return path


def test_equal_size_and_time_are_enough(tmp_path, monkeypatch):
    stamp = read_stamp(make_file(tmp_path / "a"))
    monkeypatch.setattr(records, "hash_file", lambda _: pytest.fail("read again"))
    assert stamp.still_fits(tmp_path / "a")


def test_another_time_lets_the_content_decide(tmp_path):
    stamp = read_stamp(make_file(tmp_path / "a"))
    assert stamp.still_fits(make_file(tmp_path / "a", when=LONG_AGO + 1))
    assert not stamp.still_fits(make_file(tmp_path / "a", b"other conten", when=LONG_AGO + 1))


def test_another_size_is_another_content(tmp_path):
    stamp = read_stamp(make_file(tmp_path / "a"))
    assert not stamp.still_fits(make_file(tmp_path / "a", b"longer than before"))


def test_the_time_of_a_file_just_changed_proves_nothing(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"first")
    stamp = read_stamp(path)
    times = path.stat()
    path.write_bytes(b"secon")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert not stamp.still_fits(path)


def test_a_missing_file_is_for_the_caller(tmp_path):
    with pytest.raises(FileNotFoundError):
        Stamp("00", 1, 1).still_fits(tmp_path / "nowhere")


def test_the_hash_is_of_the_whole_file(tmp_path):
    import hashlib

    content = os.urandom((1 << 20) + 17)
    assert hash_file(make_file(tmp_path / "a", content)) == hashlib.sha256(content).hexdigest()
