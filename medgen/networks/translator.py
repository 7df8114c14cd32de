"""A scan to another contrast: a first guess, each voxel by its surroundings at several scales, that a U-Net corrects."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medgen.networks.enhancer import Enhancer

SCALE = 4.0  #: what the perceptron's result is divided by

class Guess(nn.Module):
    """A value for each voxel by a perceptron that sees the scan's wavelets there, and what else it is told.

    The wavelets are those of the a trous algorithm (Holschneider 1989) with the kernel (1, 2, 1) / 4: differences of ever smoother
    scans, and the mean size of the two finest. Each voxel is a sample (`medgen.training.voxelwise`), so that what tissues look like
    in another contrast is learned in seconds, where a U-Net on crops of few subjects takes hours.

    Args:
        told: channels beside the scan.
        levels: wavelets, 2 or more; the coarsest reaches 2^levels - 1 voxels to each side.
        hidden: width of the two hidden layers.
    """

    def __init__(self, told: int, levels: int = 3, hidden: int = 96) -> None:
        super().__init__()
        self.levels = levels
        last = nn.Conv3d(hidden, 1, 1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]
        self.layers = nn.Sequential(
            nn.Conv3d(levels + 3 + told, hidden, 1), nn.SiLU(), nn.Conv3d(hidden, hidden, 1), nn.SiLU(), last
        )  # fmt: skip

    def forward(self, scan: Tensor, told: Tensor) -> Tensor:
        """Return (B, 1, X, Y, Z) of a scan (B, 1, X, Y, Z) and what is told (B, told, X, Y, Z)."""
        return self.layers(self.features(scan, told)).float() / SCALE

    def features(self, scan: Tensor, told: Tensor) -> Tensor:
        """Return what the perceptron sees of each voxel."""
        smooth, planes = scan.float(), []
        for level in range(self.levels):
            smoother = self._smoothed(smooth, level)
            planes.append(8 * (smooth - smoother))
            smooth = smoother
        sizes = [self._smoothed(plane.abs(), level + 1) for level, plane in enumerate(planes[:2])]
        return torch.cat([4 * smooth - 2, *planes, *sizes, told.float()], 1)

    def _smoothed(self, image: Tensor, level: int) -> Tensor:
        """Return the image smoothed by (1, 2, 1) / 4, 2^level voxels apart, along each axis."""
        step = 2**level
        for axis in (2, 3, 4):
            n = image.shape[axis]
            wide = F.pad(image, [step if k // 2 == 4 - axis else 0 for k in range(6)], mode="replicate")
            image = 0.25 * (wide.narrow(axis, 0, n) + wide.narrow(axis, 2 * step, n)) + 0.5 * image
        return image


class Translator(nn.Module):
    """Make another contrast of a scan, fully convolutional, by what was trained with pairs or by what was trained without.

    With pairs: ``Enhancer(curve + Guess)``. Without: ``scan + Guess``, of weights of its own. The first two channels of x (B, conditions,
    X, Y, Z) are the scan through a curve, and the scan; the others tell its spacing, its contrast and the one wanted
    (`medgen.transforms.translate`). Sides must be multiples of ``network.stride``.

    Args:
        conditions: channels of x.
        widths, blocks, detail, strength: of the `Enhancer`.
        variant: "paired" or "unpaired".

    Raises ValueError for a variant that is none.
    """

    def __init__(
        self, conditions: int, widths: Sequence[int] = (32, 64), blocks: Sequence[int] = (1, 2), detail: int = 2,
        strength: float = 0.0, variant: str = "paired",
    ) -> None:  # fmt: skip
        super().__init__()
        if variant not in ("paired", "unpaired"):
            raise ValueError(f"there is no variant '{variant}'; choose from: paired, unpaired")
        self.variant = variant
        self.guess, self.unpaired = Guess(conditions - 2), Guess(conditions - 2)
        self.enhancer = Enhancer(conditions - 1, widths, blocks, detail, strength)
        self.stride = self.enhancer.stride

    def forward(self, x: Tensor) -> Tensor:
        """Return the image (B, 1, X, Y, Z)."""
        scan, told = x[:, 1:2], x[:, 2:]
        if self.variant == "unpaired":
            return scan.float() + self.unpaired(scan, told)
        guess = x[:, :1].float() + self.guess(scan, told)
        return self.enhancer(torch.cat([guess.to(x.dtype), x[:, 1:]], 1))
