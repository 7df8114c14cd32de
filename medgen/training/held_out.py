"""What a training is judged by: samples of scans that are not trained on, damaged once and the same ever after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from monai.bundle import ConfigParser
from monai.data import Dataset
from monai.data.utils import set_rnd
from torch import nn


class HeldOut:
    """Samples and loss as a training config makes them, for other scans.

    The config's own `train#dataset` is built with the held-out files as its `scans`, so that they are cropped and damaged
    as those of the training, but only once, from the seed. The loss is the config's too: trials of a search that change
    crop, damage or loss are all judged by those of the config that they share.

    Args:
        config_file: a whole training config.
        scans: files of the subjects held out.
        count: samples, at least two a scan.
        seed: of crops and damage.
    """

    def __init__(self, config_file: str, scans: Sequence[str], count: int = 64, seed: int = 0) -> None:
        parser = ConfigParser()
        parser.read_config(config_file)
        parser["scans"] = list(scans)
        recipe: Any = parser.get_parsed_content("train#dataset")
        self.loss: nn.Module = parser.get_parsed_content("train#loss").eval()
        set_rnd(recipe, seed)
        count = max(count, 2 * len(scans))
        if len(recipe) > count:
            chosen = [number * len(recipe) // count for number in range(count)]
        else:
            chosen = [number % len(recipe) for number in range(count)]
        self.samples = Dataset([recipe[number] for number in chosen])
