"""The reader and the writer that bundle configs name: the MONAI CLI reads as strictly, and marks as clearly, as `medgen run`."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from monai.config import PathLike
from monai.data import ImageReader, NibabelWriter
from monai.utils import SpaceKeys, ensure_tuple, get_equivalent_dtype

from medgen.scans.read import read
from medgen.scans.scan import ScanError

LOGGER = logging.getLogger(__name__)


class ScanReader(ImageReader):
    """Read one scan (a file, or a folder with one DICOM series) for `LoadImaged`; a `ScanError` where it is not sound.

    All is read in `get_data`: where `read` raises, `LoadImage` turns to MONAI's own readers, which take what is unsound.
    For the same reason, in a list of readers put it last: `LoadImage` begins there.

    Args:
        permissive: take the doubts that have a stated way out; they are logged, and in the metadata under "scan_warnings".
        four_d: read the volumes of a 4D image as channels, the first axis, instead of refusing it.
    """

    def __init__(self, permissive: bool = False, four_d: bool = False) -> None:
        super().__init__()
        self.permissive, self.four_d = permissive, four_d

    def verify_suffix(self, filename: Sequence[PathLike] | PathLike) -> bool:
        """Accept any path: what it is shows when it is read."""
        return True

    def read(self, data: Sequence[PathLike] | PathLike, **kwargs: Any) -> tuple[PathLike, ...]:
        """Return the paths as they are, for `get_data`."""
        return ensure_tuple(data)

    def get_data(self, img: tuple[PathLike, ...]) -> tuple[np.ndarray, dict[str, Any]]:
        """Return the voxels, (X, Y, Z) or of several volumes (T, X, Y, Z), and MONAI's metadata, affine in RAS."""
        if len(img) != 1:
            raise ScanError(str(img[0]) if img else "", f"is one of {len(img)} paths for one image", "give one path")
        scan = read(Path(img[0]), permissive=self.permissive, four_d=self.four_d)
        for warning in scan.warnings:
            LOGGER.warning("%s: %s", scan.source, warning)
        affine = scan.image.affine.numpy()
        several = len(scan.image) > 1
        return scan.image.numpy() if several else scan.image[0].numpy(), {
            "affine": affine,
            "original_affine": affine.copy(),
            "space": SpaceKeys.RAS,
            "spatial_shape": np.array(scan.image.shape[1:]),
            "original_channel_dim": 0 if several else "no_channel",
            "filename_or_obj": str(scan.source),
            "scan_warnings": "; ".join(scan.warnings),  # one string, as items of a batch are collated
        }


class SyntheticWriter(NibabelWriter):
    """Write a NIfTI file that says in its header, and in a sidecar beside it, that it is synthetic; for `SaveImaged`.

    Args:
        metadata: of the bundle that made it, whose name, version and hash of weights are told.
    """

    def __init__(self, metadata: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.told = {"synthetic": True, "derived": True, "bundle": metadata["name"],
                     "bundle_version": metadata["version"], "weights_sha256": metadata["weights_sha256"]}  # fmt: skip

    def write(self, filename: PathLike, verbose: bool = False, **kwargs: Any) -> None:
        """Write the file, and its sidecar under the same name with the ending json."""
        header = nib.Nifti1Header()
        header.set_data_dtype(get_equivalent_dtype(self.output_dtype, np.ndarray))
        header["descrip"] = f"medgen SYNTHETIC {self.told['bundle']}"[:79]
        super().write(filename, verbose=verbose, header=header, **kwargs)
        name = str(filename).removesuffix(".gz").removesuffix(".nii")
        Path(f"{name}.json").write_text(json.dumps(self.told, indent=2) + "\n", encoding="utf-8")
