"""Sequences to order: scans of one head in which one thing changes from frame to frame, as 4D NIfTI and GIF."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from PIL import Image, ImageDraw

from medgen.anatomy.generator import drawn
from medgen.batch.ordered import check, paint
from medgen.batch.picture import HEIGHT, MARGIN, TITLE, planes
from medgen.batch.run import one_line
from medgen.batch.sidecar import versions, write_json
from medgen.bundles import Bundle
from medgen.scans import Case, Scan
from medgen.scans.nifti_write import write_nifti
from medgen.synthesis.order import Ordered, order
from medgen.text.spec import MidlineShift, Range, ScanSpec, Ventricles

UNITS = {"age": "years", "ventricles": "x usual", "lesion": "mm", "shift": "mm", "walk": ""}


@dataclass(frozen=True)
class Vary:
    """What changes, and between which values: age (years), ventricles (times the usual volume), lesion (mm), shift (mm), or walk.

    A walk goes from the shape of one seed to that of another, over brains that are as likely as both.
    """

    what: str
    first: float
    last: float

    @classmethod
    def read(cls, text: str, seed: int) -> Vary:
        """Read "age=40:80", or "walk=7" for a walk from `seed` to 7. Raises ValueError that names what can be said."""
        what, _, ends = text.partition("=")
        if what not in UNITS:
            raise ValueError(f"'{what}' cannot be varied; choose from: {', '.join(UNITS)}")
        try:
            numbers = [float(end) for end in ends.split(":")]
        except ValueError:
            numbers = []
        if what == "walk":
            numbers = [seed, *numbers]
            if len(numbers) == 2 and (numbers[1] < 0 or numbers[1] % 1):
                numbers = []
        if len(numbers) != 2 or not np.isfinite(numbers).all():
            raise ValueError(f"--vary {text}: say {'walk=SEED, such as walk=7' if what == 'walk' else f'{what}=FIRST:LAST, such as {what}=2:4'}")
        return cls(what, *numbers)

    def at(self, part: float) -> float:
        return self.first + part * (self.last - self.first)

    def caption(self, part: float) -> str:
        return f"walk {100 * part:.0f} %" if self.what == "walk" else f"{self.what} {self.at(part):.3g} {UNITS[self.what]}"

    def of(self, spec: ScanSpec, part: float) -> ScanSpec:
        """Return the specification of a frame. Raises ValueError where there is nothing that could change so."""
        value = self.at(part)
        if self.what == "age":
            update: dict[str, Any] = {"age_years": Range(low=value, high=value)}
        elif self.what == "ventricles":
            update = {"ventricles": Ventricles(factor=value, side=spec.ventricles.side if spec.ventricles else None)}
        elif self.what == "shift":
            update = {"midline_shift": MidlineShift(mm=Range(low=value, high=value), toward=spec.midline_shift.toward if spec.midline_shift and value else None)}
        elif self.what == "lesion":
            if not spec.lesions:
                raise ValueError("no lesion was ordered that could change; name one in --text")
            update = {"lesions": [one.model_copy(update={"diameter_mm": Range(low=value, high=value)}) for one in spec.lesions]}
        else:
            update = {}
        return ScanSpec.model_validate(spec.model_copy(update=update).model_dump(exclude_none=True))


def frames(bundle: Bundle, spec: ScanSpec, vary: Vary, count: int, seed: int, memory: float | None = None) -> Iterator[tuple[Scan, np.ndarray, dict[str, Any]]]:
    """Yield the grid, the image and the report of each frame: the same head, texture and lesions' places in all.

    Raises ValueError where a frame cannot be built.
    """
    parts = np.linspace(0, 1, count)
    specs = [vary.of(spec, float(part)) for part in parts]
    walk = vary.what == "walk"
    ends = (drawn(seed), drawn(int(vary.last))) if walk else None
    widest = int(np.argmax([vary.at(float(part)) for part in parts])) if vary.what == "lesion" else 0
    like: Ordered = order(specs[widest], seed)
    for part, one in zip(parts, specs):
        sequence = {"like": like, "shape": ends[0].toward(ends[1], float(part)) if ends else None}
        try:
            scan, made = paint(bundle, one.model_dump(exclude_none=True), seed, memory, sequence)
        except (ValueError, RuntimeError, MemoryError) as error:  # MONAI wraps what went wrong
            what = one_line(Case(vary.caption(float(part)), (), "text"), error)
            raise ValueError(what) from None
        yield scan, made.images[""], made.report


def sequence(
    bundle: Bundle, spec: ScanSpec, vary: Vary, output: Path, *, count: int = 9, seed: int = 0, seconds: float = 0.4,
    memory: float | None = None, progress: Callable[[int, str], None] = lambda number, caption: None,
) -> dict[str, Path]:  # fmt: skip
    """Make a sequence, and return its files: "nifti" (X, Y, Z, frames), "gif" and "json".

    Args:
        output: folder, made where it is missing.
        count: frames, 2 or more.
        seed: of all that the specification leaves open, the same in all frames.
        seconds: that the GIF shows a frame.
        progress: is called with each frame's number and what it shows.

    Raises `BundleError` for a bundle that takes no order, ValueError where a frame cannot be built; nothing is written then.
    """
    check(bundle)
    captions = [vary.caption(float(part)) for part in np.linspace(0, 1, count)]
    images, reports, grids = [], [], []
    for number, (scan, image, report) in enumerate(frames(bundle, spec, vary, count, seed, memory)):
        images.append(image)
        reports.append(report)
        grids.append(scan)
        progress(number + 1, captions[number])
    grid = grids[0]
    series = np.stack(images)
    output.mkdir(parents=True, exist_ok=True)
    name = f"sequence-{vary.what}-{seed:03d}_synthetic_{bundle.root.name}"
    files = {"nifti": output / f"{name}.nii.gz", "gif": output / f"{name}.gif", "json": output / f"{name}.json"}
    whole = replace(grid, image=MetaTensor(torch.from_numpy(series), affine=grid.image.affine))
    write_nifti(files["nifti"], series, whole, description=f"medgen SYNTHETIC {len(series)} frames")
    affine = np.asarray(grid.image.affine, np.float64)
    centre = [edit["centre_mm"] for edit in reports[0].get("edits", []) if vary.what == "lesion" and edit.get("edit") == "lesion"]
    at = np.rint(np.linalg.solve(affine, [*centre[0], 1])[:3]).astype(int).clip(0, np.array(images[0].shape) - 1).tolist() if centre else None
    _film(files["gif"], images, affine, captions, seconds, at)
    write_json(files["json"], {
        "synthetic": True, "derived": True, "made_by": "medgen sequence", "bundle": bundle.root.name, "version": bundle.metadata.get("version"),
        "weights_sha256": bundle.metadata.get("weights_sha256"), "seed": seed, "varied": vary.what, "unit": UNITS[vary.what],
        "frames": [{"shows": caption, "value": round(vary.at(float(part)), 4), **json.loads(json.dumps(report))}
                   for caption, part, report in zip(captions, np.linspace(0, 1, count), reports)],
        "outputs": {what: path.name for what, path in files.items()}, "libraries": versions(),
    })  # fmt: skip
    return files


def _film(
    path: Path, images: list[np.ndarray], affine: np.ndarray, captions: list[str], seconds: float, at: Sequence[int] | None = None
) -> None:  # fmt: skip
    """Write three planes of each image, through the middle or the voxel `at`, beside each other, all in one window, as a GIF that goes round."""
    window = (0.0, float(np.percentile(images[0][images[0] > 0], 99.7)))
    shown = []
    for image, caption in zip(images, captions):
        row = planes(image, affine, window, at)
        canvas = Image.new("L", (sum(one.width + MARGIN for one in row) + MARGIN, HEIGHT + TITLE + 2 * MARGIN), 0)
        left = MARGIN
        for one in row:
            canvas.paste(one, (left, TITLE + MARGIN))
            left += one.width + MARGIN
        ImageDraw.Draw(canvas).text((MARGIN, 4), f"{caption}   synthetic, not a patient", fill=255)
        shown.append(canvas)
    shown[0].save(path, save_all=True, append_images=shown[1:], duration=round(1000 * seconds), loop=0)
