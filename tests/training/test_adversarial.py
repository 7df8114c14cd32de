from __future__ import annotations

from typing import Any

import pytest
import torch
from ignite.engine import Events
from monai.engines import AdversarialTrainer
from monai.losses import PatchAdversarialLoss
from monai.networks.nets import MultiScalePatchDiscriminator, PatchDiscriminator
from monai.utils import AdversarialIterationEvents
from torch import nn

from medgen.training.adversarial import BalancedLoss, Detail, FeatureMatching, LastMap, MultiScale, TargetsAsReals


def trainer(handlers: list[Any], generator: nn.Module) -> AdversarialTrainer:
    torch.manual_seed(0)
    discriminator = LastMap(PatchDiscriminator(3, 4, 1, num_layers_d=1, norm=None, bias=True))
    hinge = PatchAdversarialLoss(criterion="hinge")
    batches = [{"image": torch.zeros(1, 1, 16, 16, 16), "label": torch.rand(1, 1, 16, 16, 16)} for _ in range(2)]
    return AdversarialTrainer(
        device="cpu", max_epochs=1, train_data_loader=batches, decollate=False, train_handlers=handlers,
        g_network=generator, g_optimizer=torch.optim.SGD(generator.parameters(), 0.1),
        g_loss_function=lambda logits: hinge(logits, True, False), recon_loss_function=nn.L1Loss(),
        d_network=discriminator, d_optimizer=torch.optim.SGD(discriminator.parameters(), 0.1),
        d_loss_function=lambda real, fake: (hinge(real, True, True) + hinge(fake, False, True)) / 2,
    )  # fmt: skip


def test_the_discriminator_sees_targets_as_reals_and_one_map_of_logits() -> None:
    seen: list[Any] = []
    engine = trainer([TargetsAsReals()], nn.Conv3d(1, 1, 3, padding=1))
    engine.add_event_handler(Events.ITERATION_COMPLETED, lambda e: seen.append(dict(e.state.output)))
    engine.run()
    for output in seen:
        assert torch.equal(output["reals"], output["label"]) and not torch.equal(output["reals"], output["image"])
        assert output["real_logits"].shape[:2] == (1, 1)


def test_the_adversarial_gradient_is_so_many_times_the_faithful_one() -> None:
    generator = nn.Conv3d(1, 1, 3, padding=1)
    ratios: list[float] = []

    class Measure:
        def attach(self, engine: Any) -> None:
            engine.register_events(*AdversarialIterationEvents)
            engine.add_event_handler(AdversarialIterationEvents.GENERATOR_LOSS_COMPLETED, self)

        def __call__(self, engine: Any) -> None:
            gradients = [
                torch.autograd.grad(engine.state.output[key], generator.bias, retain_graph=True)[0].norm()
                for key in ("generator_loss", "reconstruction_loss")
            ]
            ratios.append(float(gradients[0] / gradients[1]))

    trainer([TargetsAsReals(), BalancedLoss(generator.bias, weight=0.3), Measure()], generator).run()  # type: ignore[arg-type]
    assert ratios == pytest.approx([0.3, 0.3], rel=1e-3)


def test_convolutions_are_spectrally_normalised() -> None:
    discriminator = LastMap(PatchDiscriminator(3, 8, 1, num_layers_d=1, norm=None))
    with torch.no_grad():
        for parameter in discriminator.parameters():
            parameter.mul_(100)
    discriminator.train()
    for _ in range(20):
        discriminator(torch.rand(1, 1, 16, 16, 16))
    discriminator.eval()
    for module in discriminator.modules():
        if isinstance(module, nn.Conv3d):
            assert float(torch.linalg.matrix_norm(module.weight.flatten(1), 2)) == pytest.approx(1, abs=0.05)


def test_the_discriminator_sees_detail_and_distance_from_the_prior_and_its_features_draw_the_generator() -> None:
    torch.manual_seed(0)
    discriminator = MultiScale(MultiScalePatchDiscriminator(2, 1, 3, 4, 4, kernel_size=3, norm=None, bias=True))
    generator = nn.Conv3d(1, 1, 3, padding=1)
    hinge, losses = PatchAdversarialLoss(criterion="hinge"), {}
    for weight in (0.0, 5.0):
        seen: list[Any] = []
        engine = AdversarialTrainer(
            device="cpu", max_epochs=1, decollate=False, train_handlers=[Detail(), FeatureMatching(discriminator, weight)],
            train_data_loader=[{"image": torch.full((1, 1, 16, 16, 16), 0.25), "label": torch.ones(1, 1, 16, 16, 16)}],
            g_network=generator, g_optimizer=torch.optim.SGD(generator.parameters(), 0.0),
            g_loss_function=lambda logits: hinge(logits, True, False), recon_loss_function=lambda made, target: (made[:, :1] - target).abs(),
            d_network=discriminator, d_optimizer=torch.optim.SGD(discriminator.parameters(), 0.0),
            d_loss_function=lambda real, fake: (hinge(real, True, True) + hinge(fake, False, True)) / 2,
        )  # fmt: skip
        engine.add_event_handler(Events.ITERATION_COMPLETED, lambda e, seen=seen: seen.append(dict(e.state.output)))
        engine.run()
        (output,) = seen
        for key, image in (("reals", output["label"]), ("fakes", output["pred"])):
            seen_image, detail, distance, prior = output[key].split(1, 1)
            assert torch.equal(seen_image, image) and torch.equal(prior, 2 * output["image"])
            assert torch.allclose(distance, 4 * (image - output["image"]))
            middle = (0, 0, slice(4, 7), slice(4, 7), slice(4, 7))
            assert float(detail[0, 0, 5, 5, 5].detach()) == pytest.approx(10 * float((image[0, 0, 5, 5, 5] - image[middle].mean()).detach()), abs=1e-5)
        assert len(output["real_logits"]) == 2
        losses[weight] = float(output["generator_loss"].detach())
    assert losses[5.0] > losses[0.0] + 1e-3


def test_the_discriminator_starts_at_he_and_its_last_convolution_at_a_tenth() -> None:
    torch.manual_seed(0)
    discriminator = MultiScale(MultiScalePatchDiscriminator(2, 1, 3, 32, 16, kernel_size=4, norm=None, bias=True))
    for name, module in discriminator.named_modules():
        if isinstance(module, nn.Conv3d):
            fan = module.weight[0].numel()
            wanted = (2 / 1.04 / fan) ** 0.5 * (0.1 if "final" in name else 1)
            assert float(module.weight.std()) == pytest.approx(wanted, rel=0.25 if "final" in name else 0.05)
            assert module.bias is None or not module.bias.any()
