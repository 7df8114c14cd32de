"""Scans, and a bundle with a tiny network, that are trained within seconds."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import torch

from medgen.bundles import find
from medgen.networks.ladder_vae import LadderVAE
from tests.scans.phantoms import save_series, series

BUNDLE = "mr_denoise_vae"
#: The deepest level then has sides of 3: torch 2.13's bfloat16 weight gradient on the CPU is garbage for sides of 2.
SMALL = {"epochs": 2, "workers": 0, "epoch_length": 2, "crop_size": [24, 24, 24], "scans_a_batch": 1, "validation_samples": 2}
ARGUMENTS = [part for key, value in SMALL.items() for part in ("--set", f"{key}={json.dumps(value)}")]


def ball(seed: int, shape: tuple[int, int, int] = (28, 26, 24)) -> np.ndarray:
    """Return a ball of 600 in Rician noise of 20."""
    rng = np.random.RandomState(seed)
    x, y, z = np.ogrid[: shape[0], : shape[1], : shape[2]]
    clean = ((x - 14) ** 2 + (y - 13) ** 2 + (z - 12) ** 2 < (9 + rng.rand()) ** 2) * (600.0 + 100 * np.sin(x / 2))
    parts = 20 * rng.standard_normal((2, *shape))
    return np.hypot(clean + parts[0], parts[1]).astype(np.int16)


def save(path: Path, array: np.ndarray, spacing: tuple[float, float, float] = (1.0, 1.2, 2.0)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, np.diag([*spacing, 1.0])), path)
    return path


def scans(folder: Path, count: int = 4) -> Path:
    """Write scans of as many subjects, and return the folder."""
    for number in range(count):
        save(folder / f"p{number}_T1.nii.gz", ball(number))
    return folder


def mr_series(folder: Path, number: int, **values: str) -> Path:
    """Write a DICOM series of MR with these header values, and return its folder; each number has other voxels."""
    slices = series(shape=(24, 22, 12), modality="MR", slope=lambda z: 0.0, origin=(-12.0, 7.0, 10.0 + number))
    for ds in slices:
        for keyword, value in values.items():
            setattr(ds, keyword, value)
    save_series(slices, folder)
    return folder


def bundle(folder: Path) -> Path:
    """Write a copy of a shipped bundle with a network of a few thousand weights, untrained, and return it."""
    root = folder / BUNDLE
    shutil.copytree(find(BUNDLE), root)
    widths = {"widths": [8, 8, 8], "blocks": [1, 1, 1]}
    for path in (root / "configs").glob("*.json"):
        config = json.loads(path.read_text())
        if "network_def" in config:
            config["network_def"].update(widths)
        if path.stem == "metadata":
            torch.manual_seed(0)
            torch.save(LadderVAE(1, **widths).state_dict(), root / "models/model.pt")
            config["weights_sha256"] = hashlib.sha256((root / "models/model.pt").read_bytes()).hexdigest()
        path.write_text(json.dumps(config))
    return root


def quick_bundle(folder: Path) -> Path:
    """Write a copy of a shipped bundle whose network blurs, at next to no cost, and return it."""
    root = folder / "blur"
    shutil.copytree(find(BUNDLE), root)
    network = torch.nn.Conv3d(1, 1, 3, padding=1, bias=False)
    torch.nn.init.constant_(network.weight, 1 / 27)
    torch.save(network.state_dict(), root / "models/model.pt")
    config, metadata = (json.loads((root / f"configs/{name}.json").read_text()) for name in ("inference", "metadata"))
    config["network_def"] = {"_target_": "torch.nn.Conv3d", "in_channels": 1, "out_channels": 1, "kernel_size": 3, "padding": 1, "bias": False}
    config["inferer"]["flips"] = 1
    metadata["weights_sha256"] = hashlib.sha256((root / "models/model.pt").read_bytes()).hexdigest()
    metadata.pop("likeness", None)
    for name, content in (("inference", config), ("metadata", metadata)):
        (root / f"configs/{name}.json").write_text(json.dumps(content))
    return root


def kill_once_there(command: Sequence[object], path: Path) -> None:
    """Run a command, and kill it and its workers as soon as it has made `path`."""
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, start_new_session=True)
    limit = time.monotonic() + 300
    while not path.exists() and time.monotonic() < limit:
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
