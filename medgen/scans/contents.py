"""Whether files are still those that they were: a quick look at their state, a certain one at their bytes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from medgen.scans.detached import beside
from medgen.scans.find import Case
from medgen.scans.scan import ScanError

VOXELS = re.compile(rb"^(?:ElementDataFile\s*=|data ?file:)\s*(\S.*?)\s*$", re.MULTILINE | re.IGNORECASE)
CHUNK = 1 << 20


def files_of(case: Case) -> list[Path]:
    """Return all files of a case, in the order in which they are hashed: what a detached header names comes after it."""
    files = sorted(case.files)
    if files[0].suffix.lower() not in (".mhd", ".nhdr"):
        return files
    try:
        with files[0].open("rb") as file:
            named = VOXELS.search(file.read(CHUNK))
        return [*files, beside(files[0], named[1].decode())] if named and named[1].upper() != b"LOCAL" else files
    except (OSError, ValueError, ScanError):
        return files  # which reading it will tell


def state(files: Iterable[Path]) -> str:
    """Return a hash of the files' sizes, times and inodes, which changes with their content; "" where one is missing.

    It may change though the content does not (a copy, a restored backup): then `content` tells.
    """
    try:
        stats = [path.stat() for path in files]
    except OSError:
        return ""
    return hashlib.sha256(repr([(s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino) for s in stats]).encode()).hexdigest()


def content(files: Iterable[Path]) -> str:
    """Return the SHA-256 of the files' bytes, one after the other; "" where one cannot be read."""
    digest = hashlib.sha256()
    try:
        for path in files:
            with path.open("rb") as file:
                while chunk := file.read(CHUNK):
                    digest.update(chunk)
    except OSError:
        return ""
    return digest.hexdigest()
