"""Where a user's caches lie."""

import pytest

from cleanplate.device.folders import cache_folder


def test_it_can_be_named(tmp_path, monkeypatch):
    monkeypatch.setenv("CLEANPLATE_HOME", str(tmp_path / "here"))
    assert cache_folder() == tmp_path / "here"


@pytest.mark.parametrize(
    ("platform", "variable", "value", "wanted"),
    [
        ("linux", "XDG_CACHE_HOME", "/caches", "/caches/cleanplate"),
        ("linux", "XDG_CACHE_HOME", "relative", "HOME/.cache/cleanplate"),
        ("win32", "LOCALAPPDATA", "/local", "/local/cleanplate"),
        ("win32", "LOCALAPPDATA", "", "HOME/AppData/Local/cleanplate"),
        ("darwin", "XDG_CACHE_HOME", "/caches", "HOME/Library/Caches/cleanplate"),
    ],
)
def test_it_follows_the_system(tmp_path, monkeypatch, platform, variable, value, wanted):
    monkeypatch.delenv("CLEANPLATE_HOME", raising=False)
    monkeypatch.setattr("pathlib.Path.home", lambda: tmp_path)
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setenv(variable, value)
    assert cache_folder().as_posix() == wanted.replace("HOME", tmp_path.as_posix())
