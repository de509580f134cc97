"""The one table of options: every setting is in it, and what is given reaches the settings."""

import argparse
import dataclasses
from pathlib import Path

import pytest

from cleanplate.cli.options import SETTING_OPTIONS, Watching, add_options, read_settings, read_watching
from cleanplate.errors import InvalidSettingError
from cleanplate.settings import RepairSettings

OPTIONS = {option.name: option for options in SETTING_OPTIONS.values() for option in options}


def parse(*words: str, defaults: dict | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_options(parser, defaults or {})
    return parser.parse_args(words)


def settings_of(*words: str, defaults: dict | None = None) -> RepairSettings:
    return read_settings(parse(*words, defaults=defaults), defaults or {})


def test_every_setting_is_an_option_and_every_option_a_setting():
    assert set(OPTIONS) == {field.name for field in dataclasses.fields(RepairSettings)}


def test_nothing_given_is_the_defaults():
    assert settings_of() == RepairSettings()


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (["--batch-size", "3"], "batch_size", 3),
        (["--pause-interval", "9"], "pause_interval", 9),
        (["--max-iterations", "1"], "max_iterations", 1),
        (["--threshold", "0.02"], "threshold", 0.02),
        (["--no-optimize"], "optimize", False),
        (["--recursive"], "recursive", True),
        (["--limit", "50"], "limit", 50),
        (["--device", "cuda:1"], "device", "cuda:1"),
        (["--model", "my.safetensors"], "model", "my.safetensors"),
        (["--inpaint", "opencv"], "inpaint", "opencv"),
        (["--inpaint", "iopaint:lama"], "inpaint", "iopaint:lama"),
        (["--ocr"], "ocr", "overlay"),
        (["--ocr", "all"], "ocr", "all"),
        (["--ocr-languages", "ch,en"], "ocr_languages", "ch,en"),
        (["--inpaint", "lama"], "inpaint", "lama"),
        (["--inpaint", "w/my.safetensors"], "inpaint", "w/my.safetensors"),
        (["--model-dir", "WEIGHTS"], "model_dir", "WEIGHTS"),
        (["--trust"], "trust", True),
        (["--masks", "MASKS"], "masks", "MASKS"),
        (["--box", "1,2,3,4", "--box", "5,6,7,8"], "box", ("1,2,3,4", "5,6,7,8")),
        (["--anchor", "bottom-right:20%x8%"], "anchor", ("bottom-right:20%x8%",)),
        (["--timeout", "60"], "timeout", 60.0),
        (["--iopaint-command", "env/bin/iopaint"], "iopaint_command", "env/bin/iopaint"),
        (["--format", "png"], "format", "png"),
        (["--quality", "88"], "quality", 88),
        (["--save-masks"], "save_masks", True),
        (["--dry-run"], "dry_run", True),
        (["--overwrite"], "overwrite", True),
        (["--max-megapixels", "12.5"], "max_megapixels", 12.5),
        (["--memory-limit", "3GB"], "memory_limit", 3_000_000_000),
        (["--supervise"], "supervise", True),
        (["--no-supervise"], "supervise", False),
        (["--profile", "times"], "profile", "times"),
    ],
)
def test_an_option_sets_its_setting_and_no_other(words, name, value):
    assert settings_of(*words) == dataclasses.replace(RepairSettings(), **{name: value})


def test_option_beats_preset_beats_file_beats_door(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text("batch-size = 7\nquality = 70\noptimize = true\nrecursive = true\n", encoding="utf-8")
    settings = settings_of(
        "--fast",
        "--config",
        str(file),
        "--threshold",
        "0.5",
        "--no-recursive",
        defaults={"optimize": False},
    )
    assert (settings.batch_size, settings.quality, settings.threshold) == (3, 70, 0.5)
    assert settings.optimize
    assert not settings.recursive


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--fast", "--conservative"], "not allowed with argument --fast"),
        (["--quiet", "--verbose"], "not allowed with argument --quiet"),
        (["--batch-size", "many"], "invalid int value: 'many'"),
        (["--memory-limit", "lots"], "'lots' is not bytes with a unit, as in 3GB"),
        (["--format", "gif"], "invalid choice: 'gif'"),
        (["--thresh", "0.1"], "unrecognized arguments"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(words, complaint, capsys):
    with pytest.raises(SystemExit) as left:
        parse(*words)
    assert left.value.code == 2
    assert complaint in capsys.readouterr().err


def test_a_batch_under_one_is_refused_by_the_settings():
    with pytest.raises(InvalidSettingError, match="batch_size is 0"):
        settings_of("--batch-size", "0")


def test_how_it_is_watched_is_read():
    assert read_watching(parse()) == Watching()
    given = parse("--json", "--verbose", "--log-file", "run.log")
    assert read_watching(given) == Watching(json=True, verbose=True, log_file=Path("run.log"))


def test_help_shows_defaults_and_presets():
    parser = argparse.ArgumentParser(prog="door")
    add_options(parser, {"optimize": False})
    shown = " ".join(parser.format_help().split())
    assert "--batch-size N photographs admitted together (default: 5)" in shown
    assert "plainly (default: off)" in shown
    assert "--batch-size 3 --pause-interval 15 --max-iterations 2 --threshold 0.01" in shown
