"""The program without a command, with a wrong one, and what becomes of errors."""

import argparse
import importlib

import pytest

from cleanplate import __version__
from cleanplate.cli import COMMANDS, exits, main
from cleanplate.errors import ModelError, UnwritablePhotoError, UsageError


def test_without_a_command_the_help_is_shown_and_it_is_wrong_usage(capsys):
    assert main([]) == 2
    shown = capsys.readouterr().out
    assert all(name in shown and purpose in shown for name, purpose in COMMANDS.items())


def test_help_and_version_are_answered(capsys):
    for arguments in (["--help"], ["--version"]):
        with pytest.raises(SystemExit) as left:
            main(arguments)
        assert left.value.code == 0
    assert f"cleanplate {__version__}" in capsys.readouterr().out


def test_a_mistyped_command_is_answered_with_the_near_one(capsys):
    assert main(["repiar", "photos"]) == 2
    captured = capsys.readouterr()
    assert "no command 'repiar'; did you mean 'repair'?" in captured.err
    assert captured.out == ""


def test_the_arguments_of_the_process_are_the_default(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["cleanplate", "nothing-like-it"])
    assert main() == 2
    assert "no command 'nothing-like-it'\n" in capsys.readouterr().err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_module(name, capsys):
    command = importlib.import_module(f"cleanplate.cli.{name.replace('-', '_')}")
    command.add_arguments(argparse.ArgumentParser())
    assert callable(command.run)
    with pytest.raises(SystemExit) as left:
        main([name, "--help"])
    assert left.value.code == 0
    assert f"usage: cleanplate {name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("no such folder"), 2),
        (ModelError("checkpoint.pt is damaged"), 2),
        (UnwritablePhotoError("out", "the disk is full", "make room"), 1),
    ],
)
def test_errors_become_one_line_and_an_exit_code(error, code, capsys):
    def fail():
        raise error

    assert exits.call(fail) == code
    captured = capsys.readouterr()
    assert captured.err == f"cleanplate: error: {error}\n"
    assert captured.out == ""


def test_an_interrupt_before_the_work_is_no_traceback():
    def interrupt():
        raise KeyboardInterrupt

    assert exits.call(interrupt) == 130


def test_a_bug_keeps_its_own_type():
    with pytest.raises(ZeroDivisionError):
        exits.call(lambda: 1 // 0)
