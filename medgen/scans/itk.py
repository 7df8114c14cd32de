"""NRRD and MetaImage through SimpleITK, which knows both formats; only its geometry is turned to RAS."""

from __future__ import annotations

import hashlib
import re
import zlib
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
from monai.data import MetaTensor

from medgen.scans.nifti import check_grid
from medgen.scans.scan import Reading, Scan, ScanError

SPACE = rb"^space: *(right-anterior-superior|left-anterior-superior|left-posterior-superior|RAS|LAS|LPS)\s*$"
PACKED = rb"^(encoding: *gz(ip)?|CompressedData *= *True)\s*$"
DATA_FILE = rb"^(data ?file:|ElementDataFile *=)(?! *LOCAL\s) *(.+?)\s*$"
FLAGS = re.IGNORECASE | re.MULTILINE


def read_itk(path: Path, reading: Reading | None = None) -> Scan:
    """Read a 3D NRRD (.nrrd) or MetaImage (.mha, .mhd) file; a `ScanError` for anything else.

    A NRRD must say its space and directions; a MetaImage without TransformMatrix lies along LPS, as that format defines.
    """
    reading = reading or Reading()
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
    stored += _check_file(path, stored)
    array = sitk.GetArrayFromImage(image).transpose(2, 1, 0)
    if array.dtype.kind not in "iuf":
        raise ScanError(path, "holds complex numbers", "give a scalar image")
    values = np.ascontiguousarray(array, dtype=np.float32)
    if not np.isfinite(values).all():
        raise ScanError(path, "holds NaN or infinite values", "replace them by numbers first")
    image_tensor = MetaTensor(torch.from_numpy(values)[None], affine=torch.from_numpy(affine))
    digest = hashlib.sha256(stored).hexdigest()
    return Scan(image_tensor, "arbitrary", "", array.dtype, path, digest, warnings=tuple(reading.warnings))


def _check_file(path: Path, stored: bytes) -> bytes:
    """Check what ITK overlooks: the space of a NRRD, and the checksum of compressed voxels; return a detached data file."""
    nrrd = stored.startswith(b"NRRD")
    end = re.search(rb"\r?\n\r?\n" if nrrd else rb"ElementDataFile *=.*\n", stored)
    header, data = (stored[: end.end()], stored[end.end() :]) if end else (stored, b"")
    if nrrd and not (re.search(SPACE, header, FLAGS) and re.search(rb"^space directions:", header, FLAGS)):
        raise ScanError(path, "has no orientation (space and space directions)", "export it again from its source")
    detached = re.search(DATA_FILE, header, FLAGS)
    try:
        data = (path.parent / detached[2].decode()).read_bytes() if detached else data
        if re.search(PACKED, header, FLAGS):
            zlib.decompress(data, wbits=47)  # zlib or gzip, whichever it is
    except zlib.error:
        raise ScanError(path, "its compression is broken or cut short", "copy or export it again") from None
    except (OSError, ValueError):
        raise ScanError(path, "its voxels are not in one file beside it", "save header and voxels as one file") from None
    return data if detached else b""
