"""Write the modules where Slicer finds them: for each task a launcher and its XML, and the scripted module MedGen."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import medgen
from medgen.slicer.description import describe
from medgen.slicer.tasks import BY_BUNDLE, EVALUATE, groups_of, tasks

if TYPE_CHECKING:
    from click import Command

#: What Slicer's own launcher sets for its Python and its libraries, and what breaks another Python.
CLEARED = ("PYTHONHOME", "PYTHONPATH", "PYTHONNOUSERSITE", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "ITK_AUTOLOAD_PATH")
#: What medgen itself goes by, and Slicer, started from a desktop, may not have.
KEPT = ("MEDGEN_BUNDLES",)


def command() -> list[str]:
    """Return how this medgen is run from anywhere: its Python, without the working directory among its paths."""
    place = str(Path(medgen.__file__).resolve().parents[1])
    return [sys.executable, "-c", f"import sys; sys.path[0] = {place!r}; from medgen.cli import app; app()"]


def install(folder: Path, commands: Mapping[str, Command], windows: bool = os.name == "nt") -> list[Path]:
    """Write all modules to a folder and return the command-line modules' launchers.

    Raises `BundleError` for bundles that cannot be read, OSError where the folder cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for task in (*BY_BUNDLE, EVALUATE):  # of which some may have lost their bundles
        for suffix in ("", ".bat", ".xml"):
            (folder / f"{task.file}{suffix}").unlink(missing_ok=True)
    launchers = []
    for task in tasks():
        launcher = folder / (f"{task.file}.bat" if windows else task.file)
        _write(folder / f"{task.file}.xml", describe(task.title, task.about, groups_of(task, commands)))
        _write(launcher, (_batch if windows else _shell)([*command(), "slicer", "module", task.name]))
        launchers.append(launcher)
    scripted = Path(__file__).parent / "MedGen"
    shutil.copytree(scripted, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "CMakeLists.txt"))
    start = {"command": command(), "environment": _kept()}
    _write(folder / "Resources" / "medgen.json", json.dumps(start, indent=2) + "\n")
    return launchers


def _kept() -> dict[str, str]:
    return {name: os.environ[name] for name in KEPT if os.environ.get(name)}


def _shell(line: list[str]) -> str:
    kept = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in _kept().items())
    run = f'exec {shlex.join(line)} "$@"'  # exec, so that Slicer's cancel ends Python itself
    return f"#!/bin/sh\n# Written by medgen slicer install.\nunset {' '.join(CLEARED)}\n{kept}{run}\n"


def _batch(line: list[str]) -> str:
    def text(value: str) -> str:
        return value.replace("%", "%%")

    clear = "".join(f"set {name}=\n" for name in CLEARED)
    kept = "".join(f'set "{name}={text(value)}"\n' for name, value in _kept().items())
    quoted = " ".join(f'"{text(part)}"' for part in line)
    return f"@echo off\nrem Written by medgen slicer install.\nsetlocal\nchcp 65001 >nul\n{clear}{kept}{quoted} %*\n".replace("\n", "\r\n")


def _write(path: Path, text: str) -> None:
    """Write a file beside its place, and rename it into it; not with `medgen.scans.whole`, which takes seconds to import."""
    temporary = path.with_name(f".part_{path.name}")
    temporary.write_bytes(text.encode("utf-8"))
    if path.suffix in ("", ".bat"):
        temporary.chmod(0o755)
    temporary.replace(path)
