"""What a derived DICOM object says of itself: what it was made from, by what and how, and whether it is synthetic."""

from __future__ import annotations

import hashlib
import textwrap
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pydicom.dataset import Dataset

from medgen import __version__
from medgen.scans.dicom_carried import EQUIPMENT, TYPE_2
from medgen.scans.dicom_values import plain, sound, value
from medgen.scans.scan import Scan

Code = tuple[str, str, str]  #: value, scheme, meaning (PS3.3 section 8.8)

#: Image Derivation, PS3.16 CID 7203 (extensible; it has no word for denoising, of which smoothing is the nearest).
SMOOTHING: Code = ("113087", "DCM", "Smoothing")
EDGE_ENHANCEMENT: Code = ("113086", "DCM", "Edge enhancement")
RESAMPLING: Code = ("113085", "DCM", "Spatial resampling")
#: Contributing Equipment Purpose of Reference, CID 7005.
SYNTHESIZING: Code = ("109100", "DCM", "Synthesizing Equipment")
ACQUISITION: Code = ("109101", "DCM", "Acquisition Equipment")
PROCESSING: Code = ("109102", "DCM", "Processing Equipment")
#: Source Image Purpose of Reference, CID 7202.
SOURCE_IMAGE: Code = ("121322", "DCM", "Source image for image processing operation")

RESEARCH = "RESEARCH USE ONLY"
#: Image Type value 3 of MR (PS3.3 C.8.3.1.1.1) that a restored image keeps; others become OTHER.
MR_TYPES = ("DENSITY MAP", "DIFFUSION MAP", "IMAGE ADDITION", "MODULUS SUBTRACT", "MPR", "OTHER", "PHASE MAP",
            "PHASE SUBTRACT", "PROJECTION IMAGE", "T1 MAP", "T2 MAP", "VELOCITY MAP")  # fmt: skip
#: What it takes to refer to an image.
REFERENCE = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID")


@dataclass(frozen=True)
class Maker:
    """What made a derived object: a bundle, its version, and the SHA-256 of its weights."""

    bundle: str
    version: str = ""
    weights_sha256: str = ""


def identity(like: Scan) -> Dataset:
    """Return the header of a scan that has none: a nameless patient, the same for the same input."""
    ds = Dataset()
    for keyword in TYPE_2:
        setattr(ds, keyword, None)
    ds.PatientName, ds.PatientID = "Anonymous^Medgen", f"MEDGEN-{like.sha256[:16].upper()}"
    ds.PatientIdentityRemoved = "YES"
    ds.DeidentificationMethod = "Headers made by medgen for an image without any"
    ds.StudyInstanceUID, ds.FrameOfReferenceUID = uid(like.sha256, "study"), uid(like.sha256, "frame")
    ds.StudyID, ds.LossyImageCompression, ds.Laterality = "1", "00", None
    return ds


def uid(*words: str) -> str:
    """Return a 2.25 UID (PS3.5 B.2) that is the same for the same words."""
    digest = hashlib.sha256("\n".join(words).encode()).digest()
    return f"2.25.{uuid.UUID(bytes=digest[:16], version=5).int}"


def describe(
    ds: Dataset, sources: Sequence[Dataset], series: Dataset | None, *,
    description: str, maker: Maker, derivation: Code | None, synthetic: bool, now: datetime,
) -> None:  # fmt: skip
    """Say in `ds` what it was made from, by what and how (PS3.3 C.7.6.1.1.3, C.12.1.1.5, C.12.2).

    Args:
        sources: the source instances of `ds`; empty where they were not DICOM.
        series: any instance of the source series, for its equipment.
        now: told as the time of creation, unless the patient's identity was removed: then no time is told.
    """
    synthetic = synthetic or any(value(source, "SyntheticData") == "YES" for source in sources)
    what = plain(("SYNTHETIC " if synthetic else "") + description)
    ds.SeriesDescription = f"{textwrap.shorten(what, 64 - len(RESEARCH) - 3, placeholder='...')} - {RESEARCH}"
    ds.DerivationDescription = (
        f"{what} by {maker.bundle} {maker.version} (weights SHA-256 {maker.weights_sha256 or 'unknown'}), "
        f"medgen {__version__}. {'Synthetic: made by a model, not acquired. ' if synthetic else ''}Research use only."
    )[:1024]
    if derivation is not None:
        ds.DerivationCodeSequence = [coded(derivation)]
    if synthetic:
        ds.SyntheticData = "YES"
    sources = [source for source in sources if all(value(source, keyword) for keyword in REFERENCE)]
    if sources:
        ds.SourceImageSequence = [_source_image(frames) for frames in _by_instance(sources)]
        same = Dataset()
        same.SeriesInstanceUID = sources[0].SeriesInstanceUID
        same.ReferencedInstanceSequence = [_reference(frames[0]) for frames in _by_instance(sources)]
        ds.ReferencedSeriesSequence = [same]
    own = Dataset()
    own.PurposeOfReferenceCodeSequence = [coded(SYNTHESIZING if synthetic else PROCESSING)]
    own.Manufacturer, own.ManufacturerModelName = "medgen", plain(maker.bundle)[:64]
    own.SoftwareVersions = [f"medgen {__version__}", plain(f"{maker.bundle} {maker.version}")[:64]]
    own.ContributionDescription = plain(f"{what}; weights SHA-256 {maker.weights_sha256 or 'unknown'}")[:1024]
    for keyword in ("Manufacturer", "ManufacturerModelName", "SoftwareVersions"):
        setattr(ds, keyword, own.get(keyword))
    if ds.get("PatientIdentityRemoved") != "YES":
        ds.InstanceCreationDate = ds.SeriesDate = ds.ContentDate = now.strftime("%Y%m%d")
        ds.InstanceCreationTime = ds.SeriesTime = ds.ContentTime = now.strftime("%H%M%S")
        own.ContributionDateTime = now.strftime("%Y%m%d%H%M%S")
    ds.ContributingEquipmentSequence = [*_equipment(series), own]


def coded(code: Code) -> Dataset:
    """Return a code sequence's item."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code
    return item


def _equipment(series: Dataset | None) -> list[Dataset]:
    """Return the equipment that the source names: what contributed to it, then what made it."""
    if series is None:
        return []
    items = [item for item in value(series, "ContributingEquipmentSequence") or [] if item.get("Manufacturer")]
    maker = Dataset()
    for keyword in EQUIPMENT:
        element = sound(series, keyword)
        if element is not None:
            maker.add(element)
    original = "DERIVED" not in (value(series, "ImageType") or [])
    maker.PurposeOfReferenceCodeSequence = [coded(ACQUISITION if original else PROCESSING)]
    already = any(item.get("Manufacturer") == maker.get("Manufacturer") == "medgen" for item in items)  # its own last item
    return items + ([maker] if maker.get("Manufacturer") and not already else [])


def _by_instance(sources: Sequence[Dataset]) -> list[list[Dataset]]:
    """Return the headers of each SOP instance: one, or those of its frames."""
    instances: dict[str, list[Dataset]] = {}
    for source in sources:
        instances.setdefault(str(source.SOPInstanceUID), []).append(source)
    return list(instances.values())


def _reference(source: Dataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = source.SOPClassUID, source.SOPInstanceUID
    return item


def _source_image(frames: Sequence[Dataset]) -> Dataset:
    """Return the item of one source instance; it names its frames where these are not all (PS3.3 table 10-3)."""
    item = _reference(frames[0])
    numbers = [number for frame in frames if (number := value(frame, "ReferencedFrameNumber"))]
    if numbers and len(numbers) != value(frames[0], "NumberOfFrames"):
        item.ReferencedFrameNumber = numbers
    item.PurposeOfReferenceCodeSequence = [coded(SOURCE_IMAGE)]
    item.SpatialLocationsPreserved = value(frames[0], "SpatialLocationsPreserved") or "YES"
    return item
