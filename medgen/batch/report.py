"""The report that people look at: one HTML file that opens offline, and its numbers as JSON, CSV and Markdown beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from rich.console import Console

from medgen.batch import report_page, report_plots, tables
from medgen.batch.citations import bibtex
from medgen.batch.protocol import Protocol
from medgen.batch.report_cases import Shown, cases_of, tables_in
from medgen.batch.report_failures import failed_in, failed_of, without_folders
from medgen.batch.report_images import Layers, layers, picture, small
from medgen.batch.report_measures import COVERED, against_error, changes, earlier, measure
from medgen.batch.report_tables import rows_of_csv
from medgen.batch.run import Options, outputs
from medgen.batch.sidecar import versions
from medgen.bundles import Bundle, BundleError, available, read_metadata
from medgen.evaluation.statistics import summarise
from medgen.scans import Case, ScanError
from medgen.scans.whole import whole_file

PICTURES, VIEWER = 24, 3  #: how many cases are pictured, and how many are in the viewer
VOLUMES = 16_000_000  #: bytes of all volumes in the viewer before compression; the page is a third larger at most


class ReportError(Exception):
    """A report cannot be written: one line that says why, and what to do."""


def check(page: Path) -> None:
    """Raise `ReportError` where a report could not be written in the end: to be called before the work is done."""
    if page.suffix.lower() != ".html":
        raise ReportError(f"{page}: a report is an HTML file; name it so, such as {page.with_suffix('.html').name}")
    if not report_plots.available():
        raise ReportError("a report needs matplotlib, which is not installed; pip install medgen[report]")


def of_run(bundle: Bundle, cases: Sequence[Case], options: Options, console: Console, unread: Sequence[ScanError] = ()) -> None:
    """Write the report of a run, of the cases that it was given, as report.html in its output; `unread` could be none."""
    inputs = {outputs(bundle, case, options)["json"].stem: case for case in cases}
    shown = cases_of(options.output, inputs)
    done = {one.name for one in shown}
    missing = {name: case.name for name, case in inputs.items() if name not in done}
    failures = failed_of(missing, options.output, unread, deidentify=options.deidentify)
    write(options.output / "report.html", shown, {}, console, failures=failures, metadata={bundle.root.name: bundle.metadata})


def of_evaluation(candidate: Path, output: Path, console: Console, *, before: Path | None, reference: Path | None) -> None:
    """Write the report of an evaluation, whose results.json is in `output`, as report.html there."""
    results = {"results": tables_in([output])["results"]}  # and no older table of another command
    write(output / "report.html", cases_of(candidate, before, reference), results, console)


def of_folders(
    folders: Sequence[Path], page: Path, console: Console, *, before: Path | None = None, reference: Path | None = None,
    pictures: int = PICTURES, viewer: int = VIEWER,
) -> None:  # fmt: skip
    """Write the report of output folders of the commands that run bundles or measure, from what these wrote.

    Raises `ReportError` where there is nothing to report, `ScanError` where a table cannot be read, `BundleError` for a ledger that
    cannot be.
    """
    check(page)
    found = tables_in([folder for folder in folders if folder.is_dir()])
    shown: list[Shown] = []
    failures = [line for folder in folders for line in failed_in(folder).values()]
    for folder in folders:
        here = cases_of(folder, before, reference)
        # maps that a command wrote beside its tables are no results
        shown += here if not tables_in([folder]) or any(one.sidecar for one in here) else []
    if not shown and not found and not failures:
        raise ReportError(f"{folders[0]}: holds no scans and no results; give the output folder of medgen run or evaluate")
    write(page, shown, found, console, failures=failures, pictures=pictures, viewer=viewer)


def write(
    page: Path, cases: Sequence[Shown], found: Mapping[str, Mapping[str, Any]], console: Console, *,
    failures: Sequence[str] = (), metadata: Mapping[str, Mapping[str, Any]] | None = None, pictures: int = PICTURES,
    viewer: int = VIEWER,
) -> None:  # fmt: skip
    """Write NAME.html, .json, .csv and .md.

    Args:
        cases: what to show; may be empty where there are tables.
        found: the content of the JSON files that commands wrote, by name; "results" is measured here where it is not there.
        failures: what failed, a line each.
        metadata: of bundles, by name, where they are known already.
    """
    check(page)
    content = dict(found.get("results") or (measure(cases, Protocol()) if cases else {}))
    if content:
        content["before"] = earlier(content, cases)
    bundles = _bundles(cases, metadata or {})
    seen = _look(cases, pictures, viewer)
    report: dict[str, Any] = {
        "title": ", ".join(bundles) or "results",
        "date": date.today().isoformat(),
        "versions": versions(),
        "bundles": bundles,
        "cases": [_case(one, seen.relations.get(one.name)) for one in cases],
        "quality": {key: value for key, value in content.items() if key not in ("versions", "failures")},
        "changes": changes(content) if content else {},
        "uncertainty": _uncertainty(cases, seen.relations),
        "tables": {name: {**value, "failures": []} for name, value in found.items() if name != "results"},
        "failures": [*failures, *map(without_folders, (line for one in (content, *found.values()) for line in one.get("failures", [])))],
        "notes": [*_notes(cases, seen, pictures, viewer), *_unmeasured(cases, content)],
        "citations": bibtex(versions(), list(bundles.values()), _measured(content, found)),
    }
    report["failures"] = list(dict.fromkeys(report["failures"]))
    report = tables.finite(report)
    files = {
        page: report_page.html(report, seen.pictures, report_page.plots(report), seen.volumes),
        page.with_suffix(".md"): report_page.markdown(report),
        page.with_suffix(".json"): json.dumps(report, indent=2, allow_nan=False) + "\n",
        page.with_suffix(".csv"): tables.csv_text(rows_of_csv(report)),
    }
    for path, text in files.items():
        with whole_file(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    console.print(f"report: {page} ({page.stat().st_size / 1e6:.1f} MB)", markup=False)


def _measured(content: Mapping[str, Any], found: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """Return the names of all measures, and of the tables, that a report holds."""
    names = {name for region in content.get("summary", {}).values() for name in region}
    return names | set(found) | {str(row["measure"]) for row in found.get("distributions", {}).get("rows", [])}


@dataclass
class Seen:
    """What is to be seen of the cases, and what was odd about it."""

    pictures: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  #: by case, as `report_page.html` takes them
    volumes: list[dict[str, Any]] = field(default_factory=list)  #: as `report_page.html` takes them
    relations: dict[str, dict[str, Any]] = field(default_factory=dict)  #: by case, uncertainty against error
    interpolated: list[str] = field(default_factory=list)  #: cases with a scan on another grid
    unseen: list[str] = field(default_factory=list)  #: what could not be shown, a line each


def _look(cases: Sequence[Shown], pictures: int, viewer: int) -> Seen:
    """Read the scans, one case after the other, and keep what is shown of them."""
    seen = Seen()
    count = sum(len(one.scans) + ("input" in one.scans) + ("reference" in one.scans) for one in cases[:viewer])
    for number, case in enumerate(cases):
        related = {"reference", "uncertainty"} <= set(case.scans)
        if number >= max(pictures, viewer) and not related:
            continue
        try:
            found = layers(case)
        except ScanError as error:  # such as another tool's result
            seen.unseen.append(f"{case.name}: {error.reason}")
            continue
        if found.interpolated:
            seen.interpolated.append(case.name)
        if related:
            seen.relations[case.name] = against_error(found.images["uncertainty"], found.images["error"], found.inside)
        if number < pictures:
            seen.pictures[case.name] = [_panel(found, name) for name in found.images]
        if number < viewer:
            volumes = [{"layer": name, "window": found.windows[name], "nifti": small(found, name, VOLUMES // count)} for name in found.images]
            seen.volumes.append({"case": case.name, "units": found.units, "layers": volumes})
    return seen


def _panel(found: Layers, name: str) -> dict[str, Any]:
    return {"layer": name, "window": found.windows[name], "units": found.units, "png": picture(found, name)}


def _case(one: Shown, relation: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what is told of a case: of its sidecar, only what is about the image and the run."""
    kept = ("bundle", "modality", "units", "shape", "spacing_mm", "orientation", "dtype", "synthetic", "warnings", "parameters", "device", "seconds", "libraries")
    report = dict(one.sidecar.get("report", {}))
    unlike = report.pop("unlike_training", None)
    return {
        "case": one.name,
        **{key: one.sidecar[key] for key in kept if key in one.sidecar},
        "has": list(one.scans),
        "unlike_training": unlike,
        "told": report,
        **({"covered": relation["covered"], "relation": {k: relation[k] for k in ("uncertainty", "error")}} if relation else {}),
    }


def _uncertainty(cases: Sequence[Shown], relations: Mapping[str, Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return the mean coverage with its interval over subjects."""
    if not relations:
        return None
    subject = Protocol().subject_of
    names = list(relations)
    summary = summarise([relations[name]["covered"] for name in names], subjects=[subject(name) for name in names])
    return {"definition": COVERED, "covered": summary}


def _bundles(cases: Sequence[Shown], metadata: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return what is to be told of each bundle that made a result; of one that is not here, what the sidecars say."""
    kept = ("task", "description", "intended_use", "data_source", "references")
    here = available()
    found: dict[str, dict[str, Any]] = {}
    for one in cases:
        name = one.sidecar.get("bundle")
        if name is None or name in found:
            continue
        known: Mapping[str, Any] = metadata.get(name, {})
        if not known and name in here:
            try:
                known = read_metadata(here[name])
            except BundleError:
                known = {}
        about = {key: known[key] for key in kept if key in known}
        found[name] = {"name": name, "version": one.sidecar.get("bundle_version"), "weights_sha256": one.sidecar.get("weights_sha256"), **about}
    return found


def _notes(cases: Sequence[Shown], seen: Seen, pictures: int, viewer: int) -> list[str]:
    """Return what a reader must know of how the report was made."""
    notes = [f"{len(cases)} cases; the first {pictures} by name are pictured"] if len(cases) > pictures else []
    if len(cases) > viewer:
        notes.append(f"the first {viewer} by name are in the viewer; all numbers are of all cases")
    if seen.interpolated:
        notes.append("shown on the grid of the result, linearly interpolated from their own: " + ", ".join(seen.interpolated))
    if len({one.sidecar.get("bundle") for one in cases}) > 1:
        notes.append("there are results of several bundles, and means are over all of them; report on a folder each to tell them apart")
    return notes + [f"could not be shown: {line}" for line in seen.unseen]


def _unmeasured(cases: Sequence[Shown], content: Mapping[str, Any]) -> list[str]:
    """Return a note where there are inputs but no numbers of them."""
    if not any("input" in one.scans for one in cases) or content["before"]:
        return []
    why = "results.json was written without them (medgen evaluate --before), or they lie on another grid than the reference"
    return [f"there are no numbers of the inputs: {why}"]
