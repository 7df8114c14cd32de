"""A disk of a few megabytes, which a test can fill: a tmpfs in a mount namespace of a process's own (no root needed)."""

from __future__ import annotations

import ctypes
import errno
import multiprocessing
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

NEWNS, NEWUSER, REC, PRIVATE = 0x00020000, 0x10000000, 0x4000, 1 << 18  # sched.h, sys/mount.h
NOT_ALLOWED = 77


def on_small_disk(folder: Path, mebibytes: int, function: Callable[..., None], *arguments: Any) -> None:
    """Call a function in a forked process in which `folder` is a disk of that size; skip the test where there is none."""
    folder.mkdir()
    process = multiprocessing.get_context("fork").Process(target=_mounted, args=(folder, mebibytes, function, arguments))
    process.start()
    process.join(280)
    if process.exitcode == NOT_ALLOWED:
        pytest.skip("this system lets nobody mount a disk of his own")
    assert process.exitcode == 0


def fill(folder: Path, left: int) -> None:
    """Fill the disk until no more than some bytes are free; others may write to it, and remove from it, meanwhile.

    A process that writes may take what was seen as free before it is reserved, and tmpfs then reserves nothing of it.
    """
    with (folder / ".ballast").open("ab") as file:
        while True:
            disk = os.statvfs(folder)
            blocks = disk.f_bavail - left // disk.f_bsize
            if blocks <= 0:
                return
            try:
                os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, blocks * disk.f_bsize)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise


def empty(folder: Path) -> None:
    """Give back what `fill` took."""
    (folder / ".ballast").unlink(missing_ok=True)


def _mounted(folder: Path, mebibytes: int, function: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    if libc.unshare(NEWNS | (NEWUSER if user else 0)):
        sys.exit(NOT_ALLOWED)
    if user:
        for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            Path(f"/proc/self/{name}").write_text(text)
    size = f"size={mebibytes}m".encode()
    if libc.mount(b"none", b"/", None, REC | PRIVATE, None) or libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, size):
        sys.exit(NOT_ALLOWED)
    try:
        function(*arguments)
    except BaseException:  # noqa: BLE001  the parent is told by the exit code
        traceback.print_exc()
        os._exit(1)
    os._exit(0)
