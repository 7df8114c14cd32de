"""A derived DICOM series that a PACS accepts: on the source's own grid, in its study, marked for what it is."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

from medgen import __version__
from medgen.scans.dicom_carried import carried
from medgen.scans.dicom_derived import MR_TYPES, SMOOTHING, Code, Maker, describe, identity, uid
from medgen.scans.dicom_parsing import silent
from medgen.scans.dicom_values import as_ds, value
from medgen.scans.scan import Scan, ScanError
from medgen.scans.whole import whole_folder

STORAGE = {"CT": CTImageStorage, "MR": MRImageStorage}
OTHERS = ("PT", "NM", "US", "CR", "DX", "XA", "RF", "MG", "OT", "SC", "SEG", "RTDOSE", "XC", "OCT", "OPT", "IVUS")
RESCALE_TYPES = ("HU", "OD", "MGML", "Z_EFF", "ED", "EDW", "HU_MOD", "PCT")
MOST = 4e18  #: of values: wider windows overflow the 64-bit integers of some readers (dciodvfy), larger steps float32
LEAST = 1e-30  #: of steps: smaller ones vanish in single precision, in which readers rescale
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
#: How radiology looks at a volume, by the axis that its slices run along: axis codes of columns, rows and slices.
PLANES = {"S": "LPS", "I": "LPS", "A": "LIP", "P": "LIP", "L": "PIR", "R": "PIR"}


def write_dicom(
    folder: Path, array: np.ndarray, like: Scan, *, description: str, maker: Maker, derivation: Code = SMOOTHING,
    synthetic: bool = False, modality: str = "", now: datetime | None = None,
) -> None:  # fmt: skip
    """Write `array` (X, Y, Z), in the units of `like`, as a series of CT or MR images, whole or not at all.

    A scan that was read from DICOM stays in its study, patient and frame of reference, and each image names the one that
    it was made from; a scan without headers (NIfTI, NRRD) gets a nameless patient, and slices turned as radiology looks
    at them. A slice that was missing is marked as synthetic, and names no image. The 16 bits hold the source's own rescale where the values fit, else the smallest step that spans them: a
    value comes back within half a step.

    Args:
        folder: is made, or replaced where it holds nothing but such a series.
        description: what was done, in ASCII; the series description ends with RESEARCH USE ONLY.
        derivation: a code of PS3.16 CID 7203.
        synthetic: marks Synthetic Data (0008,001C), and leaves out the source's acquisition.
        modality: "CT" or "MR"; by default that of `like`.

    Raises `ScanError` for another modality, a 4D scan, another shape, NaN, infinite or extreme values, or a folder that
    cannot be written to.
    """
    modality = modality or like.modality
    if modality not in STORAGE:
        known = modality if modality in OTHERS else "unknown"  # a header can hold any word here
        raise ScanError(folder, f"its modality is {known}, not CT or MR", "write NIfTI instead")
    if len(like.image) != 1:
        raise ScanError(folder, f"holds {len(like.image)} volumes, and a DICOM series one", "write its volumes one by one")
    if tuple(array.shape) != tuple(like.image.shape[1:]):
        raise ScanError(folder, f"its shape {array.shape} is not the input's {tuple(like.image.shape[1:])}", "this is a bug")
    if not np.isfinite(array).all():
        raise ScanError(folder, "would hold NaN or infinite values", "check the input for extreme values")
    if np.abs(array).max() > MOST:
        raise ScanError(folder, f"would hold values beyond {MOST:g}", "check the input for extreme values")
    now = now or datetime.now()
    affine = LPS @ like.image.affine.numpy().astype(float)
    if not like.slices:
        array, affine = _as_seen(array, affine)
    slope, intercept, dtype = _rescale(array, like, modality)
    low, high = (float(np.percentile(array[::2, ::2, ::2], q)) for q in (1, 99))
    series_uid, frame_uid = generate_uid(prefix=None), uid(like.sha256, "frame")
    one_to_one = len(like.slices) == array.shape[2]
    with whole_folder(folder) as temporary, silent():
        for z in range(array.shape[2]):
            source = like.slices[z if one_to_one else z * len(like.slices) // array.shape[2]] if like.slices else None
            acquired = not synthetic and modality == like.modality
            ds = identity(like) if source is None else carried(source, acquired)
            ds.SOPClassUID, ds.SOPInstanceUID, ds.SeriesInstanceUID = STORAGE[modality], generate_uid(prefix=None), series_uid
            ds.Modality, ds.InstanceNumber = modality, z + 1
            ds.SeriesNumber = 1000 + int(value(source, "SeriesNumber") or 0) % 10**6
            ds.FrameOfReferenceUID = ds.get("FrameOfReferenceUID") or frame_uid
            ds.StudyInstanceUID = ds.get("StudyInstanceUID") or uid(like.sha256, "study")
            sources = [] if source is None else [source] if one_to_one else list(like.slices)
            describe(ds, sources, source, description=description, maker=maker, derivation=derivation,
                     synthetic=synthetic, now=now)  # fmt: skip
            if one_to_one and z in like.missing:
                ds.SyntheticData = "YES"
                ds.DerivationDescription = f"No image of this slice was acquired: it is a guess. {ds.DerivationDescription}"[:1024]
            _add_modality(ds, source, modality)
            _add_place(ds, source if one_to_one else None, affine, z, array.shape)
            _add_window(ds, source if modality == like.modality else None, low, high)
            if modality == "CT" or (slope, intercept) != (1, 0):
                ds.RescaleSlope, ds.RescaleIntercept = as_ds(slope), as_ds(intercept)
                ds.RescaleType = _rescale_type(like, modality, synthetic)
            stored = np.rint((array[..., z].T.astype(np.float64) - intercept) / slope)
            _add_pixels(ds, np.clip(stored, np.iinfo(dtype).min, np.iinfo(dtype).max).astype(dtype))
            save(ds, temporary / f"{z + 1:04}.dcm", folder)


def save(ds: Dataset, path: Path, named: Path) -> None:
    """Write one object as a DICOM file, explicit VR little endian; an error tells of `named`. Raises `OSError` too."""
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.ImplementationVersionName = f"MEDGEN_{__version__}"[:16]
    try:
        pydicom.dcmwrite(path, ds, enforce_file_format=True)
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001  a value that its VR does not allow raises many types
        raise ScanError(named, f"its headers cannot be written ({type(error).__name__})", "write NIfTI instead") from None


def _as_seen(array: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn and flip a volume so that its slices lie as radiology looks at them; affines in LPS."""
    ras = LPS @ affine
    wanted = nib.orientations.axcodes2ornt(PLANES[nib.aff2axcodes(ras)[2]])
    turn = nib.orientations.ornt_transform(nib.io_orientation(ras), wanted)
    turned = nib.orientations.apply_orientation(array, turn)
    return turned, LPS @ ras @ nib.orientations.inv_ornt_aff(turn, array.shape)


def _rescale(array: np.ndarray, like: Scan, modality: str) -> tuple[float, float, np.dtype]:
    """Return slope, intercept and the 16-bit type that hold all values (PS3.3 C.11.1)."""
    low, high = float(array.min()), float(array.max())
    rescales = {(float(s.get("RescaleSlope") or 1), float(s.get("RescaleIntercept") or 0)) for s in like.slices}
    slope, intercept = rescales.pop() if len(rescales) == 1 and modality == like.modality else (1.0, 0.0)
    if np.dtype(like.dtype).kind in "iu" or slope != 1:
        for start in (intercept, float(np.floor(low))):
            bottom, top = (int(np.rint((value - start) / slope)) for value in sorted((low, high), reverse=slope < 0))
            for dtype in (np.dtype("<u2"), np.dtype("<i2")):
                if np.iinfo(dtype).min <= bottom and top <= np.iinfo(dtype).max:
                    return slope, start, dtype
    intercept = float(as_ds(low))
    slope = float(as_ds(max((high - low) / 65535 * (1 + 1e-8), LEAST))) if high > low else 1.0
    return slope, intercept, np.dtype("<u2")


def _rescale_type(like: Scan, modality: str, synthetic: bool) -> str:
    """Return the Rescale Type (PS3.3 C.11.1.1.2): the scan's own units, HU of a CT that was synthesised, or unspecified."""
    if modality == "CT" and synthetic and like.modality != "CT":
        return "HU"
    return like.units if like.units in RESCALE_TYPES else "US"


def _add_modality(ds: Dataset, source: Dataset | None, modality: str) -> None:
    """Add ImageType, and what the CT and MR Image modules (PS3.3 C.8.2.1, C.8.3.1) ask for and the source lacks."""
    third = "".join((value(source, "ImageType") or [])[2:3])
    ds.ImageType = ["DERIVED", "SECONDARY", "AXIAL" if modality == "CT" else third if third in MR_TYPES else "OTHER"]
    required: dict[str, object] = {"KVP": None}
    if modality == "MR":
        required = {"ScanningSequence": "RM", "SequenceVariant": "NONE", "ScanOptions": None, "MRAcquisitionType": None,
                    "RepetitionTime": None, "EchoTime": None, "EchoTrainLength": None}  # fmt: skip
        if "IR" in (ds.get("ScanningSequence") or []):
            required["InversionTime"] = None
        else:
            ds.pop("InversionTime", None)  # Type 2C
    for keyword, default in required.items():
        if keyword not in ds:
            setattr(ds, keyword, default)
    ds.AcquisitionNumber = None


def _add_place(ds: Dataset, source: Dataset | None, affine: np.ndarray, z: int, shape: tuple[int, ...]) -> None:
    """Add the image plane (PS3.3 C.7.6.2): in the source's own digits where it lies there, else from the affine (LPS)."""
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    x = affine[:3, 0] / spacing[0]
    y = affine[:3, 1] - (affine[:3, 1] @ x) * x
    values = {
        "ImagePositionPatient": affine[:3, 3] + z * affine[:3, 2],
        "ImageOrientationPatient": np.concatenate([x, y / np.linalg.norm(y)]),
        "PixelSpacing": spacing[[1, 0]],
    }
    for keyword, numbers in values.items():
        tolerance = max(0.05, 0.01 * spacing[2]) if keyword == "ImagePositionPatient" else 2e-3
        own = value(source, keyword)
        near = own is not None and np.abs(np.array(own, dtype=float) - numbers).max() <= tolerance
        setattr(ds, keyword, list(own) if near else [as_ds(float(number)) for number in numbers])
    if source is None or not ds.get("SliceThickness"):  # of other slices than the source's, their spacing
        ds.SliceThickness = as_ds(float(spacing[2]))
    if ds.Modality == "MR":
        ds.SpacingBetweenSlices = as_ds(float(spacing[2]))


def _add_window(ds: Dataset, source: Dataset | None, low: float, high: float) -> None:
    """Add the source's window (PS3.3 C.11.2.1.2), or one from the 1st to the 99th percentile."""
    centres, widths = (np.atleast_1d(np.array(value(source, f"Window{which}"), float)) for which in ("Center", "Width"))
    usable = widths.shape == centres.shape and bool((widths >= 1).all())  # of nothing, numpy makes NaN
    if usable and value(source, "VOILUTFunction") in ("LINEAR", "LINEAR_EXACT", None):
        ds.WindowCenter, ds.WindowWidth = ([as_ds(float(number)) for number in numbers] for numbers in (centres, widths))
        return
    span = high - low if high > low else 1.0
    ds.WindowCenter, ds.WindowWidth = as_ds((low + high) / 2), as_ds(max(span, 1e-6))
    if span < 1:
        ds.VOILUTFunction = "LINEAR_EXACT"  # LINEAR cannot be narrower than 1


def _add_pixels(ds: Dataset, stored: np.ndarray) -> None:
    """Add the pixels (rows, columns), 16 bits (PS3.3 C.7.6.3)."""
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = stored.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 16, 15
    ds.PixelRepresentation = int(stored.dtype.kind == "i")
    ds.PixelData = stored.tobytes()
    ds["PixelData"].VR = "OW"
