"""What `monai.engines.AdversarialTrainer` lacks for paired restoration: targets as reals, one map of logits, balance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from ignite.engine import Engine
from monai.utils import AdversarialIterationEvents, AdversarialKeys
from monai.utils.enums import CommonKeys
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm


def _attach(engine: Engine, event: AdversarialIterationEvents, handler: Callable[[Any], None]) -> None:
    engine.register_events(*AdversarialIterationEvents)  # MONAI does it after it has attached the handlers
    engine.add_event_handler(event, handler)


class TargetsAsReals:
    """Let the discriminator see the targets as real images; MONAI's trainer hands it the inputs, the damaged scans."""

    def attach(self, engine: Engine) -> None:
        _attach(engine, AdversarialIterationEvents.GENERATOR_FORWARD_COMPLETED, self)

    def __call__(self, engine: Any) -> None:
        engine.state.output[AdversarialKeys.REALS] = engine.state.output[CommonKeys.LABEL]


class BalancedLoss:
    """Scale the generator's adversarial loss so that its gradient is `weight` times the reconstruction's.

    Gradients are taken on `parameter`, the generator's last weights (VQGAN: Esser et al., CVPR 2021); the scale is at
    most `most`.
    """

    def __init__(self, parameter: Tensor, weight: float = 0.5, most: float = 1e3) -> None:
        self.parameter, self.weight, self.most = parameter, weight, most

    def attach(self, engine: Engine) -> None:
        _attach(engine, AdversarialIterationEvents.GENERATOR_LOSS_COMPLETED, self)

    def __call__(self, engine: Any) -> None:
        output = engine.state.output
        losses = (output[AdversarialKeys.RECONSTRUCTION_LOSS], output[AdversarialKeys.GENERATOR_LOSS])
        faithful, fooling = (torch.autograd.grad(loss, self.parameter, retain_graph=True)[0].norm() for loss in losses)
        scale = (faithful / (fooling + 1e-8)).clamp(max=self.most).detach()
        output[AdversarialKeys.GENERATOR_LOSS] = self.weight * scale * output[AdversarialKeys.GENERATOR_LOSS]


class Detail:
    """Let the discriminator see, beside a real or a made image, its detail, its distance from the prior, and the prior.

    The detail is that of `detail_of`; the distance is taken four times, the prior (the first channel of the
    inputs) twice. The image alone, beside all that the generator was told, was not learned from: in 100 steps the
    hinge loss stayed at 1.0, as detail is small beside tissues, and told channels are alike in real and made images.
    """

    def attach(self, engine: Engine) -> None:
        _attach(engine, AdversarialIterationEvents.GENERATOR_FORWARD_COMPLETED, self)

    def __call__(self, engine: Any) -> None:
        output = engine.state.output
        prior = output[CommonKeys.IMAGE][:, :1].float()
        for key, image in ((AdversarialKeys.REALS, output[CommonKeys.LABEL]), (AdversarialKeys.FAKES, output[AdversarialKeys.FAKES])):
            image = image.float()
            output[key] = torch.cat([image, detail_of(image), 4 * (image - prior), 2 * prior], 1)


def detail_of(image: Tensor) -> Tensor:
    """Return what an image (B, 1, X, Y, Z) has beyond the mean of 3x3x3 voxels, ten times."""
    return 10 * (image - F.avg_pool3d(F.pad(image, (1,) * 6, mode="replicate"), 3, 1))


class FeatureMatching:
    """Add `weight` times the mean distance of the discriminator's features of real and made images to the generator's loss.

    (pix2pixHD: Wang et al., CVPR 2018.) The discriminator is one of `MultiScale`.
    """

    def __init__(self, discriminator: MultiScale, weight: float = 10.0) -> None:
        self.discriminator, self.weight = discriminator, weight

    def attach(self, engine: Engine) -> None:
        _attach(engine, AdversarialIterationEvents.GENERATOR_LOSS_COMPLETED, self)

    def __call__(self, engine: Any) -> None:
        output = engine.state.output
        made = self.discriminator.features
        with torch.no_grad():
            engine.d_inferer(output[AdversarialKeys.REALS], self.discriminator)
        real = self.discriminator.features
        distances = [(a.float() - b.float()).abs().mean() for a, b in zip(made, real)]
        output[AdversarialKeys.GENERATOR_LOSS] = output[AdversarialKeys.GENERATOR_LOSS] + self.weight * torch.stack(distances).mean()


class LastMap(nn.Module):
    """A discriminator that returns its map of logits only; MONAI's `PatchDiscriminator` returns all its features.

    Its convolutions are spectrally normalised (Miyato et al., ICLR 2018).
    """

    def __init__(self, discriminator: nn.Module) -> None:
        super().__init__()
        for module in discriminator.modules():
            if isinstance(module, nn.Conv3d):
                spectral_norm(module)
        self.discriminator = discriminator

    def forward(self, image: Tensor) -> Tensor:
        return self.discriminator(image)[-1]


class MultiScale(nn.Module):
    """A discriminator that returns the maps of logits of MONAI's `MultiScalePatchDiscriminator`, and keeps its last features.

    Its convolutions start as He et al. (ICCV 2015) do, the last a tenth of that: from MONAI's weights of 0.02, without norms,
    nothing is learned for hundreds of steps.
    """

    def __init__(self, discriminator: nn.Module) -> None:
        super().__init__()
        for name, module in discriminator.named_modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, a=0.2)
                with torch.no_grad():
                    module.weight.mul_(0.1 if "final" in name else 1.0)
                    if module.bias is not None:
                        module.bias.zero_()
        self.discriminator = discriminator
        self.features: list[Tensor] = []

    def forward(self, image: Tensor) -> list[Tensor]:
        logits, features = self.discriminator(image)
        self.features = [one for scale in features for one in scale]
        return logits
