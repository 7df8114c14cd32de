"""Frames: the planes that volumes are made of, whether each is a file, one of many in a file, or a tile of a mosaic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from medgen.scans.dicom_header import Instance, numbers, text, whole
from medgen.scans.dicom_tiles import Tile, tiles
from medgen.scans.scan import ScanError

#: Functional groups (PS3.3 C.7.6.16.2) that place a frame, scale it, or tell it from others.
GROUPS = (
    "PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence", "PixelValueTransformationSequence",
    "FrameContentSequence", "MREchoSequence", "MRDiffusionSequence", "MRImageFrameTypeSequence",
    "CTImageFrameTypeSequence", "PETFrameTypeSequence", "ParametricMapFrameTypeSequence", "MRModifierSequence",
    "MRTimingAndRelatedParametersSequence", "CardiacSynchronizationSequence", "TemporalPositionSequence",
    "CTReconstructionSequence", "CTXRayDetailsSequence", "UnassignedSharedConvertedAttributesSequence",
    "UnassignedPerFrameConvertedAttributesSequence", "DiffusionGradientDirectionSequence",
)  # fmt: skip
#: What a frame of a functional group object has only there: at the root it would not be the frame's own.
OF_THE_FRAME = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope", "RescaleIntercept", "RescaleType")


@dataclass(eq=False)
class Frame:
    """One plane.

    Attributes:
        index: of the frame in its file, from 0.
        own: what functional groups or a mosaic say of it, by keyword; the rest is in the header.
        tile: where in the stored frame it lies; None: it is the whole frame.
        many: its file holds more than one plane.
    """

    instance: Instance
    index: int = 0
    own: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tile: Tile | None = None
    many: bool = False

    def text(self, keyword: str) -> str:
        """Return a value as text, several joined by a backslash, "" where there is none."""
        if keyword in self.own:
            return "\\".join(self.own[keyword])
        return "" if self.many and not self.tile and keyword in OF_THE_FRAME else text(self.instance, keyword)

    def numbers(self, keyword: str) -> tuple[float, ...]:
        """Return a value's numbers; empty where there is none. Raises `ValueError` for what is no number."""
        if keyword in self.own:
            return tuple(float(value) for value in self.own[keyword] if value != "")
        return () if self.many and not self.tile and keyword in OF_THE_FRAME else numbers(self.instance, keyword)

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        if self.tile:
            return self.tile.rows, self.tile.columns
        return whole(self.instance, "Rows"), whole(self.instance, "Columns")


def frames_of(instance: Instance) -> list[Frame]:
    """Return the frames of a file. Raises `ScanError` for a file whose frames have no certain place."""
    path = instance.path
    try:
        count = whole(instance, "NumberOfFrames") or 1
        if instance.has("PerFrameFunctionalGroupsSequence"):
            return _enhanced(instance, count)
        if count > 1:
            kind = "nuclear medicine (NM)" if text(instance, "Modality") == "NM" else "plain"
            reason = f"is a {kind} multi-frame object, which does not say where each frame lies"
            raise ScanError(path, reason, "convert it to single-frame or enhanced multi-frame DICOM, or to NIfTI")
        return [Frame(instance, 0, own, tile, many=True) for tile, own in tiles(instance)] or [Frame(instance)]
    except ScanError:
        raise
    except Exception:  # noqa: BLE001  a broken sequence raises many types
        raise ScanError(path, "is not a readable DICOM file (its frames)", "copy or export it again") from None


def _enhanced(instance: Instance, count: int) -> list[Frame]:
    ds = instance.ds
    items = ds.PerFrameFunctionalGroupsSequence
    if len(items) != count:
        reason = f"is a multi-frame object of {count} frames that describes {len(items)}"
        raise ScanError(instance.path, reason, "copy or export it again")
    shared = ds.get("SharedFunctionalGroupsSequence")
    common = _flat(shared[0]) if shared else {}
    pointers = [int(item.DimensionIndexPointer) for item in ds.get("DimensionIndexSequence") or []]
    frames = []
    for index, item in enumerate(items):
        own = {**common, **_flat(item)}
        values = own.pop("DimensionIndexValues", ())
        # the place in the stack is no dimension of its own: InStackPositionNumber, ImagePositionPatient
        kept = [v for pointer, v in zip(pointers, values) if pointer not in (0x00209057, 0x00200032, 0x00209113)]
        own["Dimensions"] = tuple(kept)
        frames.append(Frame(instance, index, own, many=True))
    return frames


def _flat(item: Dataset) -> dict[str, tuple[str, ...]]:
    """Return what the known functional groups of an item say, by keyword."""
    flat: dict[str, tuple[str, ...]] = {}
    for name in GROUPS:
        group = item.get(name)
        if not group:
            continue
        for element in group[0]:
            if element.VR == "SQ":
                if element.keyword in GROUPS and element.value:
                    flat.update({key: value for key, value in _flat(group[0]).items() if key not in flat})
            elif element.keyword and element.keyword not in flat and element.VR not in ("OB", "OW", "UN", "UT"):
                value = element.value
                several = isinstance(value, (list, tuple, MultiValue, np.ndarray))
                flat[element.keyword] = tuple(str(part) for part in value) if several else () if value is None else (str(value),)
    return flat
