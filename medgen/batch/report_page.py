"""A report as HTML and Markdown: from its content to text, and nothing else."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medgen.batch import report_plots
from medgen.batch.report_tables import (
    Table,
    case_rows,
    cases_table,
    every_table,
    headlines,
    main_region,
    measures,
    other_tables,
    region_title,
    runs,
    summary_tables,
)
from medgen.batch.tables import cell, interval

PAGE = Path(__file__).with_name("page")
NOTICE = "Research use only. Not a medical device, and not for diagnosis."
#: What each layer is.
LAYERS = {
    "input": "input", "result": "result", "difference": "result - input", "uncertainty": "uncertainty (SD)",
    "reference": "reference", "error": "result - reference",
}  # fmt: skip


def html(
    report: Mapping[str, Any], pictures: Mapping[str, Sequence[Mapping[str, Any]]], plots: Sequence[Mapping[str, Any]],
    volumes: Sequence[Mapping[str, Any]],
) -> str:  # fmt: skip
    """Return the page. All that it needs is in it, and it may load nothing.

    Args:
        report: the content of report.json.
        pictures: by case, a list of "layer", "window", "units" and "png" (bytes).
        plots: what `plots` returns.
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
    """Return the plots that the content allows: "title", "caption", "svgs", and whether these are "wide"."""
    drawn: list[dict[str, Any]] = []
    quality, region = report["quality"], main_region(report)
    if quality and region:
        svgs = []
        for name in measures(report)[:4]:
            summary = quality["summary"][region][name]
            change = report["changes"].get(region, {}).get(name)
            values = [(row.get(f"{name}_before"), row[name]) for row in case_rows(report) if row["region"] == region and row.get(name) is not None]
            svgs.append(report_plots.before_and_after(name, values, change or {"after": summary}))
        caption = f"Each dot is a case ({region_title(region)}); diamonds are means with their 95 % intervals. Axes do not begin at 0."
        drawn.append({"title": "Quality, case by case", "caption": caption, "svgs": svgs})
    relations = {one["case"]: one["relation"] for one in report["cases"] if "relation" in one}
    if relations:
        covered = report["uncertainty"]["covered"]
        caption = (
            "A line is a case: its foreground in ten equal parts by rising uncertainty. On the dashed line the map tells the size of the "
            f"error; above it, it is too sure. Its 90 % intervals cover {interval(covered, '.1%')} of voxels, n={covered['n']}."
        )
        drawn.append({"title": "Error by uncertainty", "caption": caption, "svgs": [report_plots.uncertainty_against_error(relations)]})
    compared = report["tables"].get("comparison", {}).get("rows", [])
    if compared:
        svgs = [report_plots.differences(name, compared) for name in dict.fromkeys(row["measure"] for row in compared)]
        drawn.append({"title": "Methods compared", "caption": "First minus second; bars are 95 % intervals.", "svgs": svgs, "wide": True})
    agreement = report["tables"].get("agreement", {})
    limits = {label: found for label, found in agreement.get("agreement", {}).items() if found}
    if limits:
        svgs = [report_plots.bland_altman(label, agreement["rows"], found) for label, found in list(limits.items())[:8]]
        drawn.append({"title": "Agreement of volumes", "caption": "Bias (solid) and 95 % limits of agreement (dashed).", "svgs": svgs})
    return [{"wide": False, **plot} for plot in drawn]


def _short(value: float) -> str:
    """Return a value with three digits, without an exponent where it is no longer."""
    return f"{float(f'{value:.3g}'):g}"


def _markdown_table(table: Table) -> str:
    head = [column["text"] for column in table["columns"]]
    rule = ["---:" if column["number"] else "---" for column in table["columns"]]
    texts = [[f"{one['text']} ({one['note']})" if one.get("note") else str(one["text"]) for one in row] for row in table["rows"]]
    lines = [head, rule, *([text.replace("|", "\\|") for text in line] for line in texts)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _file(name: str) -> str:
    """Return a file of the page to be put inside it; </script> would end the element that it stands in."""
    return (PAGE / name).read_text(encoding="utf-8").replace("</script", "<\\/script")
