from __future__ import annotations

from typing import Any

import pytest
import torch
from ignite.engine import Events
from monai.inferers import SimpleInferer
from monai.networks.nets import MultiScalePatchDiscriminator
from torch import Tensor, nn

from medgen.training.adversarial import MultiScale
from medgen.training.cycle import CycleTrainer

CONTRASTS = ("T1", "T2")


def tell(image: Tensor, spacing: Any, source: str, target: str) -> Tensor:
    """Return the image and whether it is to become T2, so that the truth is known: T2 is 1 - T1."""
    return torch.cat([image, torch.full_like(image, float(source != target))], 1)


class Flip(nn.Module):
    """x where nothing is to be done, else a x + b: the cycle alone is at rest at a = -1 and any b, which others' scans alone tell."""

    def __init__(self) -> None:
        super().__init__()
        self.line = nn.Parameter(torch.tensor([-0.5, 0.3]))

    def forward(self, told: Tensor) -> Tensor:
        image, turned = told.split(1, 1)
        return turned * (self.line[0] * image + self.line[1]) + (1 - turned) * image


def batches(count: int) -> list[dict[str, Any]]:
    torch.manual_seed(0)
    out = []
    for k in range(count):
        one, other = torch.rand(2, 1, 1, 16, 16, 16) * 0.4
        source, target = CONTRASTS[k % 2], CONTRASTS[1 - k % 2]
        scan, real = (image if name == "T1" else 1 - image for image, name in ((one, source), (other, target)))
        out.append({"image": tell(scan, None, source, target), "label": scan, "real": real, "source": [source], "target": [target],
                    "spacing": [torch.tensor([2.0])] * 3})  # fmt: skip
    return out


def trainer(network: nn.Module, cycle: float, count: int = 2, rate: float = 0.02) -> CycleTrainer:
    torch.manual_seed(0)
    discriminator = MultiScale(MultiScalePatchDiscriminator(2, 1, 3, 8, 4, kernel_size=4, norm=None, bias=True))
    return CycleTrainer(
        "cpu", 1, batches(count), network, torch.optim.Adam(network.parameters(), rate), SimpleInferer(), tell, CONTRASTS, discriminator,
        torch.optim.Adam(discriminator.parameters(), 2e-3), cycle=cycle, identity=1.0,
    )  # fmt: skip


def test_without_pairs_the_translation_is_learned() -> None:
    network = Flip()
    trainer(network, cycle=2.0, count=300).run()
    slope, shift = network.line.tolist()
    assert slope == pytest.approx(-1, abs=0.35) and shift == pytest.approx(1, abs=0.35)


def test_both_networks_learn_and_the_losses_are_told() -> None:
    network, seen = Flip(), []
    engine = trainer(network, cycle=10.0)
    before = [p.clone() for p in (*network.parameters(), *engine.discriminator.parameters())]
    engine.add_event_handler(Events.ITERATION_COMPLETED, lambda e: seen.append(dict(e.state.output)))
    engine.run()
    after = [*network.parameters(), *engine.discriminator.parameters()]
    assert all(not torch.equal(a, b) for a, b in zip(before, after) if b.grad is not None)
    assert {"loss", "generator_loss", "discriminator_loss", "pred"} <= set(seen[0])
    a, b = -0.5, 0.3
    scan = batches(1)[0]["label"]
    assert float(seen[0]["loss"]) == pytest.approx(float((a * (a * scan + b) + b - scan).abs().mean()), rel=1e-4)  # the way back
