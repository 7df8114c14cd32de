"""What the ledger asks of the operating system."""

from __future__ import annotations

import os
import platform
from pathlib import Path

NETWORK = (
    "nfs", "cifs", "smb", "lustre", "gpfs", "beegfs", "ceph", "afs", "9p",
    "fuse.sshfs", "fuse.gluster", "glusterfs", "ocfs2", "gfs2",
)  # fmt: skip


def machine() -> str:
    """Return what processes have in common whose PIDs this one can look up: host, boot, and namespace (containers)."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{platform.node()} {boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return platform.node()


def kills() -> int:
    """Return how many processes the system has killed for want of memory since it started; -1 where it does not tell."""
    try:
        fields = dict(line.split() for line in Path("/proc/vmstat").read_text().splitlines())
        return int(fields["oom_kill"])
    except (OSError, KeyError, ValueError):
        return -1


def is_network(folder: Path) -> bool:
    """Say whether a folder lies on a file system that other machines write to."""
    try:
        mounts = [line.split(" - ") for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    except OSError:
        return False
    place, kind = folder.resolve(), ""
    for left, right in sorted(mounts, key=lambda mount: len(mount[0].split()[4])):  # the longest that fits, the last
        if place.is_relative_to(left.split()[4].replace("\\040", " ")):
            kind = right.split()[0]
    return kind.startswith(NETWORK)
