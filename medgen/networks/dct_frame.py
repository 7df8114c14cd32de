"""A redundant block-DCT frame, in which noise is white, anatomy is sparse, and a gain for each coefficient denoises."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class DCTFrame(nn.Module):
    """Orthonormal DCT of all 4x4x4 blocks at every second voxel: a tight frame of redundancy 8 at half the resolution.

    ``synthesis(analysis(y)) == y`` to rounding. Sides of y must be even. Borders are replicated by one voxel.
    (Transform-domain shrinkage: Yaroslavsky 2001; the first step of BM3D/BM4D without its grouping, Maggioni 2013.)
    """

    size = 4
    basis: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.coefficients = channels * self.size**3
        n = torch.arange(self.size, dtype=torch.float64)
        basis = torch.cos(math.pi / self.size * (n + 0.5) * n[:, None]) * math.sqrt(2 / self.size)
        basis[0] /= math.sqrt(2)
        blocks = torch.einsum("ai,bj,ck->abcijk", basis, basis, basis).reshape(-1, 1, *(self.size,) * 3)
        self.register_buffer("basis", blocks.float().repeat(channels, 1, 1, 1, 1), persistent=False)

    def analysis(self, y: Tensor) -> Tensor:
        """Return the coefficients (B, 64 C, X/2, Y/2, Z/2) of y (B, C, X, Y, Z), the block's mean first, in float32."""
        with torch.autocast(y.device.type, enabled=False):
            return F.conv3d(F.pad(y.float(), (1,) * 6, mode="replicate"), self.basis, stride=2, groups=self.channels)

    def synthesis(self, coefficients: Tensor) -> Tensor:
        """Return the image (B, C, X, Y, Z) of coefficients: each voxel the average over the 8 blocks that hold it."""
        with torch.autocast(coefficients.device.type, enabled=False):
            image = F.conv_transpose3d(coefficients.float(), self.basis, stride=2, groups=self.channels)
            image = image[..., 1:-1, 1:-1, 1:-1] / 8
            for axis in (2, 3, 4):  # the outermost voxels lie in half as many blocks
                image.narrow(axis, 0, 1).mul_(2)
                image.narrow(axis, -1, 1).mul_(2)
        return image
