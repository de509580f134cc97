"""Where weights files lie on this machine, and whether they are what they should be.

Nothing is ever deleted here: what has a wrong checksum is set aside under another name.
"""

from __future__ import annotations

import hashlib
import itertools
import shutil
from dataclasses import dataclass
from pathlib import Path

from cleanplate.device.folders import cache_folder
from cleanplate.errors import ModelError, UsageError
from cleanplate.models.registry import Registry
from cleanplate.models.spec import ModelFile

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Checksums:
    """Of a file's bytes, as lower-case hexadecimal numbers."""

    sha256: str
    md5: str


@dataclass(frozen=True)
class ModelStore:
    """The weights files that are at hand. folders: where they are looked for; the last is written to."""

    catalog: Registry
    folders: tuple[Path, ...]

    @property
    def cache(self) -> Path:
        """The folder that files are fetched and imported into."""
        return self.folders[-1]

    def find(self, model: ModelFile) -> Path | None:
        """Where a model's file lies, None where it is not at hand. Its content is not looked at."""
        return next((path for folder in self.folders if (path := folder / model.file).is_file()), None)

    def list_for_auto(self) -> tuple[tuple[ModelFile, Path], ...]:
        """The models at hand that may be used unasked, best first, and where they lie; not yet verified."""
        found = ((model, self.find(model)) for model in self.catalog if model.in_auto)
        return tuple((model, path) for model, path in found if path is not None)

    def require(self, model: ModelFile) -> Path:
        """Where a model's file lies. Raises ModelError that says how to get it."""
        found = self.find(model)
        if found is None:
            where = ", ".join(str(folder) for folder in self.folders)
            raise ModelError(
                f"{model.file} is not in {where}; run `cleanplate models fetch {model.name}`, or where "
                f"there is "
                f"no network `cleanplate models import FILE`, or name its folder with --model-dir"
            )
        return found

    def verify(self, model: ModelFile, path: Path) -> None:
        """Raises ModelError where a file is not the catalogue's; it stays where it is."""
        compare(model, compute_checksums(path), path)

    def bring_in(
        self, file: Path, *, trust: bool = False, name: str | None = None
    ) -> tuple[ModelFile | None, Path]:
        """Copy a file into the cache: (the catalogue's model or None, where it is now).

        name: which model it is; None: told by its checksum. trust: take a file that the catalogue does not
        know, or has no checksum for. Raises UsageError or ModelError; then the cache is as it was.
        """
        if not file.is_file():
            raise UsageError(f"{file}: there is no such file; name the weights file to import")
        sums = compute_checksums(file)
        model = self.catalog.get(name) if name else self.catalog.find(sha256=sums.sha256, md5=sums.md5)
        if model is None and not trust:
            raise ModelError(
                f"{file}: the catalogue knows no file with its SHA-256 {sums.sha256}; download it again, "
                f"or add "
                "--trust if you know where it comes from"
            )
        if model is not None and not (trust and not model.has_checksum):
            compare(model, sums, file)
        target = self.cache / (file.name if model is None else model.file)
        if target.exists() and compute_checksums(target) != sums:
            raise ModelError(f"{target}: another file of that name is there; move it away first")
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            staged = target.with_name(f"{target.name}.copy")
            shutil.copyfile(file, staged)
            staged.replace(target)
        return model, target


def open_store(catalog: Registry, model_dir: str | None = None) -> ModelStore:
    """The store of this user. model_dir: a folder that is looked at first, and nowhere written to."""
    given = [] if model_dir is None else [Path(model_dir)]
    if given and not given[0].is_dir():
        raise UsageError(f"{model_dir}: there is no such folder; check --model-dir")
    return ModelStore(catalog, (*given, cache_folder() / "models"))


def compute_checksums(path: Path) -> Checksums:
    """Both checksums of a file, read once. Raises ModelError where it cannot be read."""
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                sha256.update(chunk)
                md5.update(chunk)
    except OSError as exc:
        raise ModelError(f"{path}: it cannot be read ({exc.strerror or exc}); check its permissions") from exc
    return Checksums(sha256.hexdigest(), md5.hexdigest())


def compare(model: ModelFile, sums: Checksums, path: Path) -> None:
    """Raises ModelError where checksums are not the catalogue's. SHA-256 decides where it is known."""
    if model.sha256 is not None:
        what, wanted, found = "SHA-256", model.sha256, sums.sha256
    elif model.md5 is not None:
        what, wanted, found = "md5", model.md5, sums.md5
    else:
        raise ModelError(
            f"{path}: no checksum of {model.name} is known, so nobody can tell whether this is it; add "
            f"--trust if "
            "you know where it comes from"
        )
    if wanted != found:
        raise ModelError(
            f"{path}: its {what} is {found}, not {model.name}'s {wanted}; it is damaged or another file: "
            f"fetch it "
            "again. It was left as it is"
        )


def set_aside(path: Path) -> Path:
    """Give a file that is not what it should be the suffix `.rejected`; returns its new name."""
    for number in itertools.count(1):
        target = path.with_name(f"{path.stem}.rejected" if number == 1 else f"{path.stem}.rejected-{number}")
        if not target.exists():
            break
    path.replace(target)
    return target
