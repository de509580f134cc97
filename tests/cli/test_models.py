"""`cleanplate models`: what it prints and refuses; downloads themselves are tested with their module."""

from __future__ import annotations

from pathlib import Path

import pytest

from cleanplate.cli import main
from cleanplate.models.catalog import CATALOG


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CLEANPLATE_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "models"


@pytest.mark.usefixtures("cache")
def test_the_list_names_every_model_its_licence_and_whether_it_is_here(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["models", "list"]) == 0
    shown = capsys.readouterr().out
    for model in CATALOG:
        assert model.name in shown
        assert model.licence in shown
    assert "205.7 MB" in shown
    assert "unknown" in shown


def test_the_path_is_the_cache_or_a_models_file(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "path"]) == 0
    assert capsys.readouterr().out.strip() == str(cache)
    assert main(["models", "path", "lama"]) == 2
    assert "models fetch lama" in capsys.readouterr().err
    cache.mkdir(parents=True)
    (cache / "big-lama.pt").write_bytes(b"x")
    assert main(["models", "path", "lama"]) == 0
    assert capsys.readouterr().out.strip() == str(cache / "big-lama.pt")


def test_verify_says_what_is_wrong_and_leaves_it(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "verify"]) == 0
    assert "no model" in capsys.readouterr().out
    cache.mkdir(parents=True)
    (cache / "big-lama.pt").write_bytes(b"x")
    assert main(["models", "verify"]) == 1
    assert "SHA-256" in capsys.readouterr().err
    assert (cache / "big-lama.pt").exists()


def test_import_takes_a_file_in(cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.safetensors").write_bytes(b"x")
    assert main(["models", "import", str(tmp_path / "mine.safetensors")]) == 2
    assert "--trust" in capsys.readouterr().err
    assert main(["models", "import", str(tmp_path / "mine.safetensors"), "--trust"]) == 0
    assert (cache / "mine.safetensors").exists()


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize(
    "words", [["fetch"], ["import"], ["fetch", "nosuch"], ["fetch", "lama", "--mirror", "http://x"]]
)
def test_what_cannot_be_meant_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", *words]) == 2
    assert "cleanplate: error:" in capsys.readouterr().err


def test_fetch_tells_how_far_it_is(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stand_in(model, store, *, mirrors, trust, progress):  # type: ignore[no-untyped-def]
        progress(10, 20)
        progress(20, 20)
        assert (mirrors, trust) == (("https://m",), True)
        return store.cache / model.file

    monkeypatch.setattr("cleanplate.models.download.fetch", stand_in)
    assert main(["models", "fetch", "lama", "--mirror", "https://m", "--trust"]) == 0
    heard = capsys.readouterr()
    assert heard.out.strip() == str(cache / "big-lama.pt")
    assert "100%" in heard.err
