"""Where results lie, and whether they are still what was written there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from medgen.scans.contents import content, state


class Place(Protocol):
    """What the ledger asks of a place; names are those of files in it."""

    def state(self, names: Iterable[str]) -> str:
        """Return what changes when the files do; "" where one is missing."""

    def content(self, names: Iterable[str]) -> str:
        """Return the SHA-256 of the files, one after the other; "" where that cannot be had."""

    def recorded(self, files: Mapping[str, Path]) -> dict[str, list[Any]]:
        """Keep results that were written, and return for each [names, content, state], as the ledger holds it."""

    def remove(self, names: Iterable[str]) -> None:
        """Remove files, those of them that are there."""


class Folder:
    """A folder that results were written into; see `Place`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def state(self, names: Iterable[str]) -> str:
        return state([self.path / name for name in names])

    def content(self, names: Iterable[str]) -> str:
        return content([self.path / name for name in names])

    def recorded(self, files: Mapping[str, Path]) -> dict[str, list[Any]]:
        recorded = {}
        for key, path in files.items():
            names = names_in(self.path, path)
            recorded[key] = [names, self.content(names), self.state(names)]
        return recorded

    def remove(self, names: Iterable[str]) -> None:
        for name in names:
            (self.path / name).unlink(missing_ok=True)


def names_in(folder: Path, path: Path) -> list[str]:
    """Return the names of a file, or of all files of a folder, as seen from a folder that holds it."""
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    return [file.relative_to(folder).as_posix() for file in files]
