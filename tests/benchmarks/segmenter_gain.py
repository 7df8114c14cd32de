"""Whether scans made to order help to train a segmenter that has few real ones:

    python -m tests.benchmarks.segmenter_gain brain_mri_synthesis_text --train TRAIN --dev DEV --cache DIR

TRAIN and DEV hold brain_t1/ with its label maps. For each of several draws of a few real heads a small U-Net is trained twice, on as many
crops of them and with the same augmentation: on those heads alone; and with crops of heads made by the bundle added, one beside each real
one in the first steps, of which there are more by half of those. The anatomies are drawn, so that no label map is needed for them. Dice on
the held-out heads, mean of eight classes of the brain; the gain's interval is over heads and draws (bootstrap of subjects' means).
"""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import RandomState

from medgen.batch.ordered import paint
from medgen.bundles import Bundle, open_bundle
from medgen.evaluation.segmenter import Segmenter
from medgen.evaluation.statistics import summarise
from medgen.synthesis.order import order
from medgen.text.spec import Range, ScanSpec
from tests.benchmarks.synthesis import dice, heads
from tests.benchmarks.train_segmenter import prepare, ship, train


def make(bundle: Bundle, cache: Path, count: int) -> list[Path]:
    """Write `count` heads made by the bundle as `made_*.npz`, and return their paths."""
    found = []
    for seed in range(count):
        path = cache / f"made_{seed:02d}.npz"
        age = float(RandomState(seed).randint(50, 75))
        spec = ScanSpec(contrast="T1", age_years=Range(low=age, high=age))
        if not path.exists():
            _, made = paint(bundle, spec.model_dump(exclude_none=True), seed)
            image, classes = made.images[""], order(spec, seed).classes
            image = image / np.percentile(image[image > 0], 99.5)
            np.savez(path, image=image.astype(np.float16), classes=np.where(classes == 17, 9, classes).astype(np.uint8))
        found.append(path)
    return found


def arm(folder: Path, few: list[Path], more: list[Path]) -> None:
    """Fill a folder with links to what a segmenter is to learn from, the few as often as there are more."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in more:
        _link(path, folder / f"real_{path.stem}.npz")
    for turn in range(max(len(more) // len(few), 1)):
        for path in few:
            _link(path, folder / f"real_{path.stem}_{turn}.npz")


def _link(path: Path, link: Path) -> None:
    if not link.exists():
        os.symlink(path.resolve(), link)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--dev", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--few", type=int, default=3, help="real heads of a draw")
    parser.add_argument("--made", type=int, default=24, help="heads made by the bundle")
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--steps", type=int, default=600, help="of two crops each, on the real heads alone")
    parser.add_argument("--mixed", type=int, default=200, help="first steps in which one crop of two is of a made head")
    options = parser.parse_args()
    bundle, subjects = open_bundle(options.bundle, "cpu"), heads(options.dev)
    if not list(options.cache.glob("real_*.npz")):
        prepare(options.train, options.cache, paintings=0)
    real, made = sorted(options.cache.glob("real_*.npz")), make(bundle, options.cache, options.made)
    rows: list[dict[str, Any]] = []
    for draw in range(options.draws):
        few = [real[k] for k in RandomState(draw).permutation(len(real))[: options.few]]
        for name, more in (("few real", []), ("few real and made", made)):
            steps = options.steps + (options.mixed // 2 if more else 0)  # as many real crops
            folder = options.cache / f"{draw}_{len(more)}"
            arm(folder, few, [])
            if more:
                both = options.cache / f"{draw}_{len(more)}_first"
                arm(both, few, more)
                train(both, "t1", 0, steps=steps, until=options.mixed / steps)
                if not (folder / "state_t1.pt").exists():
                    shutil.copy(both / "state_t1.pt", folder)
            train(folder, "t1", 0, steps=steps)
            ship(folder, folder, ["t1"])
            segmenter = Segmenter("brain-t1", folder=folder)
            for subject, (scan, classes) in subjects.items():
                found = segmenter.classes(np.asarray(scan.image[0]), scan.image.affine.numpy())
                rows.append({"method": name, "draw": draw, "name": subject, "real": len(few), "made": len(more),
                             "steps": steps, "dice": dice(found, classes)})  # fmt: skip
            print(draw, name, f"{np.mean([row['dice'] for row in rows if row['draw'] == draw and row['method'] == name]):.3f}", flush=True)
    print("\n" + table(rows))


def table(rows: list[dict[str, Any]]) -> str:
    """Return the table of the results."""
    lines = ["| trained on | real heads | made heads | n | Dice |", "|---|---|---|---|---|"]
    by: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        by.setdefault(row["method"], {}).setdefault(row["name"], []).append(float(np.mean(row["dice"])))
    for method, of in by.items():
        own = next(row for row in rows if row["method"] == method)
        lines.append(f"| {method} | {own['real']} | {own['made']} | {len(of)} | {_told([float(np.mean(v)) for v in of.values()])} |")
    first, last = list(by)[:2]
    gains = [float(np.mean(by[last][name]) - np.mean(by[first][name])) for name in by[first]]
    lines.append(f"| gain | | | {len(gains)} | {_told(gains, '+')} |")
    return "\n".join(lines)


def _told(values: list[float], sign: str = "") -> str:
    s = summarise(values)
    return f"{s['mean']:{sign}.3f} [{s['low']:{sign}.3f}, {s['high']:{sign}.3f}]"


if __name__ == "__main__":
    main()
