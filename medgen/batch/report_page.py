"""A report as HTML and Markdown: from its content to text, and nothing else."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medgen.batch import report_plots
from medgen.batch.report_cases import TABLES
from medgen.batch.tables import cell, interval

PAGE = Path(__file__).with_name("page")
NOTICE = "Research use only. Not a medical device, and not for diagnosis."
#: What each layer is.
LAYERS = {
    "input": "input", "result": "result", "difference": "result - input", "uncertainty": "uncertainty (SD)",
    "reference": "reference", "error": "result - reference",
}  # fmt: skip
Table = dict[str, Any]


def html(
    report: Mapping[str, Any], pictures: Mapping[str, Sequence[Mapping[str, Any]]], plots: Sequence[Mapping[str, Any]],
    volumes: Sequence[Mapping[str, Any]],
) -> str:  # fmt: skip
    """Return the page. All that it needs is in it, and it may load nothing.

    Args:
        report: the content of report.json.
        pictures: by case, a list of "layer", "window", "units" and "png" (bytes).
        plots: "caption" and "svgs".
        volumes: "case", "units" and "layers": "layer", "window" and "nifti" (base64) each.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(loader=FileSystemLoader(PAGE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"cell": cell, "short": _short, "base64": lambda png: base64.b64encode(png).decode()}
    viewer = [{"case": v["case"], "units": v["units"],
               "layers": [{"layer": one["layer"], "window": one["window"]} for one in v["layers"]]} for v in volumes]  # fmt: skip
    return environment.get_template("report.html").render(
        report=report, pictures=pictures, plots=plots, volumes=volumes, notice=NOTICE, layers=LAYERS, headlines=headlines(report),
        runs=lambda name: runs(report, name), summaries=summary_tables(report), cases=cases_table(report), every=every_table(report), others=other_tables(report),
        viewer=json.dumps(viewer).replace("<", "\\u003c"),
        style=_file("style.css"), script=_file("page.js"),
        niivue=_file("niivue/niivue.umd.js") if volumes else "", niivue_licence=_file("niivue/LICENSE"),
    )  # fmt: skip


def markdown(report: Mapping[str, Any]) -> str:
    """Return the report without pictures."""
    parts = [f"# medgen report: {report['title']}", f"{NOTICE} Made {report['date']} by medgen {report['versions']['medgen']}."]
    parts += ["\n".join(f"- {name}: {value}{more and '; ' + more}" for name, value, more in headlines(report))]
    for table in [*summary_tables(report), cases_table(report), *other_tables(report)]:
        if table["rows"]:
            parts += [f"## {table['caption']}", _markdown_table(table), table["about"]]
    for title, lines in (("Failures", report["failures"]), ("Notes", report["notes"])):
        parts += [f"## {title}", "\n".join(f"- {line}" for line in lines)] if lines else []
    if report["quality"]:
        told = {**report["quality"]["protocol"], "interval": report["quality"]["interval"]}
        parts += ["## Protocol", "\n".join(f"- {name.replace('_', ' ')}: {value}" for name, value in told.items() if value is not None)]
    parts += ["## Versions", ", ".join(f"{name} {value}" for name, value in report["versions"].items())]
    return "\n\n".join(part for part in [*parts, "## Cite", f"```bibtex\n{report['citations']}```"] if part) + "\n"


def plots(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the plots that the content allows: "caption" and "svgs"."""
    drawn: list[dict[str, Any]] = []
    quality, region = report["quality"], main_region(report)
    if quality and region:
        svgs = []
        for name in measures(report)[:4]:
            summary = quality["summary"][region][name]
            change = report["changes"].get(region, {}).get(name)
            values = [(row.get(f"{name}_before"), row[name]) for row in case_rows(report) if row["region"] == region and row.get(name) is not None]
            svgs.append(report_plots.before_and_after(name, values, change or {"after": summary}))
        caption = f"Each dot is a case ({_region(region)}); diamonds are means with their 95 % intervals. Axes do not begin at 0."
        drawn.append({"title": "Quality, case by case", "caption": caption, "svgs": svgs})
    relations = {one["case"]: one["relation"] for one in report["cases"] if "relation" in one}
    if relations:
        covered = report["uncertainty"]["covered"]
        caption = (
            "A line is a case: its foreground in ten equal parts by rising uncertainty. On the dashed line the map tells the size of the "
            f"error; above it, it is too sure. Its 90 % intervals cover {interval(covered, '.1%')} of voxels, n={covered['n']}."
        )
        drawn.append({"title": "Error by uncertainty", "caption": caption, "svgs": [report_plots.uncertainty_against_error(relations)]})
    comparison = report["tables"].get("comparison")
    if comparison:
        drawn.append({"title": "Methods compared", "caption": "First minus second; bars are 95 % intervals.", "svgs": [report_plots.differences(comparison["rows"])]})
    agreement = report["tables"].get("agreement")
    if agreement and any(agreement["agreement"].values()):
        svg = report_plots.bland_altman(agreement["rows"], agreement["agreement"])
        drawn.append({"title": "Agreement of volumes", "caption": "Bias (solid) and 95 % limits of agreement (dashed).", "svgs": [svg]})
    return drawn


def main_region(report: Mapping[str, Any]) -> str | None:
    """Return the region that speaks for a case: the mask where there is one, else the foreground, else the whole image."""
    summary = report["quality"].get("summary", {})
    return next((name for name in ("mask", "foreground", *summary) if name in summary), None)


def measures(report: Mapping[str, Any]) -> list[str]:
    """Return the measures that speak for a case, those of `report_plots.MEASURES` that it has."""
    region = main_region(report)
    return [name for name in report_plots.MEASURES if region and name in report["quality"]["summary"][region]]


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
        title, form = f"{report_plots.MEASURES[name]}, {_region(region)}", _form(name)
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
    """Return a table a region: each measure's means with intervals, before and after where both are known, and n."""
    tables = []
    quality = report["quality"]
    for region, found in quality.get("summary", {}).items():
        changed = report["changes"].get(region, {})
        rows = []
        for name, summary in found.items():
            sides = changed.get(name, {"after": summary})
            forms = {"before": _form(name), "after": _form(name), "change": "+.3g"}
            told = {"text": name.replace("_", " "), "value": name, "note": quality["definitions"].get(name, "")}
            numbers = [{"text": interval(sides[which], forms[which]), "value": sides[which]["mean"]} if which in sides else _cell(None)
                       for which in (forms if changed else ["after"])]  # fmt: skip
            rows.append([told, *numbers, _cell(sides["after"]["n"])])
        names = ["before", "after", "change"] if changed else ["mean"]
        columns = [{"text": "measure", "number": False}, *({"text": text, "number": True} for text in [*names, "n"])]
        tables.append({"id": f"region-{len(tables)}", "caption": f"Quality: {_region(region)}", "columns": columns, "rows": rows,
                       "about": f"Mean [low, high]: {quality['interval']}."})  # fmt: skip
    return tables


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
        line += [_cell(row.get(name), ".3g") for name in shown]
        for name in told:
            before, after = (cell(row.get(which), _form(name)) for which in (f"{name}_before", name))
            line.append({"text": after if before == "-" else f"{before} → {after}", "value": row.get(name)})
        cells.append(line)
    about = {
        "unlike_training": "Unlike training: how far a scan is from those that the bundle was trained on, above the limit a warning.",
        "covered": f"Covered: {(report['uncertainty'] or {}).get('definition', '')}.",
    }
    region = f"Measures of the {_region(main_region(report))}, before → after where both are known. " if told else ""
    return {"id": "cases", "caption": "Cases", "columns": columns, "rows": cells,
            "about": region + " ".join(about[name] for name in shown if name in about)}  # fmt: skip


def every_table(report: Mapping[str, Any]) -> Table:
    """Return all measures of all cases and regions."""
    quality = report["quality"]
    names = list(dict.fromkeys(name for row in quality.get("rows", []) for name in row))
    columns = [{"text": name.replace("_", " "), "number": name not in ("case", "reference", "subject", "region")} for name in names]
    rows = [[_cell(row.get(name)) for name in names] for row in quality.get("rows", [])]
    return {"id": "every", "caption": "All measures of each case and region", "columns": columns, "rows": rows, "about": ""}


def other_tables(report: Mapping[str, Any]) -> list[Table]:
    """Return the tables of the other commands that measure, with what their columns mean."""
    tables = []
    for key, content in report["tables"].items():
        for title, rows in ((TABLES[key], content["rows"]), (f"{TABLES[key]}: look at first", content.get("look_at_first", []))):
            names = list(dict.fromkeys(name for row in rows for name in row))
            columns = [{"text": name.replace("_", " "), "number": any(isinstance(row.get(name), (int, float)) for row in rows)} for name in names]
            cells = [[_cell(", ".join(v) if isinstance(v := row.get(name), list) else v) for name in names] for row in rows]
            tables.append({"id": f"{key}-{len(tables)}", "caption": title, "columns": columns, "rows": cells, "about": "",
                           "definitions": content["definitions"]})  # fmt: skip
    return [table for table in tables if table["rows"]]


def _cell(value: Any, form: str = ".4g") -> dict[str, Any]:
    return {"text": str(value) if isinstance(value, int) else cell(value, form), "value": value}


def _form(measure: str) -> str:
    """Return how a measure is written: alike in a column, as many digits as tell."""
    return ".2f" if "psnr" in measure else ".3f" if "ssim" in measure else ".4g"


def _short(value: float) -> str:
    """Return a value with three digits, without an exponent where it is no longer."""
    return f"{float(f'{value:.3g}'):g}"


def _region(name: str | None) -> str:
    return "whole image" if name == "image" else str(name)


def _markdown_table(table: Table) -> str:
    head = [column["text"] for column in table["columns"]]
    rule = ["---:" if column["number"] else "---" for column in table["columns"]]
    texts = [[f"{one['text']} ({one['note']})" if one.get("note") else str(one["text"]) for one in row] for row in table["rows"]]
    lines = [head, rule, *([text.replace("|", "\\|") for text in line] for line in texts)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _file(name: str) -> str:
    """Return a file of the page to be put inside it; </script> would end the element that it stands in."""
    return (PAGE / name).read_text(encoding="utf-8").replace("</script", "<\\/script")
