"""Feature extractors: frozen networks, each known by the hash of its weights, and what they make of a scan."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.bundle import ConfigParser
from torch import nn

from medgen.evaluation.sampling import Sampling, crops, slices
from medgen.scans.scan import ScanError
from medgen.weights import fault, sha256_of

FOLDER = Path(__file__).with_name("extractors")
VOLUME = "volume"  #: the view of the 3D crops, beside the planes


def names() -> list[str]:
    """Return the extractors there are, medgen's own first."""
    return sorted((path.stem for path in FOLDER.glob("*.json")), key=lambda name: (not name.startswith("medgen"), name))


class Extractor:
    """What turns slices and crops into features; its networks are made by the JSON of its name in `extractors/`.

    Args:
        name: one of `names()`.
        weights: the file of weights, for those of others, which are not shipped.
        device: where to compute.

    Raises `ScanError` for a name that is none, and for weights that are missing, altered, or of another layout.
    """

    def __init__(self, name: str = "medgen-v1", weights: Path | None = None, device: str | torch.device = "cpu") -> None:
        if name not in names():
            raise ScanError(name, "is no extractor", f"choose one of {', '.join(names())}")
        self.name, self.device = name, torch.device(device)
        self.told = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
        own = self.told.get("weights")
        if weights is None and own is None:
            raise ScanError(name, "comes without weights", f"give their file by --weights ({self.told['published']})")
        if weights is not None and own is not None:
            raise ScanError(weights, f"is not wanted: {name} has its own weights", "leave --weights out")
        path = weights if weights is not None else FOLDER / str(own)
        wrong = fault(path, self.told["sha256"]) if own is not None else ""
        if wrong:
            raise ScanError(path, f"is {wrong}", "install medgen again")
        self.sha256 = _hash(path)
        held = _read(path)
        self.networks: dict[str, nn.Module] = {}
        for view, definition in self.told["networks"].items():
            network = ConfigParser({"network": definition}).get_parsed_content("network")
            try:
                if own is not None:
                    network.load_state_dict(held[view])
                else:
                    network.load(held)
            except (RuntimeError, KeyError, AttributeError) as error:
                reason = str(error).splitlines()[-1].strip()[:200]
                raise ScanError(path, f"does not hold the weights of {name} ({reason})", self.told.get("published", "")) from None
            self.networks[view] = network.float().eval().requires_grad_(False).to(self.device)

    @property
    def label(self) -> str:
        """The name of its Fréchet distance, such as "FD-medgen-v1[1a2b3c4d]"."""
        return f"{self.told['score']}[{self.sha256[:8]}]"

    def sampling(self) -> Sampling:
        """Return how scans are cut for it unless something else is asked for."""
        return Sampling.of(self.told["sampling"])

    def check(self, how: Sampling) -> None:
        """Raise ValueError where it has no network for what is to be cut."""
        if how.planes and "planes" not in self.networks:
            raise ValueError(f"{self.name} has no network for slices; choose no planes")
        if how.crop and VOLUME not in self.networks:
            raise ValueError(f"{self.name} has no network for crops; choose crop 0")

    def features(self, volume: np.ndarray, how: Sampling) -> dict[str, np.ndarray]:
        """Return the features (n, d) of each plane, and of the crops under "volume", of a `sampling.cube`."""
        found = {plane: self.of(images, "planes") for plane, images in slices(volume, how).items()}
        if how.crop:
            found[VOLUME] = self.of(crops(volume, how), VOLUME)
        return found

    @torch.inference_mode()
    def of(self, images: np.ndarray | torch.Tensor, kind: str, batch: int = 16) -> np.ndarray:
        """Return the features (n, d), float32, of images (n, ...), air 0 and bright 1, by the network for `kind` of them."""
        tensor = torch.as_tensor(images, dtype=torch.float32)[:, None]
        return torch.cat([self.networks[kind](part.to(self.device)).float().cpu() for part in tensor.split(batch)]).numpy()

    def has_classes(self, view: str) -> bool:
        """Return whether there are class probabilities for the features of a view."""
        return hasattr(self._network(view), "classify")

    @torch.inference_mode()
    def probabilities(self, features: np.ndarray, view: str) -> np.ndarray:
        """Return the class probabilities (n, classes) for the features of a view that `has_classes`."""
        rows = torch.as_tensor(features, dtype=torch.float32).to(self.device)
        return self._network(view).classify(rows).double().softmax(1).cpu().numpy()  # type: ignore[operator]

    def _network(self, view: str) -> nn.Module:
        return self.networks[VOLUME if view == VOLUME else "planes"]


def _hash(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError as error:
        raise ScanError(path, f"cannot be read ({error.strerror})", "give the file of the weights") from None


def _read(path: Path) -> Mapping[str, Any]:
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, OSError, EOFError, ValueError, KeyError, pickle.UnpicklingError):
        raise ScanError(path, "is no file of PyTorch weights", "give the published file as it was downloaded") from None
    if isinstance(held, Mapping) and isinstance(held.get("state_dict"), Mapping):
        held = held["state_dict"]
    if not isinstance(held, Mapping):
        raise ScanError(path, "holds no table of weights", "give the published file as it was downloaded")
    return held
