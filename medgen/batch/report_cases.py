"""What there is to report on: the scans of each case, and the tables that other commands wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medgen.batch.pairing import is_map, map_name, pair
from medgen.scans import Case, ScanError, find

#: What the commands that measure write, by the name of the file.
TABLES = {
    "results": "Image quality", "comparison": "Methods compared", "safety": "Safety", "agreement": "Agreement of volumes",
    "speed": "Speed", "distributions": "Distributions",
}  # fmt: skip


@dataclass(frozen=True)
class Shown:
    """One case of a report."""

    name: str  #: of the result, as in the output folder
    scans: dict[str, Case]  #: "result", and those that there are of "input", "uncertainty", "reference"
    sidecar: Mapping[str, Any] = field(default_factory=dict)  #: what `medgen run` wrote beside the result


def cases_of(
    folder: Path, inputs: Path | Mapping[str, Case] | None = None, reference: Path | None = None
) -> list[Shown]:
    """Return the results in a folder (or of one file) with what belongs to them; maps of uncertainty are no results.

    Where there are results of `medgen run`, which have a sidecar, only those count. `inputs` and `reference` are paired by
    name (a, a_restored), or `inputs` is given by the result's name, and then limits what is returned.
    """
    found = {case.name: case for case in find(folder).cases}
    sidecars = {name: _sidecar(case) for name, case in found.items() if not is_map(case)}
    if any(sidecars.values()):
        sidecars = {name: sidecar for name, sidecar in sidecars.items() if sidecar}
    known = _paired(folder, inputs) if isinstance(inputs, Path) else inputs
    truths = _paired(folder, reference) if reference else {}
    shown = []
    for name, sidecar in sidecars.items():
        if known is not None and not isinstance(inputs, Path) and name not in known:
            continue
        scans = {"result": found[name], "input": (known or {}).get(name), "reference": truths.get(name),
                 "uncertainty": found.get(map_name(name))}  # fmt: skip
        shown.append(Shown(name, {key: case for key, case in scans.items() if case is not None}, sidecar))
    return shown


def tables_in(folders: Sequence[Path]) -> dict[str, dict[str, Any]]:
    """Return the content of the JSON files of `TABLES` in these folders, by name; the first that has one counts.

    Raises `ScanError` for one that cannot be read.
    """
    found: dict[str, dict[str, Any]] = {}
    for folder in folders:
        for name in TABLES:
            path = folder / f"{name}.json"
            if path.is_file() and name not in found:
                content = _read(path)
                if "rows" not in content or "definitions" not in content:
                    raise ScanError(path, "is no table of medgen's", "write it again, or move it away")
                found[name] = content
    return found


def _paired(folder: Path, others: Path) -> dict[str, Case]:
    return {mine.name: other for mine, other in pair(folder, others)[0]}


def _sidecar(case: Case) -> dict[str, Any]:
    folder = case.files[0].parent
    path = (folder.parent if case.kind == "dicom" else folder) / f"{case.name}.json"
    content = _read(path) if path.is_file() else {}
    return content if "bundle" in content else {}


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise ScanError(path, f"cannot be read ({type(error).__name__})", "write it again, or move it away") from None
