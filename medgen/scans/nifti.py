"""Strict NIfTI in."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.nifti1 import Nifti1Header

from medgen.scans.grid import apart, check_grid
from medgen.scans.scan import Reading, Scan, ScanError
from medgen.scans.stored import GZIP, RATIO, Inflated, Stored, Stream, check_size, read_exactly, read_some, skip
from medgen.scans.voxels import Layout, read_voxels, scan_of

MILLIMETRES = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}  #: by xyzt_units: not said (so mm), metres, mm, microns
TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
OTHER_TYPES = {1: "single bits", 32: "complex numbers", 128: "colours", 1536: "128-bit floats", 1792: "complex numbers",
               2048: "complex numbers", 2304: "colours"}  # fmt: skip
#: What else bears the name, by where its first bytes differ.
OTHERS = [(0, GZIP, "gzip within gzip"), (0, b"NRRD", "NRRD"), (128, b"DICM", "DICOM"), (0, b"\x89HDF", "HDF5 or MINC"),
          (0, b"CDF", "MINC"), (0, b"PK", "a zip archive"), (0, b"BZh", "bzip2"), (0, b"\xfd7zXZ", "xz"),
          (0, b"\x28\xb5\x2f\xfd", "zstd"), (0, b"\0\0\0\1\0\0", "FreeSurfer MGH or MGZ")]  # fmt: skip
SINGLE, PAIR = (b"n+1\0", b"n+2\0\r\n\x1a\n"), (b"ni1\0", b"ni2\0\r\n\x1a\n")
PLAIN_INTENTS = (0, 2001)  #: not said, time series


@np.errstate(all="ignore")  # what is not finite is refused by its value
def read_nifti(path: Path, reading: Reading | None = None) -> Scan:
    """Read a NIfTI-1 or -2 file (.nii, or gzipped, whatever its name) of either byte order, as (1, X, Y, Z) in RAS mm.

    The sform is the geometry where its code is above 0, else the qform (NIfTI-1 standard, methods 3 and 2). Where both
    count and lie apart by more than the rounding of quaternions, that is noted, and refused if they disagree on left and
    right. A unit of length that is not said is mm. The header alone decides how much is read. Header extensions, the
    description and the time axis are not carried. Modality and units of the values are unknown to NIfTI.

    Several volumes (dim[4]) are channels if `reading.four_d`. Raises `ScanError` for whatever is not real numbers on a
    sound grid, or contradicts itself. A permissive `reading` takes: no orientation (codes 0), forms that disagree on left
    and right, a scl_slope or scl_inter that is no number, and NaN voxels.
    """
    reading = reading or Reading()
    with Stored(path) as stored:
        packed = stored.peek(2) == GZIP
        content: Stream = Inflated(stored) if packed else stored
        header = _header(path, content)
        layout = _layout(path, header, reading)
        affine, codes = _affine(path, header, layout, reading)
        offset = _offset(path, header)
        check_size(path, offset + layout.size, stored.size, RATIO if packed else 1)
        _skip_extensions(path, content, header, offset)
        voxels = read_voxels(path, content, layout, reading)
        return scan_of(path, voxels, affine, layout, stored.digest(), reading, codes)


def _header(path: Path, content: Stream) -> Nifti1Header:
    """Read the header as it is stored, of a single file."""
    start = read_some(path, content, 348)
    if not start:
        raise ScanError(path, "is empty", "copy or export it again")
    for order in "<>":
        size = int(np.frombuffer(start.ljust(4, b"\0"), f"{order}i4", count=1)[0])
        if size not in (348, 540):
            continue
        if len(start) < 348:
            raise ScanError(path, "is truncated inside its header", "copy or export it again")
        kind = nib.Nifti1Header if size == 348 else nib.Nifti2Header
        start += read_exactly(path, content, size - 348)
        magic = start[344:348] if size == 348 else start[4:12]
        if magic in PAIR:
            raise ScanError(path, "is a header without its image (.hdr/.img pair)", "convert the pair to one .nii file")
        if magic in SINGLE:
            return kind(start, endianness=order, check=False)
        if size == 348 and magic == bytes(4):
            raise ScanError(path, "is ANALYZE 7.5, which does not tell left from right", "export it again as NIfTI")
        raise ScanError(path, "is not a NIfTI file (its magic is wrong)", "copy or export it again")
    other = next((name for place, mark, name in OTHERS if start[place:].startswith(mark)), "")
    if path.suffix in (".mgz", ".mgh"):
        other = "FreeSurfer MGH or MGZ"
    raise ScanError(path, f"is not a NIfTI file{f' but {other}' if other else ''}", "check what it is, or export it again")


def _layout(path: Path, header: Nifti1Header, reading: Reading) -> Layout:
    """Return how the voxels lie, or refuse what is not one volume (or `four_d`: some) of real numbers."""
    dimensions, *sizes = (int(size) for size in header["dim"])
    shown = "x".join(map(str, sizes[: max(dimensions, 1)]))
    if not 1 <= dimensions <= 7 or min(sizes[:dimensions]) < 1:
        raise ScanError(path, f"its header is broken ({dimensions} dimensions of {shown} voxels)", "export it again")
    if dimensions < 3:
        raise ScanError(path, f"is a {dimensions}D image of shape {shown}", "give a volume")
    x, y, z, volumes, vector, *more = sizes[:dimensions] + [1] * (7 - dimensions)
    if max(vector, *more) > 1:
        raise ScanError(path, f"holds vectors: {shown} values", "export one component as a scalar image")
    if volumes > 1 and not reading.four_d:
        raise ScanError(path, f"holds {volumes} volumes (4D), not one", "split it by `medgen convert`")
    code, bits = int(header["datatype"]), int(header["bitpix"])
    if code in OTHER_TYPES:
        raise ScanError(path, f"holds {OTHER_TYPES[code]}", "export it as a scalar image")
    if code not in TYPES:
        raise ScanError(path, f"its header is broken (unknown voxel type {code})", "export it again")
    dtype = np.dtype(TYPES[code]).newbyteorder(header.endianness)
    if bits not in (0, dtype.itemsize * 8):
        reason = f"its header contradicts itself ({dtype.newbyteorder('=')} of {bits} bits)"
        raise ScanError(path, reason, "export it again")
    slope, inter = float(header["scl_slope"]), float(header["scl_inter"])
    if slope and not np.isfinite([slope, inter]).all():
        reason, instead = f"its scaling is no number ({slope:g}, {inter:g})", "the values are taken as stored"
        reading.doubt(path, reason, "export it again", instead)
        slope = 0.0
    if int(header["intent_code"]) not in PLAIN_INTENTS:
        what = "label map" if int(header["intent_code"]) == 1002 else "statistic or the like"
        reading.note(f"is a {what} by its intent code {int(header['intent_code'])}")
    scaling = (slope, inter) if slope else (1.0, 0.0)  # a slope of 0 says: not scaled
    return Layout((x, y, z), dtype, volumes, False, *scaling)


def _offset(path: Path, header: Nifti1Header) -> int:
    """Return where the voxels begin."""
    offset, first = float(header["vox_offset"]), int(header["sizeof_hdr"]) + 4
    if not first <= offset < 2**62 or offset != int(offset):
        raise ScanError(path, f"its header is broken (vox_offset {offset:g}, not {first} or more)", "export it again")
    return int(offset)


def _skip_extensions(path: Path, content: Stream, header: Nifti1Header, offset: int) -> None:
    """Go to the voxels; what lies before them may name the patient, and is dropped.

    Raises `ScanError` where an extension reaches into the voxels: then the offset is wrong.
    """
    left = offset - int(header["sizeof_hdr"]) - 4
    extended = read_exactly(path, content, 4)[0] != 0
    while extended:
        size = int(np.frombuffer(read_exactly(path, content, 4), f"{header.endianness}i4")[0]) if left >= 8 else 8
        if size == 0:  # padding
            left -= 4
            break
        if size < 8 or size > left:
            raise ScanError(path, "its header is broken (an extension reaches into the voxels)", "export it again")
        skip(path, content, size - 4)
        left -= size
        extended = left > 0
    skip(path, content, left)


def _affine(path: Path, header: Nifti1Header, layout: Layout, reading: Reading) -> tuple[np.ndarray, tuple[int, int]]:
    """Return the affine in RAS mm, and the codes (sform, qform) of the forms that agree with it."""
    unit = int(header["xyzt_units"]) & 7
    if unit not in MILLIMETRES:
        raise ScanError(path, f"its unit of length is unknown (xyzt_units {unit})", "export it again in mm")
    scale = np.diag([*[MILLIMETRES[unit]] * 3, 1.0])
    sform_code, qform_code = int(header["sform_code"]), int(header["qform_code"])
    spacing = np.array(header["pixdim"][1:4], dtype=np.float64)
    qform = _qform(header, spacing) if qform_code > 0 else None
    if sform_code > 0:
        rows = [header["srow_x"], header["srow_y"], header["srow_z"], [0, 0, 0, 1]]
        affine = scale @ np.vstack(rows).astype(np.float64)
        check_grid(path, affine, reading)
        sides = np.linalg.norm(affine[:3, :3], axis=0)
        if not np.allclose(spacing * MILLIMETRES[unit], sides, rtol=0.01):
            reading.note("its pixdim is not the voxel size of its sform, which is taken")
        agrees = qform is not None and _agrees(path, affine, scale @ qform, layout, reading)
        if qform_code > 0 and qform is None:
            reading.note("its qform is broken, the sform is taken")
        return affine, (sform_code, qform_code if agrees else 0)
    if qform_code > 0:
        if qform is None:
            raise ScanError(path, "its orientation (qform) is broken", "export it again")
        affine = scale @ qform
    else:
        reading.doubt(
            path,
            "has no orientation (sform and qform codes are 0)",
            "export it again from its source",
            "its voxel size along right, front and top is taken (method 1); left and right are not known",
        )
        if not (np.isfinite(spacing).all() and spacing.min() > 0):
            raise ScanError(path, "its voxel size is zero or not a number", "export it again from its source")
        affine = scale @ np.diag([*spacing, 1.0])
    check_grid(path, affine, reading)
    return affine, (0, max(qform_code, 0))


def _qform(header: Nifti1Header, spacing: np.ndarray) -> np.ndarray | None:
    """Return the affine of method 2, or None where it is broken."""
    quaternion = np.array([header["quatern_b"], header["quatern_c"], header["quatern_d"]], dtype=np.float64)
    offset = np.array([header["qoffset_x"], header["qoffset_y"], header["qoffset_z"]], dtype=np.float64)
    squared = float(quaternion @ quaternion)
    if not (np.isfinite([quaternion, offset, spacing]).all() and spacing.min() > 0 and squared < 1 + 1e-6):
        return None
    a = max(0.0, 1 - squared) ** 0.5
    hand = -1 if float(header["pixdim"][0]) < 0 else 1  # 0 counts as 1
    affine = np.eye(4)
    affine[:3, :3] = nib.quaternions.quat2mat([a, *quaternion]) * (spacing * [1, 1, hand])
    affine[:3, 3] = offset
    return affine


def _agrees(path: Path, sform: np.ndarray, qform: np.ndarray, layout: Layout, reading: Reading) -> bool:
    """Say whether two forms that both count are one grid, and note or refuse it where not."""
    gap = apart(sform, qform, layout.shape)
    rounding = 0.05 + 1e-3 * max(layout.shape)  # a turn by half leaves a quaternion of float32 no more than 3e-4 rad
    if np.linalg.det(sform[:3, :3]) * np.linalg.det(qform[:3, :3]) < 0:
        reason, remedy = "its sform and qform disagree on left and right", "find out which is true and set both"
        reading.doubt(path, reason, remedy, "the sform is taken")
    elif gap > rounding:
        reading.note(f"its sform and qform lie up to {gap:.1f} voxels apart, the sform is taken")
    return gap <= rounding
