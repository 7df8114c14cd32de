"""Scans whose every voxel tells its own place: its value is a linear function of its RAS position in mm.

So one comparison checks voxels and affine together, and no other reader is needed.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    EnhancedPETImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    PositronEmissionTomographyImageStorage,
    generate_uid,
)

from medgen.scans import Scan

GRADIENT = np.array([1.0, 2.0, 4.0])  #: per mm to the right, to the front, to the top: no two axes can be swapped unseen
OFFSET = 100.0
RAS = np.diag([-1.0, -1.0, 1.0, 1.0])  #: from LPS (DICOM, ITK) to RAS (NIfTI, medgen), and back
SECRETS = ("Secretname", "Anna", "ID-4711", "19540321", "Hidden Hospital")
CLASSES = {"CT": CTImageStorage, "MR": MRImageStorage, "PT": PositronEmissionTomographyImageStorage}
ENHANCED = {"CT": EnhancedCTImageStorage, "MR": EnhancedMRImageStorage, "PT": EnhancedPETImageStorage}


def turned(x: float = 0, y: float = 0, z: float = 0) -> np.ndarray:
    """Return the rotation by `x`, then `y`, then `z` degrees about these axes."""
    rotation = np.eye(3)
    for axis, angle in enumerate(np.deg2rad([x, y, z])):
        one = np.eye(3)
        i, j = [k for k in range(3) if k != axis]
        one[i, i] = one[j, j] = np.cos(angle)
        one[i, j], one[j, i] = -np.sin(angle), np.sin(angle)
        rotation = one @ rotation
    return rotation


#: ImageOrientationPatient: the directions (LPS) along a row, then along a column.
ORIENTATIONS: dict[str, list[float]] = {
    "axial": [1, 0, 0, 0, 1, 0],
    "axial, feet first": [-1, 0, 0, 0, 1, 0],
    "sagittal": [0, 1, 0, 0, 0, -1],
    "coronal": [1, 0, 0, 0, 0, -1],
    "oblique": [*turned(x=20)[:, 0], *turned(x=20)[:, 1]],
    "double oblique": [*turned(25, -17, 40)[:, 0], *turned(25, -17, 40)[:, 1]],
}


def field(affine: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Return the values that a phantom on this grid holds."""
    indices = np.moveaxis(np.indices(shape), 0, -1)
    return (indices @ affine[:3, :3].T + affine[:3, 3]) @ GRADIENT + OFFSET


def assert_phantom(scan: Scan, affine: np.ndarray, shape: Sequence[int], tolerance: float = 0.02) -> None:
    """Check a scan's values at the places that its own affine gives, then the affine (to 0.001 mm) and the shape."""
    assert scan.image.dtype.is_floating_point and tuple(scan.image.shape) == (1, *shape)
    own = scan.image.affine.numpy()
    np.testing.assert_allclose(scan.image[0].numpy(), field(own, shape), atol=tolerance, rtol=1e-6)
    np.testing.assert_allclose(own, affine, atol=1e-3)


def dicom_affine(
    orientation: Sequence[float], pixel: Sequence[float], step: float, origin: Sequence[float]
) -> np.ndarray:
    """Return the RAS affine of (column, row, slice), slices rising along the normal."""
    x, y = np.array(orientation[:3]), np.array(orientation[3:])
    affine = np.eye(4)
    affine[:3, :3] = np.stack([x * pixel[1], y * pixel[0], np.cross(x, y) * step], axis=1)
    affine[:3, 3] = origin
    return RAS @ affine


def series(
    orientation: Sequence[float] = ORIENTATIONS["axial"],
    *,
    shape: tuple[int, int, int] = (4, 6, 5),
    pixel: tuple[float, float] = (2.0, 1.0),
    step: float = 3.0,
    origin: tuple[float, float, float] = (-12.0, 7.0, 10.0),
    modality: str = "CT",
    signed: bool = True,
    slope: Callable[[int], float] = lambda z: 0.05,
    intercept: Callable[[int], float] = lambda z: -200.0,
) -> list[Dataset]:
    """Return the slices of a phantom, rising along the normal, ready to be changed and saved.

    Args:
        shape: columns, rows, slices.
        pixel: PixelSpacing: mm between rows, mm between columns.
        slope, intercept: the rescale of slice z; no RescaleSlope is written where a slope is 0 (it then counts as 1).
    """
    affine = dicom_affine(orientation, pixel, step, origin)
    values = field(affine, shape)
    series_uid, study_uid, frame_uid = generate_uid(), generate_uid(), generate_uid()
    slices = []
    for z in range(shape[2]):
        ds = Dataset()
        ds.SOPClassUID, ds.SOPInstanceUID = CLASSES[modality], generate_uid()
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = study_uid, series_uid, frame_uid
        ds.PatientName, ds.PatientID, ds.PatientBirthDate = f"{SECRETS[0]}^{SECRETS[1]}", SECRETS[2], SECRETS[3]
        ds.InstitutionName = SECRETS[4]
        ds.Modality, ds.SeriesNumber, ds.InstanceNumber = modality, 3, z + 1
        ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        ds.ImageOrientationPatient = [f"{v:.9f}" for v in orientation]
        ds.ImagePositionPatient = [f"{v:.6f}" for v in (RAS @ affine @ [0, 0, z, 1])[:3]]
        ds.PixelSpacing = list(pixel)
        ds.Columns, ds.Rows = shape[:2]
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, int(signed)
        if slope(z):
            ds.RescaleSlope, ds.RescaleIntercept = slope(z), intercept(z)
        set_pixels(ds, (values[..., z].T - (intercept(z) if slope(z) else 0)) / (slope(z) or 1))
        slices.append(ds)
    return slices


def set_pixels(ds: Dataset, stored: np.ndarray) -> None:
    """Put (rows, columns) into PixelData, rounded; what does not fit the type is an error."""
    dtype = np.dtype(f"<{'i' if ds.PixelRepresentation else 'u'}{ds.BitsAllocated // 8}")
    stored = np.rint(stored)
    if stored.min() < np.iinfo(dtype).min or stored.max() > np.iinfo(dtype).max:
        raise ValueError(f"{stored.min():.0f} to {stored.max():.0f} do not fit {dtype}")
    ds.PixelData = stored.astype(dtype).tobytes()
    ds["PixelData"].VR = "OW"


def save_series(
    slices: Sequence[Dataset], folder: Path, syntax: str = ExplicitVRLittleEndian, names: Sequence[str] | None = None
) -> list[Path]:
    """Write slices as DICOM files, `z000.dcm` and so on, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    compressed = UID(syntax).is_compressed and syntax != DeflatedExplicitVRLittleEndian
    for z, ds in enumerate(slices):
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian if compressed else syntax
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        if compressed:
            ds.compress(syntax, generate_instance_uid=False)
        path = folder / (names[z] if names else f"z{z:03}.dcm")
        pydicom.dcmwrite(path, ds, enforce_file_format=True)
        paths.append(path)
    return paths


def nifti_affine(rotation: np.ndarray | None = None, flips: Sequence[int] = (1, 1, 1)) -> np.ndarray:
    """Return an affine with spacing 1, 2, 3 mm; whole numbers, and so whole values, unless turned."""
    affine = np.eye(4)
    affine[:3, :3] = (np.eye(3) if rotation is None else rotation) * (np.array([1, 2, 3]) * flips)
    affine[:3, 3] = [-3, 5, -7]
    return affine


#: The grids of the NIfTI, NRRD and MetaImage corpora.
PLAIN = nifti_affine()
OBLIQUE = nifti_affine(turned(25, -17, 40), flips=(1, -1, 1))
LOW = nifti_affine()
LOW[:3, 3] = -2, 1, -25  #: the phantom is 0 at its first voxel, and all of it fits a signed byte
FAR = nifti_affine()
FAR[0, 3] = 2**25  #: where float32 holds every fourth whole number


def nifti_image(
    affine: np.ndarray,
    shape: Sequence[int] = (4, 5, 6),
    dtype: Any = np.float32,
    kind: type[nib.Nifti1Image] = nib.Nifti1Image,
    sform: int = 1,
    qform: int = 1,
) -> nib.Nifti1Image:
    """Return a phantom with both geometries set, in mm, ready to be changed and saved; whole values for whole types."""
    image = kind(field(affine, shape).astype(dtype), affine, dtype=dtype)
    image.set_sform(affine, code=sform)
    image.set_qform(affine, code=qform)
    image.header.set_xyzt_units("mm")
    return image


def itk_image(affine: np.ndarray, shape: Sequence[int] = (4, 5, 6)) -> sitk.Image:
    """Return a phantom as a SimpleITK image (LPS)."""
    image = sitk.GetImageFromArray(field(affine, shape).astype(np.float32).transpose(2, 1, 0))
    lps = RAS @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    return image


def enhanced(slices: Sequence[Dataset], *, shared: bool = False, **per_frame: Callable[[int], dict[str, Any]]) -> Dataset:
    """Return single-frame slices as the frames of one Enhanced CT, MR or PET object, in the order given.

    Args:
        shared: what is the same in all frames goes into the shared functional groups, else all is told per frame.
        per_frame: further functional groups by name (without "Sequence"): what each holds for the k-th frame.
    """
    first = slices[0]
    ds = Dataset()
    of_frames = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope", "RescaleIntercept",
                 "PixelData", "SOPClassUID", "InstanceNumber")  # fmt: skip
    for element in first:
        if element.keyword not in of_frames:
            ds.add(element)
    ds.SOPClassUID = ENHANCED[first.Modality]
    ds.InstanceNumber, ds.NumberOfFrames = 1, len(slices)
    ds.PixelData = b"".join(one.PixelData for one in slices)
    ds["PixelData"].VR = "OW"
    ds.PerFrameFunctionalGroupsSequence = []
    common = Dataset()
    for k, one in enumerate(slices):
        item = Dataset()
        place = common if shared else item
        _group(item, "PlanePosition", ImagePositionPatient=one.ImagePositionPatient)
        _group(place, "PlaneOrientation", ImageOrientationPatient=one.ImageOrientationPatient)
        _group(place, "PixelMeasures", PixelSpacing=one.PixelSpacing)
        if "RescaleSlope" in one:
            kind = "HU" if one.Modality == "CT" else "US"
            values = {"RescaleSlope": one.RescaleSlope, "RescaleIntercept": one.RescaleIntercept, "RescaleType": kind}
            _group(place, "PixelValueTransformation", **values)
        for name, told in per_frame.items():
            _group(item, name, **told(k))
        ds.PerFrameFunctionalGroupsSequence.append(item)
    ds.SharedFunctionalGroupsSequence = [common]
    return ds


def _group(item: Dataset, name: str, **values: Any) -> None:
    inner = Dataset()
    for keyword, value in values.items():
        setattr(inner, keyword, value)
    setattr(item, f"{name}Sequence", [inner])


def added(slices: Sequence[Dataset], amount: float, **values: Any) -> list[Dataset]:
    """Return copies, as other instances, whose values are larger by `amount` (told in the stored numbers), with `values` set."""
    copies = copy.deepcopy(list(slices))
    for ds in copies:
        ds.SOPInstanceUID = generate_uid()
        stored = np.frombuffer(ds.PixelData, f"<{'i' if ds.PixelRepresentation else 'u'}2").reshape(ds.Rows, ds.Columns)
        set_pixels(ds, stored + amount / float(ds.get("RescaleSlope", 1)))
        for keyword, value in values.items():
            setattr(ds, keyword, value)
    return copies
