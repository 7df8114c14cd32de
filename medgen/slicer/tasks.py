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

    name: str
    about: str
    mask: str = ""  #: what a mask means to its bundles, where they take one
    labels: bool = False  #: its input is a label map
    text: bool = False  #: its input is a sentence
    of: str = ""  #: of bundles' metadata, the "purpose"; "": its name

    @property
    def purpose(self) -> str:
        return self.of or self.name

    @property
    def title(self) -> str:
        return f"MedGen {self.name.capitalize()}"

    @property
    def file(self) -> str:
        """Name of its launcher and XML."""
        return f"MedGen{self.name.title().replace(' ', '')}"


#: What bundles are for. A new task is an entry here, and its name as "purpose" in the metadata of its bundles.
BY_BUNDLE = (
    Task("denoise", "Remove the noise of a CT or MR volume."),
    Task("enhance", "Make a volume of thick slices fine."),
    Task("repair", "Fill what is missing or spoiled in a volume.",
         mask="where to fill (not 0); without it, spoiled slices are looked for"),
    Task("translate", "Make another contrast of a brain MR. What comes out is synthetic: it was never acquired, and what only that "
                      "contrast would show may be missing or wrong."),
    Task("synthesise", "Paint a volume from a label map. What comes out is synthetic: no image of a patient.", labels=True),
    Task("synthesise from text", "Make a volume that a sentence orders, in English or Chinese. What comes out is synthetic: no image "
                                 "of a patient.", text=True, of="synthesise"),
)  # fmt: skip
EVALUATE = Task(
    "evaluate", "Measure the image quality of a volume: against a reference, or without one (noise, sharpness, slices)."
)
#: What an evaluation returns beside its table: of the whole image, or of the mask where there is one.
MEASURES = ("psnr", "ssim", "mae", "bias", "noise", "sharpness_in_slices", "slice_correlation")


def bundles_of(task: Task) -> dict[str, dict[str, Any]]:
    """Return the metadata of a task's bundles by name; those that take a sentence are none of a task that takes a volume.

    Raises `BundleError` where some cannot be read.
    """
    every = {name: read_metadata(root) for name, root in available().items()}
    return {
        name: metadata for name, metadata in every.items()
        if metadata.get("purpose") == task.purpose and bool(metadata.get("text")) == task.text
    }  # fmt: skip


def mask_of(metadata: Mapping[str, Any]) -> str:
    """Return what a mask means to a bundle, by its metadata; "" where it takes none."""
    return next((task.mask for task in BY_BUNDLE if task.purpose == metadata.get("purpose")), "")


def takes_labels(metadata: Mapping[str, Any]) -> bool:
    """Return whether a bundle takes label maps, not scans, by its metadata."""
    return any(task.labels and task.purpose == metadata.get("purpose") and task.text == bool(metadata.get("text")) for task in BY_BUNDLE)


def tasks() -> list[Task]:
    """Return the tasks that can be done here: those with a bundle, and evaluation."""
    return [*(task for task in BY_BUNDLE if bundles_of(task)), EVALUATE]


def groups_of(task: Task, commands: Mapping[str, Command]) -> list[Group]:
    """Return the parameters of a task's module; `commands` are medgen's, whose options they repeat."""
    return _evaluating(commands["evaluate"]) if task is EVALUATE else _restoring(task, commands["run"])


def _restoring(task: Task, command: Command) -> list[Group]:
    known = bundles_of(task)
    about = "; ".join(f"{name}: {metadata.get('task', '')}" for name, metadata in known.items())
    files = [Parameter("bundle", "choice", about, next(iter(known), ""), choices=tuple(known)), *_taken(task, known)]
    if task.mask:
        files.append(Parameter("mask", "label", task.mask, label="Mask"))
    if any(metadata.get("uncertainty") for metadata in known.values()):
        files.append(Parameter("uncertainty", "volume", "standard deviation in each voxel", output=True, label="Uncertainty"))
    groups = [Group("Input and output", tuple(files))]
    for name, metadata in known.items():
        if metadata.get("settings"):
            own = settings(name, metadata["settings"], re.sub(r"\W", "_", name) + "_")
            groups.append(Group(f"Settings of {name}", own))
    results = [Parameter("warnings", "string", "what to know of the result", output=True)]
    if task.text:
        results.insert(0, Parameter("understood", "string", "how the sentence was read", output=True))
        results.insert(1, Parameter("ignored", "string", "words of it that changed nothing", output=True))
    groups.append(Group("Advanced", options(command, "device", "memory", *([] if task.text else ["permissive"])), advanced=True))
    return [*groups, Group("Result", tuple(results))]


def _taken(task: Task, known: Mapping[str, Mapping[str, Any]]) -> list[Parameter]:
    """Return what a task takes, and the volume that it gives. By its label Slicer names a new volume."""
    label = "SYNTHETIC volume" if all(metadata.get("synthetic") for metadata in known.values()) else "Output volume"
    if task.text:
        made = Parameter("output", "volume", "the volume that is made", index=0, output=True, label=label)
        example = "what to make, such as: Axial T1 of a 70-year-old woman, 12 mm lesion in the left frontal lobe"
        return [Parameter("text", "text", example), Parameter("seed", "integer", "the same text and seed give the same volume again", "0"), made]
    return [
        Parameter("input", "label", "the label map to paint", index=0, label="Label map") if task.labels else
        Parameter("input", "volume", "the volume to work on", index=0, label="Input volume"),
        Parameter("output", "volume", "the result, on the input's grid and in its units; finer where that is the task", index=1,
                  output=True, label=label),
    ]  # fmt: skip


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
