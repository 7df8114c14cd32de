"""NRRD and MetaImage through SimpleITK, which knows both formats; only its geometry is turned to RAS."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
from monai.data import MetaTensor

from medgen.scans.nifti import check_grid
from medgen.scans.scan import Scan, ScanError


def read_itk(path: Path) -> Scan:
    """Read a 3D NRRD (.nrrd) or MetaImage (.mha, .mhd) file; a `ScanError` for anything else."""
    try:
        stored = path.read_bytes()
        image = sitk.ReadImage(str(path))
    except OSError as error:
        raise ScanError(path, f"cannot be read ({error.strerror})", "check the path and its permissions") from None
    except RuntimeError:
        raise ScanError(path, "is not a readable NRRD or MetaImage file", "copy or export it again") from None
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise ScanError(path, "holds several values a voxel", "give a scalar image")
    if image.GetDimension() != 3 or min(image.GetSize()) < 2:
        raise ScanError(path, f"is not a volume: shape {'x'.join(map(str, image.GetSize()))}", "give one 3D volume")
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * np.array(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    check_grid(path, affine)
    array = sitk.GetArrayFromImage(image).transpose(2, 1, 0)
    if array.dtype.kind not in "iuf":
        raise ScanError(path, "holds complex numbers", "give a scalar image")
    values = np.ascontiguousarray(array, dtype=np.float32)
    if not np.isfinite(values).all():
        raise ScanError(path, "holds NaN or infinite values", "replace them by numbers first")
    image_tensor = MetaTensor(torch.from_numpy(values)[None], affine=torch.from_numpy(affine))
    digest = hashlib.sha256(stored).hexdigest()
    return Scan(image_tensor, "arbitrary", "", array.dtype, path, digest)
