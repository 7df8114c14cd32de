"""Strict NIfTI in and out."""

from __future__ import annotations

import gzip
import hashlib
import os
import tempfile
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from monai.data import MetaTensor

from medgen.scans.scan import Reading, Scan, ScanError

MILLIMETRES = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}  #: by xyzt_units: not said (so mm), metres, mm, microns


def read_nifti(path: Path, reading: Reading | None = None) -> Scan:
    """Read a 3D NIfTI-1 or -2 file (.nii, .nii.gz) of either byte order.

    The sform is the geometry where its code is above 0, else the qform (NIfTI-1 standard, methods 3 and 2). Modality and
    units are unknown to NIfTI. Raises `ScanError` for whatever is not one volume of real numbers on a sound grid.
    """
    reading = reading or Reading()
    try:
        stored = path.read_bytes()
    except OSError as error:
        raise ScanError(path, f"cannot be read ({error.strerror})", "check the path and its permissions") from None
    content = _decompressed(path, stored)
    kind = _kind(path, content)
    try:
        image = kind.from_bytes(content)
        header = image.header
        size = kind.header_class.sizeof_hdr
        # nibabel alters the image's own header: offset, scaling, zero sizes
        asis = kind.header_class(content[:size], check=False)
        offset = int(asis["vox_offset"])
        needed = offset + int(np.prod(image.shape)) * header.get_data_dtype().itemsize
    except Exception as error:  # noqa: BLE001  nibabel raises many types for a broken header
        raise ScanError(path, f"its header is broken ({type(error).__name__})", "export it again") from None
    if offset < size:
        raise ScanError(path, "its header is broken (vox_offset lies inside it)", "export it again")
    if len(content) < needed:
        raise ScanError(path, f"is truncated: {len(content)} of {needed} bytes", "copy or export it again")
    shape = _shape_3d(path, image.shape)
    affine = _affine(path, asis)
    dtype = header.get_data_dtype()
    if dtype.fields is not None or dtype.kind not in "iuf":
        raise ScanError(path, f"holds {'colours' if dtype.fields else 'complex numbers'}", "export it as a scalar image")
    values = np.asarray(image.dataobj, dtype=np.float32).reshape(shape)
    if not np.isfinite(values).all():
        raise ScanError(path, "holds NaN or infinite values", "replace them by numbers first")
    scaled = asis.get_slope_inter() not in ((None, None), (1.0, 0.0))
    return Scan(
        image=MetaTensor(torch.from_numpy(np.ascontiguousarray(values))[None], affine=torch.from_numpy(affine)),
        units="arbitrary",
        modality="",
        dtype=np.dtype(np.float32) if scaled else dtype.newbyteorder("="),
        source=path,
        sha256=hashlib.sha256(stored).hexdigest(),
        warnings=tuple(reading.warnings),
    )


def write_nifti(
    path: Path, array: np.ndarray, like: Scan, *, dtype: np.dtype | None = None, description: str = ""
) -> None:
    """Write `array` (X, Y, Z) on the grid of `like`, whole or not at all.

    Args:
        dtype: stored type, by default that of `like`; whole numbers are rounded and clipped to its range.
        description: at most 79 bytes are kept.

    Raises `ScanError` for another shape, NaN or infinite values, or a folder that cannot be written to.
    """
    if tuple(array.shape) != tuple(like.image.shape[1:]):
        raise ScanError(path, f"its shape {array.shape} is not the input's {tuple(like.image.shape[1:])}", "this is a bug")
    if not np.isfinite(array).all():
        raise ScanError(path, "would hold NaN or infinite values", "check the input for extreme values")
    dtype = np.dtype(like.dtype if dtype is None else dtype)
    if dtype.kind in "iu":
        array = _whole(array, dtype)
    image = nib.Nifti1Image(np.asarray(array, dtype=dtype), like.image.affine.numpy().astype(float), dtype=dtype)
    image.header.set_xyzt_units("mm")
    image.set_sform(image.affine, code=1)
    image.set_qform(image.affine, code=1)
    image.header["descrip"] = description.encode()[:79]
    suffix = ".nii.gz" if path.name.endswith(".gz") else ".nii"
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(suffix=suffix, prefix=".part_", dir=path.parent)
        os.close(handle)
        nib.save(image, temporary)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise ScanError(path, f"cannot be written ({error.strerror})", "free space or choose another output folder") from None


def _whole(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Round to whole numbers and clip them to the range of an integer type."""
    array = np.rint(array)
    limits = np.iinfo(dtype)
    top = array.dtype.type(limits.max)
    if float(top) > limits.max:  # 2^31 - 1 as float32 is 2^31, which overflows
        top = np.nextafter(top, array.dtype.type(0))
    return np.clip(array, array.dtype.type(limits.min), top)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _decompressed(path: Path, stored: bytes) -> bytes:
    if stored[:2] != b"\x1f\x8b":
        return stored
    try:
        return gzip.decompress(stored)  # to the end, so that its checksum is checked
    except (EOFError, OSError, zlib.error):
        raise ScanError(path, "its compression is broken or cut short", "copy or export it again") from None


def _kind(path: Path, content: bytes) -> type[nib.Nifti1Image]:
    size = {int.from_bytes(content[:4], order) for order in ("little", "big")}
    for number, kind, magic in ((348, nib.Nifti1Image, content[344:348]), (540, nib.Nifti2Image, content[4:8])):
        if number in size and magic.startswith(b"n+"):
            return kind
        if number in size and magic.startswith(b"ni"):
            raise ScanError(path, "is a header without its image (.hdr/.img pair)", "convert the pair to one .nii file")
    raise ScanError(path, "is not a NIfTI file", "check what it is, or export it again")


def _shape_3d(path: Path, shape: tuple[int, ...]) -> tuple[int, int, int]:
    if len(shape) > 3 and np.prod(shape[3:]) > 1:
        raise ScanError(path, f"holds {int(np.prod(shape[3:]))} volumes, not one", "split it, and give one volume a file")
    if len(shape) < 3 or min(shape[:3]) < 2:
        raise ScanError(path, f"is a 2D image of shape {'x'.join(map(str, shape))}", "give a volume of several slices")
    return shape[0], shape[1], shape[2]


def _affine(path: Path, header: nib.Nifti1Header) -> np.ndarray:
    sform, sform_code, qform_code = header.get_sform(), int(header["sform_code"]), int(header["qform_code"])
    try:
        qform = header.get_qform()
    except Exception:  # noqa: BLE001  an impossible quaternion or a negative voxel size
        qform = None
        if sform_code <= 0 < qform_code:
            raise ScanError(path, "its orientation (qform) is broken", "export it again") from None
    if sform_code > 0:
        affine = sform
    elif qform_code > 0:
        affine = qform
    else:
        raise ScanError(path, "has no orientation (sform and qform codes are 0)", "export it again from its source")
    unit = int(header["xyzt_units"]) & 7
    if unit not in MILLIMETRES:
        raise ScanError(path, f"its unit of length is unknown (xyzt_units {unit})", "export it again in mm")
    affine = np.array(affine, dtype=np.float64)
    affine[:3] *= MILLIMETRES[unit]
    check_grid(path, affine)
    both = min(sform_code, qform_code) > 0 and qform is not None
    if both and np.linalg.det(sform[:3, :3]) * np.linalg.det(qform[:3, :3]) < 0:
        raise ScanError(path, "its sform and qform disagree on left and right", "find out which is true and set both")
    return affine


def check_grid(path: Path, affine: np.ndarray) -> None:
    """Raise `ScanError` for an affine that is singular, not finite, or sheared by more than 0.1 degrees or so."""
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.isfinite(affine).all() or spacing.min() <= 1e-6:
        raise ScanError(path, "its voxel size is zero or not a number", "export it again from its source")
    axes = affine[:3, :3] / spacing
    if np.abs(axes.T @ axes - np.eye(3)).max() > 2e-3:
        raise ScanError(path, "its grid is sheared", "resample it to a right-angled grid first")
