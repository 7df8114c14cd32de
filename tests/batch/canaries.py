"""Scans whose every header field holds a canary, a word found nowhere else; and the search for canaries in what is written."""

from __future__ import annotations

import gzip
import re
from base64 import b64decode
from collections.abc import Collection, Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK as sitk
from pydicom.datadict import DicomDictionary, keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from tests.scans.phantoms import itk_image, nifti_affine, nifti_image, series

#: What a series is found and read by, where a canary would be a fault of the input; see `FAULTS` in the tests for those.
READ_BY = ("SpecificCharacterSet", "SOPClassUID", "Modality", "PhotometricInterpretation", "ImageType", "Units",
           "RescaleType", "PixelPresentation", "VOILUTFunction", "PresentationLUTShape", "BurnedInAnnotation",
           "TimezoneOffsetFromUTC", "LossyImageCompression", "VolumetricProperties")  # fmt: skip
#: Groups that a file may hold beside its pixels: no commands, directories, overlays or curves.
GROUPS = (*range(0x0008, 0x0089, 2), 0x0100, 0x2050, 0x3006, 0x300A, 0x4008, 0x4010)
TAGS = sorted(DicomDictionary)
PRIVATE = 0x0029
STEM = "cnry"
DATES, TIMES, UIDS = "18070", "071213.", "1.2.840.99."  #: stems of the canaries that must be dates, times and UIDs


def canary(vr: str, number: int) -> str | bytes | None:
    """Return a word of this VR that tells its attribute by its number, or None where the VR cannot hold one."""
    word = f"{STEM}{number:05}x"
    if vr in ("PN", "LO", "SH", "ST", "LT", "UT", "UC"):
        return word.capitalize()
    texts = {"UR": f"http://{word}", "AE": word.upper(), "CS": word.upper(), "AS": "093Y",
             "DA": f"{DATES}{1 + number % 9}{10 + number % 19}", "TM": f"{TIMES}{number:06}",
             "DT": f"{DATES}115{TIMES}{number:06}", "UI": f"{UIDS}{number}"}  # fmt: skip
    return word.encode() if vr in ("OB", "UN") else texts.get(vr)


def plant(ds: Dataset, groups: Collection[int] = GROUPS) -> Dataset:
    """Put a canary into every attribute of these groups that may hold one, into sequences, and into private elements."""
    for number, (tag, (vr, _, _, retired, keyword)) in enumerate(sorted(DicomDictionary.items())):
        if Tag(tag).group not in groups or not keyword or keyword in READ_BY or (retired and vr == "SQ"):
            continue
        word = canary(vr, number)
        if word is not None:
            ds.add_new(tag, vr, word)
        elif vr == "SQ":
            inner = Dataset()
            inner.CodeValue, inner.CodeMeaning, inner.PatientID = (canary("LO", number) for _ in range(3))
            inner.private_block(PRIVATE, f"Cnry{number:05}x", create=True).add_new(1, "LO", canary("LO", number))
            ds.add_new(tag, vr, Sequence([inner]))
    for vr, element in (("LO", 1), ("UN", 2), ("OB", 3), ("UI", 4)):
        ds.private_block(PRIVATE, "Cnry99999x", create=True).add_new(element, vr, canary(vr, 99990 + element))
    return ds


def dicom(
    modality: str, shape: tuple[int, int, int] = (12, 14, 4), groups: Collection[int] = GROUPS, number: int = 0
) -> list[Dataset]:
    """Return a series full of canaries that is sound otherwise, with UIDs by its number."""
    slices = series(modality=modality, shape=shape)
    for z, ds in enumerate(slices):
        own = {"SOPInstanceUID": f"{UIDS}1.{number}.{z}", "SeriesInstanceUID": f"{UIDS}2.{number}",
               "StudyInstanceUID": f"{UIDS}3.{number}", "FrameOfReferenceUID": f"{UIDS}4.{number}"}  # fmt: skip
        keep = Dataset()
        keep.update(ds)
        functional = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "ModalityLUTSequence")
        plant(ds, groups)
        for keyword in functional:
            ds.pop(keyword, None)
        for element in keep:
            if element.VR not in ("PN", "LO", "DA", "UI"):
                ds.add(element)
        ds.SOPClassUID = keep.SOPClassUID
        for keyword, uid in own.items():
            setattr(ds, keyword, uid)
        ds.TemporalPositionIdentifier, ds.BodyPartExamined = 1, "HEAD"
    return slices


def nifti(path: Path) -> None:
    """Write a NIfTI whose every text field, and three extensions, hold canaries."""
    image = nifti_image(nifti_affine(), shape=(12, 14, 4), dtype=np.int16)
    for number, (name, size) in enumerate({"descrip": 80, "aux_file": 24, "intent_name": 16, "db_name": 18, "data_type": 10}.items()):
        image.header[name] = f"Cnry1{number:04}x"[:size].encode()
    for code in (4, 6, 0):  # AFNI, comment, unknown
        image.header.extensions.append(nib.nifti1.Nifti1Extension(code, f"Cnry2000{code}x".encode()))
    image.to_filename(path)


def itk(path: Path) -> None:
    """Write a NRRD or MetaImage whose own keys hold canaries."""
    image = itk_image(nifti_affine(), shape=(12, 14, 4))
    for number, key in enumerate(("PatientName", "Cnry30009x", "ITK_Note")):
        image.SetMetaData(key, f"Cnry3{number:04}x")
    sitk.WriteImage(image, str(path))
    stored = path.read_bytes()
    if path.suffix == ".nrrd":
        path.write_bytes(stored.replace(b"\n\n", b"\ncontent: Cnry30005x\n# Cnry30006x\n\n", 1))
    else:
        path.write_bytes(stored.replace(b"NDims", b"Comment = Cnry30007x\nReferringPhysician = Cnry30008x\nNDims", 1))


def found(what: bytes | str) -> list[str]:
    """Return the canaries in text or bytes, those of DICOM by their keyword."""
    text = what if isinstance(what, bytes) else what.encode("utf-8", "surrogateescape")
    # the digits of a date may stand in a UID by chance
    stems = "|".join(re.escape(stem) for stem in (UIDS, TIMES)).encode()
    words = re.findall(rb"cnry\w{0,6}|(?:" + stems + rb")[\d.]*|(?<![\d.])" + DATES.encode() + rb"\d{3}|093Y", text, re.IGNORECASE)
    return sorted({_named(word.decode()) for word in words})


def _named(word: str) -> str:
    digits = re.search(r"\d{5}", word) if word.lower().startswith(STEM) else None
    number = int(digits[0]) if digits else -1
    return f"{word} ({keyword_for_tag(TAGS[number])})" if 0 <= number < len(TAGS) else word


def written(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the bytes, decompressed, of everything under a folder; in a page, of what is inlaid too."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        stored = path.read_bytes() if path.is_file() else b""
        if name.endswith(".html"):  # base64 spells any word by chance
            stored = re.sub(rb"[A-Za-z0-9+/]{200,}={0,2}", lambda inlaid: _decoded(inlaid[0]), stored)
        yield name, gzip.decompress(stored) if name.endswith(".gz") else stored


def _decoded(text: bytes) -> bytes:
    stored = b64decode(text[: len(text) // 4 * 4])
    return gzip.decompress(stored) if stored[:2] == b"\x1f\x8b" else stored
