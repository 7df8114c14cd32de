"""The main job on the sample scans: known noise in, each bundle's result measured against the truth, and pictured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from medgen.batch.picture import three_planes
from medgen.batch.progress import follow, prepare_output
from medgen.batch.run import Options, outputs
from medgen.bundles import BundleError, available, open_bundle, read_metadata
from medgen.evaluation.image_quality import psnr, ssim
from medgen.scans import Case, Scan, find, read, write_nifti

ROOT = Path(__file__).resolve().parents[2]


def demo(output: Path, data: Path | None, device: str | None, console: Console) -> int:
    """Run every bundle that names a demo in its metadata on the sample scans; return how many cases failed."""
    folder = data or next((p for p in (Path("sample_data"), ROOT / "sample_data") if p.is_dir()), None)
    if folder is None or not folder.is_dir():
        raise BundleError("the sample scans are not here; run the demo in a clone of the repository, or give --data")
    prepare_output(output)
    failed = 0
    for name, root in available().items():
        recipe = read_metadata(root).get("demo")
        if recipe:
            failed += _denoise(name, recipe, folder, output, device, console)
    return failed


def _denoise(name: str, recipe: dict, folder: Path, output: Path, device: str | None, console: Console) -> int:
    bundle = open_bundle(name, device)
    clean, errors, _ = find([folder / path for path in recipe["scans"]])
    if errors:
        raise BundleError("; ".join(map(str, errors)))
    level = float(recipe["rician_noise"])
    console.print(f"{name}: Rician noise of {level:.0%} of the maximum into {len(clean)} sample scan(s)")
    scans = {case.name: read(case) for case in clean}
    noisy = [_add_noise(case, scans[case.name], level, output / "noisy") for case in clean]
    options = Options(output, uncertainty=True, overwrite=True)
    failed = follow(bundle, noisy, [], options, console)
    table = Table("scan", "PSNR before", "PSNR after", "SSIM before", "SSIM after", title="inside the head")
    pictures = []
    for case in noisy:
        files = outputs(bundle, case, options)
        if not files["json"].is_file():
            continue
        truth, before, after, sd = (
            np.asarray(scan.image[0]) for scan in (scans[case.name], read(case), read(files[""]), read(files["uncertainty"]))
        )
        top = float(np.percentile(truth[truth > 0], 99.5))
        head = truth > 0.1 * top
        values = [f"{metric(image, truth, top, head):.2f}" for metric in (psnr, ssim) for image in (before, after)]
        table.add_row(case.name, *values)
        pictures.append(output / f"{case.name}_{name}.png")
        three_planes(
            pictures[-1],
            {"input": before, "output": after, "difference": after - before, "uncertainty": sd},
            scans[case.name].image.affine.numpy(),
            {"input": (0, top), "output": (0, top), "difference": (-3 * level * top, 3 * level * top), "uncertainty": (0, level * top)},
        )
    console.print(table)
    console.print(f"data range: the 99.5th percentile of the clean scan; results in {output}", markup=False)
    for picture in pictures:
        console.print(f"picture: {picture}", markup=False)
    return failed


def _add_noise(case: Case, scan: Scan, level: float, folder: Path) -> Case:
    """Write the scan with Rician noise of `level` times its robust maximum, always the same."""
    generator = torch.Generator().manual_seed(0)
    image = scan.image.as_tensor()[0].clamp_min(0)
    sigma = level * float(np.percentile(image[image > 0], 99.5))
    real, imaginary = (sigma * torch.randn(image.shape, generator=generator) for _ in range(2))
    path = folder / f"{case.name}.nii.gz"
    write_nifti(path, torch.hypot(image + real, imaginary).numpy(), scan, dtype=np.dtype(np.float32))
    return Case(case.name, (path,), "nifti")
