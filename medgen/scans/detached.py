"""The file beside a detached header (.nhdr, .mhd) that holds its voxels."""

from __future__ import annotations

from pathlib import Path

from medgen.scans.scan import ScanError


def beside(header: Path, name: str) -> Path:
    """Return the path of the one file that a header names; a `ScanError` if it is not there, or not in the same folder.

    A list or a pattern of files, and a path that leads elsewhere, are refused: a header must not open any file of the disk.
    """
    remedy = "save header and voxels as one file"
    plain = name.removeprefix("./")
    if len(name.split()) > 1 and "%" in name or name.split()[:1] == ["LIST"]:
        raise ScanError(header, "its voxels are in a list of files", remedy)
    if not plain or "/" in plain or "\\" in plain or "\0" in plain or plain in (".", ".."):
        raise ScanError(header, "its voxels are not in one file beside it", remedy)
    path = header.parent / plain
    if not path.is_file():
        raise ScanError(header, "the file beside it that holds its voxels is missing", "copy it too, or export it again")
    return path
