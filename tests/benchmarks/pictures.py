"""A bundle's result on one scan, in three planes, for its README:

    python -m tests.benchmarks.pictures BUNDLE SCAN PICTURE.png [--set NAME=VALUE ...] [--photons 1e4]

The input is drawn on the result's grid (linear interpolation). --photons adds the noise of so low a dose to a CT first.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from monai.data import MetaTensor
from scipy.ndimage import affine_transform

from medgen.batch.apply import apply
from medgen.batch.picture import three_planes
from medgen.bundles import open_bundle
from medgen.scans import find, read
from medgen.transforms.degrade import projection_noise


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("scan", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--photons", type=float)
    options = parser.parse_args()
    settings = {name: json.loads(value) for name, value in (text.split("=", 1) for text in options.set)}
    bundle = open_bundle(options.bundle, settings=settings)
    scan = read(find(options.scan).cases[0])
    if options.photons:
        first, second = projection_noise(np.asarray(scan.image[0]), scan.spacing[0], np.random.RandomState(0))
        noise = first / np.sqrt(options.photons) + 5 / options.photons * second
        scan = replace(scan, image=MetaTensor(scan.image + torch.from_numpy(noise)[None], affine=scan.image.affine))
    restored = apply(bundle, scan)
    to_input = np.linalg.inv(scan.image.affine.numpy()) @ restored.grid.image.affine.numpy()
    shape = restored.images[""].shape
    before = affine_transform(np.asarray(scan.image[0]), to_input[:3, :3], to_input[:3, 3], output_shape=shape, order=1, mode="nearest")
    is_ct = bundle.modality == "CT"
    low, high = (-160.0, 240.0) if is_ct else (0.0, float(np.percentile(before[before > 0], 99.5)))
    images = {"input": before, "output": restored.images[""], "difference": restored.images[""] - before}
    span = (high - low) / 4
    three_planes(options.picture, images, restored.grid.image.affine.numpy(),
                 {"input": (low, high), "output": (low, high), "difference": (-span, span)})  # fmt: skip
    print(options.picture, json.dumps(restored.report))


if __name__ == "__main__":
    main()
