"""Pictures of volumes in three planes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
from PIL import Image, ImageDraw

HEIGHT, MARGIN, TITLE = 220, 6, 18  #: pixels


def three_planes(
    path: Path, panels: dict[str, np.ndarray], affine: np.ndarray, windows: dict[str, tuple[float, float]]
) -> None:
    """Write a PNG: a row for each of the axial, coronal and sagittal planes through the middle, a column a panel.

    Args:
        panels: volumes (X, Y, Z) on one grid, by title.
        affine: their RAS affine.
        windows: the values shown as black and white, by title.

    Radiological display: the patient's right on the left, anterior and superior up, and anterior on the right of the
    sagittal plane; true proportions.
    """
    columns = [planes(volume, affine, windows[title]) for title, volume in panels.items()]
    widths = [max(image.width for image in row) for row in zip(*columns)]
    width = max(widths) + MARGIN
    canvas = Image.new("L", (width * len(columns) + MARGIN, TITLE + 3 * (HEIGHT + MARGIN)), 0)
    draw = ImageDraw.Draw(canvas)
    for number, (title, images) in enumerate(zip(panels, columns)):
        draw.text((MARGIN + number * width, 3), title, fill=255)
        for row, image in enumerate(images):
            canvas.paste(image, (MARGIN + number * width, TITLE + row * (HEIGHT + MARGIN)))
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.save(path)


def planes(
    volume: np.ndarray, affine: np.ndarray, window: tuple[float, float], at: Sequence[int] | None = None
) -> list[Image.Image]:  # fmt: skip
    """Return the axial, coronal and sagittal planes of a volume as `three_planes` draws them: through its middle, or the voxel `at`."""
    turn = nib.orientations.io_orientation(affine)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)[np.argsort(turn[:, 0])]
    low, high = window
    ras = nib.orientations.apply_orientation(volume, turn)
    grey = (np.clip((ras.astype(np.float32) - low) / max(high - low, 1e-12), 0, 1) * 255).astype(np.uint8)
    places = [n // 2 for n in ras.shape]
    for (to, way), place, n in zip(turn, at or (), volume.shape):
        places[int(to)] = place if way > 0 else n - 1 - place
    return [_plane(grey, axis, places[axis], spacing) for axis in (2, 1, 0)]


def _plane(volume: np.ndarray, axis: int, place: int, spacing: np.ndarray) -> Image.Image:
    """Return one plane across `axis` of a RAS volume, `HEIGHT` pixels high."""
    plane = np.take(volume, place, axis)
    across, up = (spacing[other] for other in range(3) if other != axis)
    picture = plane.T[::-1]
    if axis != 0:  # left and right: the patient's right on the left of the picture
        picture = picture[:, ::-1]
    height = picture.shape[0] * up
    width = max(1, round(HEIGHT * picture.shape[1] * across / height))
    return Image.fromarray(np.ascontiguousarray(picture)).resize((width, HEIGHT), Image.Resampling.BILINEAR)
