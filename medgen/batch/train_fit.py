"""Run the config of a training by MONAI, from its last state where there is one."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medgen.bundles import BundleError


@dataclass(frozen=True)
class Trained:
    """What came of a training: the validation value (the loss; lower is better) by epoch, and the best weights.

    Of a GAN's stage it is the last weights that count: a loss that is lowest where nothing is sharpened cannot choose.
    """

    epoch: int
    value: float
    history: list[tuple[int, float]]
    weights: dict[str, Any] = field(repr=False)
    last: bool = False  #: the weights are the last, not the best


def fit(config: Path, watch: Callable[[int, float, Any], None]) -> Trained:
    """Run a training config to its end, from its last state where there is one.

    `watch` is told epoch, validation value and trainer after each validation, those before the last state included.
    Raises `BundleError` with the root of what went wrong.
    """
    with _quiet():
        try:
            return _fit(config, watch)
        except (RuntimeError, ValueError, MemoryError) as error:
            raise _plain(config, error) from error


def _fit(config: Path, watch: Callable[[int, float, Any], None]) -> Trained:
    from ignite.engine import Events
    from monai.bundle import ConfigWorkflow

    meta = Path(json.loads(config.read_text())["bundle_root"]) / "configs" / "metadata.json"
    workflow = ConfigWorkflow(config_file=str(config), meta_file=str(meta), logging_file=False, workflow_type="train")
    get = workflow.parser.get_parsed_content
    workflow.initialize()
    best, trainer = get("validate#best"), get("train#trainer")

    def tell(_: Any) -> None:
        epoch, value = best.history[-1]
        watch(epoch, value, trainer)

    def tell_before(_: Any) -> None:
        for epoch, value in best.history:
            watch(epoch, value, trainer)

    trainer.add_event_handler(Events.STARTED, tell_before)  # after the state has been loaded
    get("validate#evaluator").add_event_handler(Events.COMPLETED, tell)
    workflow.run()
    workflow.finalize()
    if not best.weights:
        raise BundleError(f"{config}: no validation gave a number; try a lower learning rate (--set learning_rate=1e-5)")
    if workflow.parser.get("validate").get("keep_last"):
        last = {name: tensor.detach().cpu().clone() for name, tensor in get("train#result").state_dict().items()}
        epoch, value = best.history[-1]
        return Trained(epoch, value, best.history, last, last=True)
    return Trained(best.epoch, best.value, best.history, best.weights)


def _plain(config: Path, error: BaseException) -> BundleError:
    """Return in one line what went wrong, which MONAI wraps in one error for each level of the config."""
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, BundleError):
        return error
    text = " ".join(str(error).split())[:300] or type(error).__name__
    remedy = "look into that config"
    if "loading state_dict" in text:
        text, remedy = "the weights do not fit the network as it is set", "leave network_def, or train --from-scratch"
    elif isinstance(error, MemoryError) or "memory" in text.lower():
        text, remedy = "not enough memory", "set a smaller crop_size or scans_a_batch"
    return BundleError(f"{config}: {text}; {remedy}")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep MONAI's log of each epoch and its warnings of readers that are not there off the screen."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"monai\.")
            yield
    finally:
        logging.disable(disabled)
