"""The stages of a training: parts of the network, trained one after another, each on top of those before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from medgen.batch.train import Options
from medgen.bundles import WEIGHTS, BundleError


def stages(root: Path) -> list[str]:
    """Return the names that `Options.stage` may have: the parts of the network, by the shipped weights."""
    import torch

    if not (root / WEIGHTS).is_file():
        return []
    return sorted({key.partition(".")[0] for key in torch.load(root / WEIGHTS, map_location="cpu", weights_only=True)})


def own_config(root: Path, stage: str) -> Path | None:
    """Return the config that a stage lays upon train.json, if it has one."""
    path = root / "configs" / f"train_{stage}.json"
    return path if path.is_file() else None


def stage_of(options: Options, trial: dict[str, Any]) -> str:
    """Return the part of the network that is trained ("" where the bundle has no stages)."""
    return str(options.stage or {**options.settings, **trial}.get("stage", _first(options.root)))


def stale(options: Options, trial: dict[str, Any]) -> list[str]:
    """Return the parts of the network that were trained on top of the one that is trained now, and are not with it.

    The stage of train.json is the one that the others go on from.
    """
    first = _first(options.root)
    if not first or stage_of(options, trial) != first:
        return []
    return [part for part in stages(options.root) if part != first]


def on_top(options: Options, trial: dict[str, Any]) -> tuple[Path | None, dict[str, Any]]:
    """Return the config of a GAN's stage, to be laid upon the others, and the config keys of any other stage; or refuse."""
    name, given = options.stage, str({**options.settings, **trial}.get("stage", ""))
    if own_config(options.root, given):
        raise BundleError(f"stage '{given}' has a config of its own; give --stage {given}, not --set")
    if not name:
        return None, {}
    own = own_config(options.root, name)
    if not own and name not in (choices := stages(options.root)):
        raise BundleError(f"there is no stage '{name}'; choose from: {', '.join(choices)}")
    if options.from_scratch and name != _first(options.root):
        raise BundleError(f"--stage {name} goes on from the weights of the other parts; leave --from-scratch away")
    if not own:
        return None, {"stage": name}
    trainer = json.loads(own.read_text()).get("+train", {}).get("trainer", {}).get("_target_", "")
    if trainer != "AdversarialTrainer":
        raise BundleError(f"{own}: medgen train knows no trainer '{trainer}'; train this stage by monai.bundle run (the bundle's README)")
    if options.schedule:
        raise BundleError(f"--stage {name} has no learning-rate schedule; leave --schedule away")
    return own, {}


def _first(root: Path) -> str:
    return str(json.loads((root / "configs" / "train.json").read_text()).get("stage", ""))
