from __future__ import annotations

import pytest
import torch
from monai.engines import SupervisedTrainer
from torch import Tensor, nn

from medgen.training.engines import ClipGradient, PrepareBatchTarget, train_only


class Tiny(nn.Module):
    """A network of two parts that is told the target and remembers it."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Conv3d(1, 2, 1)
        self.head = nn.Conv3d(2, 1, 1)
        self.seen: Tensor | None = None

    def forward(self, x: Tensor, target: Tensor | None = None) -> Tensor:
        self.seen = target
        return self.head(self.trunk(x))


def batch() -> dict[str, Tensor]:
    return {"image": torch.rand(2, 1, 4, 4, 4), "label": torch.rand(2, 1, 4, 4, 4)}


def train(network: nn.Module, norm: float | None, batches: int = 2) -> Tensor:
    """Train at a huge loss and return how far one step of 1 x gradient moved the weights, in all."""
    before = torch.cat([p.detach().clone().flatten() for p in network.parameters()])
    trainer = SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=1,
        train_data_loader=[batch() for _ in range(batches)],
        network=network,
        optimizer=torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=1.0),
        loss_function=lambda output, label: 1000 * (output - label - 5).square().mean(),
        prepare_batch=PrepareBatchTarget(),
        train_handlers=[] if norm is None else [ClipGradient(network, norm)],
    )
    trainer.run()
    assert trainer.state.iteration == batches
    return (torch.cat([p.detach().flatten() for p in network.parameters()]) - before).norm()


def test_the_gradient_is_clipped_to_its_norm() -> None:
    torch.manual_seed(0)
    assert float(train(Tiny(), norm=0.25, batches=1)) == pytest.approx(0.25, rel=1e-3)
    assert float(train(Tiny(), norm=0.25, batches=2)) <= 0.5 + 1e-4


def test_without_the_handler_the_step_is_large() -> None:
    torch.manual_seed(0)
    assert float(train(Tiny(), norm=None, batches=1)) > 100


def test_a_small_gradient_is_left() -> None:
    network = Tiny()
    for parameter in network.parameters():
        parameter.grad = torch.full_like(parameter, 1e-3)
    ClipGradient(network, 1.0)(None)
    assert all(torch.equal(p.grad, torch.full_like(p, 1e-3)) for p in network.parameters())


def test_train_only_freezes_the_rest() -> None:
    torch.manual_seed(0)
    network = Tiny()
    assert train_only(network, "head") is network
    assert all(not p.requires_grad for p in network.trunk.parameters())
    trunk, head = network.trunk.weight.clone(), network.head.weight.clone()
    train(network, norm=1.0)
    assert torch.equal(network.trunk.weight, trunk)
    assert not torch.equal(network.head.weight, head)


def test_train_only_can_be_undone_by_naming_another_part() -> None:
    network = train_only(train_only(Tiny(), "head"), "trunk")
    assert [n for n, p in network.named_parameters() if p.requires_grad] == ["trunk.weight", "trunk.bias"]


def test_train_only_names_a_part_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="tail"):
        train_only(Tiny(), "tail")


def test_the_network_is_handed_the_target() -> None:
    data = batch()
    image, label, args, kwargs = PrepareBatchTarget()(data, "cpu")
    assert torch.equal(image, data["image"]) and torch.equal(label, data["label"])
    assert args == () and list(kwargs) == ["target"] and kwargs["target"] is label
    network = Tiny()
    train(network, norm=1.0, batches=1)
    assert network.seen is not None


def test_a_batch_without_a_label_is_refused() -> None:
    with pytest.raises(KeyError, match="label"):
        PrepareBatchTarget()({"image": torch.rand(1, 1, 2, 2, 2)})
