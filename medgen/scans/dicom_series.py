"""Strict assembly of one DICOM series of single-frame images into one volume."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import torch
from monai.data import MetaTensor
from pydicom.dataset import Dataset

from medgen.scans.scan import Reading, Scan, ScanError

CODECS = "pip install medgen[codecs] (pylibjpeg, pylibjpeg-libjpeg, pylibjpeg-openjpeg)"


def read_series(files: Sequence[Path], reading: Reading | None = None) -> Scan:
    """Read the slices of one series into a volume, sorted along their normal by ImagePositionPatient alone.

    CT comes in HU (RescaleSlope and RescaleIntercept of each slice, PS3.3 C.11.1), other modalities after rescale where
    there is one. Raises `ScanError` wherever the volume would be a guess: a slice missing or twice, uneven spacing, tilt,
    geometry missing, unequal or no number, several frames in a file, colours, inverted grey, or a CT without rescale.
    """
    reading = reading or Reading()
    digest = hashlib.sha256()
    slices: list[Dataset] = []
    for path in files:
        try:
            stored = path.read_bytes()
            slices.append(pydicom.dcmread(BytesIO(stored)))
            _check_kind(path, slices[-1])
            _check_numbers(path, slices[-1])
        except ScanError:
            raise
        except OSError as error:
            raise ScanError(path, f"cannot be read ({error.strerror})", "check its permissions") from None
        except Exception:  # noqa: BLE001  pydicom raises many types for a broken file
            raise ScanError(path, "is not a readable DICOM file", "copy or export it again") from None
        digest.update(stored)
    folder = files[0].parent
    if len(files) < 2:
        raise ScanError(files[0], "is the only slice of its series", "give the folder with all slices")
    order, affine = _geometry(folder, files, slices)
    modality = str(slices[0].get("Modality", ""))
    volume = np.empty((int(slices[0].Columns), int(slices[0].Rows), len(files)), dtype=np.float32)
    for z, index in enumerate(order):
        volume[..., z] = _values(files[index], slices[index]).T
        for keyword in ("PixelData", "FloatPixelData", "DoubleFloatPixelData"):
            slices[index].pop(keyword, None)
        slices[index]._pixel_array = None  # pydicom keeps the decoded pixels
    low, high = float(volume.min()), float(volume.max())
    if not np.isfinite([low, high]).all():
        raise ScanError(folder, "holds NaN or infinite values", "replace them by numbers first")
    whole = -32768 <= low and high <= 32767 and np.array_equal(volume, np.rint(volume))
    return Scan(
        image=MetaTensor(torch.from_numpy(volume)[None], affine=torch.from_numpy(affine)),
        units="HU" if modality == "CT" else str(slices[0].get("Units", "") or "arbitrary"),
        modality=modality,
        dtype=np.dtype(np.int16 if whole else np.float32),
        source=folder,
        sha256=digest.hexdigest(),
        slices=tuple(slices[index] for index in order),
        warnings=tuple(reading.warnings),
    )


def _check_kind(path: Path, ds: Dataset) -> None:
    if "PixelData" not in ds and "FloatPixelData" not in ds:
        raise ScanError(path, "has no pixels", "leave it out")
    if int(ds.get("NumberOfFrames", 1) or 1) > 1 or "PerFrameFunctionalGroupsSequence" in ds:
        raise ScanError(path, "is a multi-frame (enhanced) object", "convert it to single-frame DICOM or NIfTI")
    if "MOSAIC" in ds.get("ImageType", []):
        raise ScanError(path, "is a Siemens mosaic", "convert it with dcm2niix")
    photometric = str(ds.get("PhotometricInterpretation", ""))
    if int(ds.get("SamplesPerPixel", 1)) != 1 or photometric != "MONOCHROME2":
        raise ScanError(path, f"its pixels are {photometric or 'of unknown kind'}, not MONOCHROME2", "export it as plain grey")
    if "ModalityLUTSequence" in ds:
        raise ScanError(path, "has a modality lookup table", "export it with rescale slope and intercept")


def _check_numbers(path: Path, ds: Dataset) -> None:
    """Raise `ScanError` for a number that a volume needs and that is absent, not finite, or zero where it cannot be."""
    if not ds.get("Rows") or not ds.get("Columns"):
        raise ScanError(path, "has no Rows or Columns", "copy or export it again")
    for name, length in (("ImagePositionPatient", 3), ("ImageOrientationPatient", 6), ("PixelSpacing", 2)):
        value = np.atleast_1d(np.array([] if ds.get(name) is None else ds.get(name), dtype=float))
        if value.size != length:
            raise ScanError(path, f"has no {name}", "export the series again with its geometry")
        if not np.isfinite(value).all():
            raise ScanError(path, f"its {name} is not a number", "export the series again with its geometry")
    slope, intercept = ds.get("RescaleSlope"), ds.get("RescaleIntercept")
    if (slope is None) != (intercept is None) or (ds.get("Modality") == "CT" and slope is None):
        raise ScanError(path, "has no complete rescale (slope and intercept)", "export the series again")
    if slope is not None and (not np.isfinite([float(slope), float(intercept)]).all() or float(slope) == 0):
        raise ScanError(path, "its rescale is zero or not a number", "export the series again")


def _geometry(folder: Path, files: Sequence[Path], slices: Sequence[Dataset]) -> tuple[np.ndarray, np.ndarray]:
    """Return the order of the slices and the RAS affine of (column, row, slice) indices."""
    first = slices[0]
    orientation = np.array(first.ImageOrientationPatient, dtype=float)
    pixel = np.array(first.PixelSpacing, dtype=float)
    for path, ds in zip(files, slices):
        if (ds.Rows, ds.Columns) != (first.Rows, first.Columns):
            raise ScanError(path, "its slices differ in size", "give one volume a folder")
        if np.abs(np.array(ds.ImageOrientationPatient, dtype=float) - orientation).max() > 1e-3:
            raise ScanError(path, "its slices differ in orientation", "give one volume a folder")
        if np.abs(np.array(ds.PixelSpacing, dtype=float) - pixel).max() > 1e-3:
            raise ScanError(path, "its slices differ in PixelSpacing", "give one volume a folder")
        if ds.get("FrameOfReferenceUID") != first.get("FrameOfReferenceUID"):
            raise ScanError(path, "its slices differ in their frame of reference", "give one volume a folder")
    x, y = orientation[:3], orientation[3:]
    if pixel.min() <= 0:
        raise ScanError(folder, "its PixelSpacing is not above zero", "export the series again")
    if max(abs(x @ x - 1), abs(y @ y - 1), abs(x @ y)) > 2e-3:
        raise ScanError(folder, "its orientation vectors are not orthonormal", "export the series again")
    x = x / np.linalg.norm(x)
    y = y - (y @ x) * x
    y = y / np.linalg.norm(y)
    normal = np.cross(x, y)
    positions = np.array([ds.ImagePositionPatient for ds in slices], dtype=float)
    along = positions @ normal
    order = np.argsort(along, kind="stable")
    steps = np.diff(along[order])
    step = float(np.median(steps))
    tolerance = max(0.02, 0.01 * step)
    if steps.min() < 1e-3:
        raise ScanError(folder, "holds two slices at one position", "give one volume a folder (echoes, phases, time points)")
    if np.abs(steps - step).max() > tolerance:
        gaps = int(np.rint(steps / step - 1).clip(0).sum())
        reason = f"{gaps} slice(s) missing" if gaps else "its slices are unevenly spaced"
        raise ScanError(folder, reason, "complete the series, or resample it to even spacing")
    span = positions[order[-1]] - positions[order[0]]
    drift = positions[order] - positions[order[0]] - np.outer(along[order] - along[order[0]], normal)
    if np.abs(drift).max() > max(0.05, 2e-3 * abs(float(span @ normal))):
        raise ScanError(folder, "its slices are sheared (gantry tilt)", "resample it to a right-angled grid first")
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = x * pixel[1], y * pixel[0]
    affine[:3, 2] = normal * (float(span @ normal) / (len(slices) - 1))
    affine[:3, 3] = positions[order[0]]
    return order, np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine


def _values(path: Path, ds: Dataset) -> np.ndarray:
    """Return the pixels (rows, columns) of one slice in physical units."""
    try:
        pixels = ds.pixel_array
    except (NotImplementedError, RuntimeError) as error:
        syntax = getattr(ds.file_meta, "TransferSyntaxUID", None)
        if syntax is not None and syntax.is_compressed:
            raise ScanError(path, f"is compressed as {syntax.name} and no decoder is installed", CODECS) from None
        raise ScanError(path, f"its pixels cannot be decoded ({type(error).__name__})", "export it again") from None
    except Exception as error:  # noqa: BLE001  decoders raise many types for broken pixels
        raise ScanError(path, f"its pixels cannot be decoded ({type(error).__name__})", "export it again") from None
    slope, intercept = ds.get("RescaleSlope"), ds.get("RescaleIntercept")
    return pixels.astype(np.float32) * float(1 if slope is None else slope) + float(0 if intercept is None else intercept)
