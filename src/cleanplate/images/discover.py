"""Finding the photographs of a run and naming their results.

Everything here looks at names only; no file is opened. The same folders give the same `Discovery` every time,
and `limit` never changes a name, so a run can be interrupted, limited and resumed without results moving.
"""

from __future__ import annotations

import itertools
import os
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from cleanplate.errors import PhotoError, UnreadablePhotoError, UnsupportedPhotoError, UsageError
from cleanplate.settings import OutputFormat

#: Where a run keeps its state inside the output folder; never searched.
STATE_FOLDER = ".cleanplate"
#: In that folder, what every run writes that has results.
JOURNAL_FILE = "journal.jsonl"

#: What is taken from a folder. Formats that are refused (GIF) are listed too: a named failure, not silence.
IMAGE_SUFFIXES = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".tif", ".tiff"),
        *(".bmp", ".dib", ".heic", ".heif", ".hif", ".avif", ".gif"),
    }
)

#: The suffix of a converted result, and the suffixes that already say so.
_CONVERTED: dict[str, tuple[str, frozenset[str]]] = {
    "png": (".png", frozenset({".png"})),
    "jpeg": (".jpg", frozenset({".jpg", ".jpeg", ".jpe", ".jfif"})),
    "webp": (".webp", frozenset({".webp"})),
}


@dataclass(frozen=True, slots=True)
class Source:
    """One input file. `relative` and `output` are names with forward slashes.

    relative: the name under its input folder, unique in the run. output: the result's name under the output
    folder, unique even where the file system does not tell capitals apart. key: what the result depends on
    besides the file itself and the run's settings (its own mask); empty where there is nothing.
    """

    path: Path
    relative: str
    output: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class Discovery:
    """The photographs of a run in name order, and what looked like one but is none.

    earlier_outputs: folders that were not searched because an earlier run has written its results there.
    """

    sources: tuple[Source, ...]
    problems: tuple[PhotoError, ...]
    earlier_outputs: tuple[Path, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know, as sentences.

        >>> Discovery((), (), (Path("a"), Path("b"))).warnings[0].partition(";")[0]
        'a and 1 more: these are results of earlier runs, not photographs to repair, and were passed over'
        """
        if not self.earlier_outputs:
            return ()
        first, *others = self.earlier_outputs
        more = f" and {len(others)} more" if others else ""
        return (
            f"{first}{more}: these are results of earlier runs, not photographs to repair, and were passed "
            "over; name such a folder as an input of its own to have it searched",
        )


@dataclass(frozen=True, slots=True)
class _Entry:
    path: Path
    name: str
    root: Path
    problem: PhotoError | None = None


def discover(
    inputs: Sequence[Path],
    output: Path,
    *,
    recursive: bool,
    limit: int | None,
    format: OutputFormat,
    masks: Path | None = None,
) -> Discovery:
    """List the photographs under `inputs` in name order and give each result a name under `output`.

    A folder is searched for image suffixes; hidden names, `.cleanplate`, `output` itself, `masks` and the
    outputs of earlier runs are passed over. A file that is given by name is taken whatever its suffix. Links
    to files are followed, links to folders not.
    limit: the first so many in name order; None: all.

    Raises UsageError when an input is missing, when `output` is an input or holds one by name, when it is a
    file, or when a result would fall on an input.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("a.jpg", "a.png", "notes.txt"):
    ...         _ = (Path(folder) / name).touch()
    ...     found = discover([Path(folder)], Path(folder) / "out", recursive=False, limit=None, format="png")
    >>> [(source.relative, source.output) for source in found.sources]
    [('a.jpg', 'a.jpg.png'), ('a.png', 'a.png')]
    """
    check_roots(inputs, output)
    entries: list[_Entry] = []
    seen: set[str] = set()
    search = _Search([output] if masks is None else [output, masks], recursive)
    for given in inputs:
        for entry in search.entries_of(given):
            identity = str(_place(entry.path))
            if identity not in seen:
                seen.add(identity)
                entries.append(entry)
    named = sorted(_with_unique_names(entries), key=lambda entry: entry.name)
    outputs = name_outputs([entry.name for entry in named], format)
    _check_targets(named, outputs, output)
    chosen = named if limit is None else named[:limit]
    return Discovery(
        sources=tuple(
            Source(entry.path, entry.name, outputs[entry.name]) for entry in chosen if entry.problem is None
        ),
        problems=tuple(entry.problem for entry in chosen if entry.problem is not None),
        earlier_outputs=tuple(dict.fromkeys(search.earlier_outputs)),
    )


def check_roots(inputs: Sequence[Path], output: Path) -> None:
    """Raises UsageError for inputs that are not there and for an output that cannot be one of theirs."""
    if not inputs:
        raise UsageError("no input was given; name a folder or a photograph")
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output}: the output is a file; name a folder")
    for given in inputs:
        if not os.path.lexists(given):
            raise UsageError(f"{given}: there is no such file or folder; check the name of the input")
        folder = given if given.is_dir() else given.parent
        if _same(folder, output):
            what = "an input" if given.is_dir() else "the folder of an input"
            raise UsageError(
                f"{output}: the output folder is {what}; inputs are never modified, name another folder"
            )


def _check_targets(entries: Sequence[_Entry], outputs: dict[str, str], output: Path) -> None:
    """Only possible where an input lies inside the output folder, or a link in that leads to one, but then an
    input would be lost."""
    places = {str(_place(entry.path)) for entry in entries} | {str(_resolve(entry.path)) for entry in entries}
    for entry in entries:
        if str(_place(output / outputs[entry.name])) in places:
            raise UsageError(
                f"{entry.path}: its result would fall on an input in {output}; name another output folder"
            )


@dataclass(frozen=True, eq=False)
class _Search:
    """Goes through folders. left_out: places that are passed over. earlier_outputs: what else was."""

    left_out: Sequence[Path]
    recursive: bool
    earlier_outputs: list[Path] = field(default_factory=list)

    def entries_of(self, given: Path) -> Iterator[_Entry]:
        if given.is_dir():
            yield from self._walk(given, given)
        else:
            yield _Entry(given, given.name, given.parent, _problem_of(given))

    def _walk(self, folder: Path, root: Path) -> Iterator[_Entry]:
        try:
            paths = sorted(folder.iterdir(), key=lambda path: path.name)
        except OSError as exc:
            problem = UnreadablePhotoError(
                folder, f"the folder cannot be listed ({exc.strerror})", "check its permissions"
            )
            yield _Entry(folder, folder.relative_to(root).as_posix(), root, problem)
            return
        for path in paths:
            if path.name.startswith("."):
                continue
            try:
                is_own_folder = self.recursive and path.is_dir() and not path.is_symlink()
            except OSError as exc:  # it may be a folder of photographs: named, whatever it is called
                yield _Entry(path, path.relative_to(root).as_posix(), root, _say_shut(path, exc))
                continue
            if not is_own_folder and path.suffix.lower() not in IMAGE_SUFFIXES:
                continue
            if any(_same(path, place) for place in self.left_out):
                continue
            if not is_own_folder:
                yield _Entry(path, path.relative_to(root).as_posix(), root, _problem_of(path))
            elif os.path.lexists(path / STATE_FOLDER / JOURNAL_FILE):
                self.earlier_outputs.append(path)
            else:
                yield from self._walk(path, root)


def _say_shut(path: Path, exc: OSError) -> PhotoError:
    return UnreadablePhotoError(path, f"it cannot be looked at ({exc.strerror})", "check its permissions")


def _problem_of(path: Path) -> PhotoError | None:
    """What keeps a name from being a file that can be opened, as far as looking at it tells."""
    try:
        if path.is_file():
            return None
        if path.is_dir():
            link = "a link to a folder" if path.is_symlink() else "a folder"
            return UnsupportedPhotoError(
                path,
                f"this is {link}, not a photograph",
                "name it as an input of its own, or use --recursive",
            )
        if path.is_symlink():
            return UnreadablePhotoError(
                path, "the link is broken: what it points to does not exist", "mend or delete the link"
            )
    except OSError as exc:
        return _say_shut(path, exc)
    return UnsupportedPhotoError(path, "this is not a regular file", "remove it from the folder")


def _with_unique_names(entries: Sequence[_Entry]) -> list[_Entry]:
    """Two input folders can hold the same name: the later one's is put under its folder's name."""
    taken: set[str] = set()
    renamed = []
    for entry in entries:
        name = next(name for name in _alternatives(entry.name, entry.root) if name not in taken)
        taken.add(name)
        renamed.append(_Entry(entry.path, name, entry.root, entry.problem))
    return renamed


def _alternatives(name: str, root: Path) -> Iterator[str]:
    yield name
    parent = _resolve(root).name
    if parent:
        yield f"{parent}/{name}"
    yield from _counted(f"{parent}/{name}" if parent else name)


def _counted(name: str) -> Iterator[str]:
    """Without end: the file's name numbered, then its folders', where a file has the folder's name."""
    parts = PurePosixPath(name).parts
    for number in itertools.count(2):
        for index in reversed(range(len(parts))):
            path = PurePosixPath(parts[index])
            numbered = f"{path.stem}-{number}{path.suffix}"
            yield "/".join([*parts[:index], numbered, *parts[index + 1 :]])


def name_outputs(names: Sequence[str], format: OutputFormat) -> dict[str, str]:
    """A name under the output folder for each unique input name.

    Inputs that keep their name choose first, so that `a.png` stays `a.png` and `a.jpg` becomes `a.jpg.png`.
    """
    claims = _Claims()
    outputs: dict[str, str] = {}
    for keeps_its_name in (True, False):
        for name in names:
            wanted = _converted(name, format)
            if name not in outputs and (wanted == name) is keeps_its_name:
                outputs[name] = claims.claim(name, wanted)
    return outputs


def _converted(name: str, format: OutputFormat) -> str:
    if format == "keep":
        return name
    suffix, equal = _CONVERTED[format]
    path = PurePosixPath(name)
    if path.suffix.lower() in equal:
        return name
    # What stands behind a dot in a name like 2024.05.01 is no suffix.
    return path.with_suffix(suffix).as_posix() if path.suffix.lower() in IMAGE_SUFFIXES else name + suffix


class _Claims:
    """Names given away, compared as a file system without capitals would: as files, and as their folders."""

    def __init__(self) -> None:
        self._files: set[str] = set()
        self._folders: set[str] = set()

    def claim(self, name: str, wanted: str) -> str:
        """The first free one of `wanted`, the whole name with the new suffix, and numbered names."""
        given = self._first_free(name, wanted)
        key = _folded(given)
        self._files.add(key)
        self._folders.update(_ancestors(key))
        return given

    def _first_free(self, name: str, wanted: str) -> str:
        candidates = [wanted] if wanted == name else [wanted, name + PurePosixPath(wanted).suffix]
        for candidate in candidates:
            if self._is_free(candidate):
                return candidate
        return next(candidate for candidate in _counted(wanted) if self._is_free(candidate))

    def _is_free(self, name: str) -> bool:
        key = _folded(name)
        return key not in self._files and key not in self._folders and self._files.isdisjoint(_ancestors(key))


def _ancestors(name: str) -> list[str]:
    return [parent.as_posix() for parent in PurePosixPath(name).parents][:-1]


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _place(path: Path) -> Path:
    """Where a name really lies, without following the name itself when it is a link."""
    return _resolve(path.parent) / path.name


def _resolve(path: Path) -> Path:
    """Where a path leads; one that leads round in a circle, or nowhere that may be seen, is itself."""
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # of links in a circle Python before 3.13 says the latter
        return path.absolute()


def _same(one: Path, other: Path) -> bool:
    if _resolve(one) == _resolve(other):
        return True
    try:
        return one.samefile(other)
    except OSError:
        return False
