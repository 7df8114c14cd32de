"""NIfTI out, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

from medgen.scans.scan import Scan, ScanError
from medgen.scans.whole import whole_file


def write_nifti(
    path: Path, array: np.ndarray, like: Scan, *, dtype: np.dtype | None = None, description: str = "", direct: bool = False
) -> None:
    """Write `array` on the grid of `like`, in mm and with its codes: beside the place first, then renamed into it.

    Args:
        array: (X, Y, Z), or of a 4D scan (T, X, Y, Z), which NIfTI stores as (X, Y, Z, T).
        dtype: stored type, by default that of `like`; whole numbers are rounded and clipped to its range.
        description: for whoever opens the file; ASCII, of which 79 bytes are kept.
        direct: write straight to `path`, for a caller who removes just that file when this process is killed.

    Raises `ScanError` for another shape, NaN or infinite values, or a folder that cannot be written to.
    """
    grid = tuple(like.image.shape[1:])
    if tuple(array.shape) not in (grid, *([tuple(like.image.shape)] if len(like.image) > 1 else [])):
        raise ScanError(path, f"its shape {array.shape} is not the input's {grid}", "this is a bug")
    if not np.isfinite(array).all():
        raise ScanError(path, "would hold NaN or infinite values", "check the input for extreme values")
    dtype = np.dtype(like.dtype if dtype is None else dtype)
    if dtype.kind in "iu" and array.dtype != dtype:
        array = whole_numbers(array, dtype)
    array = np.asarray(array, dtype=dtype)
    kind = nib.Nifti1Image if max(array.shape) < 2**15 else nib.Nifti2Image  # which has sizes of 64 bits
    header = kind.header_class()
    header.set_data_dtype(dtype)
    header.set_xyzt_units("mm")
    affine = like.image.affine.numpy().astype(float)
    header.set_sform(affine)
    header.set_qform(affine)
    header["sform_code"], header["qform_code"] = like.codes
    header["descrip"] = description.encode("ascii", "replace")[:79]
    volumes = array if array.ndim == 3 else np.moveaxis(array, 0, -1)
    # without an affine of its own, by which nibabel would set other codes
    image = kind(volumes, None, header)
    if direct:
        nib.save(image, path)
        return
    with whole_file(path) as temporary:
        nib.save(image, temporary)


def write_field(path: Path, field: np.ndarray, like: Scan, *, description: str = "") -> None:
    """Write a displacement field (X, Y, Z, 3) on the grid of `like`, mm along its world's R, A and S, as a NIfTI vector image.

    The file has five dimensions (X, Y, Z, 1, 3), float32, and the intent code 1007. Raises `ScanError` as `write_nifti` does.
    """
    if tuple(field.shape) != (*like.image.shape[1:], 3) or not np.isfinite(field).all():
        raise ScanError(path, f"would hold no field of finite values on the input's grid ({field.shape})", "this is a bug")
    image = nib.Nifti1Image(field[:, :, :, None].astype(np.float32), like.image.affine.numpy().astype(float))
    image.header.set_xyzt_units("mm")
    image.header.set_intent(1007, name="displacement RAS")
    image.header["sform_code"], image.header["qform_code"] = like.codes
    image.header["descrip"] = description.encode("ascii", "replace")[:79]
    with whole_file(path) as temporary:
        nib.save(image, temporary)


def whole_numbers(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return an array, of floating point, rounded to whole numbers and clipped to the range of an integer type."""
    array = np.rint(array)
    limits = np.iinfo(dtype)
    top = array.dtype.type(limits.max)
    if float(top) > limits.max:  # 2^31 - 1 as float32 is 2^31, which overflows
        top = np.nextafter(top, array.dtype.type(0))
    return np.clip(array, array.dtype.type(limits.min), top)
