"""The ImageReader that bundle configs name, so that the MONAI CLI reads as strictly as `medgen run`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from monai.config import PathLike
from monai.data import ImageReader
from monai.utils import SpaceKeys, ensure_tuple

from medgen.scans.read import read
from medgen.scans.scan import ScanError


class ScanReader(ImageReader):
    """Read one scan (a file, or a folder with one DICOM series) for `LoadImaged`; a `ScanError` where it is not sound.

    All is read in `get_data`: where `read` raises, `LoadImage` turns to MONAI's own readers, which take what is unsound.
    """

    def verify_suffix(self, filename: Sequence[PathLike] | PathLike) -> bool:
        """Accept any path: what it is shows when it is read."""
        return True

    def read(self, data: Sequence[PathLike] | PathLike, **kwargs: Any) -> tuple[PathLike, ...]:
        """Return the paths as they are, for `get_data`."""
        return ensure_tuple(data)

    def get_data(self, img: tuple[PathLike, ...]) -> tuple[np.ndarray, dict[str, Any]]:
        """Return the voxels (X, Y, Z) and MONAI's metadata, affine in RAS, of the scan at the only path."""
        if len(img) != 1:
            raise ScanError(str(img[0]) if img else "", f"is one of {len(img)} paths for one image", "give one path")
        scan = read(Path(img[0]))
        array = scan.image[0].numpy()
        affine = scan.image.affine.numpy()
        return array, {
            "affine": affine,
            "original_affine": affine.copy(),
            "space": SpaceKeys.RAS,
            "spatial_shape": np.array(array.shape),
            "original_channel_dim": "no_channel",
            "filename_or_obj": str(scan.source),
        }
