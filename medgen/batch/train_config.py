"""The config of a training: the bundle's own train.json, overlays of configs/ upon it, and what the user set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from medgen.batch.sidecar import write_json
from medgen.batch.train import Options, check_same
from medgen.batch.train_stage import on_top
from medgen.bundles import BundleError, choose_device

PACKAGE = Path(__file__).resolve().parents[1]


def overlays() -> Path:
    """Return the folder of the overlays for any bundle: beside the package, or inside it (installed)."""
    beside = PACKAGE.parent / "configs"
    return beside if (beside / "validated.json").is_file() else PACKAGE / "configs_data"


def schedules() -> list[str]:
    """Return the names that `Options.schedule` may have."""
    return sorted(path.stem.partition("_")[2] for path in overlays().glob("schedule_*.json"))


def configure(options: Options, split: dict[str, Any], output: Path, trial: dict[str, Any], recipe: Path | None = None) -> Path:
    """Write the whole training config to `output`/train.json and return its path.

    Args:
        trial: further config keys, of one trial of a search.
        recipe: the config whose samples and loss judge; by default this one.
    """
    from monai.bundle import ConfigParser

    files = [options.root / "configs" / "train.json", overlays() / "validated.json"]
    files += [] if options.from_scratch else [overlays() / "finetune.json"]
    own, stage = on_top(options, trial)
    if own:
        files += [own, overlays() / "adversarial.json"]
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
    for key, value in {**ours, **options.settings, **trial, **stage}.items():
        parent = key.rpartition("#")[0]
        argument = parent and parent in parser and isinstance(parser[parent], dict) and "_target_" in parser[parent]
        if key not in parser and not argument:
            raise BundleError(f"{files[0]}: has no key '{key}'; look there for what may be set")
        parser[key] = value
    config = parser.get()
    if path.is_file():
        before = dict(json.loads(path.read_text()))
        check_same(path, *({k: v for k, v in one.items() if k not in ("device", "_meta_")} for one in (before, config)))
    output.mkdir(parents=True, exist_ok=True)
    write_json(path, config)
    return path
