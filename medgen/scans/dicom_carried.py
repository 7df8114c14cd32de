"""What a derived DICOM object takes over from its source's header, and what is left behind."""

from __future__ import annotations

import copy
import re

from pydicom import charset
from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from medgen.scans.dicom_values import LINE, sound

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
#: Carried over even where they are too long or have leading zeros: by them a PACS knows the patient and the study.
AS_IS = (
    "PatientName", "PatientID", "IssuerOfPatientID", "StudyInstanceUID", "StudyID", "AccessionNumber", "FrameOfReferenceUID",
)  # fmt: skip
#: What the Clinical Trial Subject module (PS3.3 C.7.1.3) cannot be without, and all of it.
TRIAL = ("ClinicalTrialSponsorName", "ClinicalTrialProtocolID")
TRIAL_MODULE = (
    *TRIAL, "ClinicalTrialProtocolName", "ClinicalTrialSiteID", "ClinicalTrialSiteName", "ClinicalTrialSubjectID",
    "ClinicalTrialSubjectReadingID", "ClinicalTrialProtocolEthicsCommitteeName",
    "ClinicalTrialProtocolEthicsCommitteeApprovalNumber",
)  # fmt: skip
TIME_POINT = ("ClinicalTrialTimePointDescription", "LongitudinalTemporalOffsetFromEvent", "ConsentForClinicalTrialUseSequence")
#: Body parts of PS3.16 annex L that are not paired (of these no Laterality may be told, of all others it must be), and
#: those that are.
UNPAIRED = frozenset((
    "ABDOMEN", "ABDOMENPELVIS", "AORTA", "BACK", "BLADDER", "BRAIN", "CEREBELLUM", "CERVIX", "CHEST", "CHESTABDOMEN",
    "CHESTABDPELVIS", "CIRCLEOFWILLIS", "COCCYX", "COLON", "CORONARYARTERY", "CSPINE", "CTSPINE", "DUODENUM",
    "ESOPHAGUS", "FACE", "GALLBLADDER", "HEAD", "HEADNECK", "HEART", "ILEUM", "ILIUM", "JAW", "JEJUNUM", "LARYNX",
    "LIVER", "LSPINE", "LSSPINE", "MAXILLA", "MEDIASTINUM", "MOUTH", "NECK", "NECKCHEST", "NECKCHESTABDOMEN",
    "NECKCHESTABDPELV", "NOSE", "PANCREAS", "PELVIS", "PENIS", "PHARYNX", "PROSTATE", "RECTUM", "SCALP", "SKULL",
    "SPINE", "SPLEEN", "SSPINE", "STERNUM", "STOMACH", "THYMUS", "THYROID", "TLSPINE", "TONGUE", "TRACHEA", "TSPINE",
    "URETER", "URETHRA", "UTERUS", "VAGINA", "VULVA", "WHOLEBODY",
))  # fmt: skip
PAIRED = frozenset((
    "ADRENAL", "ANKLE", "ARM", "AXILLA", "BREAST", "BRONCHUS", "BUTTOCK", "CALCANEUS", "CALF", "CAROTID", "CHEEK",
    "CHOROIDPLEXUS", "CLAVICLE", "CORNEA", "EAR", "ELBOW", "EXTREMITY", "EYE", "EYELID", "FEMUR", "FINGER", "FOOT",
    "FOREARM", "HAND", "HIP", "HUMERUS", "IAC", "KIDNEY", "KNEE", "LEG", "LUNG", "ORBIT", "OVARY", "PAROTID",
    "PATELLA", "RIB", "SCAPULA", "SCLERA", "SCROTUM", "SHOULDER", "SUBMANDIBULAR", "TESTIS", "THIGH", "THUMB",
    "TMJOINT", "TOE", "UPPERARM", "WRIST", "ZYGOMA",
))  # fmt: skip
UID = re.compile(r"[0-9.]+")
LOSSY = {
    "1.2.840.10008.1.2.4.50": "ISO_10918_1", "1.2.840.10008.1.2.4.51": "ISO_10918_1",
    "1.2.840.10008.1.2.4.81": "ISO_14495_1", "1.2.840.10008.1.2.4.91": "ISO_15444_1",
    "1.2.840.10008.1.2.4.203": "ISO_15444_15",
}  # fmt: skip


def carried(source: Dataset, acquired: bool = True) -> Dataset:
    """Return what still holds of a source's header: nothing private, no pixels, and no value that breaks its own rules.

    `acquired` is False for a synthetic image, of which no acquisition can be told. Text keeps its character set (PS3.5
    6.1.2); where the source names none it is what pydicom reads it as, ISO_IR 100, and where its own cannot hold it, UTF-8.
    """
    ds = Dataset()
    for tag in sorted(source.keys()):
        keyword = keyword_for_tag(tag)
        wanted = tag.group in GROUPS or keyword in KEYWORDS
        if not wanted or tag.is_private or not keyword or keyword in STALE:
            continue
        if tag.group == 0x0018 and not acquired and keyword not in NOT_OF_ACQUISITION:
            continue
        element = sound(source, keyword) or (_as_is(source, keyword) if keyword in AS_IS else None)
        if element is not None:
            ds.add(element)
    syntax = str(getattr(source, "file_meta", Dataset()).get("TransferSyntaxUID", ""))
    if syntax in LOSSY and ds.get("LossyImageCompression") != "01":
        ds.LossyImageCompressionMethod = LOSSY[syntax]
    ds.LossyImageCompression = "01" if syntax in LOSSY or ds.get("LossyImageCompression") == "01" else "00"
    for keyword in TYPE_2:
        if keyword not in ds:
            setattr(ds, keyword, None)
    if ds.get("BodyPartExamined") in UNPAIRED or "ImageLaterality" in ds:
        ds.pop("Laterality", None)  # Type 2C (PS3.3 C.7.3.1)
    elif "Laterality" not in ds:
        ds.Laterality = None
    subject = "ClinicalTrialSubjectID" in ds or "ClinicalTrialSubjectReadingID" in ds
    if not (subject and all(keyword in ds for keyword in TRIAL)):
        for keyword in TRIAL_MODULE:
            ds.pop(keyword, None)
    if "LongitudinalTemporalEventType" not in ds:
        ds.pop("LongitudinalTemporalOffsetFromEvent", None)  # from which event is not said
    if any(keyword in ds for keyword in TIME_POINT) and "ClinicalTrialTimePointID" not in ds:
        ds.ClinicalTrialTimePointID = None  # Type 2 of the Clinical Trial Study module (PS3.3 C.7.2.3)
    _name_charset(ds, source)
    return ds


def _as_is(source: Dataset, keyword: str) -> DataElement | None:
    """Return a copy of an element of one line of text or one UID, however long, or None."""
    try:
        element = copy.deepcopy(source[keyword])
        return element if (UID if element.VR == "UI" else LINE).fullmatch(str(element.value)) and element.VM == 1 else None
    except Exception:  # noqa: BLE001  missing, or nothing that could be told
        return None


def _name_charset(ds: Dataset, source: Dataset) -> None:
    """Set SpecificCharacterSet to the source's own, where it holds all text that was carried over."""
    texts = [str(element.value) for element in ds.iterall() if element.VR != "SQ" and not str(element.value).isascii()]
    try:
        declared = source.get("SpecificCharacterSet")
        if declared in (None, "", "ISO_IR 6"):  # the default, ASCII, in which pydicom reads other bytes as Latin 1
            declared = "ISO_IR 100" if texts else None
        known = all(str(term) in charset.python_encoding for term in ([declared] if isinstance(declared, str) else declared or []))
        codecs = charset.convert_encodings(declared)
        fits = all(charset.decode_bytes(charset.encode_string(text, codecs), codecs, set()) == text for text in texts)
    except Exception:  # noqa: BLE001  an unknown character set raises many types
        known = fits = False
    if not (known and fits):
        declared = "ISO_IR 192"
    if declared:
        ds.SpecificCharacterSet = declared
