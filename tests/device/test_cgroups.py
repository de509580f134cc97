"""Control groups' limits, from trees of files as the kernel writes them."""

from pathlib import Path

import pytest

from cleanplate.device.cgroups import MemoryLimit, read_core_limit, read_memory_limit


def write_tree(root: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content + "\n", encoding="utf-8")


@pytest.fixture
def membership(tmp_path):
    def write(content: str) -> Path:
        path = tmp_path / "membership"
        path.write_text(content, encoding="utf-8")
        return path

    return write


def test_version_2_counts_droppable_file_pages_as_free(tmp_path, membership):
    write_tree(
        tmp_path / "mount/app",
        {
            "memory.max": "1000",
            "memory.current": "700",
            "memory.stat": "anon 400\ninactive_file 250\nfile 300",
        },
    )
    limit = read_memory_limit(membership("0::/app\n"), tmp_path / "mount")
    assert limit == MemoryLimit(limit_bytes=1000, free_bytes=550)


def test_the_group_above_may_leave_less(tmp_path, membership):
    mount = tmp_path / "mount"
    write_tree(mount / "slice", {"memory.max": "800", "memory.current": "750"})
    write_tree(mount / "slice/app", {"memory.max": "500", "memory.current": "100"})
    assert read_memory_limit(membership("0::/slice/app\n"), mount) == MemoryLimit(800, 50)


def test_no_limit(tmp_path, membership):
    write_tree(tmp_path / "mount/app", {"memory.max": "max", "memory.current": "700"})
    assert read_memory_limit(membership("0::/app\n"), tmp_path / "mount") is None


def test_version_1_in_a_container_reads_the_root_when_the_path_is_the_hosts(tmp_path, membership):
    write_tree(
        tmp_path / "mount/memory",
        {
            "memory.limit_in_bytes": "4096",
            "memory.usage_in_bytes": "4000",
            "memory.stat": "total_inactive_file 96",
        },
    )
    lines = "9:name=systemd:/\n4:cpu,memory:/docker/abc\n0::/\n"
    write_tree(tmp_path / "mount/cpu", {})
    assert read_memory_limit(membership(lines), tmp_path / "mount") == MemoryLimit(4096, 192)


def test_version_1_without_a_limit(tmp_path, membership):
    write_tree(
        tmp_path / "mount/memory",
        {"memory.limit_in_bytes": "9223372036854771712", "memory.usage_in_bytes": "5"},
    )
    assert read_memory_limit(membership("4:memory:/\n"), tmp_path / "mount") is None


def test_usage_above_the_limit_leaves_nothing(tmp_path, membership):
    write_tree(tmp_path / "mount", {"memory.max": "10", "memory.current": "12"})
    assert read_memory_limit(membership("0::/\n"), tmp_path / "mount") == MemoryLimit(10, 0)


def test_without_control_groups_there_is_no_limit(tmp_path):
    assert read_memory_limit(tmp_path / "nothing", tmp_path) is None
    assert read_core_limit(tmp_path / "nothing", tmp_path) is None


@pytest.mark.parametrize(
    ("lines", "files", "cores"),
    [
        ("0::/app\n", {"app/cpu.max": "150000 100000"}, 1),
        ("0::/app\n", {"app/cpu.max": "400000 100000", "cpu.max": "200000 100000"}, 2),
        ("0::/app\n", {"app/cpu.max": "max 100000"}, None),
        ("0::/app\n", {"app/cpu.max": "50000 100000"}, 1),
        (
            "3:cpu,cpuacct:/app\n",
            {"cpu/app/cpu.cfs_quota_us": "300000", "cpu/app/cpu.cfs_period_us": "100000"},
            3,
        ),
        ("3:cpu:/app\n", {"cpu/app/cpu.cfs_quota_us": "-1", "cpu/app/cpu.cfs_period_us": "100000"}, None),
    ],
)
def test_processor_quota(tmp_path, membership, lines, files, cores):
    write_tree(tmp_path / "mount", files)
    assert read_core_limit(membership(lines), tmp_path / "mount") == cores
