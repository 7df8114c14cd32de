"""The tables of a report, and what to know first, from its content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from medgen.batch.report_cases import TABLES
from medgen.batch.report_plots import MEASURES
from medgen.batch.tables import by_measure, cell, interval

#: "id", "caption", "about", "columns" ("text", "number"), "rows" of cells: "text", "value" to sort by, perhaps "note" and "case".
Table = dict[str, Any]
LABELS = 6  #: of more labels there is one table
OF_LABELS = ("bias", "mae")  #: beside the measures that speak for a case


def main_region(report: Mapping[str, Any]) -> str | None:
    """Return the region that speaks for a case: the mask where there is one, else the foreground, else the whole image."""
    summary = report["quality"].get("summary", {})
    return next((name for name in ("mask", "foreground", *summary) if name in summary), None)


def measures(report: Mapping[str, Any]) -> list[str]:
    """Return the measures that speak for a case, those of `MEASURES` that it has."""
    region = main_region(report)
    return [name for name in MEASURES if region and name in report["quality"]["summary"][region]]


def headlines(report: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return what to know first: name, value, and what goes with it."""
    warned = sum(bool(_warnings(one)) for one in report["cases"])
    seconds = sorted(one["seconds"] for one in report["cases"] if "seconds" in one)
    devices = ", ".join(dict.fromkeys(one["device"] for one in report["cases"] if "device" in one))
    found = [("results", str(len(report["cases"])), "")] if report["cases"] else []
    found += [("failures", str(len(report["failures"])), ""), ("cases with warnings", str(warned), "")]
    region = main_region(report)
    for name in measures(report)[:2]:
        change = report["changes"].get(region, {}).get(name)
        title, form = f"{MEASURES[name]}, {region_title(region)}", digits(name)
        if change:
            value = f"{cell(change['before']['mean'], form)} → {cell(change['after']['mean'], form)}"
            found.append((title, value, f"change {interval(change['change'], '+.3g')}, n={change['change']['n']}"))
        else:
            summary = report["quality"]["summary"][region][name]
            found.append((title, cell(summary["mean"], form), f"{interval(summary, form)}, n={summary['n']}"))
    if seconds:
        found.append((f"seconds a case on {devices}, median", cell(seconds[len(seconds) // 2], ".3g"), ""))
    return found


def runs(report: Mapping[str, Any], bundle: str) -> list[tuple[str, str]]:
    """Return what the sidecars of a bundle's results say of how it was run; where they differ, each."""
    found: dict[str, list[str]] = {}
    for one in (one for one in report["cases"] if one.get("bundle") == bundle):
        for name in ("parameters", "device", "libraries"):
            value = one.get(name)
            text = ", ".join(f"{key} {item}" for key, item in value.items()) if isinstance(value, Mapping) else str(value or "")
            if text and text not in found.setdefault(name, []):
                found[name].append(text)
    return [(name, "; or ".join(texts)) for name, texts in found.items()]


def case_rows(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a row a case and region: what the scan is, and each measure of the result and (NAME_before) of the input."""
    about = {one["case"]: _about(one) for one in report["cases"]}
    quality = report["quality"]
    earlier = {(row["case"], row["region"]): row for row in quality.get("before", [])}
    rows = []
    for row in quality.get("rows", []):
        before = earlier.get((row["case"], row["region"]), {})
        names = [name for name in row if name in quality["summary"].get(row["region"], {}) and name in before]
        rows.append({**about.get(row["case"], {}), **row, **{f"{name}_before": before[name] for name in names}})
    return rows + [{"region": None, **one} for name, one in about.items() if not any(row["case"] == name for row in rows)]


def _about(one: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "case": one["case"],
        "modality": one.get("modality"),
        "shape": "x".join(map(str, one["shape"])) if "shape" in one else None,
        "spacing_mm": "x".join(f"{value:.3g}" for value in one["spacing_mm"]) if "spacing_mm" in one else None,
        "seconds": one.get("seconds"),
        "unlike_training": (one.get("unlike_training") or {}).get("score"),
        "covered": one.get("covered"),
        "warnings": "; ".join(_warnings(one)) or None,
    }


def _warnings(one: Mapping[str, Any]) -> list[str]:
    unlike = one.get("unlike_training") or {}
    found = list(one.get("warnings", []))
    if unlike and unlike["score"] > unlike["limit"]:
        found.append(f"unlike the bundle's training: score {unlike['score']:.1f}, limit {unlike['limit']:.1f}; most in {unlike['most_in']}")
    return found


def summary_tables(report: Mapping[str, Any]) -> list[Table]:
    """Return a table a region: each measure's means with intervals, before and after where both are known, and n.

    Many labels are one table, a label a row, of the measures that speak for a case; all of them are in report.json and the CSV.
    """
    tables: list[Table] = []
    quality = report["quality"]
    labels = [region for region in quality.get("summary", {}) if region.startswith("label ")]
    for region, found in quality.get("summary", {}).items():
        if len(labels) > LABELS and region in labels:
            continue
        changed = report["changes"].get(region, {})
        rows = []
        for name, summary in found.items():
            sides = changed.get(name, {"after": summary})
            forms = {"before": digits(name), "after": digits(name), "change": "+.3g"}
            told = {"text": name.replace("_", " "), "value": name, "note": quality["definitions"].get(name, "")}
            numbers = [{"text": interval(sides[which], forms[which]), "value": sides[which]["mean"]} if which in sides else entry(None)
                       for which in (forms if changed else ["after"])]  # fmt: skip
            rows.append([told, *numbers, entry(sides["after"]["n"])])
        names = ["before", "after", "change"] if changed else ["mean"]
        columns = [{"text": "measure", "number": False}, *({"text": text, "number": True} for text in [*names, "n"])]
        tables.append({"id": f"region-{len(tables)}", "caption": f"Quality: {region_title(region)}", "columns": columns, "rows": rows,
                       "about": f"Mean [low, high]: {quality['interval']}."})  # fmt: skip
    return [*tables, _labels_table(report, labels)] if len(labels) > LABELS else tables


def _labels_table(report: Mapping[str, Any], labels: Sequence[str]) -> Table:
    """Return one table of all labels."""
    quality = report["quality"]
    names = [name for name in dict.fromkeys((*measures(report), *OF_LABELS)) if any(name in quality["summary"][label] for label in labels)]
    rows = []
    for label in labels:
        found = quality["summary"][label]
        numbers = [{"text": interval(found[name], digits(name)), "value": found[name]["mean"]} if name in found else entry(None) for name in names]
        first = label.removeprefix("label ")
        number = int(first) if first.isdigit() else first
        rows.append([{"text": label, "value": number}, *numbers, entry(max(one["n"] for one in found.values()))])
    columns = [{"text": "label", "number": False}, *({"text": text.replace("_", " "), "number": True} for text in [*names, "n"])]
    return {"id": "labels", "caption": f"Quality: {len(labels)} labels", "columns": columns, "rows": rows,
            "about": f"Mean [low, high]: {quality['interval']}. All measures of each label are in the JSON and the CSV beside this page."}  # fmt: skip


def cases_table(report: Mapping[str, Any]) -> Table:
    """Return the table of cases: what each is, its warnings, and the measures that speak for it, before → after."""
    rows = [row for row in case_rows(report) if row["region"] in (main_region(report), None)]
    fixed = {"shape": "voxels", "spacing_mm": "mm", "seconds": "seconds", "unlike_training": "unlike training", "covered": "covered"}
    told = measures(report)[:3]
    shown = [name for name in fixed if any(row.get(name) is not None for row in rows)]
    columns = [{"text": fixed.get(name, name.replace("_", " ")), "number": name not in ("case", "shape", "spacing_mm")}
               for name in ("case", *shown, *told)]  # fmt: skip
    cells = []
    for row in rows:
        line = [{"text": row["case"], "value": row["case"], "case": row["case"], "note": row.get("warnings") or ""}]
        line += [entry(row.get(name), ".3g") for name in shown]
        for name in told:
            before, after = (cell(row.get(which), digits(name)) for which in (f"{name}_before", name))
            line.append({"text": after if before == "-" else f"{before} → {after}", "value": row.get(name)})
        cells.append(line)
    about = {
        "unlike_training": "Unlike training: how far a scan is from those that the bundle was trained on, above the limit a warning.",
        "covered": f"Covered: {(report['uncertainty'] or {}).get('definition', '')}.",
    }
    region = f"Measures of the {region_title(main_region(report))}, before → after where both are known. " if told else ""
    return {"id": "cases", "caption": "Cases", "columns": columns, "rows": cells,
            "about": region + " ".join(about[name] for name in shown if name in about)}  # fmt: skip


def rows_of_csv(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of the CSV: those of the cases; of a report without cases those of its tables, each with the table's name."""
    return case_rows(report) or [{"table": name, **row} for name, content in report["tables"].items() for row in content["rows"]]


def every_table(report: Mapping[str, Any]) -> Table:
    """Return all measures of all cases and regions."""
    quality = report["quality"]
    names = list(dict.fromkeys(name for row in quality.get("rows", []) for name in row))
    columns = [{"text": name.replace("_", " "), "number": name not in ("case", "reference", "subject", "region")} for name in names]
    rows = [[entry(row.get(name)) for name in names] for row in quality.get("rows", [])]
    return {"id": "every", "caption": "All measures of each case and region", "columns": columns, "rows": rows, "about": ""}


def other_tables(report: Mapping[str, Any]) -> list[Table]:
    """Return the tables of the other commands that measure, with what their columns mean."""
    tables: list[Table] = []
    for key, content in report["tables"].items():
        if key == "distributions":
            tables += _distribution_tables(content)
            continue
        first = content.get("look_at_first", [])
        rows = [row for row in content["rows"] if not first or "lesion" in row]  # without lesions they are those of `first`
        limits = [{"label": label, **found} for label, found in content.get("agreement", {}).items() if found]
        machine = content.get("hardware", {})
        about = "On: " + ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in machine.items()) + "." if machine else ""
        for title, some in ((f"{TABLES[key]}: look at first", first), ("Limits of agreement (ml)", limits), (TABLES[key], rows)):
            names = list(dict.fromkeys(name for row in some for name in row))
            columns = [{"text": name.replace("_", " "), "number": any(isinstance(row.get(name), (int, float)) for row in some)} for name in names]
            cells = [[entry(", ".join(v) if isinstance(v := row.get(name), list) else v) for name in names] for row in some]
            tables.append({"id": f"{key}-{len(tables)}", "caption": title, "columns": columns, "rows": cells, "about": about,
                           "definitions": content["definitions"]})  # fmt: skip
    return [table for table in tables if table["rows"]]


def _distribution_tables(content: Mapping[str, Any]) -> list[Table]:
    """Return the table of what medgen distributions wrote, a measure a row and a view a column, and one of the copies it found."""
    (views, measures), rows = by_measure(content["rows"], content["score"]), []
    for title, found in measures.items():
        values = {view: {"text": interval({**row, "mean": row["value"]}, ".3g"), "value": row["value"]} for view, row in found.items()}
        rows.append([{"text": title, "value": title}, *(values.get(view, entry(None)) for view in views)])
        if any(row["real"] is not None for row in found.values()):
            real = f"{title}, real"
            rows.append([{"text": real, "value": real}, *(entry(found[view]["real"] if view in found else None, ".3g") for view in views)])
    counts = ", ".join(f"{view}: n = {next(row['n'] for row in content['rows'] if row['view'] == view)}" for view in views)
    about = " ".join(f"{line}." for line in (f"[low, high]: 95 % bootstrap interval over subjects. {counts}", *content.get("warnings", [])))
    columns = [{"text": "measure", "number": False}, *({"text": view, "number": True} for view in views)]
    copies = [[entry(row["case"]), entry(row["training"]), entry(row["share"], ".0%")] for row in content.get("copies", [])]
    named = [{"text": text, "number": text == "share"} for text in ("case", "training", "share")]
    common = {"about": about, "definitions": content["definitions"]}
    return [{"id": "distributions", "caption": TABLES["distributions"], "columns": columns, "rows": rows, **common},
            {"id": "copies", "caption": "Copies of training scans", "columns": named, "rows": copies, **common}]  # fmt: skip


def entry(value: Any, form: str = ".4g") -> dict[str, Any]:
    return {"text": str(value) if isinstance(value, int) else cell(value, form), "value": value}


def digits(measure: str) -> str:
    """Return how a measure is written: alike in a column, as many digits as tell."""
    return ".2f" if "psnr" in measure else ".3f" if "ssim" in measure else ".4g"


def region_title(name: str | None) -> str:
    return "whole image" if name == "image" else str(name)
