"""The rules of the house that no linter knows. Layers are held by import-linter (`make lint`)."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "cleanplate"
MODULES = sorted(PACKAGE.rglob("*.py"))
SHORTEST_NAMES = {path.relative_to(PACKAGE).as_posix(): path for path in MODULES}


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", SHORTEST_NAMES)
def test_module_says_what_it_is_for_and_stays_short(name):
    text = SHORTEST_NAMES[name].read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text)), f"{name} has no docstring"
    assert len(text.splitlines()) <= 400, f"{name} is past 400 lines: what is the second thing it does?"


def test_no_room_for_odds_and_ends():
    parts = {part for path in MODULES for part in path.relative_to(PACKAGE).with_suffix("").parts}
    assert not parts & {"utils", "util", "helpers", "helper", "manager", "common", "misc"}


def test_only_the_command_line_leaves_the_program():
    for name, path in SHORTEST_NAMES.items():
        if name.startswith("cli/") or name == "__main__.py":
            continue
        for node in ast.walk(parse(path)):
            leaves = isinstance(node, ast.Name) and node.id == "SystemExit"
            leaves |= isinstance(node, ast.Attribute) and ast.unparse(node) == "sys.exit"
            assert not leaves, f"{name}:{node.lineno} leaves the program"


def test_broad_excepts_have_their_reason_beside_them():
    for name, path in SHORTEST_NAMES.items():
        lines = path.read_text(encoding="utf-8").splitlines()
        for node in ast.walk(parse(path)):
            if not isinstance(node, ast.ExceptHandler):
                continue
            broad = node.type is None or ast.unparse(node.type) in {"Exception", "BaseException"}
            tidies_up = ast.unparse(node.body[-1]) == "raise"
            head = "".join(lines[node.lineno - 1 : node.body[0].lineno - 1])
            assert not broad or tidies_up or "#" in head, f"{name}:{node.lineno} catches everything"


def test_processes_are_spawned_and_no_shell_is_used():
    for name, path in SHORTEST_NAMES.items():
        text = path.read_text(encoding="utf-8")
        assert "shell=True" not in text, name
        assert '"/tmp' not in text, name
        assert 'get_context("fork")' not in text, name


@pytest.mark.parametrize("module", ["", ".errors", ".settings", ".extras", ".structures", ".cli", ".images"])
def test_light_modules_do_not_import_torch(module):
    script = f"import sys, cleanplate{module}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
