"""Bundles whose results are known to the voxel."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

#: A setting of each kind, for the forms; `nothing` uses none of them.
SETTINGS: dict[str, Any] = {
    "strength": {"default": 0.5, "low": 0, "high": 1, "help": "of nothing; <none> & never"},
    "draws": {"default": 3, "low": 1, "high": 9, "help": "a whole number"},
    "profile": {"default": "box", "choices": ["box", "gaussian"], "help": "one of two"},
    "project": {"default": True, "choices": [True, False], "help": "yes or no"},
    "thickness": {"default": None, "help": "of slices, in mm"},
}


def nothing(folder: Path, name: str = "nothing") -> Path:
    """Write a bundle of denoising that gives back what it gets, and return its folder."""
    return _write(folder / name, "denoise", [], SETTINGS)


def cut_out(folder: Path, name: str = "cut_out") -> Path:
    """Write a bundle of repair that sets the volume to 0 where its mask is 0, and return its folder."""
    mask = {"_target_": "MaskIntensityd", "keys": "image", "mask_key": "mask"}
    return _write(folder / name, "repair", [mask], {})


def brighter(folder: Path, name: str = "brighter") -> Path:
    """Write a bundle of translation that gives T2 as the volume is, and FLAIR twice as bright, and return its folder."""
    contrast = {"default": "T2", "choices": ["T2", "FLAIR"], "help": "what to make"}
    scale = {"_target_": "ScaleIntensityd", "keys": "image", "minv": None, "maxv": None, "factor": "$float(@contrast == 'FLAIR')"}
    return _write(folder / name, "translate", [scale], {"contrast": contrast}, synthetic=True)


def to_order(folder: Path, name: str = "to_order") -> Path:
    """Write a bundle that gives the label map which a sentence orders, in its voxels, and return its folder."""
    order, acquire = ({"_target_": f"medgen.synthesis.transforms.{name}", "keys": key} for name, key in (("OrderScand", "image"), ("AcquireScand", "pred")))
    return _write(folder / name, "synthesise", [order], {}, [acquire], text=True, synthetic=True)


def _write(
    root: Path, purpose: str, transforms: list[dict[str, Any]], settings: dict[str, Any], back: Sequence[dict[str, Any]] = (), **told: Any
) -> Path:
    for part in ("configs", "models"):
        (root / part).mkdir(parents=True)
    torch.save({}, root / "models/model.pt")
    metadata = {
        "name": root.name, "version": "1.2.3", "task": "Give back the volume", "purpose": purpose, "settings": settings,
        "weights_sha256": hashlib.sha256((root / "models/model.pt").read_bytes()).hexdigest(),
        "network_data_format": {"inputs": {"image": {"num_channels": 1}}, "outputs": {"pred": {"num_channels": 1}}}, **told,
    }  # fmt: skip
    inference = {
        **{setting: about["default"] for setting, about in settings.items()},
        "network_def": {"_target_": "torch.nn.Identity"},
        "normalisation": {"_target_": "Compose", "transforms": transforms},
        "denormalisation": {"_target_": "Compose", "transforms": list(back)},
        "inferer": {"_target_": "medgen.inference.inferers.AutocastInferer", "bf16": False},
    }
    for kind, content in (("metadata", metadata), ("inference", inference)):
        (root / f"configs/{kind}.json").write_text(json.dumps(content))
    return root
