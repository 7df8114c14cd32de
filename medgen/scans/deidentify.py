"""Headers without the patient: the Basic Profile of PS3.15 E.2, by the table that dicom-anonymizer keeps up to date."""

from __future__ import annotations

import copy
import uuid
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import version

from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset

from medgen import __version__
from medgen.scans.dicom_carried import LOSSY, PAIRED, TYPE_2, UNPAIRED
from medgen.scans.dicom_derived import MR_TYPES, coded, uid
from medgen.scans.dicom_parsing import silent
from medgen.scans.dicom_values import ENUMERATED
from medgen.scans.scan import Scan, ScanError

#: Table E.1-1 as dicom-anonymizer names its editions; the newest that this version has is taken.
EDITIONS = ("dicomfields_2026c", "dicomfields_2024b", "dicomfields_2023")
METHOD = ("113100", "DCM", "Basic Application Confidentiality Profile")
EXTRA = "pip install medgen[dicom]"
#: What coded words (VR CS) may stay: only those that the standard defines, since a CS can hold any word, a name too.
TERMS: dict[str, frozenset[str]] = {
    **ENUMERATED,
    "Modality": frozenset(("CT", "MR")),
    "ImageType": frozenset(("ORIGINAL", "DERIVED", "PRIMARY", "SECONDARY", "AXIAL", "M", "P", "R", "I", *MR_TYPES)),
    "ScanOptions": frozenset(("PER", "RG", "CG", "PPG", "FC", "PFF", "PFP", "SP", "FS")),
    "PatientPosition": frozenset(("HFS", "HFP", "HFDR", "HFDL", "FFS", "FFP", "FFDR", "FFDL")),
    "BodyPartExamined": UNPAIRED | PAIRED,
    "LossyImageCompressionMethod": frozenset(LOSSY.values()),
}
#: Replaced by new ones; what other UIDs there are is removed.
UIDS = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID")
NUMBERS = ("DS", "IS", "US", "SS", "UL", "SL", "UV", "SV", "FD", "FL")


class Deidentifier:
    """De-identify the scans of one run: the same patient, study or instance gets the same new name throughout it.

    Stricter than the profile: besides what Table E.1-1 removes, every free text, date, time, nested sequence and private
    element goes, since any of them may name the patient; what stays are numbers, and words that the standard defines.
    Names are drawn at random and kept only in memory, so nothing leads back. Pixels are not touched: a face stays a face.
    """

    def __init__(self, secret: str | None = None) -> None:
        """Load the profile; several that are to give the same names share a `secret` (32 random hex digits).

        Raises `ScanError` where dicom-anonymizer is missing.
        """
        try:
            from dicomanonymizer.simpledicomanonymizer import initialize_actions
        except ImportError:
            raise ScanError("--deidentify", "needs dicom-anonymizer", EXTRA) from None
        for edition in EDITIONS:
            try:
                self._table = frozenset(tag for tag in initialize_actions(edition) if len(tag) == 2)
                break
            except ValueError:
                continue
        self._edition = edition.removeprefix("dicomfields_")
        self._secret = secret or uuid.uuid4().hex

    def scan(self, scan: Scan) -> Scan:
        """Return the scan with clean headers. Raises `ScanError` where they say that text is burned into the pixels."""
        with silent():
            if any(ds.get("BurnedInAnnotation") == "YES" for ds in scan.slices):
                raise ScanError(scan.source, "says that text is burned into its pixels", "remove the text, or leave it out")
            return replace(scan, slices=tuple(self.headers(ds) for ds in scan.slices), sha256=self._new(scan.sha256))

    def headers(self, source: Dataset) -> Dataset:
        """Return a clean copy of one instance's header (PS3.3 C.12.1.1, C.7.1.1)."""
        ds = Dataset()
        for tag in list(source.keys()):
            keyword = keyword_for_tag(tag)
            if tag.is_private or not keyword or tag.group >= 0x5000:
                continue
            with suppress(Exception):  # what cannot be read is not carried over
                self._carry(ds, source[tag], keyword)
        ds.SOPClassUID = source.get("SOPClassUID", "")
        for keyword in TYPE_2:
            if keyword not in ds:
                setattr(ds, keyword, None)
        patient = self._new(f"{source.get('PatientID', '')}\n{source.get('PatientName', '')}")[:12].upper()
        ds.PatientName, ds.PatientID = f"Anonymous^{patient}", f"ANON-{patient}"
        ds.PatientIdentityRemoved, ds.LongitudinalTemporalInformationModified = "YES", "REMOVED"
        library = f"dicom-anonymizer {version('dicom-anonymizer')} ({self._edition})"
        ds.DeidentificationMethod = [f"medgen {__version__}", f"{library}, free text removed"]
        ds.DeidentificationMethodCodeSequence = [coded(METHOD)]
        ds.file_meta = FileMetaDataset()  # whether it was compressed with loss is still told
        ds.file_meta.TransferSyntaxUID = getattr(source, "file_meta", Dataset()).get("TransferSyntaxUID", "")
        return ds

    def _carry(self, ds: Dataset, element: DataElement, keyword: str) -> None:
        if keyword in UIDS and element.value:
            setattr(ds, keyword, uid(self._secret, str(element.value)))
            return
        if (element.tag.group, element.tag.element) in self._table:
            return
        values = list(element.value) if element.VM > 1 else [element.value]
        if element.VR == "CS":
            known = [str(word) for word in values if word in TERMS.get(keyword, ())]
            if known:
                setattr(ds, keyword, known)
        elif element.VR in NUMBERS and all(isinstance(number, (int, float)) for number in values):
            ds.add(copy.deepcopy(element))

    def _new(self, text: str) -> str:
        return uuid.uuid5(uuid.UUID(self._secret), text).hex

