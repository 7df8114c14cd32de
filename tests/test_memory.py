"""How much memory is free, in containers of either version of control groups, of which a tree is written here."""

from __future__ import annotations

from pathlib import Path

import pytest

from medgen.memory import free_memory

GIB = 1 << 30
SOME = 4 * GIB  #: that the machine has free


def tree(root: Path, groups: str, files: dict[str, object]) -> Path:
    """Write /proc and the files of /sys/fs/cgroup."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/meminfo").write_text(f"MemTotal: 9999999 kB\nMemAvailable:    {SOME >> 10} kB\n")
    (root / "proc/self/cgroup").write_text(groups)
    for name, content in files.items():
        path = root / "sys/fs/cgroup" / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")
    return root


def v1(folder: str, limit: int, used: int, cached: int = 0) -> dict[str, object]:
    there = f"memory/{folder}"
    return {f"{there}/memory.limit_in_bytes": limit, f"{there}/memory.usage_in_bytes": used, f"{there}/memory.stat": f"cache 7\ntotal_inactive_file {cached}"}


def v2(folder: str, limit: int | str, used: int, cached: int = 0) -> dict[str, object]:
    return {f"{folder}/memory.max": limit, f"{folder}/memory.current": used, f"{folder}/memory.stat": f"anon 7\ninactive_file {cached}"}


NO_LIMIT = 9223372036854771712  #: what version 1 says for none
HYBRID = "9:cpu,cpuacct:/job\n4:memory:/job/1\n0::/\n"


@pytest.mark.parametrize(
    ("groups", "files", "free"),
    [
        ("0::/\n", {}, SOME),
        ("0::/\n", v2("", 2 * GIB, GIB // 2), 1.5 * GIB),  # a container that sees its own group as the top
        ("0::/\n", v2("", 2 * GIB, 2 * GIB, GIB), GIB),  # of what is used, a cache of files is given back
        ("0::/\n", v2("", 64 * GIB, GIB), SOME),  # the machine has less
        ("0::/a/b\n", {**v2("a/b", "max", GIB), **v2("a", 3 * GIB, GIB)}, 2 * GIB),  # the limit is the parent's
        ("0::/a/b\n", {**v2("a/b", GIB, GIB // 4), **v2("a", 3 * GIB, GIB)}, 0.75 * GIB),
        ("0::/a\n", v2("a", GIB, GIB + 4096), 0),  # no less than none
        (HYBRID, v1("job/1", 2 * GIB, GIB), GIB),
        (HYBRID, {**v1("job/1", NO_LIMIT, GIB), **v1("job", 2 * GIB, GIB, GIB // 2), **v1("", NO_LIMIT, 9 * GIB)}, 1.5 * GIB),
        (HYBRID, v1("", 2 * GIB, GIB), GIB),  # a container that is told its path outside
        (HYBRID, v1("job/1", NO_LIMIT, GIB), SOME),
        (HYBRID, {"memory/job/1/memory.limit_in_bytes": "?", "memory/job/1/memory.usage_in_bytes": 1}, SOME),
    ],
)
def test_the_least_of_all_limits_counts(tmp_path: Path, groups: str, files: dict[str, object], free: float) -> None:
    assert free_memory(tree(tmp_path, groups, files)) == free


def test_without_control_groups_and_without_proc(tmp_path: Path) -> None:
    assert free_memory(tmp_path) is None
    tree(tmp_path, "", {})
    (tmp_path / "proc/self/cgroup").unlink()
    assert free_memory(tmp_path) == SOME


@pytest.mark.skipif(not Path("/proc/meminfo").is_file(), reason="Linux only")
def test_this_machine_has_some() -> None:
    free = free_memory()
    assert free is not None and 0 < free < 1 << 50
