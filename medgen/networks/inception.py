"""Inception-v3 as the Fréchet Inception Distance uses it, with the names of the published weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Kernel = int | tuple[int, int]
#: a branch: the layers by name, each with channels in, channels out, kernel and stride
Layers = dict[str, tuple[int, int, Kernel, int]]


class Convolution(nn.Module):
    """Convolution, batch norm, ReLU. Padded to keep the size where `same`, else not at all."""

    def __init__(self, channels: int, out: int, kernel: Kernel, stride: int = 1, same: bool = True) -> None:
        super().__init__()
        sides = (kernel, kernel) if isinstance(kernel, int) else kernel
        padding = (sides[0] // 2, sides[1] // 2) if same else (0, 0)
        self.conv = nn.Conv2d(channels, out, sides, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(out, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)), inplace=True)


class Mixed(nn.Module):
    """Branches side by side, their channels joined. A branch is a list of layer names, of which a pair splits it in two."""

    def __init__(self, layers: Layers, branches: list[list[str | tuple[str, str]]], pool: str) -> None:
        super().__init__()
        for name, (channels, out, kernel, stride) in layers.items():
            self.add_module(name, Convolution(channels, out, kernel, stride, same=stride == 1))
        self.branches, self.pool = branches, pool

    def forward(self, x: Tensor) -> Tensor:
        found = []
        for branch in self.branches:
            y = x
            for name in branch:
                y = torch.cat([self._layer(n)(y) for n in name], 1) if isinstance(name, tuple) else self._layer(name)(y)
            found.append(y)
        if self.pool == "reduce":
            found.append(F.max_pool2d(x, 3, 2))
        elif self.pool == "max":
            found.append(self._layer("branch_pool")(F.max_pool2d(x, 3, 1, 1)))
        else:  # the mean of what is there, as TensorFlow's has it
            found.append(self._layer("branch_pool")(F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)))
        return torch.cat(found, 1)

    def _layer(self, name: str) -> nn.Module:
        return self.get_submodule(name)


def _a(channels: int, pool: int) -> Mixed:
    layers: Layers = {
        "branch1x1": (channels, 64, 1, 1), "branch5x5_1": (channels, 48, 1, 1), "branch5x5_2": (48, 64, 5, 1),
        "branch3x3dbl_1": (channels, 64, 1, 1), "branch3x3dbl_2": (64, 96, 3, 1), "branch3x3dbl_3": (96, 96, 3, 1),
        "branch_pool": (channels, pool, 1, 1),
    }  # fmt: skip
    return Mixed(layers, [["branch1x1"], ["branch5x5_1", "branch5x5_2"], [f"branch3x3dbl_{n}" for n in (1, 2, 3)]], "mean")


def _b(channels: int) -> Mixed:
    layers: Layers = {
        "branch3x3": (channels, 384, 3, 2), "branch3x3dbl_1": (channels, 64, 1, 1), "branch3x3dbl_2": (64, 96, 3, 1),
        "branch3x3dbl_3": (96, 96, 3, 2),
    }  # fmt: skip
    return Mixed(layers, [["branch3x3"], [f"branch3x3dbl_{n}" for n in (1, 2, 3)]], "reduce")


def _c(channels: int, c: int) -> Mixed:
    layers: Layers = {
        "branch1x1": (channels, 192, 1, 1), "branch7x7_1": (channels, c, 1, 1), "branch7x7_2": (c, c, (1, 7), 1),
        "branch7x7_3": (c, 192, (7, 1), 1), "branch7x7dbl_1": (channels, c, 1, 1), "branch7x7dbl_2": (c, c, (7, 1), 1),
        "branch7x7dbl_3": (c, c, (1, 7), 1), "branch7x7dbl_4": (c, c, (7, 1), 1), "branch7x7dbl_5": (c, 192, (1, 7), 1),
        "branch_pool": (channels, 192, 1, 1),
    }  # fmt: skip
    branches = [["branch1x1"], [f"branch7x7_{n}" for n in (1, 2, 3)], [f"branch7x7dbl_{n}" for n in range(1, 6)]]
    return Mixed(layers, branches, "mean")  # type: ignore[arg-type]


def _d(channels: int) -> Mixed:
    layers: Layers = {
        "branch3x3_1": (channels, 192, 1, 1), "branch3x3_2": (192, 320, 3, 2), "branch7x7x3_1": (channels, 192, 1, 1),
        "branch7x7x3_2": (192, 192, (1, 7), 1), "branch7x7x3_3": (192, 192, (7, 1), 1), "branch7x7x3_4": (192, 192, 3, 2),
    }  # fmt: skip
    return Mixed(layers, [["branch3x3_1", "branch3x3_2"], [f"branch7x7x3_{n}" for n in range(1, 5)]], "reduce")


def _e(channels: int, pool: str) -> Mixed:
    layers: Layers = {
        "branch1x1": (channels, 320, 1, 1), "branch3x3_1": (channels, 384, 1, 1), "branch3x3_2a": (384, 384, (1, 3), 1),
        "branch3x3_2b": (384, 384, (3, 1), 1), "branch3x3dbl_1": (channels, 448, 1, 1), "branch3x3dbl_2": (448, 384, 3, 1),
        "branch3x3dbl_3a": (384, 384, (1, 3), 1), "branch3x3dbl_3b": (384, 384, (3, 1), 1),
        "branch_pool": (channels, 192, 1, 1),
    }  # fmt: skip
    branches: list[list[str | tuple[str, str]]] = [
        ["branch1x1"], ["branch3x3_1", ("branch3x3_2a", "branch3x3_2b")],
        ["branch3x3dbl_1", "branch3x3dbl_2", ("branch3x3dbl_3a", "branch3x3dbl_3b")],
    ]  # fmt: skip
    return Mixed(layers, branches, pool)


class InceptionFID(nn.Module):
    """The network behind FID: TensorFlow's Inception of 2015 (1,008 classes), in the layout of `pt_inception-2015-12-05`.

    It differs from torchvision's as its weights were trained: means over padded borders count what is there only, and the
    last block pools by the maximum. `forward` takes slices (B, 1, X, Y), air 0 and bright 1 (more is cut off), makes them
    299 x 299 grey RGB in [-1, 1] and returns the 2,048 features of the last pooling.
    """

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Convolution(3, 32, 3, 2, same=False)
        self.Conv2d_2a_3x3 = Convolution(32, 32, 3, same=False)
        self.Conv2d_2b_3x3 = Convolution(32, 64, 3)
        self.Conv2d_3b_1x1 = Convolution(64, 80, 1)
        self.Conv2d_4a_3x3 = Convolution(80, 192, 3, same=False)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = _a(192, 32), _a(256, 64), _a(288, 64)
        self.Mixed_6a = _b(288)
        self.Mixed_6b, self.Mixed_6c, self.Mixed_6d, self.Mixed_6e = _c(768, 128), _c(768, 160), _c(768, 160), _c(768, 192)
        self.Mixed_7a = _d(768)
        self.Mixed_7b, self.Mixed_7c = _e(1280, "mean"), _e(2048, "max")
        self.fc = nn.Linear(2048, 1008)

    def forward(self, x: Tensor) -> Tensor:
        x = F.interpolate(x.clamp(0, 1).expand(-1, 3, -1, -1), size=(299, 299), mode="bilinear", align_corners=False)
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(2 * x - 1)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(x, 3, 2)))
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(F.max_pool2d(x, 3, 2))))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))))
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))
        return x.mean((2, 3))

    def classify(self, features: Tensor) -> Tensor:
        """Return the logits without their bias, as the Inception Score's own code has them (Salimans et al. 2016)."""
        return features @ self.fc.weight.T

    def load(self, held: Mapping[str, Any]) -> None:
        """Take the weights of a file of the published layout. Raises RuntimeError where names or shapes are others."""
        self.load_state_dict({name: value for name, value in held.items() if not name.startswith("AuxLogits.")})
