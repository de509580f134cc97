"""Settings: what is refused, which of two givers wins, and what makes a finished file stale."""

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanplate.errors import InvalidSettingError, UsageError
from cleanplate.remove.iopaint import parse_command
from cleanplate.settings import PRESETS, RepairSettings, read_settings_file, resolve_settings
from cleanplate.sizes import parse_bytes


def test_defaults_are_the_plans():
    settings = RepairSettings()
    assert (settings.batch_size, settings.pause_interval, settings.max_iterations) == (5, 25, 3)
    assert settings.threshold == 0.005
    assert settings.optimize
    assert settings.model == "embedded"


@pytest.mark.parametrize(
    ("preset", "expected"), [("fast", (3, 15, 2, 0.01)), ("conservative", (8, 40, 5, 0.001))]
)
def test_presets_are_the_plans(preset, expected):
    settings = resolve_settings(preset=preset)
    given = (settings.batch_size, settings.pause_interval, settings.max_iterations, settings.threshold)
    assert given == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("batch_size", 0),
        ("batch_size", 2.0),
        ("batch_size", True),
        ("pause_interval", -1),
        ("max_iterations", 0),
        ("threshold", 1),
        ("threshold", -0.1),
        ("threshold", float("nan")),
        ("threshold", "0.1"),
        ("limit", 0),
        ("format", "gif"),
        ("quality", 0),
        ("quality", 101),
        ("device", "cuda:x"),
        ("device", "tpu"),
        ("device", 0),
        ("inpaint", "magic"),
        ("inpaint", "iopaint:"),
        ("inpaint", "iopaint:--model"),
        ("inpaint", 3),
        ("timeout", 0),
        ("timeout", float("inf")),
        ("iopaint_command", " "),
        ("model", ""),
        ("max_megapixels", 0),
        ("memory_limit", 0),
        ("optimize", 1),
        ("overwrite", "yes"),
    ],
)
def test_values_out_of_range_are_refused_by_name(name, value):
    with pytest.raises(InvalidSettingError, match=f"^{name} is .*; wanted: ") as caught:
        RepairSettings(**{name: value})
    assert caught.value.name == name


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:0", "cuda:13"])
def test_devices_that_exist_as_names_are_taken(device):
    assert RepairSettings(device=device).device == device


def test_a_large_batch_is_allowed_with_a_warning():
    assert RepairSettings(batch_size=10).warnings == ()
    (warning,) = RepairSettings(batch_size=11).warnings
    assert "--batch-size 11" in warning


def test_explicit_beats_preset_beats_file_beats_door(tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text("batch-size = 7\nmax_iterations = 9\nquality = 80\n", encoding="utf-8")
    settings = resolve_settings(
        {"batch_size": 4, "threshold": None},
        preset="fast",
        file=file,
        defaults={"quality": 50, "optimize": False},
    )
    assert settings.batch_size == 4
    assert settings.max_iterations == PRESETS["fast"]["max_iterations"]
    assert settings.threshold == PRESETS["fast"]["threshold"]
    assert settings.quality == 80
    assert settings.optimize is False


def test_an_unknown_preset_is_refused():
    with pytest.raises(UsageError, match=r"no preset 'slow'.*fast, conservative"):
        resolve_settings(preset="slow")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [("batchsize = 3", "no setting 'batchsize'"), ("batch-size = ", "is not TOML"), ("\xff", "is not TOML")],
)
def test_a_bad_settings_file_is_named(tmp_path, content, complaint):
    file = tmp_path / "bad.toml"
    file.write_bytes(content.encode("latin-1"))
    with pytest.raises(UsageError, match=complaint) as caught:
        read_settings_file(file)
    assert str(file) in str(caught.value)


def test_a_missing_settings_file_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        read_settings_file(tmp_path / "none.toml")


def test_a_settings_file_may_give_memory_with_a_unit(tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text('memory-limit = "3GB"\n', encoding="utf-8")
    assert resolve_settings(file=file).memory_limit == 3_000_000_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1", 1), ("2kB", 2000), ("2 KiB", 2048), ("0.5G", 500_000_000), ("1TiB", 1 << 40), ("3gb", 3 * 10**9)],
)
def test_sizes_are_read_with_their_unit(text, expected):
    assert parse_bytes(text) == expected


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "3XB", "1 i", "1e9", "three"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(InvalidSettingError, match="memory_limit"):
        parse_bytes(text)


@given(st.integers(1, 10**6), st.sampled_from(["k", "M", "G"]))
def test_binary_units_are_larger_than_decimal_ones(number, prefix):
    assert parse_bytes(f"{number}{prefix}iB") > parse_bytes(f"{number}{prefix}B") >= number * 1000


CHANGES_RESULTS = {
    *("max_iterations", "threshold", "model", "inpaint", "ocr", "box", "anchor", "other_marks"),
    *("format", "quality"),
}
OTHER_VALUES = {
    "mark": ("mark.png",),
    "shared_mark": "off",
    "other_marks": "on",
    "ocr": "all",
    "ocr_languages": "ch,en",
    "model_dir": "WEIGHTS",
    "trust": True,
    "masks": "MASKS",
    "box": ("1,2,3,4",),
    "anchor": ("top:10%x10%",),
    "timeout": 60.0,
    "iopaint_command": "env/bin/iopaint",
    "optimize": False,
    "batch_size": 2,
    "pause_interval": 3,
    "max_iterations": 1,
    "threshold": 0.2,
    "device": "cpu",
    "model": "other.safetensors",
    "inpaint": "opencv",
    "recursive": True,
    "limit": 3,
    "format": "png",
    "quality": 80,
    "save_masks": True,
    "dry_run": True,
    "overwrite": True,
    "max_megapixels": 5.0,
    "memory_limit": 10**9,
    "supervise": True,
    "profile": "times",
}


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(RepairSettings)])
def test_the_key_changes_with_what_changes_results_and_nothing_else(name):
    changed = dataclasses.replace(RepairSettings(), **{name: OTHER_VALUES[name]})
    assert (changed.result_key != RepairSettings().result_key) == (name in CHANGES_RESULTS)


def test_places_come_from_lists_and_single_texts_alike(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text('box = ["1,2,3,4", "5,6,7,8"]\nanchor = "top:10%x10%"\n', encoding="utf-8")
    settings = resolve_settings(file=file)
    assert (settings.box, settings.anchor) == (("1,2,3,4", "5,6,7,8"), ("top:10%x10%",))
    assert settings.is_given
    assert not RepairSettings().is_given
    assert hash(settings) == hash(resolve_settings(file=file))


@pytest.mark.parametrize(("name", "value"), [("box", ("1,2,3",)), ("anchor", ("here",)), ("masks", "")])
def test_places_that_are_none_are_refused(name, value):
    with pytest.raises(InvalidSettingError, match=name):
        RepairSettings(**{name: value})


def test_paths_may_be_given_as_paths():
    settings = RepairSettings(
        masks=Path("masks"), mark=[Path("a.png")], model=Path("m.safetensors"), profile=Path("out")
    )
    as_text = RepairSettings(masks="masks", mark=("a.png",), model="m.safetensors", profile="out")
    assert settings == as_text
    assert RepairSettings(mark=Path("a.png")).mark == ("a.png",)


def test_marks_come_from_lists_and_single_texts_alike():
    assert RepairSettings(mark="a.png").mark == ("a.png",)
    assert RepairSettings(mark=["a.png", "b.png"]).mark == ("a.png", "b.png")
    with pytest.raises(InvalidSettingError, match="mark"):
        RepairSettings(mark=("",))
    with pytest.raises(InvalidSettingError, match="shared_mark"):
        RepairSettings(shared_mark="maybe")


def test_a_known_mark_that_has_no_effect_is_warned_about():
    assert RepairSettings(mark="a.png").warnings == ()
    assert "--inpaint opencv" in RepairSettings(mark="a.png", inpaint="opencv").warnings[0]
    assert "given" in RepairSettings(mark="a.png", box=("1,2,3,4",)).warnings[0]


def test_a_shared_mark_is_looked_for_where_nothing_better_is_known():
    assert RepairSettings().surveys
    for other in ({"mark": "a.png"}, {"shared_mark": "off"}, {"inpaint": "opencv"}, {"box": ("1,2,3,4",)}):
        assert not RepairSettings(**other).surveys


@pytest.mark.parametrize(
    "values", [{"box": 5}, {"mark": 5}, {"anchor": [7]}, {"max_megapixels": float("inf")}]
)
def test_values_of_another_kind_are_refused_in_words(values):
    with pytest.raises(InvalidSettingError):
        RepairSettings(**values)


def test_located_paths_lead_to_the_same_places_from_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = RepairSettings(
        mark="m.png", masks="masks", model="w.safetensors", model_dir="d", inpaint="n.pt", profile="p"
    ).located
    assert given.mark == (str(tmp_path / "m.png"),)
    for name, value in (
        ("masks", "masks"),
        ("model", "w.safetensors"),
        ("inpaint", "n.pt"),
        ("profile", "p"),
    ):
        assert getattr(given, name) == str(tmp_path / value)
    plain = RepairSettings(inpaint="lama")
    assert plain.located == plain


def test_a_program_that_is_given_by_its_path_is_found_from_elsewhere(tmp_path, monkeypatch):
    here = tmp_path / "my photographs"
    program = here / "env" / "python"
    (here / "with space").mkdir(parents=True)
    program.parent.mkdir()
    for path in (program, here / "with space" / "iopaint", here / "iopaint"):
        path.touch()
    monkeypatch.chdir(here)

    def words(command):
        located = RepairSettings(iopaint_command=command).located.iopaint_command
        assert RepairSettings(iopaint_command=located).located.iopaint_command == located
        return parse_command(located)

    assert words("env/python") == (str(program),)
    assert words("./env/python -m 'io paint'")[:2] == (str(program), "-m")
    assert words("with space/iopaint") == (str(here / "with space" / "iopaint"),)
    assert words('"with space/iopaint" --x') == (str(here / "with space" / "iopaint"), "--x")
    assert words("./iopaint") == (str(here / "iopaint"),)
    for kept in ("iopaint", "env/none --x", f"'{program}' -m iopaint", "python -m iopaint"):
        assert RepairSettings(iopaint_command=kept).located.iopaint_command == kept


def test_the_spelling_of_a_path_makes_no_finished_file_stale():
    for name in ("model", "inpaint"):
        here, there = (RepairSettings(**{name: path}) for path in ("w.pt", "/elsewhere/../w.pt"))
        assert here.result_key == there.result_key != RepairSettings().result_key
    assert RepairSettings(inpaint="lama").result_key != RepairSettings(inpaint="migan").result_key
    other = RepairSettings(inpaint="iopaint:w.pt").result_key
    assert other != RepairSettings(inpaint="iopaint:v.pt").result_key


def test_the_keys_of_earlier_versions_stay_valid():
    assert RepairSettings().result_key == "d31bf5594f808f29"
    assert RepairSettings(inpaint="lama").result_key == "4aeefbd8802bbb6a"
    assert RepairSettings(inpaint="iopaint:lama").result_key == "6ed8f71474138c61"
