"""How often a bundle takes a scan of its own kind for unlike its training, and how often it finds other kinds:

    python -m tests.benchmarks.likeness BUNDLE... --train PATH... --dev PATH... [--other PATH...] [--write]

Fits `medgen.evaluation.likeness` to the training scans, as they are and damaged as the bundles' inputs are; prints one table:
false alarms among the held-out scans (--dev) clean and so damaged, what is found of them made odd, and of scans of the other
modality (--other, raw and with the air of CT at 0). --write puts the fit into the metadata.json of each bundle named (of one modality).
"""

from __future__ import annotations

import argparse
import json
import zlib
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter, zoom

from medgen.bundles import find as find_bundle
from medgen.bundles import read_metadata
from medgen.evaluation.likeness import fit, score
from medgen.evaluation.likeness_forms import LEAST, ROWS, Kinds, fair, features_of, scale_of, seen
from medgen.scans import Case, ScanError, find, read

LABELS = ("_seg", "DLMUSE", "lesion", "labels")


def odd(x: np.ndarray, mm: tuple[float, ...], is_ct: bool, rng: np.random.RandomState) -> Kinds:
    """Return what is no scan of the bundle's, made of one that is."""
    kinds: Kinds = {"blur of 3 voxels": lambda: (gaussian_filter(x, 3), mm)}
    if is_ct:
        kinds["contrast inverted"] = lambda: (-x, mm)
        kinds["air at 0 (+1024)"] = lambda: (x + 1024, mm)
        kinds["soft tissue +400 HU (contrast agent)"] = lambda: (np.where((x > -20) & (x < 150), x + 400, x), mm)
        kinds["voxels of 0.2 mm (photon counting)"] = lambda: (x, (0.2,) * 3)
        part = x[tuple(slice(max(n // 2 - 16, 0), n // 2 + 16) for n in x.shape)]
        kinds["a piece at 0.2 mm (photon counting)"] = lambda: (zoom(part, [v / 0.2 for v in mm], order=1)[:160, :160, :160], (0.2,) * 3)
        kinds["pure noise, normal"] = lambda: (300 * rng.standard_normal(x.shape) - 200, mm)
        kinds["pure noise, uniform"] = lambda: (rng.uniform(-1000, 1000, x.shape), mm)
        return kinds
    top = np.percentile(x[x > 0], 99.5)
    kinds["contrast inverted inside the head"] = lambda: (np.where(x > 0.1 * top, np.maximum(top - x, 0), x), mm)
    kinds["contrast inverted"] = lambda: (x.max() - x, mm)
    for power in (3.0, 0.3):
        kinds[f"gamma {power:g}"] = lambda power=power: (top * np.sign(x) * np.abs(x / top) ** power, mm)  # type: ignore[misc]
    kinds["pure noise, normal"] = lambda: (rng.standard_normal(x.shape), mm)
    kinds["pure noise, uniform"] = lambda: (rng.uniform(0, 1000, x.shape), mm)
    kinds["pure noise, Rayleigh"] = lambda: (rng.rayleigh(100, x.shape), mm)
    return kinds


def rows(case: Case, is_ct: bool, part: str, most: int = 99) -> dict[str, np.ndarray]:
    """Return the features of a scan's kinds, at most so many of them; {} where it cannot be read."""
    try:
        scan = read(case, permissive=True)
    except ScanError:
        return {}
    image, mm = np.asarray(scan.image[0], dtype=np.float32), tuple(scan.spacing)
    x = seen(image)
    rng = np.random.RandomState(zlib.crc32(case.name.encode()))
    kinds: Kinds = {}
    if part == "other":
        kinds = {"the other modality": lambda: (x, mm)}
        if is_ct:
            kinds["the other modality, to 1000"] = lambda: (x * (1000 / np.percentile(x[x > 0], 99.5)), mm)
        else:
            kinds["the other modality, air at 0 (+1024)"] = lambda: (np.maximum(x + 1024, 0), mm)
    else:
        kinds = fair(x, mm, is_ct, rng) | ({f"odd: {k}": v for k, v in odd(x, mm, is_ct, rng).items()} if part == "dev" else {})
    return features_of(kinds, is_ct, rng, most)


def table(paths: list[Path], is_ct: bool, part: str) -> dict[str, dict[str, np.ndarray]]:
    """Return the features of each scan's kinds; of the training, each path has the same share of the rows."""
    tables: dict[str, dict[str, np.ndarray]] = {}
    for path in paths:
        cases = [case for case in find([path])[0] if not any(mark in str(case.files[0]) for mark in LABELS)]
        most = max(ROWS // (len(paths) * max(len(cases), 1)), LEAST) if part == "train" else 99
        with ProcessPoolExecutor(2) as pool:
            found = pool.map(partial(rows, is_ct=is_ct, part=part, most=most), cases)
            tables |= {case.name: kinds for case, kinds in zip(cases, found) if kinds}
    return tables


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs="+", metavar="BUNDLE")
    for name in ("train", "dev", "other"):
        parser.add_argument(f"--{name}", type=Path, nargs="+", default=[])
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    roots = [Path(find_bundle(name)) for name in options.bundles]
    modalities = {read_metadata(root)["network_data_format"]["inputs"]["image"]["modality"] for root in roots}
    if len(modalities) > 1:
        parser.error(f"one modality at a time, not {sorted(modalities)}")
    is_ct = modalities == {"CT"}
    trained = table(options.train, is_ct, "train")
    known = fit([np.stack(list(kinds.values())) for kinds in trained.values()], scale_of(is_ct))
    print(f"{', '.join(options.bundles)}: {len(trained)} training scans, {len(known['rows'])} rows kept, limits {known['limits']}")
    found = {part: table(getattr(options, part), is_ct, part) for part in ("dev", "other")}
    print("| scans | taken for unlike the training | median score | mostly in |\n|---|---|---|---|")
    for cases in found.values():
        for kind in dict.fromkeys(kind for kinds in cases.values() for kind in kinds):
            scores = [score(kinds[kind], known) for kinds in cases.values() if kind in kinds]
            most = [what for value, what in scores if value > 1]
            told = max(sorted(set(most)), key=most.count) if most else ""
            print(f"| {kind} | {len(most)} of {len(scores)} | {np.median([value for value, _ in scores]):.2f} | {told} |")
    for root in roots if options.write else ():
        metadata = read_metadata(root)
        metadata["likeness"] = known
        (root / "configs" / "metadata.json").write_text(json.dumps(metadata, indent=4) + "\n")


if __name__ == "__main__":
    main()
