"""Run a scenario in Slicer's environment."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".slicer-venv/bin/python"


def ask(script: str, name: str, *arguments: Path, limit: float = 900) -> dict[str, Any]:
    """Return what a scenario found; skip the test where slicer-core is missing, or fail it in CI."""
    if not PYTHON.is_file():
        pytest.fail("slicer-core is missing: make slicer") if os.environ.get("CI") else pytest.skip("slicer-core is missing: make slicer")
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "DISPLAY")}
    command = [PYTHON, Path(__file__).with_name(script), name, *arguments]
    done = subprocess.run(
        [str(part) for part in command], env=environment, capture_output=True, text=True, errors="replace", timeout=limit, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))
