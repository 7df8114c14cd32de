"""Headers of derived DICOM objects: what is carried over from the source, what is said anew, what is left behind."""

from __future__ import annotations

import copy
import hashlib
import re
import textwrap
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import pydicom
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.valuerep import format_number_as_ds, validate_value

from medgen import __version__
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
#: Carried over whole: patient (0010), trial (0012), acquisition (0018). Of the other groups only what is listed: all
#: that describes the source's pixels (0028, overlays, lookup tables), its series and its instance no longer holds.
GROUPS = (0x0010, 0x0012, 0x0018)
KEYWORDS = (
    "AccessionNumber", "IssuerOfAccessionNumberSequence", "ReferringPhysicianName", "StudyDescription", "StudyDate",
    "StudyTime", "StudyID", "StudyInstanceUID", "ProcedureCodeSequence", "PhysiciansOfRecord", "ReferencedStudySequence",
    "AdmissionID", "AcquisitionDate", "AcquisitionTime", "AcquisitionDateTime", "AnatomicRegionSequence", "Laterality",
    "ImageLaterality", "FrameOfReferenceUID", "PositionReferenceIndicator", "SliceLocation", "TemporalPositionIdentifier",
    "NumberOfTemporalPositions", "BurnedInAnnotation", "RecognizableVisualFeatures", "LossyImageCompressionRatio",
    "LossyImageCompressionMethod", "LossyImageCompression", "SyntheticData", "LongitudinalTemporalInformationModified",
)  # fmt: skip
#: Of group 0018, what still holds of an image that was not acquired.
NOT_OF_ACQUISITION = ("BodyPartExamined", "PatientPosition", "SliceThickness")
#: What describes the equipment that made the source: it goes into ContributingEquipmentSequence (PS3.3 C.12.1.1.5).
EQUIPMENT = (
    "Manufacturer", "InstitutionName", "InstitutionAddress", "StationName", "InstitutionalDepartmentName",
    "ManufacturerModelName", "DeviceSerialNumber", "SoftwareVersions",
)  # fmt: skip
STALE = (*EQUIPMENT, "ContributingEquipmentSequence", "DateOfSecondaryCapture", "TimeOfSecondaryCapture")
#: Type 2 attributes of the CT and MR IODs (PS3.3 A.3, A.4): present, if empty.
TYPE_2 = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "ReferringPhysicianName",
    "StudyID", "AccessionNumber", "PositionReferenceIndicator", "AcquisitionNumber", "PatientPosition",
)  # fmt: skip
#: Carried over as they are, even where they break a rule: by them a PACS knows the patient and the study.
AS_IS = (
    "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "StudyInstanceUID", "StudyDate", "StudyTime",
    "StudyID", "AccessionNumber", "FrameOfReferenceUID",
)  # fmt: skip
LOSSY = {
    "1.2.840.10008.1.2.4.50": "ISO_10918_1", "1.2.840.10008.1.2.4.51": "ISO_10918_1",
    "1.2.840.10008.1.2.4.81": "ISO_14495_1", "1.2.840.10008.1.2.4.91": "ISO_15444_1",
    "1.2.840.10008.1.2.4.203": "ISO_15444_15",
}  # fmt: skip


@dataclass(frozen=True)
class Maker:
    """What made a derived object: a bundle, its version, and the SHA-256 of its weights."""

    bundle: str
    version: str = ""
    weights_sha256: str = ""


def carried(source: Dataset, acquired: bool = True) -> Dataset:
    """Return what still holds of a source's header: no private tags, no pixels, no value that its VR does not allow.

    `acquired` is False for a synthetic image, of which no acquisition can be told. Values keep their character set
    (PS3.5 6.1.2); where the source has non-ASCII text and names none, it is what pydicom read it as, ISO_IR 100.
    """
    ds = Dataset()
    charset = source.get("SpecificCharacterSet")
    if charset:
        ds.SpecificCharacterSet = charset
    for tag in sorted(source.keys()):
        keyword = pydicom.datadict.keyword_for_tag(tag)
        wanted = tag.group in GROUPS or keyword in KEYWORDS
        if not wanted or tag.is_private or not keyword or keyword in STALE:
            continue
        if tag.group == 0x0018 and not acquired and keyword not in NOT_OF_ACQUISITION:
            continue
        element = copy.deepcopy(source[tag]) if keyword in AS_IS else _sound(source, tag)
        if element is not None:
            ds.add(element)
    ds.remove_private_tags()
    syntax = str(getattr(source, "file_meta", Dataset()).get("TransferSyntaxUID", ""))
    if syntax in LOSSY and ds.get("LossyImageCompression") != "01":
        ds.LossyImageCompressionMethod = LOSSY[syntax]
    ds.LossyImageCompression = "01" if syntax in LOSSY or ds.get("LossyImageCompression") == "01" else "00"
    for keyword in TYPE_2:
        if keyword not in ds:
            setattr(ds, keyword, None)
    if not ds.get("BodyPartExamined") and not ds.get("ImageLaterality") and "Laterality" not in ds:
        ds.Laterality = None  # Type 2C: it may be a paired part (PS3.3 C.7.3.1)
    if not charset and not all(str(element.value).isascii() for element in ds.iterall() if element.VR != "SQ"):
        ds.SpecificCharacterSet = "ISO_IR 100"
    return ds


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
    synthetic = synthetic or any(source.get("SyntheticData") == "YES" for source in sources)
    what = plain(("SYNTHETIC " if synthetic else "") + description)
    ds.SeriesDescription = f"{textwrap.shorten(what, 64 - len(RESEARCH) - 3, placeholder='')} - {RESEARCH}"
    ds.DerivationDescription = (
        f"{what} by {maker.bundle} {maker.version} (weights SHA-256 {maker.weights_sha256 or 'unknown'}), "
        f"medgen {__version__}. {'Synthetic: made by a model, not acquired. ' if synthetic else ''}Research use only."
    )[:1024]
    if derivation is not None:
        ds.DerivationCodeSequence = [coded(derivation)]
    if synthetic:
        ds.SyntheticData = "YES"
    if sources:
        ds.SourceImageSequence = [_reference(source, SOURCE_IMAGE) for source in sources]
        same = Dataset()
        same.SeriesInstanceUID = sources[0].SeriesInstanceUID
        same.ReferencedInstanceSequence = [_reference(source) for source in sources]
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
    before = _sound(series, pydicom.datadict.tag_for_keyword("ContributingEquipmentSequence"))
    items = [] if before is None else [item for item in before.value if item.get("Manufacturer")]
    maker = Dataset()
    for keyword in EQUIPMENT:
        element = _sound(series, pydicom.datadict.tag_for_keyword(keyword))
        if element is not None and element.value:
            maker.add(element)
    original = str(next(iter(series.get("ImageType") or []), "")) != "DERIVED"
    maker.PurposeOfReferenceCodeSequence = [coded(ACQUISITION if original else PROCESSING)]
    already = any(item.get("Manufacturer") == maker.get("Manufacturer") == "medgen" for item in items)  # its own last item
    for item in items:
        item.remove_private_tags()
    return items + ([maker] if maker.get("Manufacturer") and not already else [])


def _reference(source: Dataset, purpose: Code | None = None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = source.SOPClassUID, source.SOPInstanceUID
    if purpose:
        item.PurposeOfReferenceCodeSequence = [coded(purpose)]
        item.SpatialLocationsPreserved = "YES"
    return item


def _sound(source: Dataset, tag: int | None) -> DataElement | None:
    """Return a copy of an element, or None where it is missing or its values break the rules of its VR (PS3.5 6.2)."""
    if tag is None or tag not in source:
        return None
    try:
        element = copy.deepcopy(source[tag])
        if element.VR == "SQ":
            for item in element.value:
                for inner in list(item.keys()):
                    sound = _sound(item, inner)
                    if sound is None:
                        del item[inner]
                    else:
                        item[inner] = sound
            return element
        values: Iterable[object] = element.value if element.VM > 1 else [element.value]
        if element.VR == "DS":
            if any(len(str(value)) > 16 for value in values):
                element.value = [format_number_as_ds(float(str(value))) for value in values]
        elif element.VR not in ("UN", "OB", "OW", "US", "SS", "UL", "SL", "FD", "FL"):
            for value in values:
                validate_value(element.VR, str(value) if value is not None else "", pydicom.config.RAISE)
    except Exception:  # noqa: BLE001  a broken value raises many types; it is left out
        return None
    return None if element.VR == "UN" else element


def plain(text: str) -> str:
    """Return text that LO and ST can hold in any character set: ASCII, in one line, without backslash."""
    return re.sub(r"[^\x20-\x7e]|\\", "?", " ".join(text.split()))
