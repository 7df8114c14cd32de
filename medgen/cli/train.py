"""The command that trains a bundle on a user's own scans."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from medgen.cli.app import Device, Permissive, app, console, fail
from medgen.cli.bundles import _settings


@app.command()
def train(
    bundle: Annotated[str, typer.Argument(help="a bundle's name (medgen bundles) or folder")],
    data: Annotated[Path, typer.Option(help="folder of scans; what is in it is cleaned and split by subject")],
    output: Annotated[Path, typer.Option("--output", "-o", help="folder for the run; the same again goes on with it")],
    epochs: Annotated[Optional[int], typer.Option(min=1, help="at most so many; the config's by default")] = None,
    validation: Annotated[float, typer.Option(help="fraction of the subjects that are held out")] = 0.2,
    subjects: Annotated[Optional[Path], typer.Option(help="CSV file with the columns file and subject")] = None,
    device: Device = None,
    seed: Annotated[int, typer.Option(min=0, help="of split, start and chance")] = 0,
    workers: Annotated[Optional[int], typer.Option(min=0, help="processes that prepare samples")] = None,
    patience: Annotated[Optional[int], typer.Option(min=1, help="stop after so many epochs without gain (10)")] = None,
    from_scratch: Annotated[bool, typer.Option("--from-scratch", help="do not start from the shipped weights")] = False,
    schedule: Annotated[str, typer.Option(help="of the learning rate: cosine, onecycle, plateau, constant; the bundle's by default")] = "",
    stage: Annotated[str, typer.Option(help="part of the network to train, such as detail or ladder; the bundle's first by default")] = "",
    setting: Annotated[list[str], typer.Option("--set", help="KEY=VALUE of the bundle's train.json, such as learning_rate=1e-5")] = [],  # noqa: B006
    trials: Annotated[int, typer.Option("--search", min=0, help="train so many times over --space, and keep the best")] = 0,
    space: Annotated[Optional[Path], typer.Option(help="JSON: config keys, each a list or {low, high, log}")] = None,
    sampler: Annotated[str, typer.Option(help="bayesian, random or grid")] = "bayesian",
    keep_outliers: Annotated[bool, typer.Option("--keep-outliers", help="train on scans unlike the others too")] = False,
    permissive: Permissive = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="clean and split, and stop")] = False,
) -> None:
    """Train a bundle on your own scans. Example: medgen train BUNDLE --data scans/ -o tuned/ --epochs 20

    Starts from the shipped weights. The best weights by the subjects held out end in a copy of the bundle, ready for
    medgen run tuned/BUNDLE. Needs pip install medgen[train]. Exit code 1 where a scan could not be read.
    """
    from importlib.util import find_spec

    from medgen.batch import search as searching
    from medgen.batch import train as training
    from medgen.batch.progress import prepare_output
    from medgen.batch.train_config import configure
    from medgen.batch.train_export import export
    from medgen.batch.train_fit import fit
    from medgen.batch.train_stage import stale
    from medgen.bundles import BundleError, open_bundle
    from medgen.scans import ScanError

    if not 0 < validation < 1:
        raise fail(f"--validation must be above 0 and below 1, not {validation}")
    if sampler not in searching.SAMPLERS:
        raise fail(f"--sampler must be one of {', '.join(searching.SAMPLERS)}, not {sampler}")
    if bool(trials) != bool(space):
        raise fail("--search N and --space FILE belong together: give both, or neither")
    needed = ["tensorboard", *(["optuna"] if trials else [])]
    missing = [name for name in needed if not dry_run and find_spec(name) is None]
    if missing:
        raise fail(f"training needs {' and '.join(missing)}: pip install medgen[train]")
    given = {"epochs": epochs, "workers": workers, "patience": patience}
    settings = {**{key: value for key, value in given.items() if value is not None}, **_settings(setting)}
    screen = console()

    def watch(epoch: int, value: float, trainer: Any) -> None:
        loss = trainer.state.metrics.get("loss")
        told = f"training loss {loss:.4f}, " if epoch and loss is not None else ""
        screen.print(f"epoch {epoch}: {told}validation {value:.4f}", markup=False)

    def watch_trial(trial: int, epoch: int, value: float) -> None:
        screen.print(f"trial {trial}, epoch {epoch}: validation {value:.4f}", markup=False)

    try:
        options = training.Options(
            open_bundle(bundle, device).root, data, output, validation, seed, subjects, permissive, keep_outliers, from_scratch, schedule,
            stage, device, settings,
        )  # fmt: skip
        domain = searching.read_space(space) if space else {}
        prepare_output(output)
        split, all_read = training.prepare(options, screen)
        if dry_run:
            raise typer.Exit(0 if all_read else 1)
        chosen: dict[str, Any] = {}
        if trials:
            trained, chosen, rows = searching.search(options, split, domain, trials, sampler, watch_trial)
            for number, state, value, tried in sorted(rows, key=lambda row: (row[2] is None, row[2])):
                screen.print(f"trial {number}: {state}, {value and round(value, 5)} with {tried}", markup=False)
        else:
            trained = fit(configure(options, split, output, {}), watch)
        folder = export(options, split, trained, chosen)
    except (BundleError, ScanError) as error:
        raise fail(str(error)) from None
    before = f", {trained.history[0][1]:.4f} before the training" if not from_scratch else ""
    which = "last weights, of" if trained.last else "best at"
    screen.print(f"{which} epoch {trained.epoch}: validation {trained.value:.4f}{before} -> {folder}", markup=False)
    if old := stale(options, chosen):
        remedy = " and ".join(f"medgen train {folder} --stage {part} --data {data} -o ANOTHER" for part in old)
        screen.print(f"stale, as trained with the weights before: {', '.join(old)}; remedy: {remedy}", markup=False)
    screen.print(f"curves and pictures: tensorboard --logdir {output}", markup=False)
    raise typer.Exit(0 if all_read else 1)
