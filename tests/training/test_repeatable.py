from __future__ import annotations

from pathlib import Path

import pytest
import torch
from ignite.engine import Engine, Events
from monai.data import DataLoader, Dataset
from monai.transforms import Compose, RandGaussianNoised

from medgen.training.repeatable import BestWeights, KeepState, SeedEpochs, last_state


def drawn(seed: int, start: int, workers: int) -> list[torch.Tensor]:
    """Return what the epochs from `start` to 3 hand to the network, each with a number that the network draws."""
    noise = Compose([RandGaussianNoised("image", prob=1.0)])
    data = Dataset([{"image": torch.full((1, 4), float(n))} for n in range(6)], noise)
    loader = DataLoader(data, batch_size=2, shuffle=True, num_workers=workers)
    seen: list[torch.Tensor] = []
    engine = Engine(lambda engine, batch: seen.append(torch.cat([batch["image"].flatten(), torch.rand(1)])))
    SeedEpochs(loader, seed).attach(engine)
    engine.load_state_dict({"epoch": start - 1, "max_epochs": 3, "epoch_length": 3})
    engine.run(loader)
    return seen


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_depends_on_seed_and_number_only(workers: int) -> None:
    whole = drawn(0, 1, workers)
    assert len(whole) == 9
    assert all(torch.equal(a, b) for a, b in zip(whole[3:], drawn(0, 2, workers), strict=True))
    assert not torch.equal(torch.stack(whole[:3]), torch.stack(whole[3:6]))
    assert not torch.equal(torch.stack(whole), torch.stack(drawn(1, 1, workers)))


def test_the_last_two_states_are_kept_and_the_last_is_found(tmp_path: Path) -> None:
    network = torch.nn.Linear(1, 1)
    engine = Engine(lambda *_: network.weight.data.add_(1.0))
    KeepState(str(tmp_path), {"network": network, "trainer": engine}).attach(engine)
    assert last_state(str(tmp_path)) == []
    engine.run([0], max_epochs=11)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint_epoch=10.pt", "checkpoint_epoch=11.pt"]
    (path,) = last_state(str(tmp_path))
    kept = torch.load(path, weights_only=False)
    assert kept["trainer"]["iteration"] == 11 and torch.equal(kept["network"]["weight"], network.weight)


def test_the_best_weights_are_those_of_the_lowest_value_and_survive_their_state() -> None:
    network, trainer, values = torch.nn.Linear(1, 1), Engine(lambda *_: None), iter([3.0, 1.0, float("nan"), 2.0])
    judge = Engine(lambda *_: None)
    best = BestWeights(network, trainer)

    @trainer.on(Events.EPOCH_COMPLETED)
    def validate(_: Engine) -> None:
        network.weight.data.fill_(float(trainer.state.epoch))
        judge.run([0])

    @judge.on(Events.EPOCH_COMPLETED)
    def measure(_: Engine) -> None:
        judge.state.metrics["loss"] = next(values)

    best.attach(judge)
    trainer.run([0], max_epochs=4)
    again = BestWeights(network, trainer)
    again.load_state_dict(best.state_dict())
    for one in (best, again):
        assert (one.epoch, one.value) == (2, 1.0) and float(one.weights["weight"]) == 2.0
        assert [epoch for epoch, _ in one.history] == [1, 2, 3, 4]
