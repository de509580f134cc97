"""A registry is a value: the model files that are known, to be looked up by name, file or checksum."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches

from cleanplate.errors import UsageError
from cleanplate.models.spec import ModelFile


@dataclass(frozen=True)
class Registry:
    """Known model files, in the order in which they are shown."""

    models: tuple[ModelFile, ...]

    def __iter__(self) -> Iterator[ModelFile]:
        return iter(self.models)

    def get(self, name: str) -> ModelFile:
        """The model of a name, or of a file's name. Raises UsageError, with what was probably meant."""
        for model in self.models:
            if name in (model.name, model.file):
                return model
        known = [model.name for model in self.models]
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
        raise UsageError(f"there is no model {name!r} in the catalogue; {hint}")

    def find(self, *, sha256: str, md5: str) -> ModelFile | None:
        """The model whose file has these checksums, None where none has."""
        for model in self.models:
            if model.sha256 == sha256 or (model.sha256 is None and model.md5 == md5):
                return model
        return None
