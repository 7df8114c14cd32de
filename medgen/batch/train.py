"""Train a bundle on a user's own folder: MONAI runs the bundle's train.json, with overlays of configs/ upon it."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from medgen.batch.cohort import Cohort, excluded_rows, gather, report
from medgen.batch.sidecar import versions, write_json
from medgen.batch.split import RULE, divide, rows, subjects
from medgen.bundles import WEIGHTS, Bundle, BundleError, choose_device, read_metadata
from medgen.scans import find, read, write_nifti

PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Options:
    """What a user may choose for a training."""

    root: Path  #: the bundle's folder
    data: Path
    output: Path
    validation: float = 0.2  #: fraction of the subjects that are held out
    seed: int = 0
    subjects: Path | None = None  #: CSV file that says who is who
    permissive: bool = False
    keep_outliers: bool = False
    from_scratch: bool = False
    schedule: str = ""  #: of configs/schedule_*.json; by default the bundle's own
    device: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)  #: config keys, such as {"epochs": 20, "crop_size": [32, 32, 32]}


@dataclass(frozen=True)
class Trained:
    """What came of a training: the validation value (the loss; lower is better) by epoch, and the best weights."""

    epoch: int
    value: float
    history: list[tuple[int, float]]
    weights: dict[str, Any] = field(repr=False)


def overlays() -> Path:
    """Return the folder of the overlays for any bundle: beside the package, or inside it (installed)."""
    beside = PACKAGE.parent / "configs"
    return beside if (beside / "validated.json").is_file() else PACKAGE / "configs_data"


def schedules() -> list[str]:
    """Return the names that `Options.schedule` may have."""
    return sorted(path.stem.partition("_")[2] for path in overlays().glob("schedule_*.json"))


def prepare(options: Options, console: Console) -> tuple[dict[str, Any], bool]:
    """Clean and split the data, or take the split of the run that is resumed; return it, and whether all could be read.

    Writes cohort.json and split.json to the output folder, and DICOM series as NIfTI to its folder scans.
    """
    bundle = Bundle(options.root)
    if bundle.metadata.get("synthetic"):
        raise BundleError(f"{options.root.name} learns from scans with label maps, which medgen train does not take; train it by monai.bundle run "
                          "(its README)")  # fmt: skip
    modality = bundle.modality
    about = {"data": str(options.data.resolve()), "seed": options.seed, "validation": options.validation,
             "subjects": options.subjects and str(options.subjects.resolve()), "permissive": options.permissive,
             "keep_outliers": options.keep_outliers}  # fmt: skip
    path = options.output / "split.json"
    if path.is_file():
        split = dict(json.loads(path.read_text()))
        _same(path, split["about"], about)
        gone = [row["file"] for row in (*split["train"], *split["validation"]) if not Path(row["file"]).exists()]
        if gone:
            raise BundleError(f"{gone[0]}: is not there any more, but in {path}; put it back, or choose another -o")
        console.print(f"split of {path} taken again", markup=False)
    else:
        cohort = gather(find(options.data), modality, permissive=options.permissive, keep_outliers=options.keep_outliers)
        write_json(options.output / "cohort.json", report(cohort))
        _print_excluded(cohort, console)
        split = _split(cohort, options, about)
        write_json(path, split)
    for name in ("train", "validation"):
        people = {row["subject"] for row in split[name]}
        console.print(f"{name}: {len(split[name])} scans of {len(people)} subjects", markup=False)
    console.print(f"{len(split['excluded'])} left out; the split is in {path}", markup=False)
    return split, not split["unreadable"]


def _split(cohort: Cohort, options: Options, about: dict[str, Any]) -> dict[str, Any]:
    whose = subjects(cohort.members, options.data, options.subjects)
    out = divide(whose, options.validation, options.seed)
    paths = {}
    for member in cohort.members:
        paths[member.case.name] = member.source.resolve()
        if member.case.kind == "dicom":  # one file a volume, which any reader of a config can name
            scan = read(member.case, permissive=options.permissive)
            paths[member.case.name] = (options.output / "scans" / f"{member.case.name}.nii.gz").resolve()
            paths[member.case.name].parent.mkdir(parents=True, exist_ok=True)
            write_nifti(paths[member.case.name], scan.image[0].numpy(), scan)
    train, held = ([m for m in cohort.members if (whose[m.case.name] in out) is side] for side in (False, True))
    return {
        "about": about,
        "rule": RULE,
        "train": rows(train, paths, whose),
        "validation": rows(held, paths, whose),
        "excluded": excluded_rows(cohort.excluded),
        "unreadable": sum(one.unreadable for one in cohort.excluded),
    }


def configure(options: Options, split: dict[str, Any], output: Path, trial: dict[str, Any], recipe: Path | None = None) -> Path:
    """Write the whole training config to `output`/train.json and return its path.

    Args:
        trial: further config keys, of one trial of a search.
        recipe: the config whose samples and loss judge; by default this one.
    """
    from monai.bundle import ConfigParser

    files = [options.root / "configs" / "train.json", overlays() / "validated.json"]
    files += [] if options.from_scratch else [overlays() / "finetune.json"]
    if options.schedule:
        if options.schedule not in schedules():
            raise BundleError(f"there is no schedule '{options.schedule}'; choose from: {', '.join(schedules())}")
        files.append(overlays() / f"schedule_{options.schedule}.json")
    parser = ConfigParser()
    parser.read_config([str(path) for path in files])
    parser.read_meta(str(options.root / "configs" / "metadata.json"))
    for key in ("scans", "train#dataset", "train#loss", "train#saved"):
        if key not in parser:
            raise BundleError(f"{files[0]}: has no '{key}', which medgen train needs; add it, or train by monai.bundle run")
    if "train#result" not in parser:  # what is validated and shipped
        parser["train#result"] = "@network_def"
    device = choose_device(options.device)
    path = output.resolve() / "train.json"
    ours = {
        "bundle_root": str(options.root.resolve()), "dataset_dir": str(output.resolve()), "output_dir": str(output.resolve()),
        "ckpt_dir": str(output.resolve() / "state"), "device": f"$torch.device('{device}')", "seed": options.seed,
        "scans": [row["file"] for row in split["train"]], "validation_scans": [row["file"] for row in split["validation"]],
        "recipe": str(recipe or path),
    }  # fmt: skip
    for key, value in {**ours, **options.settings, **trial}.items():
        parent = key.rpartition("#")[0]
        argument = parent and parent in parser and isinstance(parser[parent], dict) and "_target_" in parser[parent]
        if key not in parser and not argument:
            raise BundleError(f"{files[0]}: has no key '{key}'; look there for what may be set")
        parser[key] = value
    config = parser.get()
    if path.is_file():
        before = dict(json.loads(path.read_text()))
        _same(path, *({k: v for k, v in one.items() if k not in ("device", "_meta_")} for one in (before, config)))
    output.mkdir(parents=True, exist_ok=True)
    write_json(path, config)
    return path


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


def export(options: Options, split: dict[str, Any], trained: Trained, trial: dict[str, Any]) -> Path:
    """Write a copy of the bundle with the best weights into the output folder, whole or not at all, and return it."""
    import torch

    name = options.root.name
    folder, temporary = options.output / name, options.output / f".{name}.partial"
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.copytree(options.root, temporary)
    (temporary / WEIGHTS).parent.mkdir(exist_ok=True)
    torch.save(trained.weights, temporary / WEIGHTS)
    network = {k: v for k, v in {**options.settings, **trial}.items() if k.split("#")[0] == "network_def"}
    for path in (temporary / "configs").glob("*.json"):
        _set_network(path, network)
    metadata = read_metadata(temporary)
    people = len({row["subject"] for row in split["train"]})
    how = f"{'trained' if options.from_scratch else 'fine-tuned'} on {len(split['train'])} scans of {people} subjects"
    version = f"{str(metadata.get('version', '0')).partition('+')[0]}+{'own' if options.from_scratch else 'tuned'}"
    metadata["changelog"] = {version: f"{how}, by medgen train", **metadata.get("changelog", {})}
    source = "" if options.from_scratch else f"{metadata.get('data_source', '')}; then "
    metadata.update(
        version=version,
        data_source=f"{source}{how} of the user's own",
        weights_sha256=hashlib.sha256((temporary / WEIGHTS).read_bytes()).hexdigest(),
        eval_metrics={"validation_loss": round(trained.value, 6)},
    )
    metadata.pop("likeness", None)  # it tells what is unlike the scans of another training
    write_json(temporary / "configs" / "metadata.json", metadata)
    told = {"epoch": trained.epoch, "value": trained.value, "history": trained.history, "settings": {**options.settings, **trial}}
    write_json(options.output / "result.json", {**told, "bundle": str(folder), "versions": versions()})
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)
    return folder


def _set_network(path: Path, settings: dict[str, Any]) -> None:
    config = json.loads(path.read_text())
    for key, value in settings.items():
        place, parts = config, key.split("#")
        if parts[0] not in config:
            continue
        for part in parts[:-1]:
            place = place[part]
        place[parts[-1]] = value
    if settings:
        path.write_text(json.dumps(config, indent=4) + "\n")


def _same(path: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    """Raise `BundleError` where a run of other options is there already."""
    for key in sorted({*before, *now}):
        old, new = (json.loads(json.dumps(one.get(key))) for one in (before, now))
        if old != new:
            short = [text if len(text := json.dumps(value)) < 60 else "another" for value in (old, new)]
            raise BundleError(f"{path}: is of a run with {key} {short[0]}, not {short[1]}; use the same options, or another -o")


def _print_excluded(cohort: Cohort, console: Console) -> None:
    if not cohort.excluded:
        return
    grid = Table("left out", "why", box=None)
    for one in cohort.excluded:
        grid.add_row(one.source, one.reason)
    console.print(grid)

