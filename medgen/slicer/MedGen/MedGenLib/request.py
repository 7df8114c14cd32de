"""What medgen is asked, and what it answers: the one place that knows its options and its lines."""

from __future__ import annotations

import json
from collections.abc import Sequence
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
    text: bool = False  #: whether it makes volumes of a sentence, and takes none
    labels: bool = False  #: whether the volumes that it takes are label maps
    synthetic: bool = False  #: whether what it makes was never acquired


@dataclass(frozen=True)
class Request:
    """What the user chose."""

    bundle: str
    settings: dict[str, Any] = field(default_factory=dict)
    uncertainty: bool = False
    device: str = ""
    permissive: bool = False
    text: str = ""  #: what to make, for a bundle that makes volumes of a sentence
    count: int = 1  #: of a sentence: how many volumes, of as many seeds
    seed: int = 0  #: of a sentence: the first seed
    labels: bool = False  #: whether the bundle takes label maps, not scans

    def arguments(self, scans: Path | None, output: Path, masks: Path | None = None) -> list[str]:
        """Return the command line of medgen for a folder of scans, and one of masks with the names of the scans.

        Without scans it is for the sentence.
        """
        ordered = [f"--text={self.text}", f"-n{self.count}", f"--seed={self.seed}"]  # a sentence may begin with a dash
        line = ["run", self.bundle, *(ordered if scans is None else [str(scans)]), "--output", str(output), "--json"]
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


@dataclass(frozen=True)
class Understood:
    """How a sentence was read: words and their meaning, the words that changed nothing, and what to look at."""

    meanings: tuple[tuple[str, str], ...] = ()
    ignored: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Return it in words."""
        told = [f"understood: {'; '.join(f'{words} = {meaning}' for words, meaning in self.meanings)}"] if self.meanings else []
        return [*told, *([f"ignored: {', '.join(self.ignored)}"] if self.ignored else []), *self.warnings]


def read_bundles(text: str) -> list[Bundle]:
    """Return what `medgen bundles --json` printed; a newer medgen may tell more. Raises ValueError for anything else."""
    known = Bundle.__dataclass_fields__
    return [Bundle(**{key: value for key, value in entry.items() if key in known}) for entry in json.loads(text)]


def first_choice(bundles: Sequence[Bundle]) -> int:
    """Return which bundle is offered first: one that takes a scan and gives back that scan, else whatever is first; -1 for none."""
    restoring = (number for number, bundle in enumerate(bundles) if not (bundle.text or bundle.labels or bundle.synthetic))
    return next(restoring, 0 if bundles else -1)


def read_answer(line: str) -> Answer | None:
    """Return what a line of `medgen run --json` tells, or None where it tells of no scan."""
    try:
        told = json.loads(line)
        return Answer(told["case"], tuple(map(Path, told["files"])), told["error"] or "", tuple(told["warnings"]))
    except (ValueError, KeyError, TypeError):
        return None


def read_understood(line: str) -> Understood | None:
    """Return how `medgen run --text --json` read the sentence, or None for another line of it."""
    try:
        told = json.loads(line)
        return Understood(tuple((words, meaning) for words, meaning in told["understood"]), tuple(told["ignored"]), tuple(told["warnings"]))
    except (ValueError, KeyError, TypeError):
        return None
