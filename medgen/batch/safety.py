"""Whether a result still shows what was in its input: lesions, changes beyond the noise, and which cases to look at first."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from medgen.batch import tables
from medgen.batch.evaluate import line_of, save
from medgen.batch.pairing import on_grid_of, pair
from medgen.batch.protocol import Protocol, Regions, slice_axis
from medgen.batch.quality import Row
from medgen.evaluation.changes import LIMIT, WIDTH, beyond, change_map
from medgen.evaluation.lesions import GONE, RIM, kept, separate
from medgen.evaluation.without_reference import foreground, noise_level
from medgen.scans import Case, ScanError, read, write_nifti

MOVED = 2.0  #: mm by which a lesion's centre may move, or its largest voxel side where that is more
CONTRAST, VOLUME = 0.8, 0.8  #: what must be left of it; and at most 1 / it
DEFINITIONS = {
    "contrast_before, contrast_after": f"median in the mask minus median within {RIM:g} mm around it, in the images' units",
    "contrast_kept": "after / before; 1 kept, 0 gone, below 0 inverted",
    "cnr_before, cnr_after": "contrast / robust standard deviation around it; under about 3 the volume means little",
    "volume_before, volume_after": "mm^3 of the same rule on each image: voxels that hang together with the mask and are nearer "
    f"to its median than to that around it (50 % isocontour); after, 0 where contrast_kept is under {GONE:g}",
    "moved": "mm between the centres of what the rule found; empty where it is found no more",
    "dice": "overlap of what the rule found before and after",
    "flags": f"lost: nothing found after, or less than {GONE:g} of the contrast kept; contrast or volume: kept less than {CONTRAST:g} or "
    f"more than {1 / CONTRAST:g} of it; moved: over {MOVED:g} mm and over a voxel",
    "noise": "the input's noise level in its foreground, as in medgen evaluate",
    "changed": f"fraction of the foreground changed beyond {LIMIT:g} standard deviations of that noise, both images smoothed by a "
    f"Gaussian of {WIDTH:g} voxel",
    "CASE_change.nii.gz": "that change in these standard deviations, result minus input; 0 within the noise",
    "order": "cases with lost lesions first, then by the number of flags, then by the fraction changed",
}


@dataclass
class Checked:
    """One case: its lesions, and how much was changed."""

    case: str
    noise: float
    changed: float
    expected: float  #: the fraction beyond the limit if all noise and nothing else was taken away
    lesions: list[Row] = field(default_factory=list)

    @property
    def flags(self) -> list[str]:
        """What was found, lesion by lesion."""
        return [f"lesion {row['lesion']} {flag}" for row in self.lesions for flag in str(row["flags"]).split()]

    @property
    def urgency(self) -> tuple[int, int, float]:
        """What the list is sorted by, greatest first."""
        return sum("lost" in flag for flag in self.flags), len(self.flags), self.changed


def safety(
    after: Path, before: Path, lesions: Path | None, output: Path | None, protocol: Protocol, console: Console
) -> int:
    """Check results against their inputs of the same name; print the cases to look at first, and in `output` write
    safety.csv (a row a lesion), safety.json, and a map of changes a case. Returns the number of failures."""
    pairs, failures = pair(after, before)
    masks = Regions(Protocol(labels=lesions))
    failures += masks.failures
    checked: list[Checked] = []
    for mine, source in pairs:
        try:
            checked.append(_check(mine, source, masks, protocol, output, failures))
        except (ScanError, ValueError) as error:
            failures.append(line_of(mine, error))
    checked.sort(key=lambda case: case.urgency, reverse=True)
    _print(checked, failures, console)
    cases = [{"case": case.case, "flags": case.flags} | {k: v for k, v in asdict(case).items() if k != "lesions"} for case in checked]
    report = {"definitions": DEFINITIONS, "look_at_first": cases, "failures": failures}
    rows = [row for case in checked for row in case.lesions] or [{k: v for k, v in case.items() if k != "flags"} for case in cases]
    return len(failures) + (save(output, "safety", rows, report, console) if checked else 0)


def _check(
    mine: Case, source: Case, masks: Regions, protocol: Protocol, output: Path | None, failures: list[str]
) -> Checked:
    scan = read(source)
    result = on_grid_of(mine, read(mine), scan)
    after, before = (np.asarray(one.image[0]) for one in (result, scan))
    inside = foreground(before)
    try:
        noise = noise_level(before, slice_axis(scan, protocol), inside)
    except ValueError:
        noise = 0.0
    if noise == 0:
        raise ScanError(source.files[0], "has no noise to measure changes by", "give the image before any denoising")
    changes = change_map(before, after, noise)
    if output is not None:
        shown = np.where(np.abs(changes) > LIMIT, changes, np.float32(0))
        write_nifti(output / f"{mine.name}_change.nii.gz", shown, scan, dtype=np.dtype(np.float32), description="change / noise")
    found, expected = beyond(changes, LIMIT, inside)
    case = Checked(mine.name, noise, found, expected)
    if masks.protocol.labels is None:
        return case
    regions = {name: mask for name, mask in masks.of(source, scan)[0].items() if mask is not None and name.startswith("label ")}
    for name, mask in regions.items():
        for number, one in enumerate(separate(mask), start=1):
            row: Row = {"case": mine.name, "lesion": f"{name.removeprefix('label ')}.{number}"}
            try:
                measured = asdict(kept(before, after, one, scan.spacing, others=mask))
            except ValueError as error:  # such as a label that fills the image: the others can be measured all the same
                failures.append(f"{mine.files[0]}: lesion {row['lesion']}: {error}")
                continue
            case.lesions.append({**row, "flags": " ".join(flags(measured, max(scan.spacing))), **measured})
    return case


def flags(measured: dict[str, float], voxel: float) -> list[str]:
    """Return what is wrong with a lesion; `voxel` is the largest side of a voxel in mm."""

    def off(name: str, least: float) -> bool:
        return not least <= measured[name] <= 1 / least

    tests: dict[str, Callable[[], bool]] = {
        "lost": lambda: measured["volume_after"] == 0,
        "contrast": lambda: off("contrast_kept", CONTRAST),
        "volume": lambda: measured["volume_after"] != 0 and off("volume_kept", VOLUME),
        "moved": lambda: not math.isnan(measured["moved"]) and measured["moved"] > max(MOVED, voxel),
    }
    return [name for name, wrong in tests.items() if wrong()]


def _print(checked: list[Checked], failures: list[str], console: Console) -> None:
    table = Table("look at", "noise", "changed beyond it", "lesions", "flags", box=None)
    for case in checked:
        shown = ", ".join(case.flags[:4]) + (f" and {len(case.flags) - 4} more" if len(case.flags) > 4 else "")
        table.add_row(case.case, tables.cell(case.noise), f"{case.changed:.3%}", str(len(case.lesions)), shown or "-")
    if checked:
        console.print(table)
        console.print(
            f"changed: of the foreground, beyond {LIMIT:g} standard deviations of the input's noise ({checked[0].expected:.3%} if noise "
            "alone was taken away)", markup=False,
        )  # fmt: skip
    for failure in failures:
        console.print(f"failed: {failure}", markup=False)
