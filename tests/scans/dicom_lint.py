"""What dciodvfy does not enforce of a derived series: provenance, flags, and that it lies where its source does."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from medgen.scans import Scan

#: Younger than the dciodvfy of Debian 12 (2022), which calls it an error: PS3.3 C.12.1, Synthetic Data.
TOO_NEW = "Error - </(0008,001c)> - Attribute with an even group number is not a recognized standard attribute"
IMAGE_DERIVATION = {"113085", "113086", "113087"}  #: those of CID 7203 that medgen uses


def need(program: str, package: str) -> str:
    """Return the path of a program of a Debian package; skip the test where it is missing, or fail it in CI."""
    found = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin")
    if not found:
        message = f"{program} is missing: apt-get install -y --no-install-recommends {package}"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    return str(found)


def dciodvfy(*paths: Path) -> list[str]:
    """Return the errors that `dciodvfy -new` (David Clunie's dicom3tools) finds in files, the name of each file first."""
    program = need("dciodvfy", "dicom3tools")
    errors = []
    for path in paths:
        result = subprocess.run([program, "-new", str(path)], capture_output=True, text=True, errors="replace", timeout=60, check=False)
        lines = (result.stdout + result.stderr).splitlines()
        synthetic = pydicom.dcmread(path, specific_tags=["SyntheticData"]).get("SyntheticData") == "YES"
        errors += [f"{path.name}: {line}" for line in lines
                   if line.startswith(("Error", "Fatal", "Abort")) and not (synthetic and line == TOO_NEW)]  # fmt: skip
        if not lines:
            errors.append(f"{path.name}: dciodvfy said nothing")
    return errors


def lint(folder: Path, source: Scan, *, synthetic: bool = False) -> list[str]:
    """Return what is wrong with a derived series, one line each."""
    slices = [pydicom.dcmread(path) for path in sorted(folder.iterdir())]
    problems = []

    def check(good: bool, what: str) -> None:
        if not good:
            problems.append(what)

    check(len(slices) == source.image.shape[3], f"{len(slices)} images of {source.image.shape[3]} slices")
    check(len({ds.SOPInstanceUID for ds in slices}) == len(slices), "SOP instance UIDs are not unique")
    for keyword in ("SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "Modality", "Rows"):
        check(len({str(ds.get(keyword)) for ds in slices}) == 1, f"{keyword} is not one")
    check([int(ds.InstanceNumber) for ds in slices] == list(range(1, len(slices) + 1)), "InstanceNumber is not 1, 2, 3 ...")
    for z, ds in enumerate(slices):
        problems += [f"{z}: {line}" for line in _provenance(ds, synthetic)]
        if source.slices:
            problems += [f"{z}: {line}" for line in _kinship(ds, source.slices[z], source.slices)]
    return problems


def _provenance(ds: Dataset, synthetic: bool) -> list[str]:
    """Check derivation, equipment and flags of one image."""
    equipment = ds.get("ContributingEquipmentSequence", [Dataset()])[-1]
    purposes = equipment.get("PurposeOfReferenceCodeSequence", [Dataset()])
    derivations = ds.get("DerivationCodeSequence", [Dataset()])
    stale = ("SmallestImagePixelValue", "LargestImagePixelValue", "PixelPaddingValue", "PixelPaddingRangeLimit",
             "ModalityLUTSequence", "VOILUTSequence", "IconImageSequence", "RequestAttributesSequence",
             "DigitalSignaturesSequence", "OriginalAttributesSequence")  # fmt: skip
    text = " ".join(str(ds.get(keyword, "")) for keyword in ("SeriesDescription", "DerivationDescription"))
    checks = {
        "ImageType is not DERIVED, SECONDARY": list(ds.ImageType[:2]) == ["DERIVED", "SECONDARY"],
        "SeriesDescription lacks RESEARCH USE ONLY": str(ds.SeriesDescription).endswith("RESEARCH USE ONLY"),
        "SeriesDescription is too long": len(ds.SeriesDescription) <= 64,
        "DerivationDescription says nothing": len(ds.get("DerivationDescription", "")) > 20,
        "DerivationCodeSequence is not of CID 7203": derivations[0].get("CodeValue") in IMAGE_DERIVATION,
        "medgen is not the last contributing equipment": equipment.get("Manufacturer") == "medgen",
        "its purpose is wrong": purposes[0].get("CodeValue") == ("109100" if synthetic else "109102"),
        "the weights are not named": "SHA-256 " in equipment.get("ContributionDescription", ""),
        "Manufacturer is not medgen": ds.get("Manufacturer") == "medgen",
        "SyntheticData is wrong": ds.get("SyntheticData", "NO") == ("YES" if synthetic else "NO"),
        "the text does not say SYNTHETIC": ("SYNTHETIC" in text) == synthetic,
        "LossyImageCompression is missing": ds.get("LossyImageCompression") in ("00", "01"),
        "there is no window": bool(ds.get("WindowWidth")) and ds.get("WindowCenter") is not None,
        "a private tag is left": not any(element.tag.is_private for element in ds.iterall()),
        "pixels are not 16 bits": (ds.BitsAllocated, ds.BitsStored, ds.HighBit) == (16, 16, 15),
        "a stale attribute is left": not any(keyword in ds for keyword in stale),
        "an overlay is left": not any(0x5000 <= tag.group < 0x7000 for tag in list(ds.keys())),
    }
    return [what for what, good in checks.items() if not good]


def _kinship(ds: Dataset, source: Dataset, series: Sequence[Dataset]) -> list[str]:
    """Check one image against its source: same patient, study and place; named as its source."""
    one = ds.get("SourceImageSequence", [Dataset()])[0]
    other = ds.get("ReferencedSeriesSequence", [Dataset()])[0]
    same = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate", "AccessionNumber")
    told = {keyword: str(source.get(keyword) or "") for keyword in same}
    told |= {keyword: "" for keyword in same if keyword.endswith("Date") and not re.fullmatch(r"\d{8}", told[keyword])}  # broken
    checks = {f"{keyword} differs": str(ds.get(keyword) or "") == told[keyword] for keyword in same}
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        checks[f"{keyword} differs"] = np.allclose(np.array(ds[keyword].value, float), np.array(source[keyword].value, float))
    checks |= {
        "the frame of reference differs": ds.FrameOfReferenceUID == source.get("FrameOfReferenceUID", ds.FrameOfReferenceUID),
        "Rows or Columns differ": (ds.Rows, ds.Columns) == (source.Rows, source.Columns),
        "the series UID is the source's": ds.SeriesInstanceUID != source.SeriesInstanceUID,
        "the SOP instance UID is the source's": ds.SOPInstanceUID not in [s.SOPInstanceUID for s in series],
        "it names another source image": one.get("ReferencedSOPInstanceUID") == source.SOPInstanceUID,
        "it names another frame": one.get("ReferencedFrameNumber") == source.get("ReferencedFrameNumber"),
        "it names another source series": other.get("SeriesInstanceUID") == source.SeriesInstanceUID,
        "BurnedInAnnotation differs": ds.get("BurnedInAnnotation") == source.get("BurnedInAnnotation"),
        "loss of compression is forgotten": source.get("LossyImageCompression", "00") == ds.LossyImageCompression,
    }
    return [what for what, good in checks.items() if not good]
