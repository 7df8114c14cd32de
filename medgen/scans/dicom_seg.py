"""Label maps as DICOM Segmentation objects (PS3.3 A.51), through highdicom."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from medgen import __version__
from medgen.scans.dicom_carried import TYPE_2, carried
from medgen.scans.dicom_derived import Code, Maker, describe, uid
from medgen.scans.dicom_parsing import silent
from medgen.scans.dicom_values import as_ds, plain, value
from medgen.scans.dicom_write import save
from medgen.scans.scan import Scan, ScanError
from medgen.scans.whole import whole_file

TISSUE: Code = ("85756007", "SCT", "Tissue")
DERIVE = "write the image as DICOM first, and read it back"
EXTRA = "pip install medgen[dicom]"


@dataclass(frozen=True)
class Segment:
    """What a label stands for: a name, and its category and type in codes (PS3.16 CID 7150 and 7151)."""

    name: str
    category: Code = TISSUE
    kind: Code = TISSUE


def write_seg(
    path: Path, labels: np.ndarray, like: Scan, segments: Mapping[int, Segment], *, description: str, maker: Maker,
    now: datetime | None = None,
) -> None:  # fmt: skip
    """Write `labels` (X, Y, Z), whole numbers, 0 is background, as one binary SEG object on the images of `like`.

    Segments are numbered from 1 in the order of their labels; a label without a voxel keeps its segment. The file
    appears whole or not at all.

    Raises `ScanError` where `like` was not read from single-frame DICOM, `labels` has another shape or a label that
    `segments` lacks, highdicom is missing, or the file cannot be written.
    """
    try:
        import highdicom as hd
        from highdicom.sr.coding import CodedConcept
    except ImportError:
        raise ScanError(path, "DICOM SEG needs highdicom", EXTRA) from None
    if len(like.image) != 1:
        raise ScanError(path, f"its image holds {len(like.image)} volumes", "write a SEG for each of its volumes")
    if not like.slices:
        raise ScanError(path, "its image has no DICOM headers", DERIVE)
    if any("ReferencedFrameNumber" in source or "SpatialLocationsPreserved" in source for source in like.slices):
        raise ScanError(path, "its image is multi-frame DICOM or a mosaic", DERIVE)
    if tuple(labels.shape) != tuple(like.image.shape[1:]) or labels.shape[2] != len(like.slices):
        raise ScanError(path, f"its shape {labels.shape} is not the input's {tuple(like.image.shape[1:])}", "this is a bug")
    present = {int(value) for value in np.unique(labels)} - {0}
    if not present or not present <= set(segments) or min(segments) < 1:
        names = ", ".join(map(str, sorted(present - set(segments)))) or "none but 0"
        raise ScanError(path, f"holds labels that have no name: {names}", "name every label, from 1 on")
    order = sorted(segments)
    numbers = np.zeros(labels.shape, dtype=np.uint16 if len(order) > 255 else np.uint8)
    for number, label in enumerate(order, start=1):
        numbers[labels == label] = number
    algorithm = hd.AlgorithmIdentificationSequence(
        name=maker.bundle[:64],
        version=(maker.version or "unknown")[:64],
        family=CodedConcept("123110", "DCM", "Artificial Intelligence"),
    )
    described = [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=plain(segments[label].name)[:64],
            segmented_property_category=CodedConcept(*segments[label].category),
            segmented_property_type=CodedConcept(*segments[label].kind),
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=algorithm,
        )
        for number, label in enumerate(order, start=1)
    ]
    with silent():
        sources = [_whole(source, like) for source in like.slices]
        try:
            seg = hd.seg.Segmentation(
                source_images=sources,
                pixel_array=numbers.transpose(2, 1, 0),
                segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
                segment_descriptions=described,
                series_instance_uid=generate_uid(prefix=None),
                series_number=2000 + int(value(like.slices[0], "SeriesNumber") or 0) % 10**6,
                sop_instance_uid=generate_uid(prefix=None),
                instance_number=1,
                manufacturer="medgen",
                manufacturer_model_name=maker.bundle[:64],
                software_versions=__version__,
                device_serial_number=(maker.weights_sha256 or "unknown")[:64],
                content_description=plain(description)[:64],
                content_label="MEDGEN",
            )
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            raise ScanError(path, f"cannot be a DICOM SEG ({type(error).__name__})", "write NIfTI instead") from None
        _complete(seg, like.slices, description, maker, now or datetime.now())
        with whole_file(path) as temporary:
            save(seg, temporary, path)


def _whole(source: Dataset, like: Scan) -> Dataset:
    """Return a source's header with what highdicom reads from it, if empty."""
    ds = copy.copy(source)
    for keyword in TYPE_2:
        if keyword not in ds:
            setattr(ds, keyword, None)
    ds.SliceThickness = ds.get("SliceThickness") or as_ds(like.spacing[2])
    ds.FrameOfReferenceUID = ds.get("FrameOfReferenceUID") or uid(like.sha256, "frame")
    return ds


def _complete(seg: Dataset, sources: Sequence[Dataset], description: str, maker: Maker, now: datetime) -> None:
    """Add the provenance that a derived image has too, and what highdicom takes from the clock unasked."""
    own = carried(sources[0], acquired=False)
    if "SpecificCharacterSet" in own:
        seg.SpecificCharacterSet = own.SpecificCharacterSet
    for tag in [element.tag for element in seg if element.tag.group in (0x0010, 0x0012)]:
        del seg[tag]  # as highdicom copied it, sound or not
    for element in own:
        if element.tag.group in (0x0010, 0x0012):
            seg.add(element)
    described = Dataset()
    described.update({tag: seg[tag] for tag in list(seg.keys()) if tag.group == 0x0012})
    describe(described, [], sources[0], description=description, maker=maker, derivation=None, synthetic=False, now=now)
    for keyword in ("SeriesDescription", "ContributingEquipmentSequence", "SeriesDate", "SeriesTime"):
        if keyword in described:
            setattr(seg, keyword, described.get(keyword))
    if seg.get("PatientIdentityRemoved") == "YES":
        seg.ContentDate, seg.ContentTime = "19000101", "000000"  # Type 1, and no time is told
        for keyword in ("InstanceCreationDate", "InstanceCreationTime"):
            seg.pop(keyword, None)
