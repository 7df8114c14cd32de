"""How much main memory is free: by the kernel's word, and by the limits of the containers that this process is in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

#: Of the memory controller, version 1 and 2: limit, use, and in memory.stat the part of that which is a cache and given back.
VERSION_1 = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
VERSION_2 = "memory.max", "memory.current", "inactive_file"


def free_memory(root: Path = Path("/")) -> int | None:
    """Return the bytes of memory that this process can still have, or None where the system does not tell.

    The least of MemAvailable and, for its control group and each one above, limit - use (Linux, Documentation/admin-guide:
    cgroup-v1/memory.rst, cgroup-v2.rst). `root` is where /proc and /sys lie.
    """
    try:
        text = (root / "proc/meminfo").read_text()
        free = int(text.split("MemAvailable:")[1].split()[0]) << 10
    except (OSError, IndexError, ValueError):
        return None
    return max(0, min([free, *_left(root)]))


def _left(root: Path) -> Iterator[int]:
    """Yield what each limit leaves."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        number, controllers, group = line.split(":", 2)
        if number == "0" and not controllers:
            top, names = root / "sys/fs/cgroup", VERSION_2
        elif "memory" in controllers.split(","):
            top, names = root / "sys/fs/cgroup/memory", VERSION_1
        else:
            continue
        # a container may see its own group as the top of the tree, and yet be told its path outside: what is not there is passed
        for part in (PurePosixPath(group), *PurePosixPath(group).parents):
            left = _left_of(top / part.relative_to("/"), *names)
            if left is not None:
                yield left


def _left_of(folder: Path, limit: str, used: str, cached: str) -> int | None:
    try:
        most, now = int((folder / limit).read_text()), int((folder / used).read_text())  # "max" is no number: no limit
    except (OSError, ValueError):
        return None
    try:
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        now -= int(stat.get(cached, 0))
    except (OSError, ValueError):
        pass
    return most - now
