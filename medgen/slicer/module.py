"""Run a command-line module as Slicer calls it: progress and results on standard output, one line on failure, no trace.

Slicer cancels a module by killing it, and then removes the files that it named itself. So that nothing else is left, no
other file is written: results go straight to their place.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medgen.slicer.parameters import Group, parse
from medgen.slicer.tasks import BY_BUNDLE, EVALUATE, MEASURES, groups_of

if TYPE_CHECKING:
    from click import Command

    from medgen.batch.apply import Restored
    from medgen.bundles import Bundle

#: Of an evaluation's options, those that are numbers.
NUMBERS = {"data_range": float, "background": int, "slice_axis": int}


def run(name: str, arguments: Sequence[str], commands: Mapping[str, Command]) -> int:
    """Run the module of a task, by name, with the command line that Slicer made; return its exit code."""
    groups: list[Group] = []
    values: dict[str, Any] = {}
    with _silence() as standard_error:
        try:
            task = next((task for task in (*BY_BUNDLE, EVALUATE) if task.name == name), None)
            if task is None:
                raise ValueError(f"there is no module '{name}'; run medgen slicer install again")
            groups = groups_of(task, commands)
            values = parse(groups, arguments)
            _check_places(groups, values)
            print(f"<filter-start><filter-name>{task.title}</filter-name></filter-start>", flush=True)
            results = _evaluate(values) if task is EVALUATE else _make(groups, values) if task.text else _restore(groups, values)
            if values["returnparameterfile"]:
                lines = [f"{key} = {value}" for key, value in results.items()]
                Path(values["returnparameterfile"]).write_text("\n".join([*lines, ""]), encoding="utf-8")
            print(f"<filter-end><filter-name>{task.title}</filter-name></filter-end>", flush=True)
        except Exception as error:  # noqa: BLE001  whatever it was, the user of Slicer gets one line
            os.write(standard_error, f"medgen: {_line(error, groups, values)}\n".encode())
            return 1
    return 0


def _results(groups: Sequence[Group], values: Mapping[str, Any]) -> list[str]:
    """Return the files that Slicer asked for."""
    every = (one for group in groups for one in group.parameters)
    return [values[one.name] for one in every if one.is_file and one.output and values.get(one.name)]


def _check_places(groups: Sequence[Group], values: Mapping[str, Any]) -> None:
    """Raise ValueError where the folder of a result is not there: before the network works for nothing."""
    for place in _results(groups, values):
        if not Path(place).parent.is_dir():
            raise ValueError(f"{place}: its folder is not there; make it, or choose another")


def _restore(groups: Sequence[Group], values: Mapping[str, Any]) -> dict[str, Any]:
    """Run a bundle over the input, write what Slicer asked for, and return the results that are no files."""
    _tell(0.02, "reading")
    memory = _number(values, "memory")
    from medgen.batch.apply import apply
    from medgen.batch.pairing import read_mask
    from medgen.scans import find, read

    bundle = _opened(groups, values)
    scan = read(Path(values["input"]), permissive=values["permissive"])
    mask = values.get("mask")
    region = read_mask(find(Path(mask)).cases[0], scan, permissive=values["permissive"]) if mask else None
    _tell(0.1, "opening the network")
    bundle.network  # noqa: B018  a missing or altered checkpoint stops here
    _tell(0.2, "running the network")
    restored = apply(bundle, scan, region, uncertainty=bool(values.get("uncertainty")), memory=memory)
    _write(restored, bundle, values)
    return {"warnings": _joined((*scan.warnings, *restored.warnings))}


def _make(groups: Sequence[Group], values: Mapping[str, Any]) -> dict[str, Any]:
    """Run a bundle on the sentence, write the volume that Slicer asked for, and return how the sentence was read."""
    _tell(0.02, "reading")
    memory = _number(values, "memory")
    if not (values["text"] or "").strip():
        raise ValueError("there is no text; say what to make, such as: Axial T1, 12 mm lesion in the left frontal lobe")
    from medgen.batch.ordered import paint

    bundle = _opened(groups, values)
    _tell(0.1, "opening the network")
    bundle.network  # noqa: B018  a missing or altered checkpoint stops here
    _tell(0.2, "making the volume")
    _, made = paint(bundle, values["text"], values["seed"], memory)
    _write(made, bundle, values)
    understood = _joined(f"{words} = {meaning}" for words, meaning in made.report["understood"])
    return {"understood": understood, "ignored": _joined(made.report["ignored"]), "warnings": _joined(made.report["warnings"])}


def _opened(groups: Sequence[Group], values: Mapping[str, Any]) -> Bundle:
    """Return the chosen bundle with its settings."""
    from medgen.bundles import open_bundle

    known = [one for group in groups for one in group.parameters]
    chosen = {one.setting[1]: values[one.name] for one in known if one.setting and one.setting[0] == values["bundle"]}
    return open_bundle(values["bundle"], values["device"], {key: value for key, value in chosen.items() if value is not None})


def _write(restored: Restored, bundle: Bundle, values: Mapping[str, Any]) -> None:
    """Write what Slicer asked for of a result."""
    _tell(0.9, "writing")
    import numpy as np

    from medgen.scans import write_nifti

    what = f"medgen {'SYNTHETIC' if bundle.metadata.get('synthetic') else 'derived'} {bundle.root.name}"
    for key, place in (("", "output"), ("uncertainty", "uncertainty")):
        if key in restored.images:
            dtype = np.dtype(np.float32) if key else None
            write_nifti(Path(values[place]), restored.images[key], restored.grid, dtype=dtype, direct=True, description=what)
    _tell(1.0, "done")


def _joined(words: Iterable[str]) -> str:
    return "; ".join(words).replace("\n", " ")  # a line of Slicer's return file each


def _evaluate(values: Mapping[str, Any]) -> dict[str, Any]:
    """Measure the input, write the table that Slicer asked for, and return what it shows of it."""
    _tell(0.02, "reading")
    numbers = {name: _number(values, name, kind) for name, kind in NUMBERS.items()}
    from medgen.batch.evaluate import alone, together
    from medgen.batch.protocol import Protocol, Regions
    from medgen.batch.quality import ALONE, PAIRED, SHARED
    from medgen.batch.tables import cell
    from medgen.scans import find

    mask, labels = (Path(values[name]) if values[name] else None for name in ("mask", "labels"))
    protocol = Protocol(mask=mask, labels=labels, hu=values["hu"], **numbers)
    _tell(0.2, "measuring")
    (case,) = find(Path(values["input"])).cases
    regions = Regions(protocol)
    rows = together(case, find(Path(values["reference"])).cases[0], regions) if values["reference"] else alone(case, regions)
    _tell(0.9, "writing")
    if values["table"]:
        meanings = SHARED | (PAIRED if values["reference"] else ALONE)
        names = [name for name in rows[0] if name not in ("case", "reference", "subject", "region")]
        with Path(values["table"]).open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(["measure", *(str(row["region"]) for row in rows), "meaning"])
            table.writerows([name, *(cell(row.get(name), ".6g") for row in rows), meanings.get(name, "")] for name in names)
    _tell(1.0, "done")
    shown = next(row for row in rows if row["region"] == ("mask" if mask else "image"))
    return {name: cell(shown[name], ".6g") for name in MEASURES if name in shown}


def _number(values: Mapping[str, Any], name: str, kind: type = float) -> Any:
    """Return a number, or None where none was given. Raises ValueError for anything else."""
    value = values[name]
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != kind(value):
        raise ValueError(f"{name} must be a {'whole ' if kind is int else ''}number, not {value}")
    return kind(value)


def _tell(fraction: float, what: str) -> None:
    print(f"<filter-comment>{what}</filter-comment>\n<filter-progress>{fraction:g}</filter-progress>", flush=True)


def _line(error: Exception, groups: Sequence[Group], values: Mapping[str, Any]) -> str:
    """Return what went wrong in one line, in which files have the names that Slicer's user knows."""
    from medgen.bundles import BundleError

    if isinstance(error, OSError) and str(error.filename) in _results(groups, values):
        line = f"{error.filename}: cannot be written ({error.strerror}); free space, or choose another place"
    elif isinstance(error, (BundleError, ValueError)) and str(error).strip():
        line = str(error).strip().splitlines()[0]
    else:
        from medgen.batch.run import one_line
        from medgen.scans import Case

        line = one_line(Case("the volume", (), "nifti"), error)
    for one in (one for group in groups for one in group.parameters if one.is_file and values.get(one.name)):
        line = line.replace(values[one.name], f"the {one.title.lower()}")
    return line


@contextmanager
def _silence() -> Iterator[int]:
    """Send standard error nowhere, that of compiled libraries too, and give the file descriptor of the real one.

    Slicer takes anything on standard error for a failure, and libraries warn there.
    """
    real = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield real
    finally:
        os.dup2(real, 2)
        os.close(real)
