"""What a bundle is trained on: a user's own folder, cleaned and split. What follows: train_config, train_stage, train_fit, train_export."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from medgen.batch.cohort import Cohort, excluded_rows, gather, report
from medgen.batch.sidecar import write_json
from medgen.batch.split import RULE, divide, rows, subjects
from medgen.bundles import Bundle, BundleError
from medgen.scans import find, read, write_nifti


@dataclass(frozen=True)
class Options:
    """What a user may choose for a training."""

    root: Path  #: the bundle's folder
    data: Path
    output: Path
    validation: float = 0.2  #: fraction of the subjects that are held out
    seed: int = 0
    subjects: Path | None = None  #: CSV file that says who is who
    permissive: bool = False
    keep_outliers: bool = False
    from_scratch: bool = False
    schedule: str = ""  #: of configs/schedule_*.json; by default the bundle's own
    stage: str = ""  #: the part of the network that is trained; by default that of the bundle's train.json
    device: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)  #: config keys, such as {"epochs": 20, "crop_size": [32, 32, 32]}


def prepare(options: Options, console: Console) -> tuple[dict[str, Any], bool]:
    """Clean and split the data, or take the split of the run that is resumed; return it, and whether all could be read.

    Writes cohort.json and split.json to the output folder, and DICOM series as NIfTI to its folder scans.
    """
    bundle = Bundle(options.root)
    if bundle.metadata.get("synthetic"):
        raise BundleError(f"{options.root.name} makes synthetic scans, and learns from pairs (label maps, other contrasts), which medgen train "
                          "does not take; train it by monai.bundle run (its README)")  # fmt: skip
    modality = bundle.modality
    about = {"data": str(options.data.resolve()), "seed": options.seed, "validation": options.validation,
             "subjects": options.subjects and str(options.subjects.resolve()), "permissive": options.permissive,
             "keep_outliers": options.keep_outliers}  # fmt: skip
    path = options.output / "split.json"
    if path.is_file():
        split = dict(json.loads(path.read_text()))
        check_same(path, split["about"], about)
        gone = [row["file"] for row in (*split["train"], *split["validation"]) if not Path(row["file"]).exists()]
        if gone:
            raise BundleError(f"{gone[0]}: is not there any more, but in {path}; put it back, or choose another -o")
        console.print(f"split of {path} taken again", markup=False)
    else:
        cohort = gather(find(options.data), modality, permissive=options.permissive, keep_outliers=options.keep_outliers)
        write_json(options.output / "cohort.json", report(cohort))
        _print_excluded(cohort, console)
        split = _split(cohort, options, about)
        write_json(path, split)
    for name in ("train", "validation"):
        people = {row["subject"] for row in split[name]}
        console.print(f"{name}: {len(split[name])} scans of {len(people)} subjects", markup=False)
    console.print(f"{len(split['excluded'])} left out; the split is in {path}", markup=False)
    return split, not split["unreadable"]


def check_same(path: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    """Raise `BundleError` where a run of other options is there already."""
    for key in sorted({*before, *now}):
        old, new = (json.loads(json.dumps(one.get(key))) for one in (before, now))
        if old != new:
            short = [text if len(text := json.dumps(value)) < 60 else "another" for value in (old, new)]
            raise BundleError(f"{path}: is of a run with {key} {short[0]}, not {short[1]}; use the same options, or another -o")


def _split(cohort: Cohort, options: Options, about: dict[str, Any]) -> dict[str, Any]:
    whose = subjects(cohort.members, options.data, options.subjects)
    out = divide(whose, options.validation, options.seed)
    paths = {}
    for member in cohort.members:
        paths[member.case.name] = member.source.resolve()
        if member.case.kind == "dicom":  # one file a volume, which any reader of a config can name
            scan = read(member.case, permissive=options.permissive)
            paths[member.case.name] = (options.output / "scans" / f"{member.case.name}.nii.gz").resolve()
            paths[member.case.name].parent.mkdir(parents=True, exist_ok=True)
            write_nifti(paths[member.case.name], scan.image[0].numpy(), scan)
    train, held = ([m for m in cohort.members if (whose[m.case.name] in out) is side] for side in (False, True))
    return {
        "about": about,
        "rule": RULE,
        "train": rows(train, paths, whose),
        "validation": rows(held, paths, whose),
        "excluded": excluded_rows(cohort.excluded),
        "unreadable": sum(one.unreadable for one in cohort.excluded),
    }


def _print_excluded(cohort: Cohort, console: Console) -> None:
    if not cohort.excluded:
        return
    grid = Table("left out", "why", box=None)
    for one in cohort.excluded:
        grid.add_row(one.source, one.reason)
    console.print(grid)
