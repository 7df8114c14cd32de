"""The two ResNet-50 that others published for medical images, with the names of their weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from monai.networks.nets.resnet import resnet50
from torch import Tensor, nn
from torch.nn import functional as F

GREY = (0.406, 0.456, 0.485)  #: what RadImageNet's Keras weights have subtracted from blue, green and red
CHILDREN = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")  #: of torchvision's ResNet, by number


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions beside the identity. Keras has the stride in the first, torchvision in the second."""

    def __init__(self, channels: int, width: int, stride: int, keras: bool) -> None:
        super().__init__()
        eps = 1.001e-5 if keras else 1e-5
        self.conv1 = nn.Conv2d(channels, width, 1, stride if keras else 1, bias=keras)
        self.bn1 = nn.BatchNorm2d(width, eps)
        self.conv2 = nn.Conv2d(width, width, 3, 1 if keras else stride, 1, bias=keras)
        self.bn2 = nn.BatchNorm2d(width, eps)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=keras)
        self.bn3 = nn.BatchNorm2d(4 * width, eps)
        self.downsample = None
        if stride != 1 or channels != 4 * width:
            self.downsample = nn.Sequential(nn.Conv2d(channels, 4 * width, 1, stride, bias=keras), nn.BatchNorm2d(4 * width, eps))

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn3(self.conv3(F.relu(self.bn2(self.conv2(y)))))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class RadImageNetResNet50(nn.Module):
    """ResNet-50 of RadImageNet (Mei et al. 2022), from either of the two published files.

    `RadImageNet-ResNet50_notop.pth` is converted from Keras (convolutions with a bias; blue, green, red, less their mean);
    `ResNet50.pt` is torchvision's, its layers numbered under `backbone.` (values in [-1, 1]). `load` tells which it is.
    `forward` takes slices (B, 1, X, Y), air 0 and bright 1 (more is cut off), makes them 224 x 224 and returns the means of
    the last 2,048 maps.
    """

    def __init__(self, keras: bool = True) -> None:
        super().__init__()
        self._build(keras)

    def _build(self, keras: bool) -> None:
        self.keras = keras
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=keras)
        self.bn1 = nn.BatchNorm2d(64, 1.001e-5 if keras else 1e-5)
        channels = 64
        for number, (width, blocks) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3)), 1):
            layer = []
            for block in range(blocks):
                layer.append(Bottleneck(channels, width, 2 if number > 1 and block == 0 else 1, keras))
                channels = 4 * width
            self.add_module(f"layer{number}", nn.Sequential(*layer))

    def forward(self, x: Tensor) -> Tensor:
        x = F.interpolate(x.clamp(0, 1).expand(-1, 3, -1, -1), size=(224, 224), mode="bilinear", align_corners=False)
        x = x - torch.tensor(GREY, device=x.device).view(1, 3, 1, 1) if self.keras else 2 * x - 1
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        for number in (1, 2, 3, 4):
            x = self.get_submodule(f"layer{number}")(x)
        return x.mean((2, 3))

    def load(self, held: Mapping[str, Any]) -> None:
        """Take the weights of a file of either layout. Raises RuntimeError where names or shapes are others."""
        named = {}
        for name, value in held.items():
            if name.startswith("backbone."):
                number, _, rest = name.removeprefix("backbone.").partition(".")
                name = f"{CHILDREN[int(number)] if number.isdigit() and int(number) < len(CHILDREN) else number}.{rest}"
            if not name.startswith("fc."):
                named[name] = value
        if ("conv1.bias" in named) != self.keras:
            self._build("conv1.bias" in named)
        self.load_state_dict(named)


class MedicalNetResNet50(nn.Module):
    """3D ResNet-50 of MedicalNet (Chen et al. 2019), MONAI's, from `resnet_50_23dataset.pth` or `resnet_50.pth`.

    MONAI strides its last two stages where MedicalNet dilates them: the weights fit, the maps are coarser. `forward` takes
    crops (B, 1, X, Y, Z), brings each to mean 0 and standard deviation 1, and returns 2,048 features.
    """

    def __init__(self) -> None:
        super().__init__()
        self.network = resnet50(
            pretrained=False, spatial_dims=3, n_input_channels=1, conv1_t_stride=2, feed_forward=False, shortcut_type="B",
            bias_downsample=False,
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        axes = tuple(range(1, x.dim()))
        x = (x - x.mean(axes, keepdim=True)) / x.std(axes, keepdim=True).clamp(min=1e-6)
        return self.network(x)

    def load(self, held: Mapping[str, Any]) -> None:
        """Take the weights of a file of the published layout. Raises RuntimeError where names or shapes are others."""
        names = {name.removeprefix("module."): value for name, value in held.items()}
        self.network.load_state_dict({name: value for name, value in names.items() if not name.startswith("conv_seg.")})
