"""Deformations that make room: flows whose divergence is prescribed, followed until a measure is reached.

A velocity v = grad p with div v = the wanted rate of growth of each voxel, and nothing through the skull, is what a soft
body does that grows here and shrinks there (Poisson's equation with Neumann's condition). Followed over time it gives a
diffeomorphism: tissue is pushed aside and never torn or folded, and nothing moves at the skull.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from scipy.fft import dctn, idctn
from scipy.ndimage import binary_fill_holes, distance_transform_edt, label, map_coordinates
from scipy.sparse import coo_matrix, diags
from scipy.sparse.linalg import LinearOperator, cg
from torch import Tensor
from torch.nn.functional import grid_sample, interpolate

RAMP = 3.0  #: mm from the skull's inner side over which a flow comes to rest
STEP = 0.5  #: voxels that a step of a flow goes at most
AGAIN = 2.0  #: mm after which a flow is worked out again, with what grows where it is by then
MOST = 400  #: steps
COARSE = 2.0  #: mm of the grid that velocities are solved on, at the finest


@dataclasses.dataclass(frozen=True)
class Edited:
    """A label map after an edit.

    Attributes:
        labels: same shape and numbers as before, and the same type if that holds a lesion's number.
        field: (X, Y, Z, 3) float32, mm in world RAS: new(x) = old(x + field(x)); None where nothing was deformed.
        report: what was asked for and what was obtained (ml, mm), for a sidecar.
    """

    labels: np.ndarray
    field: np.ndarray | None
    report: dict[str, Any] = dataclasses.field(default_factory=dict)


def spacing_of(affine: np.ndarray) -> np.ndarray:
    """Return the voxel size in mm along the axes of an affine."""
    return np.asarray(np.linalg.norm(affine[:3, :3], axis=0))


class Room:
    """The part of a grid within a mask where a flow may move things: cropped, and at rest at the mask's edge.

    Args:
        mask: (X, Y, Z), true where there is something to move; holes in it are filled.
        spacing: mm.
    """

    def __init__(self, mask: np.ndarray, spacing: np.ndarray) -> None:
        if not mask.any():
            raise ValueError("there is nothing to deform: the map has no brain")
        inside = np.argwhere(mask)
        low, high = np.maximum(inside.min(0) - 1, 0), np.minimum(inside.max(0) + 2, mask.shape)
        self.shape, self.spacing = mask.shape, np.asarray(spacing, float)
        self.box = tuple(slice(a, b) for a, b in zip(low, high))
        self.mask = binary_fill_holes(mask[self.box])
        padded = np.pad(self.mask, 1)  # what ends at the grid's edge is at rest there too
        depth = distance_transform_edt(padded, self.spacing)[1:-1, 1:-1, 1:-1]
        self.depth = depth.astype(np.float32)  #: mm to the nearest voxel outside
        self.ramp = np.clip((depth - self.spacing.max()) / RAMP, 0, 1).astype(np.float32)

    def velocity(self, rate: np.ndarray) -> Tensor:
        """Return where things come from (3, x, y, z), in voxels of the crop and at most 1, that grow by `rate` (x, y, z).

        That is minus the velocity whose divergence is the rate. The rates' sum is brought to 0 within the mask by a change
        that is even over all of it, if need be.
        """
        stride = np.maximum(np.rint(COARSE / self.spacing), 1).astype(int)
        mask = _blocks(self.mask.astype(np.float32), stride) >= 0.5
        flow = _potential_flow(mask, _blocks(np.where(self.mask, rate, 0), stride), self.spacing * stride)
        fine = refine(flow, stride, self.mask.shape) * self.ramp
        velocity = fine / self.spacing[:, None, None, None]
        top = float(np.abs(velocity).max())
        if top == 0:
            raise ValueError("nothing can move here: what is to grow or shrink lies at the skull")
        return torch.from_numpy((-velocity / top).astype(np.float32))

    def crop(self, image: np.ndarray) -> Tensor:
        """Return the crop of an image as (1, x, y, z) float32."""
        return torch.from_numpy(np.ascontiguousarray(image[self.box], dtype=np.float32))[None]

    def field(self, shift: Tensor, affine: np.ndarray) -> np.ndarray:
        """Return a displacement (3, x, y, z) in voxels of the crop as a field of the whole grid, mm in world RAS."""
        whole = np.zeros((*self.shape, 3), np.float32)
        shift = shift * torch.from_numpy(self.ramp > 0)  # where grid_sample's rounding leaves a trace
        whole[self.box] = np.moveaxis(shift.numpy(), 0, -1) @ affine[:3, :3].T.astype(np.float32)
        return whole

    def follow(self, flow: Callable[[Tensor], Tensor], measure: Callable[[Tensor], float], target: float,
               start: Tensor | None = None) -> Tensor:  # fmt: skip
        """Return the displacement (3, x, y, z) at which `measure` of it reaches `target`.

        Args:
            flow: from a displacement to the velocity there (at most 1 voxel); asked again every `AGAIN` mm.
            measure: from a displacement to what is to reach the target; whether it rises or falls is told by its start.
            start: a displacement to go on from; none by default.

        Raises `Unreachable` with the most that was reached.
        """
        shift = torch.zeros(3, *self.mask.shape) if start is None else start
        value = measure(shift)
        if value == target:
            return shift
        first, best, still, rising = value, value, 0, target > value
        again = max(int(AGAIN / STEP / self.spacing.max()), 1)
        for step in range(MOST):
            if step % again == 0:
                velocity = flow(shift)
            following = _then(velocity * STEP, shift)
            value = measure(following)
            if (value >= target) if rising else (value <= target):
                break
            still = 0 if abs(value - best) > 1e-3 * abs(target - first) else still + 1
            best = best if still else value
            shift = following
            if still >= 20:
                raise Unreachable(best)
        else:
            raise Unreachable(value)
        low, high, ends = 0.0, STEP, []
        for _ in range(10):
            middle = (low + high) / 2
            value = measure(_then(velocity * middle, shift))
            ends.append((abs(value - target), middle))
            low, high = (low, middle) if (value >= target) == rising else (middle, high)
        return _then(velocity * min(ends)[1], shift)


class Unreachable(ValueError):
    """A flow came to rest before the target: `value` is the most that was reached."""

    def __init__(self, value: float) -> None:
        super().__init__(f"the deformation comes to rest at {value:.3g}")
        self.value = value


def _then(first: Tensor, second: Tensor) -> Tensor:
    """Return the displacement of going by `first`, and from there by `second`."""
    return first + warp(second, first)


def warp(image: Tensor, shift: Tensor, mode: str = "bilinear") -> Tensor:
    """Return image (C, x, y, z) at x + shift(x); shift (3, x, y, z) in voxels; mode "bilinear" or "nearest"."""
    sizes = torch.tensor(image.shape[1:], dtype=torch.float32)
    axes = torch.meshgrid(*(torch.arange(n, dtype=torch.float32) for n in image.shape[1:]), indexing="ij")
    where = (torch.stack(axes) + shift) / (sizes - 1).clamp(min=1).view(3, 1, 1, 1) * 2 - 1
    grid = where.flip(0).permute(1, 2, 3, 0)[None]
    return grid_sample(image[None], grid, mode=mode, padding_mode="border", align_corners=True)[0]


def warp_by_field(image: np.ndarray, shift: np.ndarray, affine: np.ndarray, mode: str = "cubic") -> np.ndarray:
    """Return image (X, Y, Z) at x + field(x), in its own type; field (X, Y, Z, 3) in mm of world RAS.

    What does not move keeps its value exactly. Mode "cubic" keeps a scan's texture, "linear" makes no new values, labels want
    "nearest".
    """
    order = {"cubic": 3, "linear": 1, "nearest": 0}[mode]
    moved = np.argwhere(np.abs(shift).max(-1) > 0)
    out = image.copy()
    if len(moved):
        index = shift @ np.linalg.inv(affine[:3, :3]).T.astype(np.float32)
        reach = int(np.ceil(np.abs(index).max())) + 2 * order + 1
        box = tuple(slice(max(int(a) - reach, 0), int(b) + reach + 1) for a, b in zip(moved.min(0), moved.max(0)))
        part = image[box]
        where = np.moveaxis(index[box], -1, 0) + np.indices(part.shape, dtype=np.float32)
        result = map_coordinates(part, where, order=order, mode="nearest", output=image.dtype if not order else np.float32)
        result = np.clip(result, part.min(), part.max())  # cubic splines overshoot
        result = np.rint(result) if image.dtype.kind in "iu" else result
        out[box] = np.where(np.abs(shift[box]).max(-1) == 0, part, result.astype(image.dtype))
    return out


def jacobian(shift: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Return the determinant of the Jacobian of x + field(x) in each voxel: below 1 where the new map is larger than the old."""
    index = shift @ np.linalg.inv(affine[:3, :3]).T.astype(np.float32)
    rows = [np.stack(np.gradient(index[..., i]), -1) for i in range(3)]
    return np.asarray(np.linalg.det(np.stack(rows, -2) + np.eye(3, dtype=np.float32)))


def motion(shift: np.ndarray, affine: np.ndarray) -> Mapping[str, float]:
    """Return what a report tells of a field: the largest displacement in mm and the smallest Jacobian (above 0: no folds)."""
    part = np.argwhere(np.abs(shift).max(-1) > 0)
    if not len(part):
        return {"largest_displacement_mm": 0.0, "smallest_jacobian": 1.0}
    box = tuple(slice(max(a - 1, 0), b + 2) for a, b in zip(part.min(0), part.max(0)))
    return {
        "largest_displacement_mm": round(float(np.linalg.norm(shift[box], axis=-1).max()), 3),
        "smallest_jacobian": round(float(jacobian(shift[box], affine).min()), 4),
    }


def _blocks(image: np.ndarray, stride: np.ndarray) -> np.ndarray:
    """Return the means of blocks of `stride` voxels."""
    image = np.pad(image, [(0, -n % int(s)) for n, s in zip(image.shape, stride)])
    x, y, z = (n // int(s) for n, s in zip(image.shape, stride))
    return np.asarray(image.reshape(x, stride[0], y, stride[1], z, stride[2]).mean((1, 3, 5)))


def refine(image: np.ndarray, stride: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return channels (C, x, y, z) on a grid `stride` times as fine, cut to a shape, linear between the old centres."""
    if (np.asarray(stride) == 1).all():
        return image
    coarse = torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32))[None]
    fine = interpolate(coarse, scale_factor=[float(s) for s in stride], mode="trilinear", align_corners=False)[0]
    return fine[(slice(None), *(slice(n) for n in shape))].numpy()


def _potential_flow(mask: np.ndarray, rate: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Return grad p (3, x, y, z) in mm with div grad p = rate (of each cell) in the mask and no flow through its edge."""
    number = np.full(mask.shape, -1)
    number[mask] = np.arange(np.count_nonzero(mask))
    pieces = label(mask)[0][mask] - 1  # nothing flows from one to another, so that each must balance
    right = rate[mask] - (np.bincount(pieces, rate[mask]) / np.bincount(pieces))[pieces]
    rows, columns, weights, faces = [], [], [], []
    for axis in range(3):
        near, far = np.moveaxis(number, axis, 0)[:-1], np.moveaxis(number, axis, 0)[1:]
        both = (near >= 0) & (far >= 0)
        a, b = near[both], far[both]
        faces.append((a, b))
        rows += [a, b]
        columns += [b, a]
        weights += [np.full(2 * len(a), 1 / spacing[axis] ** 2)]
    links = coo_matrix((np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns))), shape=(len(right),) * 2).tocsr()
    degree = np.asarray(links.sum(1)).ravel()
    degree[degree == 0] = 1  # a voxel alone
    waves = [(2 * np.sin(np.pi * np.arange(n) / (2 * n)) / h) ** 2 for n, h in zip(mask.shape, spacing)]
    stiffness = (waves[0][:, None, None] + waves[1][:, None] + waves[2]).astype(np.float32)
    stiffness[0, 0, 0] = np.inf
    whole = np.zeros(mask.shape, np.float32)

    def of_the_box(residual: np.ndarray) -> np.ndarray:
        """Return the solution in the whole box, without the mask, where cosines diagonalise the equation."""
        whole[mask] = residual
        return idctn(dctn(whole, norm="ortho") / stiffness, norm="ortho")[mask]

    nearly = LinearOperator(links.shape, of_the_box)
    pressure, _ = cg(diags(degree).tocsr() - links, -right, rtol=1e-3, maxiter=500, M=nearly)
    flow = np.zeros((3, *mask.shape))
    for axis, (a, b) in enumerate(faces):
        through = (pressure[b] - pressure[a]) / spacing[axis] / 2  # half of a face's flow to each of its cells
        flow[axis][mask] = np.bincount(a, through, len(right)) + np.bincount(b, through, len(right))
    return flow
