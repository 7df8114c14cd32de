"""What medgen is asked, and what it answers."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Bundle:
    """What can be run, as `medgen bundles --json` tells."""

    name: str
    task: str
    version: str = ""
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)  #: by name: default, help, and low and high, or choices
    uncertainty: bool = False  #: whether it maps its uncertainty
    mask: str = ""  #: what a mask means to it, where it takes one


@dataclass(frozen=True)
class Request:
    """What the user chose."""

    bundle: str
    settings: dict[str, Any] = field(default_factory=dict)
    uncertainty: bool = False
    device: str = ""
    permissive: bool = False

    def arguments(self, scans: Path, output: Path, masks: Path | None = None) -> list[str]:
        """Return the command line of medgen for a folder of scans, and one of masks with the names of the scans."""
        line = ["run", self.bundle, str(scans), "--output", str(output), "--json"]
        for name, value in self.settings.items():
            line += ["--set", f"{name}={json.dumps(value)}"]
        line += ["--uncertainty"] if self.uncertainty else []
        line += ["--permissive"] if self.permissive else []
        line += ["--device", self.device] if self.device else []
        return line + (["--mask", str(masks)] if masks else [])


@dataclass(frozen=True)
class Answer:
    """What became of one scan."""

    case: str
    files: tuple[Path, ...] = ()
    error: str = ""
    warnings: tuple[str, ...] = ()


def read_bundles(text: str) -> list[Bundle]:
    """Return what `medgen bundles --json` printed; a newer medgen may tell more. Raises ValueError for anything else."""
    known = Bundle.__dataclass_fields__
    return [Bundle(**{key: value for key, value in entry.items() if key in known}) for entry in json.loads(text)]


def read_answer(line: str) -> Answer | None:
    """Return what a line of `medgen run --json` tells, or None where it tells of no scan.

    The one place that knows these lines.
    """
    try:
        told = json.loads(line)
        return Answer(told["case"], tuple(map(Path, told["files"])), told["error"] or "", tuple(told["warnings"]))
    except (ValueError, KeyError, TypeError):
        return None
