"""Files and folders that appear whole or not at all: filled beside their place, then renamed into it."""

from __future__ import annotations

import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from medgen.scans.scan import ScanError


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give the path of a new file to write, which replaces `path` when all went well, and vanishes otherwise.

    Raises `ScanError` for any `OSError` on the way.
    """
    temporary = path.with_name(f".part_{uuid.uuid4().hex}{''.join(path.suffixes[-2:])}")  # nibabel goes by the suffixes
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())  # on the disk for certain before it takes the place of another
        temporary.replace(path)
    except OSError as error:
        raise _unwritten(path, error) from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def whole_folder(folder: Path, name: str = r"\d+\.dcm") -> Iterator[Path]:
    """Give a new folder to fill, which takes the place of `folder` when all went well, and vanishes otherwise.

    What was in `folder` stays there until then. Raises `ScanError` where `folder` is a file, holds any file whose path in
    it is not `name` (a regular expression), or for any `OSError` on the way.
    """
    number = uuid.uuid4().hex
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
        if folder.exists():
            folder.rename(old)
        try:
            temporary.rename(folder)
        except OSError:
            if old.exists():
                old.rename(folder)
            raise
    except OSError as error:
        raise _unwritten(folder, error) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _unwritten(path: Path, error: OSError) -> ScanError:
    return ScanError(path, f"cannot be written ({error.strerror})", "free space or choose another output folder")
