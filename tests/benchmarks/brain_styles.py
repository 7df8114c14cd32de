"""Measure the styles of brain_mri_synthesis_spade, what each class looks like in each contrast, and put them into its config:

    python -m tests.benchmarks.brain_styles PAIRS bundles/brain_mri_synthesis_spade/configs/inference.json

PAIRS is what tests.benchmarks.brain_pairs wrote. For each contrast: "mean" of the scans' means, "sd" between scans, and
"within" a scan, white matter at 0.5; the bias field, smoothed from the white matter, is divided out first. Outside of T1 the
labels are segmentations: tissues of the brain are measured in scans that have a T1 of the same space alone. The ventricles are
segmented too wide there, and cortex next to dark fluid too dark, so that they are told by the percentiles of `PURE`; fluid around
the brain takes nine tenths of the ventricles'. The hippocampus, which they do not find, is the cortex's; another class that no scan of a contrast has,
and after an agent the fluid, is the T1's. Lesions that no scan has, and venous sinuses, take the share of white matter
that `LESIONS` and `SINUS` say; these are judged, not measured.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy.ndimage import binary_erosion, gaussian_filter

from medgen.anatomy.classes import NAMES
from medgen.transforms.style import CONTRASTS, LEVEL, WHITE

#: Shares of the white matter: lesion, infarct, tumour, oedema.
LESIONS = {"T1": (0.75, 0.5, 0.58, 0.8), "T1c": (0.75, 0.5, 1.7, 0.8), "T2": (1.9, 2.1, 2.0, 1.9), "FLAIR": (1.6, 1.5, 1.5, 1.6)}
SINUS = {"T1": 0.5, "T1c": 2.4, "T2": 0.35, "FLAIR": 0.45}  #: flowing blood is dark, but after an agent
#: Percentile that stands for a class, where neighbours spoil its mean: of ventricles, of what lies a voxel or more within them.
PURE = {("T2", 3): 50, ("FLAIR", 3): 25, ("FLAIR", 1): 75}
LEAST = 30  #: voxels of a class in a scan


def unbiased(image: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the image without the bias field that its white matter shows (smoothed by 8 voxels)."""
    white = ((classes == WHITE) & (image > 0.5 * LEVEL) & (image < 1.6 * LEVEL)).astype(np.float32)
    field = (gaussian_filter(white * image, 8) + 1e-3 * LEVEL) / (gaussian_filter(white, 8) + 1e-3)
    return image * LEVEL / field


def main() -> None:
    pairs, config = Path(sys.argv[1]), Path(sys.argv[2])
    measured: dict[str, dict[int, list[tuple[float, float]]]] = {name: {} for name in CONTRASTS}
    for path in sorted(pairs.glob("*_classes.nii.gz")):
        contrast = path.name.split("_")[-2]
        classes = np.asarray(nib.load(path).dataobj).astype(int)
        image = unbiased(np.asarray(nib.load(str(path).replace("_classes", "")).dataobj, np.float32), classes)
        for number in np.unique(classes)[1:]:
            values = image[classes == number]
            if (contrast, number) in PURE and len(core := image[binary_erosion(classes == 3)] if number == 3 else values):
                values = values - values.mean() + np.percentile(core, PURE[contrast, int(number)])
            alone = contrast != "T1" and not path.name.startswith("cs_")
            if len(values) >= LEAST and not (alone and number not in (10, 11, 12)):
                measured[contrast].setdefault(int(number), []).append((float(values.mean()), float(values.std())))
    styles = {}
    for contrast, found in measured.items():
        mean, sd, within = np.zeros(len(NAMES)), np.zeros(len(NAMES)), np.zeros(len(NAMES))
        for number, share in zip(range(13, 17), LESIONS[contrast]):
            mean[number], sd[number], within[number] = share * LEVEL, 0.1 * share * LEVEL, 0.1 * share * LEVEL
        mean[17], sd[17], within[17] = SINUS[contrast] * LEVEL, 0.05 * LEVEL, 0.05 * LEVEL
        if contrast == "T1c":
            found.pop(3, None)
        for number, values in found.items():
            means, spreads = np.array(values).T
            mean[number], within[number] = np.mean(means), np.mean(spreads)
            sd[number] = np.std(means, ddof=1) if len(means) > 2 else 0.05 * np.mean(means)
        if contrast != "T1":
            if mean[5] == 0:
                mean[5], sd[5], within[5] = mean[1], sd[1], within[1]
            for number in np.flatnonzero(mean[1:13] == 0) + 1:
                mean[number], sd[number], within[number] = (styles["T1"][key][number] for key in ("mean", "sd", "within"))
            mean[9] = 0.9 * mean[3]
        styles[contrast] = {"mean": mean.round(4).tolist(), "sd": sd.round(4).tolist(), "within": within.round(4).tolist()}
        print(contrast, {NAMES[n]: (len(v), round(float(mean[n]), 3)) for n, v in sorted(found.items())})
    content = json.loads(config.read_text())
    content["styles"] = styles
    config.write_text(json.dumps(content, indent=4))


if __name__ == "__main__":
    main()
