"""The commands that read a sentence, and that put a scan into one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from medgen.cli.app import Device, Permissive, app, fail

if TYPE_CHECKING:
    from medgen.text.parse import Parsed
    from medgen.text.suggest import Suggestions


@app.command()
def parse(
    sentence: Annotated[str, typer.Argument(help="what to scan, in English or Chinese")],
    json_spec: Annotated[bool, typer.Option("--json", help="one JSON object, for machines")] = False,
    llm: Annotated[Optional[str], typer.Option(help="an OpenAI-compatible endpoint to ask too; gets the sentence")] = None,
    model: Annotated[Optional[str], typer.Option(help="the model's name there; a key is read from MEDGEN_LLM_KEY")] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="seconds to wait for the model")] = 60,
    suggest: Annotated[bool, typer.Option("--suggest", help="offer known words for those that were not understood")] = False,
) -> None:
    """Read a sentence into a scan specification; tell what was understood and what was ignored.

    What --json prints, medgen run BUNDLE --spec FILE makes, a model's reading too.

    --suggest looks for known words of style near to unknown English ones, and changes nothing; pip install medgen[suggest].

    Example: medgen parse "Axial T1 of a 70-year-old woman, 12 mm lesion in the left frontal lobe, mild motion."
    """
    if not sentence.strip():
        raise fail("the sentence is empty; say what is wanted, such as 'T1 of a 60-year-old man'")
    if (llm is None) != (model is None):
        raise fail("--llm and --model go together: the endpoint's URL and the model's name there")
    import json

    from medgen.text import llm as models
    from medgen.text.parse import TextError
    from medgen.text.parse import parse as read

    spec, changed = None, []
    offers = suggestions(sentence) if suggest else None
    try:
        parsed = read(sentence)
        if llm is not None and model is not None:
            spec = models.ask(sentence, llm, model, timeout)
            changed = models.check(spec, parsed.spec)
    except (TextError, models.ModelError) as error:
        raise fail("; ".join([str(error), *(offers.lines() if offers else [])])) from None
    told = (spec or parsed.spec).model_dump(exclude_none=True)
    if json_spec:
        row: dict[str, Any] = {"spec": told, **reading_row(parsed, offers)} | ({"model": model, "by_model": changed} if model else {})
        print(json.dumps(row, ensure_ascii=False))
        return
    print_spec(told, changed)
    print_reading(parsed, offers)


def print_spec(told: dict[str, Any], changed: Sequence[str] = ()) -> None:
    """Print a specification, a line for each field and each entry of lesions, and which fields a model changed."""
    import json

    for name, value in told.items():
        for line in value if name == "lesions" and value else [value]:
            print(f"{name + ':':16}{json.dumps(line, ensure_ascii=False)}{' (by the model)' if name in changed else ''}")


def print_reading(parsed: Parsed, offers: Suggestions | None) -> None:
    """Print how a sentence was read: each phrase with its meaning, what was ignored, warnings, suggestions."""
    for words, meaning in parsed.understood:
        print(f"understood:     {words} = {meaning}")
    if parsed.ignored:
        print(f"ignored:        {', '.join(parsed.ignored)}")
    for warning in parsed.warnings:
        print(f"warning:        {warning}")
    for line in offers.lines() if offers else ():
        print(f"suggestion:     {line}")


def reading_row(parsed: Parsed, offers: Suggestions | None) -> dict[str, Any]:
    """Return the same for machines."""
    row: dict[str, Any] = {"understood": parsed.understood, "ignored": parsed.ignored, "warnings": parsed.warnings}
    return row | ({"suggestions": [vars(one) for one in offers.found]} if offers else {})


def suggestions(sentence: str) -> Suggestions:
    """Return what is offered for the unknown words of a sentence; stop in one line where the encoder is not installed."""
    from medgen.text.suggest import SuggestError, suggest

    try:
        return suggest(sentence)
    except SuggestError as error:
        raise fail(str(error)) from None


@app.command()
def describe(
    paths: Annotated[list[Path], typer.Argument(help="MR scans of brains, DICOM folders, or folders of them")],
    labels: Annotated[Optional[Path], typer.Option(help="label map of the one scan: FreeSurfer, DLMUSE or medgen's classes")] = None,
    outlines: Annotated[bool, typer.Option("--outlines", help="take the outlines of the label map's lesions from the scan")] = False,
    language: Annotated[str, typer.Option(help="en or zh")] = "en",
    device: Device = None,
    permissive: Permissive = False,
    json_rows: Annotated[bool, typer.Option("--json", help="one JSON object with the measurements, for machines")] = False,
) -> None:
    """Put into words what brain scans show, measured: medgen parse reads the words back. Example: medgen describe scan.nii.gz

    Scans that medgen run made to order are labelled by the label map that they were painted from, which is said. Plane, contrast, voxels, age band, ventricles and lesions. Exit code 1 where a scan is refused.
    """
    if outlines and labels is None:
        raise fail("--outlines goes with --labels: without a map all outlines are the scan's")
    if language not in ("en", "zh"):
        raise fail(f"there is no language '{language}'; choose from: en, zh")
    import json

    from medgen.batch.describe import descriptions
    from medgen.scans import ScanError, find

    cases, errors, skipped = find(paths)
    try:
        rows = list(descriptions(cases, labels=labels, outlines=outlines, language=language, device=device or "cpu",
                                 permissive=permissive))  # fmt: skip
    except ScanError as error:
        raise fail(str(error)) from None
    if json_rows:
        told = {"scans": rows, "errors": [str(error) for error in errors], "skipped": skipped}
        print(json.dumps(told, ensure_ascii=False, indent=2))
    else:
        for row in rows:
            print(f"{row['name']}: {row['text']}" if "text" in row else f"refused: {row['problem']}")
            if "label_map" in row:
                print(f"  labelled by {row['labelled_by']}: {row['label_map']}")
        for line in (*(f"refused: {error}" for error in errors), *(f"skipped: {line}" for line in skipped)):
            print(line)
    raise typer.Exit(1 if errors or any("problem" in row for row in rows) else 0)
