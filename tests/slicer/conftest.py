"""What the tests of the Slicer modules share."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.batch import tiny
from tests.slicer.bundles import brighter, cut_out, nothing, to_order
from tests.slicer.calling import ROOT


@pytest.fixture(scope="session")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The modules, installed by the command line into a folder with a space and a letter beyond ASCII."""
    folder = tmp_path_factory.mktemp("slicer")
    nothing(folder / "own bundles")
    cut_out(folder / "own bundles")
    to_order(folder / "own bundles")
    brighter(folder / "own bundles")
    tiny.bundle(folder).rename(folder / "own bundles/tiny_vae")
    place = folder / "Übung 1"
    command = [sys.executable, "-m", "medgen.cli", "slicer", "install", str(place)]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "MEDGEN_BUNDLES": str(folder / "own bundles")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert str(place) in done.stdout and "Additional module paths" in done.stdout
    return place
