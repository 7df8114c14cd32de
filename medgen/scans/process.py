"""Which process this is, and whether another is still alive; by no clock, which may jump."""

from __future__ import annotations

import os
from pathlib import Path


def identity() -> str:
    """Return PID-START of this process: where /proc tells the start, no process later on this boot has the same."""
    return f"{os.getpid()}-{_start(os.getpid()) or '0'}"


def is_alive(process: str) -> bool:
    """Say whether the process of an `identity` on this machine still runs; where that cannot be told for certain, yes."""
    number, _, start = process.partition("-")
    if start != "0" and Path("/proc/self/stat").exists():
        return _start(int(number)) == start
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # of another user
    return True


def _start(number: int) -> str:
    """Return when a process began, in ticks since the machine's start (field 22, proc_pid_stat(5)); "" for none, or a zombie."""
    try:
        fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]
