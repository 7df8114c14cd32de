"""medgen in a process of its own, with its own Python."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

#: What Slicer's launcher sets for its own Python and libraries (medgen.slicer.install has the same).
CLEARED = ("PYTHONHOME", "PYTHONPATH", "PYTHONNOUSERSITE", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "ITK_AUTOLOAD_PATH")


class Process:
    """A running medgen. Its lines are read by a thread, so that nobody waits for them."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start it. Raises OSError where there is no such program."""
        inherited = {name: value for name, value in os.environ.items() if name not in CLEARED}
        self._process = subprocess.Popen(
            list(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
            errors="replace", env={**inherited, "PYTHONIOENCODING": "utf-8", **environment},
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )  # fmt: skip
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._errors: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, args=(self._process.stdout, self._lines.put), daemon=True),
            threading.Thread(target=self._read, args=(self._process.stderr, self._errors.append), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    @staticmethod
    def _read(stream, keep) -> None:  # type: ignore[no-untyped-def]
        for line in stream:
            keep(line.rstrip("\n"))

    def lines(self) -> list[str]:
        """Return the lines of standard output that came since the last call."""
        found = []
        while not self._lines.empty():
            found.append(self._lines.get())
        return found

    def code(self) -> int | None:
        """Return the exit code, or None while it runs or its last lines are read."""
        code = self._process.poll()
        return None if any(reader.is_alive() for reader in self._readers) else code

    def wait(self) -> int:
        """Return the exit code, once it has ended and its last lines are read."""
        for reader in self._readers:
            reader.join()
        return self._process.wait()

    def error(self) -> str:
        """Return the last line of standard error: medgen's own errors are one line."""
        return next((line for line in reversed(self._errors) if line.strip()), "")

    def kill(self) -> None:
        """End it now, and return when it has ended."""
        self._process.kill()
        self._process.wait()


class Medgen:
    """How medgen is started: as `medgen slicer install` wrote it beside the module, or a program that the user chose."""

    def __init__(self, program: str = "", resources: Path = Path(__file__).parents[1] / "Resources") -> None:
        self.command, self.environment = [program or "medgen"], {}
        written = resources / "medgen.json"
        if not program and written.is_file():
            start = json.loads(written.read_text(encoding="utf-8"))
            self.command, self.environment = start["command"], start["environment"]

    def __call__(self, arguments: Sequence[str]) -> Process:
        """Start medgen with arguments. Raises OSError where it is not there."""
        return Process([*self.command, *arguments], self.environment)
