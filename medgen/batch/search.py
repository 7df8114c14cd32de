"""Search for the settings of a training that validate best: Optuna over any keys of the config, resumable."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medgen.batch.train import Options
from medgen.batch.train_config import configure
from medgen.batch.train_fit import Trained, fit
from medgen.batch.train_stage import own_config
from medgen.bundles import BundleError

if TYPE_CHECKING:
    import optuna

Row = tuple[int, str, "float | None", dict[str, Any]]  #: number, state ("complete" or "pruned"), value, settings
SAMPLERS = ("bayesian", "random", "grid")
FORM = (
    'a JSON object of config keys, each a list of choices or {"low": 1e-5, "high": 1e-3, "log": true} '
    '("int": true for whole numbers; "points": how many of them a grid has, 3 by default)'
)


def read_space(path: Path) -> dict[str, Any]:
    """Return the space of a search: by config key a list of choices, or a range; see `FORM`."""
    try:
        space = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BundleError(f"{path}: cannot be read ({error}); give {FORM}") from None
    if not isinstance(space, dict) or not space:
        raise BundleError(f"{path}: holds no settings; give {FORM}")
    for key, domain in space.items():
        listed = isinstance(domain, list) and len(domain) > 0
        ends: list[Any] = [domain.get(end) for end in ("low", "high")] if isinstance(domain, dict) else []
        numbers = len(ends) == 2 and all(isinstance(end, (int, float)) for end in ends)
        if not listed and not (numbers and ends[0] < ends[1] and (ends[0] > 0 or not domain.get("log"))):
            raise BundleError(f"{path}: {key} cannot be searched over {json.dumps(domain)}; give {FORM}")
    return space


def search(
    options: Options, split: dict[str, Any], space: dict[str, Any], count: int, sampler: str,
    watch: Callable[[int, int, float], None],
) -> tuple[Trained, dict[str, Any], list[Row]]:  # fmt: skip
    """Train until there are `count` trials, those of an earlier call included; return the best one and its settings.

    All trials are judged by the samples and the loss of the config that they share. A trial that does worse at an epoch
    than most before it is pruned. Killed, the search goes on with the trial that it was in, from its last epoch; each
    trial draws from seed and number, so that the same trials come as without the kill.

    Returns also a row (number, state, value, settings) of each trial. `watch` is told trial, epoch and value.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if own_config(options.root, options.stage):
        raise BundleError(f"--search cannot judge stage '{options.stage}': its loss is lowest where nothing is sharpened; train it once")
    folder = options.output.resolve() / "search"
    recipe = configure(options, split, folder, {})
    study = optuna.create_study(
        study_name="medgen", storage=f"sqlite:///{folder / 'study.db'}", direction="minimize", load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=1),
    )  # fmt: skip
    known = study.user_attrs.get("space")
    if known not in (None, [space, sampler]):
        raise BundleError(f"{folder}: is of a search over another space or with another sampler; choose another -o")
    study.set_user_attr("space", [space, sampler])
    for trial in study.trials:
        if trial.state == optuna.trial.TrialState.RUNNING:  # killed: its number is tried again, and draws the same
            study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    points = _grid(space, options.seed) if sampler == "grid" else []

    def finished() -> list[optuna.trial.FrozenTrial]:
        states = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
        return study.get_trials(deepcopy=False, states=states)

    def objective(trial: optuna.Trial) -> float:
        number = len(finished())
        settings = points[number] if points else {key: _suggest(trial, key, domain) for key, domain in space.items()}
        trial.set_user_attr("number", number)
        trial.set_user_attr("settings", settings)

        def judge(epoch: int, value: float, trainer: Any) -> None:
            watch(number, epoch, value)
            trial.report(value, epoch)
            if trial.should_prune():
                trainer.terminate()

        trained = fit(configure(options, split, folder / f"trial{number}", settings, recipe), judge)
        if trial.should_prune():
            raise optuna.TrialPruned
        return trained.value

    while (number := len(finished())) < min(count, len(points) or count):
        random = sampler != "bayesian"
        seed = options.seed + number  # so that a search that was interrupted draws as if it had not been
        study.sampler = optuna.samplers.RandomSampler(seed) if random else optuna.samplers.TPESampler(seed=seed)
        study.optimize(objective, n_trials=1)
    rows = [(t.user_attrs["number"], t.state.name.lower(), t.value, t.user_attrs["settings"]) for t in finished()]
    if not any(state == "complete" for _, state, _, _ in rows):
        raise BundleError(f"{folder}: no trial came to its end; ask for more of them")
    best = study.best_trial.user_attrs
    config = configure(options, split, folder / f"trial{best['number']}", best["settings"], recipe)
    return fit(config, lambda *_: None), best["settings"], rows


def _suggest(trial: optuna.Trial, key: str, domain: Any) -> Any:
    if isinstance(domain, list):  # as text, since Optuna stores no lists
        return json.loads(trial.suggest_categorical(key, [json.dumps(choice) for choice in domain]))
    low, high, log = domain["low"], domain["high"], bool(domain.get("log"))
    return trial.suggest_int(key, low, high, log=log) if domain.get("int") else trial.suggest_float(key, low, high, log=log)


def _grid(space: dict[str, Any], seed: int) -> list[dict[str, Any]]:
    """Return every combination of the space, in an order drawn by the seed, so that some of them are spread over it."""
    axes = []
    for domain in space.values():
        if isinstance(domain, dict):
            between = np.geomspace if domain.get("log") else np.linspace
            values = between(domain["low"], domain["high"], domain.get("points", 3)).tolist()
            domain = sorted({round(value) for value in values}) if domain.get("int") else values
        axes.append(domain)
    combinations = [dict(zip(space, values)) for values in itertools.product(*axes)]
    return [combinations[n] for n in np.random.RandomState(seed).permutation(len(combinations))]
