"""The generator of the enhancement bundles: a faithful mean, and a head of detail that a discriminator trains."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from medgen.networks.blocks import ResidualBlock
from medgen.networks.trunk import Trunk


class Detail(nn.Module):
    """What a mean leaves out: residual blocks from the mean's features to coefficients of fine texture (no biases)."""

    def __init__(self, width: int, blocks: int, coefficients: int) -> None:
        super().__init__()
        scale = 1 / math.sqrt(2 * blocks)
        self.blocks = nn.Sequential(*(ResidualBlock(width, scale) for _ in range(blocks)))
        self.head = nn.Conv3d(width, coefficients, 3, padding=1, bias=False)
        nn.init.zeros_(self.head.weight)

    def forward(self, features: Tensor) -> Tensor:
        """Return coefficients (B, coefficients, X/2, Y/2, Z/2)."""
        return self.head(F.relu(self.blocks(features)))


class Enhancer(nn.Module):
    """Sharpen a scan that was brought to its target grid: ``mean(x) + strength * detail(x)``, one deterministic tensor.

    The first channel of x (B, 1 + conditions, X, Y, Z) is the image, the others tell how it was acquired
    (`medgen.transforms.slices`) or what is wanted (`medgen.networks.translator`). The mean is trained for fidelity, the detail by a discriminator with the mean held, so
    strength 0 is the most faithful image and 1 the sharpest. Fully convolutional, without biases and norms over windows;
    sides must be multiples of ``network.stride``.

    Args:
        conditions: channels beside the image.
        widths: channels of the U-Net at 1/2, 1/4 ... of the resolution.
        blocks: residual blocks of each of these levels, in the encoder and again in the decoder.
        detail: residual blocks of the detail.
        strength: 0 to 1; may be set at any time.
    """

    def __init__(
        self,
        conditions: int = 3,
        widths: Sequence[int] = (32, 64, 128),
        blocks: Sequence[int] = (2, 2, 2),
        detail: int = 4,
        strength: float = 0.0,
    ) -> None:
        super().__init__()
        self.strength = strength
        self.trunk = Trunk(1, widths, blocks, conditions)
        self.stride = self.trunk.stride
        self.detail = Detail(widths[0], detail, self.trunk.frame.coefficients)

    def forward(self, x: Tensor) -> Tensor:
        """Return the image (B, 1, X, Y, Z)."""
        image, features = self.trunk(x[:, :1], x[:, 1:])
        if self.strength:
            image = image + self.strength * self.trunk.frame.synthesis(self.detail(features[0]).float() / 8)
        return image
