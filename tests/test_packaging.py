"""What the package says of itself, and what its wheel holds."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

import cleanplate

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    built = next(iter(WheelBuilder(str(ROOT)).build(directory=str(tmp_path_factory.mktemp("wheel")))))
    with zipfile.ZipFile(built) as archive:
        yield archive


def test_requirements_agree_with_the_package(project):
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == project["dependencies"]


def test_every_dependency_has_a_range_with_a_reason(project):
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for dependency in project["dependencies"]:
        assert ">=" in dependency, dependency
        assert ",<" in dependency, dependency
        line = next(line for line in text.splitlines() if f'"{dependency}"' in line)
        assert line.partition("#")[2].strip(), f"{dependency} has no reason beside it"


def test_the_constraint_for_processors_is_in_the_range(project):
    constraints = (ROOT / "constraints-cpu.txt").read_text(encoding="utf-8").splitlines()
    assert "torch==2.13.0" in constraints
    assert "torch>=2.6,<3" in project["dependencies"]


def test_version_is_the_same_everywhere(project):
    assert cleanplate.__version__ == project["version"]


def test_wheel_holds_the_package_alone(wheel):
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert tops == {"cleanplate", f"cleanplate-{cleanplate.__version__}.dist-info"}
    assert not [name for name in wheel.namelist() if "__pycache__" in name or "/tests/" in name]


def test_wheel_holds_every_module_and_the_type_marker(wheel):
    source = ROOT / "src"
    modules = {path.relative_to(source).as_posix() for path in (source / "cleanplate").rglob("*.py")}
    assert modules <= set(wheel.namelist())
    assert "cleanplate/py.typed" in wheel.namelist()


def test_wheel_names_the_program(wheel):
    entry_points = next(name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    assert "cleanplate = cleanplate.cli:main" in wheel.read(entry_points).decode()


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["repair", "--help"]])
def test_help_imports_nothing_heavy(arguments):
    script = (
        "import sys\n"
        "from cleanplate.cli import main\n"
        "try:\n"
        f"    main({arguments!r})\n"
        "except SystemExit as exit:\n"
        "    assert exit.code == 0\n"
        "heavy = {'torch', 'numpy', 'cv2', 'PIL', 'psutil', 'rich'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
