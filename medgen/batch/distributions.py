"""Compare sets of scans that do not belong together pair by pair: what was generated against what is real."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from medgen.batch import tables
from medgen.batch.distribution_measures import DEFINITIONS, KEPT, Described, Row, measure, near_training, warnings
from medgen.batch.protocol import SUBJECT, Protocol
from medgen.evaluation.features import Extractor
from medgen.evaluation.sampling import Sampling, cube
from medgen.scans import ScanError, find, read
from medgen.scans.whole import whole_file


@dataclass(frozen=True)
class DistributionProtocol:
    """What decides the scores besides the scans: printed with them, and taken back to repeat them."""

    extractor: str = "medgen-v1"
    sha256: str = ""  #: of the extractor's weights; "" before they are known
    sampling: Sampling | None = None  #: the extractor's own where it is None
    hu: bool = False  #: values are HU, though the files do not say so
    subject: str = SUBJECT
    resamples: int = 100
    seed: int = 0
    n: Mapping[str, int] = field(default_factory=dict)  #: scans of each set; of more than that, so many are drawn

    @classmethod
    def read(cls, path: Path) -> DistributionProtocol:
        """Return the protocol in a JSON file, its own or a report's. Raises `ScanError` where there is none."""
        try:
            held = json.loads(path.read_text(encoding="utf-8"))
            held = held.get("protocol", held)
            return cls(**{**held, "sampling": Sampling.of(held["sampling"]) if held.get("sampling") else None})
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise ScanError(path, f"holds no protocol ({error})", "give a distributions.json, or its protocol") from None

    def told(self) -> dict[str, Any]:
        return {**asdict(self), "sampling": self.sampling and self.sampling.told(), "n": dict(self.n)}


def describe(
    path: Path, extractor: Extractor, protocol: DistributionProtocol, most: int | None, mirrored: bool = False
) -> tuple[Described, list[str]]:
    """Return the features of the scans under a path, `most` of them (drawn by the seed), and a line for each that failed.

    With `mirrored`, each scan is there a second time, left and right exchanged.
    Raises `ScanError` where there are fewer than `most`, or none could be read.
    """
    how = protocol.sampling or extractor.sampling()
    cases, errors, _ = find(path)
    failures = [str(error) for error in errors]
    if most is not None and len(cases) < most:
        raise ScanError(path, f"holds {len(cases)} scans, and the protocol was of {most}", "give the same scans")
    if most is not None:
        cases = [cases[number] for number in sorted(np.random.default_rng(protocol.seed).permutation(len(cases))[:most])]
    found = Described([], [], {}, [], turns=2 if mirrored else 1)
    who = Protocol(subject=protocol.subject)
    rows: dict[str, list[np.ndarray]] = {}
    for case in cases:
        try:
            scan = read(case)
        except ScanError as error:
            failures.append(str(error))
            continue
        volume = cube(np.asarray(scan.image[0]), scan.image.affine.numpy(), protocol.hu or scan.units == "HU", how)
        for turned in (volume, volume[::-1].copy()) if mirrored else (volume,):
            for view, features in extractor.features(turned, how).items():
                rows.setdefault(view, []).append(features)
            found.cases.append(case.name)
            found.subjects.append(who.subject_of(case.name))
        if len(found.cubes) < KEPT:
            found.cubes.append(volume.astype(np.float16))
    if not found.cases:
        raise ScanError(path, "holds no scan that could be read", failures[0] if failures else "check the folder")
    found.features = {view: np.concatenate(parts) for view, parts in rows.items()}
    return found, failures


def distributions(
    generated: Path, real: Path, train: Path | None, extractor: Extractor, protocol: DistributionProtocol, output: Path | None,
    console: Console,
) -> int:  # fmt: skip
    """Measure how far the generated scans are from the real ones; print it, and write distributions.csv, .json and .md in
    `output`. Returns the number of failures. Raises `ScanError` where a set cannot be used, or the protocol is another's.
    """
    if protocol.sha256 and protocol.sha256 != extractor.sha256:
        raise ScanError(extractor.name, "has other weights than the protocol was made with", "give the same --weights")
    how = protocol.sampling or extractor.sampling()
    extractor.check(how)
    sets: dict[str, Described] = {}
    failures: list[str] = []
    for name, path in (("generated", generated), ("real", real), ("train", train)):
        if path is not None:
            sets[name], failed = describe(path, extractor, protocol, protocol.n.get(name), mirrored=name == "train")
            failures += failed
    counts = {name: len(one.cases) // one.turns for name, one in sets.items()}
    protocol = replace(protocol, sha256=extractor.sha256, sampling=how, n=counts)
    rows = measure(sets["generated"], sets["real"], extractor, protocol.resamples, protocol.seed)
    copies: list[Row] = []
    if "train" in sets:
        near, copies = near_training(sets["generated"], sets["train"], protocol.resamples, protocol.seed)
        rows += near
    report = {
        "score": extractor.label, "protocol": protocol.told(), "definitions": DEFINITIONS, "warnings": warnings(rows),
        "copies": copies, "failures": failures,
    }  # fmt: skip
    _print(rows, report, console)
    if output is not None:
        try:
            paths = tables.write(output, "distributions", rows, report)
            with whole_file(output / "distributions.md") as temporary:
                temporary.write_text(markdown(rows, report), encoding="utf-8")
            for path in (*paths, output / "distributions.md"):
                console.print(f"written: {path}", markup=False)
        except ScanError as error:
            failures.append(str(error))
            console.print(f"failed: {error}", markup=False)
    return len(failures)


def markdown(rows: Sequence[Row], report: Mapping[str, Any]) -> str:
    """Return the report as a page of Markdown: a table for each view, warnings, copies and the protocol."""
    parts = [f"# {report['score']}", "", "Research only. [..]: 95 % bootstrap interval over subjects."]
    for view in dict.fromkeys(row["view"] for row in rows):
        these = [row for row in rows if row["view"] == view]
        parts += ["", f"## {view}, n = {these[0]['n']}", "", "| measure | value | real |", "|---|---|---|"]
        parts += [f"| {row['measure']} | {_value(row)} | {tables.cell(row['real'])} |" for row in these]
    for title in ("warnings", "copies", "failures"):
        if report[title]:
            parts += ["", f"## {title}", "", *(f"- {_line(item)}" for item in report[title])]
    parts += ["", "## definitions", "", *(f"- {name}: {text}" for name, text in report["definitions"].items())]
    return "\n".join([*parts, "", "## protocol", "", "```json", json.dumps(report["protocol"], indent=2), "```", ""])


def _value(row: Mapping[str, Any]) -> str:
    return tables.interval({"mean": row["value"], "low": row["low"], "high": row["high"]})


def _line(item: Any) -> str:
    return item if isinstance(item, str) else f"{item['case']}: {item['share']:.0%} of it is nearest to {item['training']}, and too near"


def _print(rows: Sequence[Row], report: Mapping[str, Any], console: Console) -> None:
    views, measures = tables.by_measure(rows, report["score"])
    table = Table("measure", *views, box=None)
    for title, found in measures.items():
        table.add_row(escape(title), *(_value(found[view]) if view in found else "" for view in views))
        if any(row["real"] is not None for row in found.values()):
            table.add_row("  real", *(tables.cell(found[view]["real"]) if view in found else "" for view in views), style="dim")
    console.print(table)
    console.print("[..]: 95 % bootstrap interval over subjects; real: the same of the real set, or of its halves", markup=False)
    for title in ("warnings", "copies", "failures"):
        for item in report[title]:
            console.print(f"{ {'warnings': 'warning', 'copies': 'copy', 'failures': 'failed'}[title] }: {_line(item)}", markup=False)
    console.print(f"protocol: {json.dumps(report['protocol'])}", markup=False)
