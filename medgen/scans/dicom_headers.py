"""The header of each slice, as a classic single-frame object would have it, also where a file holds many slices."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag

from medgen.scans.dicom_frames import OF_THE_FRAME, Frame
from medgen.scans.dicom_values import as_ds

Elements = dict[BaseTag, Any]
GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
#: What functional groups (PS3.3 C.7.6.16) tell of a frame: acquisition (0018), pixels (0028), and of other groups these.
#: Nothing else, so that no group can change whose image it is.
TOLD = frozenset(map(Tag, (
    "ImagePositionPatient", "ImageOrientationPatient", "SliceLocation", "TemporalPositionIdentifier", "AnatomicRegionSequence",
    "NumberOfTemporalPositions", "FrameType", "FrameLaterality", "AcquisitionDate", "AcquisitionTime", "AcquisitionDateTime",
)))  # fmt: skip
#: Enhanced attributes, what classic objects call them, and how the value is told there.
CLASSIC: dict[BaseTag, tuple[str, Callable[[Any], Any]]] = {
    Tag(enhanced): (classic, convert)
    for enhanced, classic, convert in (
        ("FrameType", "ImageType", list),
        ("FrameLaterality", "ImageLaterality", str),
        ("FrameAcquisitionDateTime", "AcquisitionDateTime", str),
        ("EffectiveEchoTime", "EchoTime", as_ds),
        ("InversionTimes", "InversionTime", as_ds),
        ("PulseSequenceName", "SequenceName", str),
        ("TransmitterFrequency", "ImagingFrequency", as_ds),
        ("ResonantNucleus", "ImagedNucleus", str),
        ("InPlanePhaseEncodingDirection", "InPlanePhaseEncodingDirection", lambda word: "COL" if word == "COLUMN" else word),
        ("ExposureTimeInms", "ExposureTime", round),
        ("XRayTubeCurrentInmA", "XRayTubeCurrent", round),
        ("ExposureInmAs", "Exposure", round),
    )
}
#: What makes up Scanning Sequence and Sequence Variant (PS3.3 C.8.3.1) in MR pulse sequence attributes (C.8.13.4).
SEQUENCES: dict[str, dict[BaseTag, dict[str, tuple[str, ...]]]] = {
    "ScanningSequence": {
        Tag("EchoPulseSequence"): {"SPIN": ("SE",), "GRADIENT": ("GR",), "BOTH": ("SE", "GR")},
        Tag("InversionRecovery"): {"YES": ("IR",)},
        Tag("EchoPlanarPulseSequence"): {"YES": ("EP",)},
    },
    "SequenceVariant": {
        Tag("SegmentedKSpaceTraversal"): dict.fromkeys(("PARTIAL", "FULL"), ("SK",)),
        Tag("MagnetizationTransfer"): dict.fromkeys(("ON_RESONANCE", "OFF_RESONANCE", "BOTH"), ("MTC",)),
        Tag("SteadyStatePulseSequence"): {
            **dict.fromkeys(("FREE_PRECESSION", "TRANSVERSE", "LONGITUDINAL"), ("SS",)), "TIME_REVERSED": ("TRSS",)},
        Tag("Spoiling"): dict.fromkeys(("RF", "GRADIENT", "RF_AND_GRADIENT"), ("SP",)),
        Tag("OversamplingPhase"): dict.fromkeys(("2D", "3D", "2D_3D"), ("OSP",)),
    },
}  # fmt: skip
#: What no other image shares with one.
OWN = ("SOPInstanceUID", "InstanceNumber", "ImagePositionPatient", "SliceLocation", "ReferencedFrameNumber")
ENHANCED = frozenset((*CLASSIC, *(tag for table in SEQUENCES.values() for tag in table)))
#: Of acquisition attributes from (0018,9000) on, which belong to enhanced objects, those that classic ones may have too.
ALSO_CLASSIC = frozenset(map(Tag, (
    "DiffusionBValue", "DiffusionGradientOrientation", "DataCollectionCenterPatient", "ReconstructionTargetCenterPatient",
    "RevolutionTime", "SingleCollimationWidth", "TotalCollimationWidth", "TableSpeed", "TableFeedPerRotation",
    "SpiralPitchFactor", "ExposureModulationType", "EstimatedDoseSaving", "CTDIvol",
)))  # fmt: skip


def headers(frames: Sequence[Frame]) -> tuple[Dataset, ...]:
    """Return the header of each frame, without pixels.

    Of a file that is one slice, its own. Of a multi-frame object, what is said of all frames beside what the functional
    groups say of this one, under the classic names; of a mosaic, with the place and size of the tile. All keep the SOP
    instance UID of their file, so that they can be referred to: with ReferencedFrameNumber, of a tile with
    SpatialLocationsPreserved NO, since its pixels do not lie where the mosaic's own plane would put them.
    """
    shared: dict[Path, tuple[Elements, Elements]] = {}
    found = []
    for frame in frames:
        ds, path = frame.instance.ds, frame.instance.path
        if not frame.many:
            found.append(ds)
            continue
        if path not in shared:
            shared[path] = _of_all_frames(ds, frame)
        classic, enhanced = shared[path]
        header = Dataset(dict(classic))
        implicit, little = ds.original_encoding
        header.set_original_encoding(implicit, little, ds.original_character_set)
        header.file_meta = ds.file_meta
        if frame.tile:
            header.Rows, header.Columns, header.SpatialLocationsPreserved = *frame.size, "NO"
            header.ImagePositionPatient = [as_ds(word) for word in frame.own["ImagePositionPatient"]]
        else:
            own = _told(ds.PerFrameFunctionalGroupsSequence[frame.index])
            header.update(_classic(own))
            _translate({**enhanced, **own}, header)
            header.ReferencedFrameNumber = frame.index + 1
        found.append(header)
    return tuple(found)


def with_missing(found: Sequence[Dataset], places: Sequence[int]) -> tuple[Dataset, ...]:
    """Return a header for each slice up to the last, from those found and their slice indices, which rise.

    That of a missing slice is a copy of the one before it without what is that image's own, so that nothing refers to it and
    its place comes from the grid; of the acquisition it keeps all, since readers split a series by that.
    """
    own = {Tag(keyword) for keyword in OWN}
    whole: list[Dataset] = []
    for header, place in zip(found, places):
        while len(whole) < place:
            before = whole[-1]
            copied = Dataset({tag: element for tag, element in before.items() if tag not in own})
            implicit, little = before.original_encoding
            copied.set_original_encoding(implicit, little, before.original_character_set)
            copied.file_meta = before.file_meta
            whole.append(copied)
        whole.append(header)
    return tuple(whole)


def _of_all_frames(ds: Dataset, frame: Frame) -> tuple[Elements, Elements]:
    """Return what a file says of all its frames in classic attributes, and in enhanced ones."""
    stale = {Tag(keyword) for keyword in ("SliceLocation", *(() if frame.tile else (*OF_THE_FRAME, *GROUPS)))}
    elements: Elements = {tag: element for tag, element in ds.items() if tag not in stale}
    if frame.tile:
        return elements, {}
    groups = ds.get("SharedFunctionalGroupsSequence")
    common = _told(groups[0]) if groups else {}
    decoded = {element.tag: element for element in _readable(ds, ENHANCED)} | common
    return _classic(elements | common), {tag: element for tag, element in decoded.items() if tag in ENHANCED}


def _told(item: Dataset) -> Elements:
    """Return what the functional groups of an item tell; not those of several items, of which none is the frame's own."""
    told: Elements = {}
    for group in _readable(item):
        if group.VR != "SQ" or len(group.value) != 1:
            continue
        for element in _readable(group.value[0]):
            if element.tag.group in (0x0018, 0x0028) or element.tag in TOLD:
                told[element.tag] = element
            if element.keyword == "DiffusionGradientDirectionSequence" and len(element.value) == 1:
                told |= {inner.tag: inner for inner in _readable(element.value[0])}
    return told


def _readable(item: Dataset, only: Container[BaseTag] | None = None) -> Iterator[DataElement]:
    """Yield the standard elements (`only` these) that can be decoded."""
    for tag in list(item.keys()):
        if not tag.is_private and (only is None or tag in only):
            with suppress(Exception):  # a broken value raises many types
                yield item[tag]


def _classic(elements: Elements) -> Elements:
    """Leave out the acquisition attributes that only enhanced objects have."""
    return {tag: one for tag, one in elements.items() if not 0x00189000 <= int(tag) <= 0x00189FFF or tag in ALSO_CLASSIC}


def _translate(enhanced: Elements, header: Dataset) -> None:
    """Tell in a header by classic attributes what enhanced ones tell; a value not of its kind tells nothing."""
    for tag, (name, convert) in CLASSIC.items():
        if tag in enhanced and not enhanced[tag].is_empty:
            with suppress(Exception):
                setattr(header, name, convert(enhanced[tag].value))
    for name, table in SEQUENCES.items():
        words = [word for tag, terms in table.items() if tag in enhanced for word in terms.get(str(enhanced[tag].value), ())]
        if words and name not in header:
            setattr(header, name, words)
