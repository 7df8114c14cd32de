"""Whether scans are what was ordered, measured on the scans themselves by networks that the generator has never met:

    python -m tests.benchmarks.orders brain_mri_synthesis_text [--count 100] [-o docs/numbers.json] [--picture PNG]

Each order names a contrast, a plane, ventricles of 0.7 to 3 times the usual volume, and one lesion of 8 to 25 mm in a lobe of one side;
every second is in Chinese. It is made as `medgen run --text` makes it, then segmented (brain-any) and described
(medgen.synthesis.describe) from the image alone. A lesion counts as found where one is described; its diameter is compared
with the largest. Also told is how exactly the anatomy was built, before it was painted.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import RandomState

from medgen.batch.ordered import paint
from medgen.bundles import open_bundle
from medgen.evaluation.segmenter import Segmenter
from medgen.evaluation.statistics import summarise
from medgen.synthesis.describe import describe
from medgen.synthesis.wording import sentence
from medgen.text.spec import Lesion, Range, ScanSpec, Ventricles
from tests.benchmarks.numbers import write

CONTRASTS = ("T1", "T2", "FLAIR", "T1c")
LOBES = ("frontal", "parietal", "temporal", "occipital")


def drawn(seed: int) -> ScanSpec:
    """Return the specification of an order."""
    rng = RandomState(seed)
    diameter, age = float(rng.randint(8, 26)), float(rng.randint(55, 71))
    lesion = Lesion(
        kind=str(rng.choice(["ms-like", "stroke-like", "tumour-like"])), side=str(rng.choice(["left", "right"])),
        place=str(rng.choice(LOBES)), diameter_mm=Range(low=diameter, high=diameter), count=Range(low=1, high=1),
    )  # fmt: skip
    return ScanSpec(
        contrast=CONTRASTS[seed % 4], sex=str(rng.choice(["female", "male"])), age_years=Range(low=age, high=age), lesions=[lesion],
        ventricles=Ventricles(factor=round(float(np.exp(rng.uniform(np.log(0.7), np.log(3)))), 1)),
    )  # fmt: skip


def measure(bundle: Any, segmenter: Segmenter, seed: int) -> dict[str, Any]:
    """Make an order, and return what was ordered, built and measured."""
    spec = drawn(seed)
    text = sentence(spec, language="zh" if seed % 2 else "en")
    scan, made = paint(bundle, text, seed)
    edits = {edit.get("edit", "drawn"): edit for edit in made.report["edits"]}
    affine = np.asarray(scan.image.affine, np.float64)
    seen = describe(made.images[""], affine, segmenter.classes(made.images[""], affine), segmented=True)
    wanted = (spec.lesions or [])[0]
    largest = seen.lesions[0] if seen.lesions else None
    return {
        "seed": seed, "text": text, "understood": made.report["spec"] == spec.model_dump(exclude_none=True),
        "contrast": spec.contrast, "contrast_seen": seen.spec.contrast, "side": wanted.side, "side_seen": largest and largest.side,
        "place": wanted.place, "place_seen": largest and largest.place, "kind": wanted.kind,
        "diameter": wanted.diameter_mm.high if wanted.diameter_mm else None, "diameter_built": edits["lesion"]["obtained_mm"],
        "diameter_seen": largest and largest.diameter_mm, "ventricles": edits["ventricles"]["requested_ml"],
        "ventricles_built": edits["ventricles"]["obtained_ml"], "ventricles_seen": seen.ventricles.ml,
    }  # fmt: skip


def table(rows: list[dict[str, Any]]) -> str:
    """Return the table of the results."""
    found = [row for row in rows if row["side_seen"]]
    lines = ["| measure | n | value |", "|---|---|---|"]

    def share(name: str, values: list[bool]) -> None:
        s = summarise([float(v) for v in values])
        lines.append(f"| {name} | {len(values)} | {100 * s['mean']:.0f} % [{100 * s['low']:.0f}, {100 * s['high']:.0f}] |")

    share("sentence understood as ordered", [row["understood"] for row in rows])
    share("lesion found in the image", [bool(row["side_seen"]) for row in rows])
    share("of those, side right", [row["side_seen"] == row["side"] for row in found])
    share("of those, lobe right", [row["place_seen"] == row["place"] for row in found])
    share("of those, diameter within 2 mm", [abs(row["diameter_seen"] - row["diameter"]) <= 2 for row in found])
    share("diameter built within 2 mm", [abs(row["diameter_built"] - row["diameter"]) <= 2 for row in rows])
    share("contrast recognised", [row["contrast_seen"] == row["contrast"] for row in rows])
    merged = {"T1c": "T1"}
    share("contrast recognised, T1 with and without agent taken as one",
          [merged.get(row["contrast_seen"], row["contrast_seen"]) == merged.get(row["contrast"], row["contrast"]) for row in rows])  # fmt: skip
    for name, key in (("measured in the image", "ventricles_seen"), ("built", "ventricles_built")):
        pairs = np.array([(row["ventricles"], row[key]) for row in rows if row[key] is not None])
        lines.append(f"| ventricles, r of requested and {name} | {len(pairs)} | {np.corrcoef(pairs.T)[0, 1]:.3f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    bundle, segmenter, rows = open_bundle(options.bundle, "cpu"), Segmenter("brain-any"), []
    for seed in range(options.count):
        try:
            rows.append(measure(bundle, segmenter, seed))
        except ValueError as error:  # what cannot be built is told, and counted as nothing
            print(f"order {seed} was refused: {error}", flush=True)
    print(f"{len(rows)} of {options.count} orders were made\n\n{table(rows)}")
    if options.output:
        write(options.output, "orders", bundle, rows)


if __name__ == "__main__":
    main()
