"""Weights files on this machine: where they are looked for, what they must be, and that none is deleted."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from cleanplate.errors import ModelError, UsageError
from cleanplate.models.catalog import BIG_LAMA, CATALOG
from cleanplate.models.registry import Registry
from cleanplate.models.spec import SPECS, FileKind, ModelFile
from cleanplate.models.store import ModelStore, open_store, set_aside

CONTENT = b"weights" * 1000


def describe(
    name: str = "small", content: bytes = CONTENT, *, md5_only: bool = False, bare: bool = False
) -> ModelFile:
    return ModelFile(
        name=name,
        file=f"{name}.pt",
        architecture="lama",
        kind=FileKind.TORCHSCRIPT,
        licence="MIT",
        purpose="tests",
        urls=("https://example.invalid/small.pt",),
        sha256=None if md5_only or bare else hashlib.sha256(content).hexdigest(),
        md5=None if bare else hashlib.md5(content).hexdigest(),
    )


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    models = (describe(), describe("old", b"old", md5_only=True), describe("bare", bare=True))
    return ModelStore(Registry(models), (tmp_path / "given", tmp_path / "cache"))


def test_the_catalogue_is_sound() -> None:
    for model in CATALOG:
        assert all(url.startswith("https://") for url in model.urls)
        assert model.architecture in SPECS
        assert model.has_checksum
        assert model.licence
        assert model.source
        assert CATALOG.get(model.file) is model
    assert (
        len({model.name for model in CATALOG})
        == len({model.file for model in CATALOG})
        == len(CATALOG.models)
    )
    assert CATALOG.get("lama") is BIG_LAMA


@pytest.mark.parametrize(("name", "hint"), [("lamaa", "did you mean 'lama'"), ("zzz", "known are lama")])
def test_an_unknown_model_is_wrong_usage(name: str, hint: str) -> None:
    with pytest.raises(UsageError, match=hint):
        CATALOG.get(name)


def test_the_given_folder_is_looked_at_before_the_cache(store: ModelStore) -> None:
    model = store.catalog.get("small")
    for folder in store.folders:
        folder.mkdir()
        (folder / "small.pt").write_bytes(CONTENT)
    assert store.require(model) == store.folders[0] / "small.pt"
    (store.folders[0] / "small.pt").unlink()
    assert store.require(model) == store.cache / "small.pt"


def test_a_missing_file_says_how_to_get_it(store: ModelStore) -> None:
    with pytest.raises(ModelError, match=r"models fetch small.*models import FILE.*--model-dir"):
        store.require(store.catalog.get("small"))


def test_a_wrong_file_is_an_error_and_stays(store: ModelStore, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.pt"
    wrong.write_bytes(b"something else")
    with pytest.raises(ModelError, match=r"wrong\.pt: its SHA-256 is .* left as it is"):
        store.verify(store.catalog.get("small"), wrong)
    with pytest.raises(ModelError, match=r"its md5 is"):
        store.verify(store.catalog.get("old"), wrong)
    with pytest.raises(ModelError, match=r"no checksum of bare is known"):
        store.verify(store.catalog.get("bare"), wrong)
    assert wrong.read_bytes() == b"something else"


def test_an_import_is_recognised_by_its_checksum(store: ModelStore, tmp_path: Path) -> None:
    file = tmp_path / "downloaded (1)"
    file.write_bytes(CONTENT)
    model, path = store.bring_in(file)
    assert (model, path) == (store.catalog.get("small"), store.cache / "small.pt")
    assert path.read_bytes() == file.read_bytes() == CONTENT
    assert store.bring_in(file)[1] == path  # again is no harm
    file.write_bytes(b"old")
    assert store.bring_in(file)[0] == store.catalog.get("old")


def test_an_unknown_import_wants_trust(store: ModelStore, tmp_path: Path) -> None:
    file = tmp_path / "mine.pth"
    file.write_bytes(b"mine")
    with pytest.raises(ModelError, match="--trust"):
        store.bring_in(file)
    assert not store.cache.exists()
    assert store.bring_in(file, trust=True) == (None, store.cache / "mine.pth")
    file.write_bytes(b"mine, changed")
    with pytest.raises(ModelError, match="another file of that name"):
        store.bring_in(file, trust=True)


def test_an_import_under_a_name_must_be_that_file(store: ModelStore, tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"x")
    with pytest.raises(ModelError, match="SHA-256"):
        store.bring_in(file, name="small", trust=True)
    with pytest.raises(ModelError, match="no checksum of bare"):
        store.bring_in(file, name="bare")
    assert store.bring_in(file, name="bare", trust=True)[1] == store.cache / "bare.pt"
    with pytest.raises(UsageError, match="no such file"):
        store.bring_in(tmp_path / "none")


def test_what_is_set_aside_never_replaces_what_was_set_aside_before(tmp_path: Path) -> None:
    names = []
    for _ in range(3):
        file = tmp_path / "a.pt.part"
        file.write_bytes(b"x")
        names.append(set_aside(file).name)
    assert names == ["a.pt.rejected", "a.pt.rejected-2", "a.pt.rejected-3"]


def test_a_model_folder_that_is_not_there_is_wrong_usage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLEANPLATE_HOME", str(tmp_path / "home"))
    assert open_store(CATALOG).cache == tmp_path / "home" / "models"
    assert open_store(CATALOG, str(tmp_path)).folders[0] == tmp_path
    with pytest.raises(UsageError, match="--model-dir"):
        open_store(CATALOG, str(tmp_path / "none"))


def test_a_folder_in_the_place_of_a_file_is_no_crash(store: ModelStore, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        store.verify(store.catalog.get("small"), tmp_path)
