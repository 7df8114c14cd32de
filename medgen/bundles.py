"""Find, verify and open MONAI bundles: one folder each, all config, weights checked by hash."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medgen.weights import fault

if TYPE_CHECKING:
    import torch
    from monai.bundle import ConfigParser

WEIGHTS = "models/model.pt"


class BundleError(Exception):
    """A bundle cannot be used: one line that says which, why, and what to do."""


def folders() -> list[Path]:
    """Return where bundles are looked for: $MEDGEN_BUNDLES, then beside the package, then inside it (installed)."""
    package = Path(__file__).resolve().parent
    extra = [Path(p) for p in os.environ.get("MEDGEN_BUNDLES", "").split(os.pathsep) if p]
    return [*extra, package.parent / "bundles", package / "bundles_data"]


def available() -> dict[str, Path]:
    """Return the folder of every bundle by name; the first folder that has it wins."""
    found: dict[str, Path] = {}
    for folder in folders():
        for path in sorted(folder.glob("*/configs/metadata.json")):
            found.setdefault(path.parents[1].name, path.parents[1])
    return found


def find(name: str) -> str:
    """Return the folder of a bundle, as text, for the `bundle_root` of its configs.

    The bundle whose config file is on this process's command line (``monai.bundle run --config_file``) comes first, so
    that a copy of a bundle uses its own weights. Raises `BundleError` with the names that exist.
    """
    for argument in sys.argv:
        for part in argument.split("=", 1)[-1].strip("[]").split(","):
            folder = Path(part.strip(" '\"")).resolve().parents
            named = part.strip(" '\"").endswith(".json") and len(folder) > 1 and folder[1].name == name
            if named and (folder[1] / "configs" / "metadata.json").is_file():
                return str(folder[1])
    bundles = available()
    if name not in bundles:
        raise BundleError(f"no bundle is named '{name}'; there is: {', '.join(bundles) or 'none'} (medgen bundles)")
    return str(bundles[name])


def load_weights(network: torch.nn.Module, root: str | Path, device: Any = "cpu") -> torch.nn.Module:
    """Load a bundle's weights into `network`, in evaluation mode on `device`, and return it.

    The file's SHA-256 must be the one in the bundle's metadata; a missing or altered file is a `BundleError`.
    """
    import torch

    path = Path(root) / WEIGHTS
    stated = read_metadata(Path(root)).get("weights_sha256", "")
    wrong = fault(path, stated)
    if wrong:
        there = path.is_file()
        remedy = "restore the file, or state the new hash as weights_sha256" if there else "install medgen again, or train the bundle"
        raise BundleError(f"{path}: the weights are {wrong}; {remedy}")
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return network.to(device).to(memory_format=torch.channels_last_3d).eval()  # type: ignore[call-overload]


def read_metadata(root: Path) -> dict[str, Any]:
    """Return a bundle's metadata.json."""
    path = root / "configs" / "metadata.json"
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, ValueError) as error:
        raise BundleError(f"{path}: the metadata cannot be read ({error}); install medgen again") from error


def choose_device(device: str | None) -> str:
    """Return a device that exists: the one asked for, else CUDA where there is one, else the CPU."""
    import torch

    if device is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    choices = ["cpu", *(["cuda"] if count else []), *(f"cuda:{i}" for i in range(count))]
    if device not in choices:
        raise BundleError(f"there is no device '{device}' here; choose from: {', '.join(choices)}")
    return device


@dataclass
class Bundle:
    """An opened bundle: what its inference config builds, with the weights loaded."""

    root: Path
    device: str = "cpu"
    settings: dict[str, Any] = field(default_factory=dict)  #: of those that the metadata name, what the user chose
    metadata: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.metadata = read_metadata(self.root)
        known = self.metadata.get("settings", {})
        for name, value in self.settings.items():
            _check_setting(self.root.name, known, name, value)
        self.settings = {**{name: about["default"] for name, about in known.items()}, **self.settings}

    @property
    def channels(self) -> int:
        """Channels of the network's input."""
        return int(self.metadata["network_data_format"]["inputs"]["image"]["num_channels"])

    @property
    def modality(self) -> str:
        """What the bundle was trained on: "CT", "MR", or "" where its metadata do not say."""
        return str(self.metadata["network_data_format"]["inputs"]["image"].get("modality", ""))

    @cached_property
    def sha256(self) -> str:
        """Hash of the configs that inference goes by; they state the hash of the weights."""
        configs = (self.root / "configs" / name for name in ("inference.json", "metadata.json"))
        return hashlib.sha256(b"\0".join(path.read_bytes() for path in configs)).hexdigest()

    @cached_property
    def _parser(self) -> ConfigParser:
        from monai.bundle import ConfigParser

        parser = ConfigParser()
        parser.read_config(str(self.root / "configs" / "inference.json"))
        parser.read_meta(str(self.root / "configs" / "metadata.json"))
        parser["bundle_root"] = str(self.root)
        parser["device"] = self.device
        for name, value in self.settings.items():
            parser[name] = value
        return parser

    def get(self, key: str) -> Any:
        """Return what the inference config builds under `key`, such as "inferer" or "normalisation"."""
        return self._parser.get_parsed_content(key)

    @cached_property
    def network(self) -> torch.nn.Module:
        """The network with its weights, ready to run."""
        return load_weights(self.get("network_def"), self.root, self.device)


def _check_setting(bundle: str, known: dict[str, Any], name: str, value: Any) -> None:
    """Raise `BundleError` for a setting that the bundle does not have, or a value outside its bounds."""
    if name not in known:
        raise BundleError(f"{bundle} has no setting '{name}'; it has: {', '.join(known) or 'none'} (medgen info {bundle})")
    low, high, choices = (known[name].get(key) for key in ("low", "high", "choices"))
    if choices is not None and value not in choices:
        raise BundleError(f"{name} of {bundle} must be one of {', '.join(map(str, choices))}, not {value}")
    if low is None and high is None:
        return
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or (low is not None and value < low) or (high is not None and value > high):
        raise BundleError(f"{name} of {bundle} must be a number from {low} to {high}, not {value}")


def folder_of(name: str) -> Path:
    """Return the folder of a bundle by its name, or by the path of that folder. Raises `BundleError` for another."""
    given = Path(name)
    return given if (given / "configs" / "metadata.json").is_file() else Path(find(name))


def open_bundle(name: str, device: str | None = None, settings: dict[str, Any] | None = None) -> Bundle:
    """Open a bundle by name, or by the path of its folder, with what the user chose of its settings.

    Raises `BundleError` for another name, device or setting than there is.
    """
    chosen = choose_device(device)
    return Bundle(folder_of(name).resolve(), chosen, settings or {})
