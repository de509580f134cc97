"""What a run is asked to do: one frozen object, its presets, and reading it from TOML.

An explicit option beats a preset, a preset beats the file, the file beats the defaults; `resolve_settings`
is the one place that knows this order.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import re
import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from cleanplate.errors import InvalidSettingError, UsageError
from cleanplate.places import parse_anchor, parse_box
from cleanplate.sizes import parse_bytes

OutputFormat = Literal["keep", "png", "jpeg", "webp"]
OUTPUT_FORMATS: tuple[str, ...] = get_args(OutputFormat)
EMBEDDED_MODEL = "embedded"
INPAINTERS = ("auto", "embedded", "opencv", "patchmatch")
OCR_MODES = ("off", "overlay", "all")
SHARED_MARK_MODES = ("auto", "off", "require")
OTHER_MARKS_MODES = ("auto", "on", "off")
#: Inpainting networks that others publish (`models/catalog`).
INPAINT_MODELS = ("lama", "anime-lama", "migan", "mat", "lama-onnx", "migan-onnx")
#: What `inpaint` ends in where it is the path of a network's weights.
WEIGHTS_SUFFIXES = (".pt", ".pth", ".ckpt", ".jit", ".safetensors", ".onnx")
#: Before the name of one of IOPaint's models, as in "iopaint:lama".
IOPAINT_PREFIX = "iopaint:"

#: Batches above this are allowed, but a warning says that they rarely help.
LARGE_BATCH = 10

#: Marks a field that can change the pixels or bytes of a result: part of `RepairSettings.result_key`.
_RESULT = {"result": True}


@dataclass(frozen=True, kw_only=True)
class RepairSettings:
    """How a folder is repaired. Validated when built.

    >>> RepairSettings(batch_size=0)
    Traceback (most recent call last):
    ...
    cleanplate.errors.InvalidSettingError: batch_size is 0; wanted: a whole number from 1
    """

    optimize: bool = True
    """Batched, guarded, overlapped processing; off: one photograph at a time, plainly. Same results."""

    batch_size: int = 5
    """Photographs admitted together, from 1. Over 10 is allowed and warned about."""

    pause_interval: int = 25
    """Photographs between clean-ups, from 1."""

    max_iterations: int = field(default=3, metadata=_RESULT)
    """Find-and-repair rounds on one photograph, from 1."""

    threshold: float = field(default=0.005, metadata=_RESULT)
    """Least share of a photograph that the boxes round its marks must cover, in [0, 1)."""

    device: str = "auto"
    """`auto`, `cpu`, `cuda` or `cuda:N`."""

    model: str = field(default=EMBEDDED_MODEL, metadata=_RESULT)
    """`embedded`, or the path of a checkpoint made by `cleanplate train`."""

    inpaint: str = field(default="auto", metadata=_RESULT)
    """What fills opaque marks: `auto`, `embedded`, `opencv`, `patchmatch`, a network (`lama`, `migan`, ... or
    the path of its weights), or `iopaint:MODEL`. Any value but `auto` gets every mark."""

    model_dir: str | None = None
    """Folder with weights of inpainting networks, looked at before the cache."""

    trust: bool = False
    """Whether TorchScript that the catalogue does not know may be run."""

    masks: str | None = None
    """Folder of masks, found by the photographs' names, or one mask for all: the marks are there and are not
    looked for. What the masks hold is part of what keeps a finished file valid, photograph by photograph."""

    mark: tuple[str, ...] = ()
    """RGBA pictures of marks that photographs carry: looked for at any place and size, and inverted. What
    they hold is part of what keeps a finished file valid."""

    shared_mark: str = "auto"
    """Whether the mark that photographs of a folder share is worked out from them and inverted: `auto`:
    where there is one; `off`; `require`: without one nothing is done. What it is found to be is part of what
    keeps a finished file valid."""

    other_marks: str = field(default="auto", metadata=_RESULT)
    """Whether photographs with a known mark are searched for others: `on`; `off`; `auto`: if many have."""

    ocr: str = field(default="off", metadata=_RESULT)
    """`off`; `overlay`: lettering of an OCR engine of which the finder has a trace; `all`: any."""

    ocr_languages: str | None = None
    """Kept for the original plan's command lines: text is found, not read, so languages change nothing."""

    box: tuple[str, ...] = field(default=(), metadata=_RESULT)
    """Boxes `x,y,w,h` in pixels that are marked on every photograph."""

    anchor: tuple[str, ...] = field(default=(), metadata=_RESULT)
    """Places as `bottom-right:20%x8%` that are marked on every photograph."""

    timeout: float = 300.0
    """Seconds, above 0, that IOPaint may take for one batch."""

    iopaint_command: str = "iopaint"
    """IOPaint's program: its name or path, with words to come before its own arguments if need be."""

    recursive: bool = False
    """Whether folders inside the input folders are searched."""

    limit: int | None = None
    """Only the first so many photographs in name order; None: all."""

    format: OutputFormat = field(default="keep", metadata=_RESULT)
    """Format of the results; `keep`: each as it came."""

    quality: int | None = field(default=None, metadata=_RESULT)
    """Of JPEG, lossy WebP, HEIC and AVIF, in 1..100; None: the input's own, or 95 where it has none."""

    save_masks: bool = False
    """Whether each mask is written to `OUT/.cleanplate/masks/`. Of photographs that were repaired before
    without it, it is made of what was changed; they are not done again."""

    dry_run: bool = False
    """Find only: report what would be repaired, write nothing."""

    overwrite: bool = False
    """Whether files in the output folder that cleanplate did not write may be replaced."""

    max_megapixels: float = 200.0
    """Photographs above this are refused as decompression bombs."""

    memory_limit: int | None = None
    """Bytes that live tensors and queued pictures may take above the idle process; None: 0.8 of what is free.
    A settings file may give them with a unit, as in "3GB"."""

    profile: str | None = None
    """Folder for stage times, traces and, on CUDA, a memory snapshot; None: no profile."""

    supervise: bool | None = None
    """Whether a process of its own owns the device, which is started again when it hangs or crashes; None: on
    CUDA only."""

    def __post_init__(self) -> None:
        for name in ("model", "inpaint", "model_dir", "masks", "profile"):
            object.__setattr__(self, name, _as_text(getattr(self, name)))
        for name in ("mark", "box", "anchor"):
            object.__setattr__(self, name, tuple(map(_as_text, _as_several(getattr(self, name)))))
        for name, parse in (("box", parse_box), ("anchor", parse_anchor)):
            for text in getattr(self, name):
                parse(text)
        for name in ("batch_size", "pause_interval", "max_iterations"):
            _want(self, name, _is_whole, "a whole number from 1")
        _want(self, "threshold", lambda v: _is_number(v) and 0 <= v < 1, "a share from 0, below 1")
        _want(self, "limit", lambda v: v is None or _is_whole(v), "a whole number from 1, or nothing")
        modes = (OUTPUT_FORMATS, SHARED_MARK_MODES, OTHER_MARKS_MODES, OCR_MODES)
        for name, known in zip(("format", "shared_mark", "other_marks", "ocr"), modes, strict=True):
            _want(self, name, known.__contains__, f"one of {', '.join(known)}")
        _want(self, "quality", lambda v: v is None or _is_whole(v, 100), "a whole number from 1 to 100")
        _want(self, "device", _is_device, "auto, cpu, cuda or cuda:N")
        names = ", ".join((*INPAINTERS, *INPAINT_MODELS, "the path of a network's weights"))
        _want(self, "inpaint", _is_inpainter, f"one of {names}, or iopaint:MODEL")
        _want(self, "masks", _is_path, "a folder or file of masks, or nothing")
        _want(self, "mark", lambda v: None not in v and all(map(_is_path, v)), "paths of RGBA pictures")
        _want(self, "ocr_languages", lambda v: v is None or isinstance(v, str), "languages, or nothing")
        _want(self, "model_dir", _is_path, "a folder, or nothing")
        _want(self, "timeout", lambda v: _is_number(v) and 0 < v < math.inf, "seconds above 0")
        _want(self, "iopaint_command", lambda v: isinstance(v, str) and v.strip() != "", "a program")
        _want(self, "model", lambda v: isinstance(v, str) and v != "", "embedded, or a checkpoint's path")
        _want(self, "max_megapixels", lambda v: _is_number(v) and 0 < v < math.inf, "a number above 0")
        _want(self, "memory_limit", lambda v: v is None or _is_whole(v), "bytes above 0, or nothing")
        _want(self, "profile", _is_path, "a folder, or nothing")
        _want(self, "supervise", lambda v: v is None or isinstance(v, bool), "true, false or nothing")
        for name in ("optimize", "recursive", "save_masks", "dry_run", "overwrite", "trust"):
            _want(self, name, lambda v: isinstance(v, bool), "true or false")

    @property
    def is_given(self) -> bool:
        """Whether the marks are given (masks, boxes, anchors), so that none are looked for."""
        return bool(self.masks or self.box or self.anchor)

    @property
    def inverts_marks(self) -> bool:
        """Whether known marks are inverted: not where marks are given, nor where every mark is to be filled.

        >>> RepairSettings().inverts_marks, RepairSettings(inpaint="opencv").inverts_marks
        (True, False)
        """
        return not self.is_given and self.inpaint == "auto"

    @property
    def surveys(self) -> bool:
        """Whether a mark that photographs share is looked for."""
        return self.shared_mark != "off" and self.inverts_marks and not self.mark

    @property
    def iopaint_model(self) -> str | None:
        """The model of IOPaint's that is to fill the marks, or None where it is not asked for.

        >>> RepairSettings(inpaint="iopaint:lama").iopaint_model
        'lama'
        """
        _, prefix, model = self.inpaint.partition(IOPAINT_PREFIX)
        return model if prefix else None

    @property
    def inpaint_model(self) -> str | None:
        """The network, by name or path, that is to fill the marks in this process, or None.

        >>> RepairSettings(inpaint="lama").inpaint_model
        'lama'
        """
        is_network = self.inpaint in INPAINT_MODELS or _is_weights(self.inpaint)
        return self.inpaint if is_network and self.iopaint_model is None else None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is allowed but probably not meant, as sentences."""
        said = []
        if self.batch_size > LARGE_BATCH:
            size = f"--batch-size {self.batch_size} is over {LARGE_BATCH}"
            said.append(f"{size}: it takes more memory and is rarely faster")
        if self.mark and not self.inverts_marks:
            why = "the places are given" if self.is_given else f"--inpaint {self.inpaint} fills every mark"
            said.append(f"--mark has no effect: {why}")
        return tuple(said)

    @property
    def changed(self) -> dict[str, Any]:
        """The settings that differ from the defaults, by name.

        >>> RepairSettings(threshold=0.1).changed
        {'threshold': 0.1}
        """
        every = ((f, getattr(self, f.name)) for f in dataclasses.fields(self))
        return {f.name: value for f, value in every if value != f.default}

    @property
    def located(self) -> RepairSettings:
        """The same with paths that lead where they do now from any folder.

        >>> RepairSettings(mark="/marks/studio.png").located.mark, RepairSettings().located.masks
        (('/marks/studio.png',), None)
        """
        named = ["masks", "model_dir", "profile", *self._weights]
        given = {name: getattr(self, name) for name in named if getattr(self, name) is not None}
        paths: dict[str, Any] = {name: str(Path(path).absolute()) for name, path in given.items()}
        marks = tuple(str(Path(mark).absolute()) for mark in self.mark)
        command = _locate_program(self.iopaint_command)
        return dataclasses.replace(self, mark=marks, iopaint_command=command, **paths)

    @property
    def _weights(self) -> list[str]:
        """The settings, by name, that are paths of networks' weights."""
        named = ["model"] if self.model != EMBEDDED_MODEL else []
        return named + (["inpaint"] if self.inpaint_model not in (None, *INPAINT_MODELS) else [])

    @property
    def result_key(self) -> str:
        """A key that changes with every setting that can change a result, and with no other.

        A finished file is valid only under the same key. The networks' checksums are added by the engine,
        which knows them: of their files only that there is one counts, not where.

        >>> RepairSettings(batch_size=2).result_key == RepairSettings(batch_size=8).result_key
        True
        >>> RepairSettings(threshold=0.1).result_key == RepairSettings().result_key
        False
        """
        chosen = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.metadata.get("result")}
        chosen |= dict.fromkeys(self._weights, "file")
        return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()[:16]


PRESETS: Mapping[str, Mapping[str, Any]] = {
    "fast": {"batch_size": 3, "pause_interval": 15, "max_iterations": 2, "threshold": 0.01},
    "conservative": {"batch_size": 8, "pause_interval": 40, "max_iterations": 5, "threshold": 0.001},
}


def resolve_settings(
    explicit: Mapping[str, Any] | None = None,
    *,
    preset: str | None = None,
    file: Path | None = None,
    defaults: Mapping[str, Any] | None = None,
) -> RepairSettings:
    """Settings from, weakest first: the class's defaults, a door's own `defaults`, file, preset, `explicit`.

    explicit: only what the user really gave; a None value counts as not given.
    Raises InvalidSettingError for a value out of range, UsageError for an unknown name, preset or bad file.

    >>> resolve_settings({"batch_size": 4}, preset="fast").threshold
    0.01
    """
    merged: dict[str, Any] = dict(defaults or {})
    if file is not None:
        merged.update(read_settings_file(file))
    if preset is not None:
        if preset not in PRESETS:
            raise UsageError(f"there is no preset {preset!r}; wanted: one of {', '.join(PRESETS)}")
        merged.update(PRESETS[preset])
    merged.update({name: value for name, value in (explicit or {}).items() if value is not None})
    return RepairSettings(**merged)


def read_settings_file(path: Path) -> dict[str, Any]:
    """The settings in a TOML file, names checked; dashes in names count as underscores.

    Raises UsageError naming the file and what is wrong with it.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise UsageError(
            f"{path}: the settings file cannot be read ({exc.strerror}); give the path of a TOML file"
        ) from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise UsageError(f"{path}: the settings file is not TOML ({exc})") from exc
    known = {f.name for f in dataclasses.fields(RepairSettings)}
    settings: dict[str, Any] = {}
    for given, value in content.items():
        name = given.replace("-", "_")
        if name not in known:
            raise UsageError(f"{path}: there is no setting {given!r}; known are {', '.join(sorted(known))}")
        settings[name] = parse_bytes(value) if name == "memory_limit" and isinstance(value, str) else value
    return settings


def _want(settings: RepairSettings, name: str, test: Any, wanted: str) -> None:
    value = getattr(settings, name)
    if not test(value):
        raise InvalidSettingError(name, value, wanted)


def _is_whole(value: object, most: float = math.inf) -> bool:
    return type(value) is int and 1 <= value <= most


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_inpainter(value: object) -> bool:
    if not isinstance(value, str):
        return False
    model = value.removeprefix(IOPAINT_PREFIX)
    known = value in (*INPAINTERS, *INPAINT_MODELS) or _is_weights(value)
    return known or (model != value and model != "" and not model.startswith("-"))


def _as_text(value: Any) -> Any:
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _as_several(value: Any) -> tuple[Any, ...]:
    """Lists come from TOML and the command line; what is none is one of its kind."""
    return tuple(value) if isinstance(value, (list, tuple)) else () if value is None else (value,)


def _locate_program(command: str) -> str:
    """A command whose program leads from any folder to where it does now, where it is one by its path."""
    quoted = re.match(r"""\s*("[^"]*"|'[^']*'|\S+)""", command)
    word = command if quoted is None or Path(command).is_file() else quoted[1]
    path = Path(word.strip("\"'"))
    if not re.search(r"[/\\]", word) or path.is_absolute() or not path.exists():
        return command
    program = str(path.absolute())
    if word != command:
        program = shlex.quote(program) if os.name == "posix" else f'"{program}"'
    return command.replace(word, program, 1)


def _is_path(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value != "")


def _is_weights(value: str) -> bool:
    return value.lower().endswith(WEIGHTS_SUFFIXES)


def _is_device(value: object) -> bool:
    if not isinstance(value, str):
        return False
    name, _, index = value.partition(":")
    return value in ("auto", "cpu", "cuda") or (name == "cuda" and index.isdecimal())
