"""The ImageReader that bundle configs name, so that the MONAI CLI reads as strictly as `medgen run`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from monai.config import PathLike
from monai.data import ImageReader
from monai.utils.enums import SpaceKeys

from medgen.scans.read import read
from medgen.scans.scan import Scan


class ScanReader(ImageReader):
    """Read one scan (a file, or a folder with one DICOM series) for `LoadImaged`; a `ScanError` where it is not sound."""

    def verify_suffix(self, filename: Sequence[PathLike] | PathLike) -> bool:
        """Accept any path: what it is shows when it is read."""
        return True

    def read(self, data: Sequence[PathLike] | PathLike, **kwargs: Any) -> Scan:
        """Read the scan at a path."""
        return read(Path(data if isinstance(data, (str, Path)) else next(iter(data))))  # type: ignore[arg-type]

    def get_data(self, img: Scan) -> tuple[np.ndarray, dict[str, Any]]:
        """Return the voxels (X, Y, Z) and MONAI's metadata, affine in RAS."""
        array = img.image[0].numpy()
        affine = img.image.affine.numpy()
        return array, {
            "affine": affine,
            "original_affine": affine.copy(),
            "space": SpaceKeys.RAS,
            "spatial_shape": np.array(array.shape),
            "original_channel_dim": "no_channel",
            "filename_or_obj": str(img.source),
        }
