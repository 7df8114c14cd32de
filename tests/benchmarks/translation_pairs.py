"""Prepare what brain_mri_translation_gan is trained with, and put its curves into its configs:

    python -m tests.benchmarks.translation_pairs bundles/brain_mri_translation_gan --data TRAIN -o PAIRS \\
        --styles bundles/brain_mri_synthesis_spade/configs/inference.json

writes NAME_real.nii.gz, NAME_drawn.nii.gz and NAME_alone.nii.gz: (X, Y, Z, 3), T1, T2 and FLAIR with white matter at 0.5, -1 where a
contrast is missing. Real: the co-registered contrasts of a patient at 1 and 2 mm, thick-slice scans laid on each other (rigid,
mutual information) and brought to 1.5 mm, as they are and without what lies around the brain ("bare"). Alone: T1 heads. Drawn: T1
heads, every second one bare, whose T2 and FLAIR are made class by class from their label maps and the T1's own texture, with
lesions; brightness is that of tests.benchmarks.brain_styles. The curves are means of one contrast at the brightness of another.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import SimpleITK as sitk
from numpy.random import RandomState
from scipy.ndimage import binary_closing, binary_fill_holes, gaussian_filter, zoom

from medgen.anatomy.classes import classes_of
from medgen.anatomy.head import with_head
from medgen.evaluation.segmenter import Segmenter
from medgen.transforms.style import LEVEL, WHITE
from medgen.transforms.translate import CONTRASTS, TOP
from tests.benchmarks.brain_pairs import NAMED, at_2mm, canonical
from tests.benchmarks.corrupt import lesions

KNOTS = 33
STEP = 1.5  #: mm, of thick-slice scans once they are pairs
#: How much of the T1's texture a class of a drawn contrast has: in fluid, in other tissue of the brain, around it.
TEXTURE = {"T2": (-3.0, -1.2, 0.8), "FLAIR": (1.0, -0.4, 0.6)}


def registered(moving: Path, fixed: Path) -> np.ndarray:
    """Return a scan on another's grid, laid on it rigidly by mutual information."""
    a, b = (sitk.ReadImage(str(path), sitk.sitkFloat32) for path in (fixed, moving))
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(48)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(0.2, 1)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-3, 150)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([2, 1])
    method.SetSmoothingSigmasPerLevel([1, 0])
    start = sitk.CenteredTransformInitializer(a, b, sitk.Euler3DTransform(), sitk.CenteredTransformInitializerFilter.GEOMETRY)
    start = sitk.Euler3DTransform(start)
    start.SetTranslation((0.0, 0.0, 0.0))  # scans of one session share their world
    method.SetInitialTransform(start, inPlace=True)
    method.Execute(a, b)
    return np.asarray(sitk.GetArrayFromImage(sitk.Resample(b, a, start, sitk.sitkBSpline)).T)


def evened(image: np.ndarray, affine: np.ndarray, order: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return an image and affine of cubic voxels of `STEP` mm: smoothed where its own are finer, lines drawn where coarser."""
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    if order:
        image = gaussian_filter(image, [max(STEP / s - 1, 0) / 2 for s in spacing])
    out = zoom(image, spacing / STEP, order=order)
    return out, affine @ np.diag([*((a - 1) / (b - 1) for a, b in zip(image.shape, out.shape)), 1.0])


def levelled(image: np.ndarray, classes: np.ndarray) -> np.ndarray:
    return (image.clip(0) * (LEVEL / np.median(image[classes == WHITE]))).clip(0, 4).astype(np.float32)


def save(folder: Path, name: str, scans: dict[str, np.ndarray], affine: np.ndarray) -> None:
    shape = next(iter(scans.values())).shape
    stacked = np.stack([scans.get(contrast, np.full(shape, -1, np.float32)) for contrast in CONTRASTS], -1)
    inside = np.argwhere(stacked.max(-1) > 0.02)
    box = tuple(slice(max(a - 4, 0), b + 5) for a, b in zip(inside.min(0), inside.max(0)))
    moved = affine.copy()
    moved[:3, 3] += affine[:3, :3] @ [part.start for part in box]
    nib.save(nib.Nifti1Image(stacked[box].astype(np.float32), moved), folder / f"{name}.nii.gz")
    print(name, stacked[box].shape, sorted(scans), flush=True)


def drawn(t1: np.ndarray, classes: np.ndarray, styles: dict[str, Any], rng: RandomState) -> dict[str, np.ndarray]:
    """Return T1, T2 and FLAIR made of a T1 head and its classes, with white matter lesions in all of them."""
    inside = lesions(classes == WHITE, rng.uniform(0.005, 0.06), rng, rng.uniform(0.8, 3.0))
    means = {name: np.asarray(style["mean"], np.float32) for name, style in styles.items()}
    base = gaussian_filter(means["T1"][classes], 0.5)
    texture = t1 - base
    soft = gaussian_filter(inside.astype(np.float32), 0.6)
    out = {"T1": (t1 * (1 - soft) + soft * (means["T1"][13] + texture)).clip(0)}
    kind = np.select([np.isin(classes, (3, 9)), classes < 9], [0, 1], 2)
    for name, gains in TEXTURE.items():
        wanted = means[name] * np.exp(0.06 * rng.standard_normal(len(means[name])))
        image = gaussian_filter(wanted[classes], 0.5) + gaussian_filter(np.asarray(gains, np.float32)[kind], 0.7) * texture
        out[name] = np.where(classes > 0, image * (1 - soft) + soft * wanted[13], 0).clip(0)
    white = {name: np.median(image[(classes == WHITE) & ~inside]) for name, image in out.items()}
    return {name: (image * LEVEL / white[name]).astype(np.float32) for name, image in out.items()}


def curves(folder: Path) -> dict[str, list[float]]:
    """Return the mean of each contrast at each brightness of another, in real scans of several."""
    knots, found = np.linspace(0, TOP, KNOTS), {}
    for source in CONTRASTS:
        for target in CONTRASTS:
            if source == target:
                continue
            sums, counts = np.zeros(KNOTS), np.zeros(KNOTS)
            for path in sorted(folder.glob("*_real.nii.gz")):
                stacked = np.asarray(nib.load(path).dataobj, np.float32)
                x, y = stacked[..., CONTRASTS.index(source)], stacked[..., CONTRASTS.index(target)]
                if x.max() < 0 or y.max() < 0 or "long" in path.name:
                    continue
                inside = (x > 0.01) | (y > 0.01)
                index = np.rint(x[inside] / TOP * (KNOTS - 1)).clip(0, KNOTS - 1).astype(int)
                sums += np.bincount(index, y[inside], KNOTS)
                counts += np.bincount(index, minlength=KNOTS)
            seen = counts > 50
            curve = np.interp(knots, knots[seen], sums[seen] / counts[seen])
            curve[0] = 0.0  # air
            found[f"{source} to {target}"] = [round(float(v), 4) for v in curve]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--styles", type=Path, required=True, help="a config with the styles of tests.benchmarks.brain_styles")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    segmenters = {name: Segmenter(name) for name in ("brain-t1", "brain-any")}
    multi = options.data / "brain_multicontrast"
    for t1 in sorted(multi.glob("*_T1_MNI.nii.gz")):
        paths = {name: t1.with_name(t1.name.replace("_T1_", f"_{name}_")) for name in CONTRASTS}
        scans = {name: (np.asarray(canonical(path).dataobj, np.float32), canonical(path).affine) for name, path in paths.items()}
        classes = segmenters["brain-t1"].classes(*scans["T1"])
        whole = {name: levelled(image, classes) for name, (image, _) in scans.items()}
        name = t1.name.partition("_T1_")[0]
        save(options.output, f"{name}_1mm_real", whole, scans["T1"][1])
        save(options.output, f"{name}_2mm_real", {key: at_2mm(image, scans["T1"][1], 1)[0] for key, image in whole.items()},
             at_2mm(whole["T1"], scans["T1"][1], 1)[1])  # fmt: skip
    for flair in sorted(multi.glob("long_*_FLAIR_raw.nii.gz")):
        found = {"FLAIR": np.asarray(canonical(flair).dataobj, np.float32)}
        for path in sorted(multi.glob(flair.name.replace("_FLAIR_", "_T[12]W_"))):
            image = nib.Nifti1Image(registered(path, flair), nib.load(flair).affine)
            found[NAMED[next(part for part in path.name.split("_") if part in NAMED)]] = np.asarray(nib.as_closest_canonical(image).dataobj)
        affine = canonical(flair).affine
        classes = segmenters["brain-any"].classes(found["FLAIR"], affine)
        scans = {name: evened(levelled(image, classes), affine)[0] for name, image in found.items()}
        brain, affine = evened(((classes > 0) & (classes < 10)).astype(np.uint8), affine, 0)
        brain = binary_fill_holes(binary_closing(brain > 0, iterations=2))
        name = flair.name.partition("_FLAIR_")[0]
        save(options.output, f"{name}_real", scans, affine)
        save(options.output, f"{name}_bare_real", {key: image * brain for key, image in scans.items()}, affine)
    styles, rng = json.loads(options.styles.read_text())["styles"], RandomState(0)
    for number, path in enumerate(sorted((options.data / "brain_t1").glob("*_T1.nii.gz"))):
        labels = path.with_name(path.name.replace("_T1", "_DLMUSE"))
        if labels.exists():
            scan = canonical(path)
            image = np.asarray(scan.dataobj, np.float32)
            classes = with_head(classes_of(np.asarray(canonical(labels).dataobj)), image, scan.header.get_zooms())
            image = levelled(image, classes)
            save(options.output, f"{path.name[:6]}_alone", {"T1": image}, scan.affine)
            made = drawn(image, classes, styles, rng)
            if number % 2:
                made = {name: one * (classes < 10) for name, one in made.items()}
            save(options.output, f"{path.name[:6]}_drawn", made, scan.affine)
    found_curves = curves(options.output)
    for config in sorted((options.bundle / "configs").glob("*.json")):
        content = json.loads(config.read_text())
        if "curves" in content:
            config.write_text(json.dumps({**content, "curves": found_curves}, indent=4))
    print(json.dumps(found_curves))


if __name__ == "__main__":
    main()
