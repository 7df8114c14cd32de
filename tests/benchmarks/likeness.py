"""How often a bundle takes a scan of its own kind for unlike its training, and how often it finds other kinds:

    python -m tests.benchmarks.likeness BUNDLE --train DIR... --dev DIR... [--other DIR...] [--write]

Fits `medgen.evaluation.likeness` to the training scans; prints the false alarms among the held-out ones (--dev) and what is
found among scans of another kind (--other). --write puts the fit into the bundle's metadata.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from medgen.bundles import find as find_bundle
from medgen.bundles import read_metadata
from medgen.evaluation.likeness import features, fit, score
from medgen.scans import ScanError, find, read

LABELS = ("_seg", "DLMUSE", "lesion", "labels")


def table(folders: list[Path], scale: float | None) -> dict[str, np.ndarray]:
    rows = {}
    for case in find(folders)[0]:
        if any(mark in str(case.files[0]) for mark in LABELS):
            continue
        try:
            scan = read(case, permissive=True)
        except ScanError:
            continue
        rows[case.name] = features(np.asarray(scan.image[0]), scan.spacing, scale)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    for name in ("train", "dev", "other"):
        parser.add_argument(f"--{name}", type=Path, nargs="+", default=[])
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    root = Path(find_bundle(options.bundle))
    metadata = read_metadata(root)
    is_ct = metadata["network_data_format"]["inputs"]["image"]["modality"] == "CT"
    scale = 1000.0 if is_ct else None
    trained = table(options.train, scale)
    known = fit(list(trained.values()), scale)
    print(f"{options.bundle}: {len(trained)} training scans, limit {known['limit']:.2f}")
    for name in ("dev", "other"):
        scores = {case: score(row, known) for case, row in table(getattr(options, name), scale).items()}
        over = [case for case, (value, _) in scores.items() if value > known["limit"]]
        for case, (value, odd) in scores.items():
            print(f"  {name} {case}: {value:.2f}, oddest: {odd}{'  UNLIKE' if case in over else ''}")
        if scores:
            print(f"{name}: {len(over)} of {len(scores)} taken for unlike the training ({len(over) / len(scores):.0%})")
    if options.write:
        metadata["likeness"] = known
        (root / "configs" / "metadata.json").write_text(json.dumps(metadata, indent=4) + "\n")


if __name__ == "__main__":
    main()
