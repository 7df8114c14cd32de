"""The modules that there are: one entry a task, each with the bundles that have its name as their "purpose"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from medgen.bundles import available, read_metadata
from medgen.slicer.parameters import Group, Parameter, options, settings

if TYPE_CHECKING:
    from click import Command


@dataclass(frozen=True)
class Task:
    """One command-line module."""

    name: str  #: of bundles' metadata, the "purpose"
    about: str
    mask: str = ""  #: what a mask means to its bundles, where they take one
    labels: bool = False  #: its input is a label map

    @property
    def title(self) -> str:
        return f"MedGen {self.name.capitalize()}"

    @property
    def file(self) -> str:
        """Name of its launcher and XML."""
        return f"MedGen{self.name.capitalize()}"


#: What bundles are for. A new task is an entry here, and its name as "purpose" in the metadata of its bundles.
BY_BUNDLE = (
    Task("denoise", "Remove the noise of a CT or MR volume."),
    Task("enhance", "Make a volume of thick slices fine."),
    Task("repair", "Fill what is missing or spoiled in a volume.",
         mask="where to fill (not 0); without it, spoiled slices are looked for"),
    Task("synthesise", "Paint a volume from a label map. What comes out is synthetic: no image of a patient.", labels=True),
    Task("translate", "Make another contrast of a brain MR. What comes out is synthetic: it was never acquired."),
)  # fmt: skip
EVALUATE = Task(
    "evaluate", "Measure the image quality of a volume: against a reference, or without one (noise, sharpness, slices)."
)
#: What an evaluation returns beside its table: of the whole image, or of the mask where there is one.
MEASURES = ("psnr", "ssim", "mae", "bias", "noise", "sharpness_in_slices", "slice_correlation")


def bundles_of(task: Task) -> dict[str, dict[str, Any]]:
    """Return the metadata of a task's bundles by name, but for those that take a sentence, not a volume. Raises `BundleError` where some cannot be read."""
    every = {name: read_metadata(root) for name, root in available().items()}
    return {name: metadata for name, metadata in every.items() if metadata.get("purpose") == task.name and not metadata.get("text")}


def mask_of(metadata: Mapping[str, Any]) -> str:
    """Return what a mask means to a bundle, by its metadata; "" where it takes none."""
    return next((task.mask for task in BY_BUNDLE if task.name == metadata.get("purpose")), "")


def tasks() -> list[Task]:
    """Return the tasks that can be done here: those with a bundle, and evaluation."""
    return [*(task for task in BY_BUNDLE if bundles_of(task)), EVALUATE]


def groups_of(task: Task, commands: Mapping[str, Command]) -> list[Group]:
    """Return the parameters of a task's module; `commands` are medgen's, whose options they repeat."""
    return _evaluating(commands["evaluate"]) if task is EVALUATE else _restoring(task, commands["run"])


def _restoring(task: Task, command: Command) -> list[Group]:
    known = bundles_of(task)
    about = "; ".join(f"{name}: {metadata.get('task', '')}" for name, metadata in known.items())
    files = [
        Parameter("bundle", "choice", about, next(iter(known), ""), choices=tuple(known)),
        Parameter("input", "label", "the label map to paint", index=0, label="Label map") if task.labels else
        Parameter("input", "volume", "the volume to work on", index=0, label="Input volume"),
        Parameter("output", "volume", "the result, on the input's grid and in its units; finer where that is the task", index=1,
                  output=True, label="Output volume"),
    ]  # fmt: skip
    if task.mask:
        files.append(Parameter("mask", "label", task.mask, label="Mask"))
    if any(metadata.get("uncertainty") for metadata in known.values()):
        files.append(Parameter("uncertainty", "volume", "standard deviation in each voxel", output=True, label="Uncertainty"))
    groups = [Group("Input and output", tuple(files))]
    for name, metadata in known.items():
        if metadata.get("settings"):
            own = settings(name, metadata["settings"], re.sub(r"\W", "_", name) + "_")
            groups.append(Group(f"Settings of {name}", own))
    warnings = Parameter("warnings", "string", "what to know of the result", output=True)
    groups.append(Group("Advanced", options(command, "device", "memory", "permissive"), advanced=True))
    return [*groups, Group("Result", (warnings,))]


def _evaluating(command: Command) -> list[Group]:
    files = (
        Parameter("input", "volume", "the volume to measure", index=0, label="Input volume"),
        Parameter("reference", "volume", "the truth, on the same grid", label="Reference"),
        Parameter("mask", "label", "measure inside (not 0) too", label="Mask"),
        Parameter("labels", "label", "measure each label too", label="Label map"),
        Parameter("table", "table", "all measures, and what they mean", output=True, label="Table of measures"),
    )
    results = tuple(Parameter(name, "string", "of the mask, or the whole image", output=True) for name in MEASURES)
    return [
        Group("Input and output", files),
        Group("Options", options(command, "data_range", "slice_axis", "background", "hu"), advanced=True),
        Group("Result", results),
    ]
