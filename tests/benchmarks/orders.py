"""Whether scans are what was ordered, measured on the scans themselves by networks that the generator has never met:

    python -m tests.benchmarks.orders brain_mri_synthesis_text [--count 100] [--first 0] [-o docs/numbers.json]

Each order names a contrast, a plane, ventricles of 0.6, 1.5, 2 or 3 times the usual volume, and one lesion of 8 to 25 mm in a lobe of one side;
every second is in Chinese. It is made as `medgen run --text` makes it. The contrast (medgen.synthesis.contrast) and the ventricles
(medgen.synthesis.ventricles.outlined, as `medgen describe` measures them) are told from the image and its segmentation by brain-any. The
lesion is what sets the image apart from that of the same order and seed without a lesion, both without noise: where the image has gone more
than half of the way from that one to the lesion's brightness, around the part with most difference, in voxels of which a quarter belongs to
something 4 mm thick (sulci that a tumour has pushed aside hang on it by less); its side is told by the midplane of the anatomy's frame (x = 0).
Tumours are ordered without oedema, from which no reader could tell them in T2 or FLAIR. Also told is how exactly the anatomy was built, before it was painted.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import RandomState
from scipy.ndimage import (
    binary_opening,
    gaussian_filter,
    generate_binary_structure,
    iterate_structure,
    label,
    maximum_filter,
    zoom,
)

from medgen.anatomy.lesions import longest
from medgen.batch.ordered import paint
from medgen.bundles import open_bundle
from medgen.evaluation.segmenter import Segmenter
from medgen.evaluation.statistics import summarise
from medgen.synthesis.contrast import contrast_of
from medgen.synthesis.ventricles import outlined
from medgen.synthesis.wording import sentence
from medgen.text.spec import Lesion, Range, ScanSpec, Ventricles
from tests.benchmarks.numbers import write

CONTRASTS = ("T1", "T2", "FLAIR", "T1c")
LOBES = ("frontal", "parietal", "temporal", "occipital")
SEEN = 20  #: difference that counts, of white matter's 500
BALL = iterate_structure(generate_binary_structure(3, 1), 2)  #: two half voxels around one: what is no part of a lesion is thinner


def drawn(seed: int) -> ScanSpec:
    """Return the specification of an order."""
    rng = RandomState(seed)
    diameter, age = float(rng.randint(8, 26)), float(rng.randint(55, 71))
    kind = str(rng.choice(["ms-like", "stroke-like", "tumour-like"]))
    lesion = Lesion(
        kind=kind, oedema=False if kind == "tumour-like" else None, side=str(rng.choice(["left", "right"])),
        place=str(rng.choice(LOBES)), diameter_mm=Range(low=diameter, high=diameter), count=Range(low=1, high=1),
    )  # fmt: skip
    return ScanSpec(
        contrast=CONTRASTS[seed % 4], age_years=Range(low=age, high=age), lesions=[lesion],
        ventricles=Ventricles(factor=float(rng.choice([0.6, 1.5, 2.0, 3.0]))),
    )  # fmt: skip


def lesion_in(image: np.ndarray, without: np.ndarray, affine: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the longest diameter in mm, and the centre, of what sets an image apart from the one without its lesion."""
    image, without = gaussian_filter(image, 0.5), gaussian_filter(without, 0.5)
    difference = np.abs(image - without)
    parts, _ = label((difference > SEEN) & (difference > 0.5 * maximum_filter(difference, 7)))
    totals = np.bincount(parts.ravel(), difference.ravel())
    totals[0] = 0
    if len(totals) < 2:
        return float("nan"), np.full(3, np.nan)
    core = parts == totals.argmax()  # the part with most difference: a faint change elsewhere may be larger
    contrast = np.median(image[core]) - without  # smaller in cortex than in white matter, so that half of it is another difference there
    seen = (np.abs(contrast) > SEEN) & (difference > SEEN)
    share = np.where(seen, ((image - without) / np.where(seen, contrast, 1)).clip(0, 1.5), 0)
    share = np.where(core, np.maximum(share, 0.51), share)
    box = tuple(slice(max(int(at.min()) - 12, 0), int(at.max()) + 13) for at in np.nonzero(core))
    fine = zoom(share[box], 2, order=1, grid_mode=True, mode="nearest") > 0.5  # half voxels, so that a rim is not lost with what is thin
    thick, inner = binary_opening(fine, BALL), core[box].repeat(2, 0).repeat(2, 1).repeat(2, 2)
    parts, _ = label(thick if (thick & inner).any() else fine)
    held = np.bincount(parts[inner])
    held[0] = 0
    counts = (parts == held.argmax()).reshape(*(n for side in share[box].shape for n in (side, 2))).sum((1, 3, 5))
    mask = (share[box] > 0.5) & (counts >= 2)  # whole voxels, of which the diameter that was ordered is told too
    mask = mask if mask.any() else counts > 0
    corner = affine[:3, :3] @ [axis.start for axis in box] + affine[:3, 3]
    return longest(mask, affine), affine[:3, :3] @ np.argwhere(mask).mean(0) + corner


def measure(bundle: Any, segmenter: Segmenter, seed: int) -> dict[str, Any]:
    """Make an order, and return what was ordered, built and measured."""
    spec = drawn(seed)
    text = sentence(spec, language="zh" if seed % 2 else "en")
    scan, made = paint(bundle, text, seed)
    edits = {edit.get("edit", "drawn"): edit for edit in made.report["edits"]}
    affine, image = np.asarray(scan.image.affine, np.float64), made.images[""]
    classes = segmenter.classes(image, affine)
    seen = contrast_of(image, classes)
    ventricles = float((outlined(image, classes, affine) == 3).sum() * np.prod(scan.spacing) / 1000)
    quiet = [paint(bundle, one.model_copy(update={"noise": "none"}).model_dump(exclude_none=True), seed)[1].images[""]
             for one in (spec, spec.model_copy(update={"lesions": []}))]  # fmt: skip
    diameter, centre = lesion_in(quiet[0], quiet[1], affine)
    wanted = (spec.lesions or [])[0]
    return {
        "seed": seed, "text": text, "understood": made.report["spec"] == spec.model_dump(exclude_none=True),
        "contrast": spec.contrast, "contrast_seen": seen.contrast, "side": wanted.side, "kind": wanted.kind, "place": wanted.place,
        "side_seen": None if np.isnan(diameter) else "right" if centre[0] > 0 else "left",
        "centre_off": float(np.linalg.norm(centre - edits["lesion"]["centre_mm"])),
        "diameter": wanted.diameter_mm.high if wanted.diameter_mm else None, "diameter_built": edits["lesion"]["obtained_mm"],
        "diameter_seen": diameter, "ventricles": edits["ventricles"]["requested_ml"],
        "ventricles_built": edits["ventricles"]["obtained_ml"], "ventricles_seen": ventricles,
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
    share("diameter within 2 mm", [abs(row["diameter_seen"] - row["diameter"]) <= 2 for row in found])
    for kind in sorted({row["kind"] for row in found}):
        share(f"diameter within 2 mm, {kind}", [abs(row["diameter_seen"] - row["diameter"]) <= 2 for row in found if row["kind"] == kind])
    share("diameter built within 2 mm", [abs(row["diameter_built"] - row["diameter"]) <= 2 for row in rows])
    share("contrast recognised", [row["contrast_seen"] == row["contrast"] for row in rows])
    merged = {"T1c": "T1"}
    share("contrast recognised, T1 with and without agent taken as one",
          [merged.get(row["contrast_seen"], row["contrast_seen"]) == merged.get(row["contrast"], row["contrast"]) for row in rows])  # fmt: skip
    for name, key in (*((f"measured in {contrast}", "ventricles_seen") for contrast in CONTRASTS), ("built", "ventricles_built")):
        pairs = np.array([(row["ventricles"], row[key]) for row in rows if name == "built" or row["contrast"] == name.split()[-1]])
        if len(pairs) > 2:
            lines.append(f"| ventricles, r of ordered and {name} | {len(pairs)} | {np.corrcoef(pairs.T)[0, 1]:.3f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--first", type=int, default=0, help="the first order's number, which is its seed")
    parser.add_argument("--again", type=int, nargs="+", help="measure these orders of the output again, and keep the others")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    bundle, segmenter, rows = open_bundle(options.bundle, "cpu"), Segmenter("brain-any"), []
    if options.again and not options.output:
        parser.error("--again needs the file of the first run: -o FILE")
    if options.again:
        rows = [row for row in json.loads(options.output.read_text())["rows"] if row["seed"] not in options.again]
    for seed in options.again or range(options.first, options.first + options.count):
        try:
            rows.append(measure(bundle, segmenter, seed))
            print(f"order {seed}: {rows[-1]['diameter']:.0f} mm, seen {rows[-1]['diameter_seen']:.1f} mm", file=sys.stderr, flush=True)
        except (ValueError, RuntimeError) as error:  # what cannot be built is told, and counted as nothing
            print(f"order {seed} was refused: {error}", flush=True)
    rows.sort(key=lambda row: int(row["seed"]))
    print(f"{len(rows)} of {options.count} orders were made\n\n{table(rows)}")
    if options.output:
        write(options.output, "orders", bundle, rows)


if __name__ == "__main__":
    main()
