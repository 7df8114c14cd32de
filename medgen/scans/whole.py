"""Files and folders that appear whole or not at all: filled beside their place, brought to the disk, renamed into it."""

from __future__ import annotations

import errno
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from medgen.scans.process import identity, is_alive
from medgen.scans.scan import ScanError


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give the path of a new file to write, which replaces `path` when all went well, and vanishes otherwise.

    Raises `ScanError` for any `OSError` on the way.
    """
    temporary = path.with_name(f".part_{_own()}{''.join(path.suffixes[-2:])}")  # nibabel goes by the suffixes
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _to_disk(temporary)  # for certain, before it takes the place of another
        temporary.replace(path)
        _to_disk(path.parent)
    except OSError as error:
        raise _unwritten(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def whole_folder(folder: Path, name: str = r"\d+\.dcm") -> Iterator[Path]:
    """Give a new folder to fill, which takes the place of `folder` when all went well, and vanishes otherwise.

    What was in `folder` stays there until then. Raises `ScanError` where `folder` is a file, holds any file whose path in
    it is not `name` (a regular expression), or for any `OSError` on the way.
    """
    number = _own()
    temporary, old = folder.with_name(f".part_{number}"), folder.with_name(f".old_{number}")
    try:
        if folder.exists() and not folder.is_dir():
            raise ScanError(folder, "is a file", "choose another output folder")
        for file in folder.rglob("*"):
            if not file.is_dir() and not re.fullmatch(name, file.relative_to(folder).as_posix()):
                raise ScanError(folder, "is there already and holds other files", "choose another output folder")
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
        yield temporary
        for made in (*temporary.rglob("*"), temporary):
            _to_disk(made)
        if folder.exists():
            folder.rename(old)
        try:
            temporary.rename(folder)
        except OSError:
            if old.exists():
                old.rename(folder)
            raise
        _to_disk(folder.parent)
    except OSError as error:
        raise _unwritten(folder, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Remove what writers that were killed left in a folder; only where no other machine is writing into it."""
    for path in folder.glob(".*_*"):
        made = re.fullmatch(r"\.(?:part|old)_(\d+-\d+)_[0-9a-f]{32}(?:\.\w+)*", path.name)
        if not made or is_alive(made[1]):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink()


def _own() -> str:
    """Return a new name, which tells the process that made it."""
    return f"{identity()}_{uuid.uuid4().hex}"


def _to_disk(path: Path) -> None:
    if path.is_dir() and not hasattr(os, "O_DIRECTORY"):
        return  # Windows opens no folders
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno != errno.EINVAL or not path.is_dir():  # some network file systems bring no folders to the disk
            raise
    finally:
        os.close(number)


def _unwritten(path: Path, error: OSError) -> ScanError:
    return ScanError(path, f"cannot be written ({error.strerror})", "free space or choose another output folder")
