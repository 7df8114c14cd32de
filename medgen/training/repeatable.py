"""Training that a kill cannot change: chance drawn anew for each epoch, and a state that is kept whole after each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ignite.engine import Engine, Events
from ignite.handlers import Checkpoint, DiskSaver
from monai.data.utils import set_rnd
from monai.utils import set_determinism
from torch import Tensor, nn


class SeedEpochs:
    """Set every source of chance from (seed, epoch) as an epoch begins: the order of samples, transforms, workers, network.

    An epoch then depends on the state before it only, so that a run resumed from its last epoch goes on as if nothing
    had happened. The data loader must not keep its workers from epoch to epoch.
    """

    def __init__(self, loader: Any, seed: int) -> None:
        self.loader, self.seed = loader, seed

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(Events.EPOCH_STARTED, self)

    def __call__(self, engine: Any) -> None:
        seed = int(np.random.SeedSequence([self.seed, engine.state.epoch]).generate_state(1)[0])
        set_determinism(seed)
        set_rnd(self.loader.dataset, seed)  # the transforms of this process; those of workers begin from torch's seed
        if getattr(engine, "scaler", None) is not None:  # of float16: it has a state too, and MONAI makes a new one for each run
            engine.scaler = type(engine.scaler)()
        engine.set_data(self.loader)


class KeepState:
    """Save the state after each epoch, beside the place first and then renamed into it; the last two are kept.

    (MONAI's `CheckpointSaver` writes in place: killed at the wrong moment, it leaves half a file.)
    """

    def __init__(self, save_dir: str, state: Mapping[str, Any]) -> None:
        disk = DiskSaver(save_dir, atomic=True, create_dir=True, require_empty=False)
        self.checkpoint = Checkpoint(
            dict(state), disk, n_saved=2, score_name="epoch", score_function=lambda engine: engine.state.epoch
        )

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.checkpoint)


def last_state(folder: str) -> list[str]:
    """Return the newest state that `KeepState` left in a folder, in a list, or an empty list."""
    files = Path(folder).glob("checkpoint_epoch=*.pt")
    return [str(f) for f in sorted(files, key=lambda f: int(f.stem.partition("=")[2]))[-1:]]


class BestWeights:
    """Keep the weights of the lowest validation value, in memory and in the state that is saved.

    Attach it to the evaluator. `history` holds (epoch, value) of every validation; epoch 0 is before the training.
    """

    def __init__(self, network: nn.Module, trainer: Engine, metric: str = "loss") -> None:
        self.network, self.trainer, self.metric = network, trainer, metric
        self.epoch, self.value = -1, float("inf")
        self.history: list[tuple[int, float]] = []
        self.weights: dict[str, Tensor] = {}

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(Events.COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        value = float(engine.state.metrics[self.metric])
        self.history.append((self.trainer.state.epoch, value))
        if value < self.value:
            self.epoch, self.value = self.trainer.state.epoch, value
            self.weights = {name: tensor.detach().cpu().clone() for name, tensor in self.network.state_dict().items()}

    def state_dict(self) -> dict[str, Any]:
        return {"epoch": self.epoch, "value": self.value, "history": self.history, "weights": self.weights}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.epoch, self.value = state["epoch"], state["value"]
        self.history, self.weights = [tuple(pair) for pair in state["history"]], dict(state["weights"])
