"""How near a head comes to others, whatever its pose, its side and its gamma: coarse images, laid on each other by an affine map."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from medgen.evaluation.sampling import block_means

BLOCK = 4  #: voxels a side that are averaged: 8 mm
DARK = 0.1  #: of the cube's scale: what is darker is air
NEAREST = 4  #: candidates that are laid on each other finely
STEPS = (12, 6)  #: of Gauss-Newton, in pairs of blocks and in blocks


def coarse(cube: np.ndarray) -> np.ndarray:
    """Return a cube of `medgen.evaluation.sampling` in blocks of 8 mm, (n, n, n): its median in the head 0.5, a little smoothed.

    Smoothed, because blocks that are cut elsewhere would look different.
    """
    blocks = block_means(cube, [BLOCK] * 3).clip(0, 1.5)
    head = blocks[blocks > DARK]
    if head.size:
        blocks = blocks ** (np.log(0.5) / np.log(np.median(head).clip(0.05, 0.95)))
    smooth = torch.from_numpy(blocks.astype(np.float32))[None, None]
    kernel = torch.tensor([0.25, 0.5, 0.25])
    for axis in range(3):
        shape = [3 if a == axis else 1 for a in range(3)]
        smooth = F.conv3d(smooth, kernel.view(1, 1, *shape), padding=[size // 2 for size in shape])
    return smooth[0, 0].numpy()


def distances(known: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Return the distances, 0 to 2, from a coarse image (n, n, n) in RAS+ to each of others (N, n, n, n), or to its mirror image.

    Of two images of mean 0 and norm 1, once the one is laid on the other by 12 parameters. All are laid in pairs of blocks,
    the nearest few in blocks: the distances of the others are bounds from above.
    """
    fixed = torch.from_numpy(np.concatenate([known, known]).astype(np.float32))
    both = torch.from_numpy(np.stack([own, own[::-1]]).astype(np.float32))
    moving = both.repeat_interleave(len(known), 0)
    affine = _lay(_halved(fixed), _halved(moving), torch.eye(3, 4).repeat(len(fixed), 1, 1), STEPS[0])
    found = _apart(fixed, _moved(moving, affine))
    best = found.argsort()[:NEAREST]
    finely = _lay(fixed[best], moving[best], affine[best], STEPS[1])
    found[best] = torch.minimum(found[best], _apart(fixed[best], _moved(moving[best], finely)))
    return found.view(2, -1).amin(0).numpy()


def _lay(fixed: Tensor, moving: Tensor, affine: Tensor, steps: int) -> Tensor:
    """Return the affine maps (B, 3, 4), of grids from -1 to 1, that lay `moving` on `fixed`: Gauss-Newton on their correlation."""
    batch, n = fixed.shape[:2]
    grid = F.affine_grid(torch.eye(3, 4)[None], [1, 1, n, n, n], align_corners=False).view(-1, 3)
    places = torch.cat([grid, torch.ones(len(grid), 1)], 1)
    slopes = torch.gradient(moving, spacing=2 / n, dim=(3, 2, 1))  # a grid's first coordinate is the last axis
    images = torch.stack([moving, *slopes], 1)
    goal = _unit(fixed.flatten(1))
    for _ in range(steps):
        where = (places @ affine.mT).view(batch, n, n, n, 3)
        now = F.grid_sample(images, where, align_corners=False).flatten(2)
        centred = now[:, 0] - now[:, 0].mean(1, keepdim=True)
        scale = centred.norm(dim=1, keepdim=True).clamp_min(1e-9)
        unit = centred / scale
        by = (now[:, 1:, None] * places.T).flatten(1, 2) / scale[:, None]
        by = by - by.mean(2, keepdim=True)
        by = by - (by @ unit[..., None]) * unit[:, None]
        normal = by @ by.mT
        normal = normal + torch.diag_embed(1e-3 * normal.diagonal(dim1=1, dim2=2) + 1e-9)
        affine = affine + torch.linalg.solve(normal, by @ (goal - unit)[..., None]).view(batch, 3, 4)
    return affine


def _halved(images: Tensor) -> Tensor:
    return F.avg_pool3d(images[:, None], 2)[:, 0]


def _moved(images: Tensor, affine: Tensor) -> Tensor:
    grid = F.affine_grid(affine, [len(images), 1, *images.shape[1:]], align_corners=False)
    return F.grid_sample(images[:, None], grid, align_corners=False)[:, 0]


def _apart(a: Tensor, b: Tensor) -> Tensor:
    return (_unit(a.flatten(1)) - _unit(b.flatten(1))).norm(dim=1)


def _unit(x: Tensor) -> Tensor:
    x = x - x.mean(1, keepdim=True)
    return x / x.norm(dim=1, keepdim=True).clamp_min(1e-9)
