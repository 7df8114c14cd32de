"""A small network that turns slices or crops into a few features: the extractor behind medgen's own Fréchet distance."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medgen.networks.blocks import space_to_depth


class FeatureNet(nn.Module):
    """Image to features: residual stages at 1/2, 1/4, 1/8 and 1/16; the means of all their maps, joined by a linear layer.

    No norm, so that noise and contrast stay visible; the finest stage is in the features too, since blur and noise live there.

    Args:
        dimensions: 2 (slices) or 3 (crops).
        widths: channels of the four stages.
        features: how many numbers describe an image.
        classes: of `classify`.

    `forward` takes (B, 1, ...), air 0 and bright 1, sides of at least 48 and divisible by 16; it returns (B, features).
    """

    def __init__(self, dimensions: int, widths: Sequence[int], features: int, classes: int) -> None:
        super().__init__()
        self.dimensions = dimensions
        conv = nn.Conv2d if dimensions == 2 else nn.Conv3d
        self.stem = conv(2**dimensions, widths[0], 3, padding=1)
        pairs = list(pairwise(widths))
        self.down = nn.ModuleList(conv(a, b, 3, stride=2, padding=1) for a, b in pairs)
        self.first = nn.ModuleList(conv(b, b, 3, padding=1) for _, b in pairs)
        self.second = nn.ModuleList(conv(b, b, 3, padding=1) for _, b in pairs)
        self.embed = nn.Linear(sum(widths), features)
        self.classifier = nn.Linear(features, classes)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Conv3d)):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]
        with torch.no_grad():
            for module in self.second:
                module.weight.mul_(0.3)  # type: ignore[operator]

    def stages(self, x: Tensor) -> list[Tensor]:
        """Return the maps of the four stages, the finest first."""
        x = F.relu(self.stem(F.pixel_unshuffle(x, 2) if self.dimensions == 2 else space_to_depth(x)))
        maps = [x]
        for down, first, second in zip(self.down, self.first, self.second):
            x = F.relu(down(x))
            x = F.relu(x + second(F.relu(first(x))))
            maps.append(x)
        return maps

    def forward(self, x: Tensor) -> Tensor:
        return self.join(self.stages(x))

    def join(self, maps: Sequence[Tensor]) -> Tensor:
        """Return the features of an image whose `stages` these are."""
        return self.embed(torch.cat([stage.float().flatten(2).mean(-1) for stage in maps], dim=1))

    def classify(self, features: Tensor) -> Tensor:
        """Return the logits of contrast and level (contrast * levels + level) for features."""
        return self.classifier(features)
