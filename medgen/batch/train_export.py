"""What comes of a training: a copy of the bundle that holds the best weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from medgen.batch.sidecar import versions, write_json
from medgen.batch.train import Options
from medgen.batch.train_fit import Trained
from medgen.batch.train_likeness import likeness_of
from medgen.batch.train_stage import stage_of, stale
from medgen.bundles import WEIGHTS, Bundle, read_metadata
from medgen.weights import sha256_of


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
    stage, others = stage_of(options, trial), stale(options, trial)
    how = f"{stage} {how}" if stage else how
    version = f"{str(metadata.get('version', '0')).partition('+')[0]}+{'own' if options.from_scratch else 'tuned'}"
    log = metadata.get("changelog", {})
    before = f"{log[version]}; then " if version in log else ""  # its parts, one after another
    metadata["changelog"] = {**log, version: f"{before}{how}, by medgen train"} if before else {version: f"{how}, by medgen train", **log}
    source = "" if options.from_scratch else f"{metadata.get('data_source', '')}; then "
    metadata.update(
        version=version,
        data_source=f"{source}{how} of the user's own",
        weights_sha256=sha256_of(temporary / WEIGHTS),
        eval_metrics={"validation_loss": round(trained.value, 6)},
    )
    if metadata.pop("likeness", None):  # it tells what is unlike the scans of another training
        known = likeness_of([Path(row["file"]) for row in split["train"]], Bundle(options.root).modality == "CT", options.permissive)
        metadata |= {"likeness": known} if known else {}
    write_json(temporary / "configs" / "metadata.json", metadata)
    told = {"stage": stage, "stale": others, "epoch": trained.epoch, "value": trained.value, "history": trained.history, "settings": {**options.settings, **trial}}
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
