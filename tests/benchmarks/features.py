"""Whether the Fréchet distance of an extractor rises with damage, on held-out scans, and from what floor:

    python -m tests.benchmarks.features --data DEV [--extractor medgen-v1] [--weights FILE] [--cache DIR] [-o results.json]

DEV holds brain_t1/ with its label maps, and scans of other contrasts. Each T1 head in turn, damaged at rising levels, is
compared with the undamaged heads of all other subjects, by the slices of three planes (mean of their distances) and by the
crops; level 0 is the floor of real against real. Lesions are added to the white matter of all heads, then removed from the
one; labels are those whose mean intensities are exchanged; of wrong modality is the share of a head's slices and crops
that come from a T2, FLAIR or CT. Gibbs ringing and warps are damage that medgen's extractor was not trained to see.
Intervals: bootstrap over subjects.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from monai.transforms import GibbsNoise
from numpy.random import RandomState
from scipy.ndimage import gaussian_filter, label, map_coordinates

from medgen.evaluation.distribution import frechet_distance, kernel_distance
from medgen.evaluation.features import VOLUME, Extractor
from medgen.evaluation.sampling import PLANES, Sampling, cube
from medgen.evaluation.statistics import summarise
from medgen.scans import find, read
from medgen.transforms.degrade import rician_noise, smooth_field
from tests.benchmarks.corrupt import blur, lesions, motion, shuffle
from tests.benchmarks.feature_volumes import MUSE, coarse, cube_of

LEVELS = {
    "noise (% of bright)": (0, 2, 5, 10, 20),
    "blur (sigma, mm)": (0, 1, 1.5, 2.5, 4),
    "motion (mm)": (0, 1, 2, 4, 8),
    "lesions removed (%)": (0, 25, 50, 75, 100),
    "labels shuffled (%)": (0, 10, 25, 50, 100),
    "wrong modality (% of slices)": (0, 25, 50, 75, 100),
    "Gibbs ringing (% of k-space cut off)": (0, 30, 50, 65, 80),
    "warp (mm)": (0, 2, 4, 8, 16),
}
OTHERS = ("_T2", "FLAIR", "lung", "spleen2_ct")
Features = dict[str, np.ndarray]


def heads(data: Path, how: Sampling) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the cube of each T1 head that has labels, and its label map."""
    found = {}
    for case in find(data / "brain_t1")[0]:
        maps = list(case.files[0].parent.glob(case.name.replace("_T1", "_DLMUSE") + "*"))
        if "DLMUSE" in case.name or not maps:
            continue
        scan = read(case)
        image, affine = np.asarray(scan.image[0]), scan.image.affine.numpy()
        labels = np.asarray(read(maps[0]).image[0]).astype(np.int64)
        found[case.name] = cube(image, affine, False, how), cube_of(image, affine, how, labels)
    return found


def others(data: Path, how: Sampling) -> list[np.ndarray]:
    """Return cubes of another modality."""
    found = []
    for case in find([data / "brain_multicontrast", data / "mr_other", data / "ct"])[0]:
        if any(mark in case.name for mark in OTHERS) and not case.name.endswith(("_seg", "lesion_MNI")):
            scan = read(case)
            found.append(cube(np.asarray(scan.image[0]), scan.image.affine.numpy(), case.files[0].parent.name == "ct", how))
    return found


def damaged(image: np.ndarray, labels: np.ndarray, kind: str, level: float, seed: int) -> np.ndarray:
    """Return a head (voxels of 2 mm) damaged at a level of `LEVELS`; the same draw at every level."""
    rng = RandomState(seed)
    if kind.startswith("lesions"):
        inside = lesions(coarse(labels, MUSE) == 2, 0.04, rng, 1.5)
        parts, count = label(inside)
        kept = np.isin(parts, 1 + rng.permutation(count)[round(count * level / 100) :])
        return image * (1 - 0.45 * gaussian_filter(kept.astype(np.float32), 0.5))
    if level == 0:
        return image
    if kind.startswith("noise"):
        return rician_noise(image, level / 100, rng)
    if kind.startswith("blur"):
        return blur(image, level / 2)
    if kind.startswith("motion"):
        return motion(image, level / 2, rng)
    if kind.startswith("labels"):
        return shuffle(image, labels, level / 100, rng)
    if kind.startswith("Gibbs"):
        return np.abs(np.asarray(GibbsNoise(alpha=level / 100)(image[None])[0]))
    field = [smooth_field(image.shape, -level / 2, level / 2, rng, 6) for _ in range(3)]
    return map_coordinates(image, np.indices(image.shape, dtype=np.float32) + np.stack(field), order=1)


def volumes(data: Path, how: Sampling, cache: Path | None) -> Iterator[tuple[str, float, str, np.ndarray, np.ndarray | None]]:
    """Yield kind, level, subject and damaged cube, and with it what is mixed in; kept in `cache` from run to run."""
    real, wrong = heads(data, how), others(data, how)
    for kind, levels in LEVELS.items():
        for level in levels:
            for seed, (name, (image, labels)) in enumerate(real.items()):
                if kind.startswith("wrong"):
                    yield kind, level, name, image, wrong[seed % len(wrong)]
                    continue
                path = None if cache is None else cache / f"{kind.split()[0]}_{level}_{name}.npy"
                if path is not None and path.exists():
                    made = np.load(path).astype(np.float32)
                else:
                    made = damaged(image, labels, kind, level, seed).astype(np.float16).astype(np.float32)
                    if path is not None:
                        path.parent.mkdir(parents=True, exist_ok=True)
                        np.save(path, made.astype(np.float16))
                yield kind, level, name, made, None


def mixed(own: Features, other: Features, share: float, seed: int) -> Features:
    """Return features of which the share comes from another scan."""
    found = {}
    for view, rows in own.items():
        chosen = RandomState(seed).permutation(len(rows))[: round(share * len(rows))]
        found[view] = rows.copy()
        found[view][chosen] = other[view][chosen]
    return found


def distance(first: list[Features], second: Features, measure: Any) -> dict[str, float]:
    """Return the mean of the planes' distances, and that of the crops, between some heads and one."""
    values = {view: measure(np.concatenate([one[view] for one in first]), second[view]) for view in second}
    found = {"2.5D": [values[plane] for plane in PLANES if plane in values], "3D": [values[VOLUME]] if VOLUME in values else []}
    return {name: float(np.mean(parts)) for name, parts in found.items() if parts}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--extractor", default="medgen-v1")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--only-cache", action="store_true", help="make the damaged heads, no features")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    how = Sampling()
    if options.only_cache:
        for _ in volumes(options.data, how, options.cache):
            pass
        return
    extractor = Extractor(options.extractor, options.weights)
    how = extractor.sampling()
    found: dict[tuple[str, float], dict[str, Features]] = {}
    clean: dict[str, Features] = {}
    wrong: dict[str, Features] = {}
    for kind, level, name, volume, other in volumes(options.data, how, options.cache):
        if level == 0 and not kind.startswith("lesions"):
            if name not in clean:
                clean[name] = extractor.features(volume, how)
            features = clean[name]
        elif other is not None:
            if name not in wrong:
                wrong[name] = extractor.features(other, how)
            features = mixed(clean[name], wrong[name], level / 100, 0)
        else:
            features = extractor.features(volume, how)
        found.setdefault((kind, level), {})[name] = features
    report(found, extractor.label, options.output)


def report(found: dict[tuple[str, float], dict[str, Features]], score: str, output: Path | None) -> None:
    """Print a table for each measure: means over subjects with intervals, the paired rise from the floor to the highest level, and
    in how many subjects each level is above the one before."""
    rows = []
    names = list(next(iter(found.values())))
    some = next(iter(found.values()))[names[0]]
    print(f"{score}: {len(names)} subjects, each against the {len(names) - 1} others; a head is "
          + ", ".join(f"{len(rows_)} x {rows_.shape[1]} ({view})" for view, rows_ in some.items()))  # fmt: skip
    for title, measure in (("Fréchet distance", frechet_distance), ("kernel distance", kernel_distance)):
        print(f"\n{title}\n\n| damage | | floor | | | | | highest - floor | rises, in subjects |\n|---|---|---|---|---|---|---|---|---|")
        for kind, levels in LEVELS.items():
            values = {level: [distance([found[kind, 0][other] for other in names if other != name], found[kind, level][name], measure)
                              for name in names] for level in levels}  # fmt: skip
            for view in values[levels[0]][0]:
                table = np.array([[value[view] for value in values[level]] for level in levels])
                summaries = [summarise(list(row)) for row in table]
                cells = [f"{level:g}: {_told(summary)}" for level, summary in zip(levels, summaries)]
                above = summarise(list(table[-1] - table[0]))
                means = table.mean(1)
                rises = "yes" if (np.diff(means) > 0).all() else "**no**"
                each = int((np.diff(table, axis=0) > 0).all(0).sum())
                print(f"| {kind} | {view} | {' | '.join(cells)} | {_told(above)} | {rises}, in {each} of {len(names)} |", flush=True)
                rows.append({"measure": title, "damage": kind, "view": view, "levels": levels, "subjects": names, "values": table.tolist()})
    if output:
        output.write_text(json.dumps(rows, indent=1))


def _told(summary: dict[str, Any]) -> str:
    return f"{summary['mean']:.3g} [{summary['low']:.3g}, {summary['high']:.3g}]"


if __name__ == "__main__":
    main()
