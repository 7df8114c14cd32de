"""The wheel, in a new environment, from another directory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np

PAGE = ("report.html", "style.css", "page.js", "niivue/niivue.umd.js", "niivue/LICENSE", "niivue/README.md")
REPOSITORY = Path(__file__).resolve().parents[1]


def test_the_wheel_runs_its_bundle_from_another_directory(tmp_path: Path) -> None:
    def call(*command: str | Path) -> str:
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHONPATH", "MEDGEN"))}
        parts = [str(part) for part in command]
        done = subprocess.run(parts, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout

    call(sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path / "dist", REPOSITORY)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        names = set(packed.namelist())
    assert {f"medgen/batch/page/{name}" for name in PAGE} <= names
    slicer = {f"medgen/slicer/MedGen/{name}" for name in ("MedGen.py", "MedGenLib/logic.py", "Resources/UI/MedGen.ui", "Resources/Icons/MedGen.png")}
    assert slicer <= names
    # The new environment borrows this one's dependencies through a path file: gigabytes need not be installed twice.
    call(sys.executable, "-m", "venv", tmp_path / "venv")
    python = tmp_path / "venv/bin/python"
    call(python, "-m", "pip", "install", "-q", "--no-deps", wheel)
    (own,) = (tmp_path / "venv/lib").glob("python*/site-packages")
    dependencies = [p for p in sys.path if p.endswith("site-packages")]
    (own / "dependencies.pth").write_text("\n".join(dependencies) + "\n")
    assert str(own) in call(python, "-c", "import medgen; print(medgen.__file__)")

    image = np.random.RandomState(0).rayleigh(20, (24, 20, 17)).astype(np.int16)
    nib.save(nib.Nifti1Image(image, np.diag([2.0, 2.0, 2.0, 1.0])), tmp_path / "noise.nii.gz")
    names = [row["name"] for row in json.loads(call(tmp_path / "venv/bin/medgen", "bundles", "--json"))]
    name = next(name for name in names if "denoise" in name)
    call(tmp_path / "venv/bin/medgen", "run", name, "noise.nii.gz", "-o", "out", "--report")
    assert "BSD 2-Clause" in (tmp_path / "out/report.html").read_text()
    assert nib.load(tmp_path / f"out/noise_{name}.nii.gz").shape == (24, 20, 17)
    assert str(own) in call(tmp_path / "venv/bin/medgen", "info", name)
    orders = next(name for name in names if "text" in name)
    call(tmp_path / "venv/bin/medgen", "run", orders, "--text", "T2", "-o", "made")
    assert len(list((tmp_path / "made").glob("*.nii.gz"))) == 1
