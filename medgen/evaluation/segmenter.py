"""Small frozen networks that label brain MR: what synthetic scans are judged and described by."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from monai.bundle import ConfigParser
from scipy.ndimage import map_coordinates

from medgen.scans.scan import ScanError
from medgen.weights import fault

FOLDER = Path(__file__).with_name("segmenters")


def names(folder: Path = FOLDER) -> list[str]:
    """Return the segmenters there are."""
    return sorted(path.stem for path in folder.glob("*.json"))


class Segmenter:
    """Label the voxels of a brain MR with the classes of `medgen.anatomy.classes`, at 2 mm, from any grid and orientation.

    "brain-t1" has seen real T1 heads alone, "brain-any" also heads painted in random contrast. Raises `ScanError` for a
    name that is none, and for weights that are missing or altered.
    """

    def __init__(self, name: str = "brain-any", device: str | torch.device = "cpu", folder: Path = FOLDER) -> None:
        if name not in names(folder):
            raise ScanError(name, "is no segmenter", f"choose one of {', '.join(names(folder))}")
        self.name, self.device, self.folder = name, torch.device(device), folder
        self.told: dict[str, Any] = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))

    @cached_property
    def network(self) -> torch.nn.Module:
        """The network with its weights, whose hash was checked."""
        path = self.folder / self.told["weights"]
        wrong = fault(path, self.told["sha256"])
        if wrong:
            raise ScanError(path, f"is {wrong}", "install medgen again")
        network = ConfigParser({"network": self.told["network"]}).get_parsed_content("network")
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        return network.float().eval().requires_grad_(False).to(self.device, memory_format=torch.channels_last_3d)

    @torch.inference_mode()
    def classes(self, image: np.ndarray, affine: np.ndarray) -> np.ndarray:
        """Return the class of each voxel (uint8, the image's shape) of an MR image (X, Y, Z) with its RAS+ affine."""
        spacing = self.told["spacing"]
        turn = nib.orientations.io_orientation(affine)
        grid = nib.orientations.apply_orientation(np.asarray(image, np.float32), turn)
        steps = np.linalg.norm(affine[:3, :3], axis=0)[np.argsort(turn[:, 0])]
        shape = [max(1, round(n * s / spacing)) for n, s in zip(grid.shape, steps)]
        fine = _resampled(grid, shape, 1)
        padded = np.pad(fine / _bright(fine), [(0, -n % 8) for n in shape])
        x = torch.from_numpy(padded.astype(np.float32))[None, None].to(self.device)
        logits = self.network(x.contiguous(memory_format=torch.channels_last_3d))
        found = logits[0].argmax(0).to(torch.uint8).cpu().numpy()[tuple(slice(n) for n in shape)]
        back = nib.orientations.ornt_transform(nib.orientations.io_orientation(np.eye(4)), turn)
        return nib.orientations.apply_orientation(_resampled(found, grid.shape, 0), back)


def _bright(image: np.ndarray) -> float:
    """Return what the networks have as 1: the brightest tissue, but no more than twice the head's median, as fluid has in T2."""
    if not (image > 0).any():
        return 1.0
    bright = float(np.percentile(image[image > 0], 99.5))
    return min(bright, 2 * float(np.median(image[image > 0.1 * bright])))


def _resampled(grid: np.ndarray, shape: Any, order: int) -> np.ndarray:
    """Return the grid at another number of voxels over the same extent; averaged where that is coarser."""
    if tuple(shape) == grid.shape:
        return grid
    if order:
        for axis, (n, m) in enumerate(zip(grid.shape, shape)):
            if n >= 2 * m:  # blocks of whole voxels first, so that nothing is skipped
                b = n // m
                grid = np.moveaxis(grid, axis, 0)[: n - n % b]
                grid = np.moveaxis(grid.reshape(-1, b, *grid.shape[1:]).mean(1), 0, axis)
    places = [((np.arange(m) + 0.5) * n / m - 0.5).clip(0, n - 1) for n, m in zip(grid.shape, shape)]
    if order == 0:
        return grid[np.ix_(*(np.rint(p).astype(int) for p in places))]
    return map_coordinates(grid, np.meshgrid(*places, indexing="ij"), order=1)
