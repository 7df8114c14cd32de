"""What a sentence can ask of a synthetic brain scan: `ScanSpec`. What was not said is None."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

Plane = Literal["axial", "coronal", "sagittal"]
Contrast = Literal["T1", "T2", "FLAIR", "T1c"]  #: T1c is T1 after a contrast agent
Sex = Literal["female", "male"]
Grade = Literal["none", "mild", "moderate", "severe"]
Kind = Literal["ms-like", "stroke-like", "tumour-like", "unspecified"]
Side = Literal["left", "right", "bilateral"]  #: of the patient, never of the picture
Place = Literal[
    "frontal", "parietal", "temporal", "occipital", "insula", "frontoparietal", "frontotemporal", "temporoparietal",
    "temporo-occipital", "parieto-occipital", "cerebellum", "brainstem", "thalamus", "basal ganglia", "hippocampus",
    "corpus callosum", "periventricular", "juxtacortical", "white matter",
]  # fmt: skip


class Part(BaseModel):
    """A part of a specification: immutable, and strict about the names of its fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Range(Part):
    """Return an interval with ends that may be open (None); also made of one number, or of a pair."""

    low: float | None = None
    high: float | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return {"low": value, "high": value}
        return dict(zip(("low", "high"), value)) if isinstance(value, (list, tuple)) and len(value) == 2 else value

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if self.low is None and self.high is None:
            raise ValueError("a range needs an end")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"the range {self.low:g} to {self.high:g} runs backwards")
        return self

    def within(self, low: float, high: float, what: str) -> None:
        """Raise ValueError where an end lies outside of what there can be."""
        for end in (self.low, self.high):
            if end is not None and not low <= end <= high:
                raise ValueError(f"{what} of {end:g} is outside of {low:g} to {high:g}")

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"up to {self.high:g}" if self.low is None else f"at least {self.low:g}"
        return f"{self.low:g}" if self.low == self.high else f"{self.low:g} to {self.high:g}"


class Lesion(Part):
    """Lesions of one kind, place and size; `diameter_mm` is the longest, `count` how many there are of them."""

    kind: Kind = "unspecified"
    side: Side | None = None
    place: Place | None = None
    diameter_mm: Range | None = None
    count: Range | None = None
    oedema: bool | None = None

    @model_validator(mode="after")
    def _possible(self) -> Lesion:
        if self.diameter_mm is not None:
            self.diameter_mm.within(0.5, 120, "a lesion's diameter in mm")
        if self.count is not None:
            self.count.within(1, 100, "a count of lesions")
            if any(end is not None and end % 1 for end in (self.count.low, self.count.high)):
                raise ValueError(f"lesions are counted in whole numbers, not {self.count}")
            if self.side == "bilateral" and self.count.high == 1:
                raise ValueError("one lesion cannot be bilateral: say left or right, or how many there are")
        return self


class Ventricles(Part):
    """Lateral ventricles: `factor` times their normal volume, on one side or (None, bilateral) on both."""

    factor: float = Field(ge=0.2, le=10)
    side: Side | None = None


class Atrophy(Part):
    """Loss of tissue: of all the brain, or of a place and side."""

    grade: Grade
    side: Side | None = None
    place: Place | None = None


class MidlineShift(Part):
    """A shift of the midline: towards which side, and by how many mm (0 where it was denied)."""

    toward: Literal["left", "right"] | None = None
    mm: Range | None = None

    @model_validator(mode="after")
    def _possible(self) -> MidlineShift:
        if self.mm is not None:
            self.mm.within(0, 30, "a midline shift in mm")
            if self.mm.high == 0 and self.toward is not None:
                raise ValueError(f"a midline shift of 0 mm has no side, yet it is said to go {self.toward}")
        return self


class ScanSpec(Part):
    """A brain scan that was asked for. Lengths in mm, ages in years, field strength in tesla.

    `lesions` is empty where lesions were denied, and None where nothing was said of them.
    """

    plane: Plane | None = None
    contrast: Contrast | None = None
    field_t: Annotated[float, Field(ge=0.01, le=12)] | None = None
    voxel_mm: list[Annotated[float, Field(ge=0.1, le=20)]] | None = Field(None, min_length=3, max_length=3)
    slice_mm: Annotated[float, Field(ge=0.1, le=20)] | None = None
    age_years: Range | None = None
    sex: Sex | None = None
    ventricles: Ventricles | None = None
    atrophy: Atrophy | None = None
    lesions: list[Lesion] | None = None
    midline_shift: MidlineShift | None = None
    motion: Grade | None = None
    noise: Grade | None = None
    bias: Grade | None = None

    @model_validator(mode="after")
    def _possible(self) -> ScanSpec:
        if self.age_years is not None:
            self.age_years.within(0, 120, "an age in years")
        if self.voxel_mm is not None and self.slice_mm is not None and self.slice_mm not in self.voxel_mm:
            raise ValueError(f"slices of {self.slice_mm:g} mm do not fit voxels of {self.voxel_mm} mm")
        return self


def reason(error: ValueError) -> str:
    """Return a validation error in one line."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where + ': ' if where else ''}{first['msg'].removeprefix('Value error, ')}"
