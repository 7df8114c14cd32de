from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from typer.testing import CliRunner

import medgen
from medgen.bundles import available
from medgen.cli import app

NAME = "mr_denoise_vae"


def call(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    image = np.random.RandomState(0).rayleigh(100, (20, 17, 12)).astype(np.int16)
    nib.save(nib.Nifti1Image(image, np.diag([1.0, 1.0, 3.0, 1.0])), tmp_path / "head.nii.gz")
    return tmp_path / "head.nii.gz"


def test_help_is_quick_and_imports_nothing_heavy() -> None:
    code = "import sys, medgen.cli; print([m for m in ('torch', 'monai', 'numpy', 'pydicom') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "medgen.cli", "--help"], capture_output=True, check=True)
    assert time.perf_counter() - started < 5  # half a second on a quiet machine; a guard against torch only


def test_a_bundle_that_there_is_not_is_told_at_once() -> None:
    code = "import sys\nfrom medgen.cli import app\ntry:\n    app(['run', 'no_such', 'x', '-o', 'y'])\nfinally:\n    print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stdout == "False\n" and "no bundle is named 'no_such'" in done.stderr


def test_the_version_is_told() -> None:
    assert call("--version") == (0, f"medgen {medgen.__version__}\n", "")


def test_every_command_has_an_example() -> None:
    for command in ("bundles", "info", "inspect", "convert", "run", "status", "watch", "doctor", "evaluate", "compare", "agreement",
                    "safety", "speed", "train", "demo", "send", "fetch", "parse", "simulate"):  # fmt: skip
        code, out, _ = call(command, "--help")
        assert code == 0 and "Example: medgen" in " ".join(out.split())


    assert "Example: medgen slicer install" in " ".join(call("slicer", "install", "--help")[1].split())


def test_bundles_and_info() -> None:
    assert NAME in call("bundles")[1]
    (told,) = (one for one in json.loads(call("bundles", "--json")[1]) if one["name"] == "mr_enhance_gan")
    assert told["settings"]["strength"]["default"] == 0.5 and told["uncertainty"] is False and told["mask"] == ""
    assert told["labels"] is False and told["synthetic"] is False
    code, out, _ = call("info", NAME)
    assert code == 0 and "weights_sha256" in out
    assert call("info", available()[NAME])[1].splitlines()[2:] == out.splitlines()[2:]  # by its folder


def test_run_writes_and_says_where(scan: Path, tmp_path: Path) -> None:
    code, out, _ = call("run", NAME, scan, "-o", tmp_path / "out", "--device", "cpu")
    assert code == 0
    assert "1 written" in out and (tmp_path / f"out/head_{NAME}.nii.gz").is_file()


def test_run_json_is_one_object_a_case(scan: Path, tmp_path: Path) -> None:
    code, out, _ = call("run", NAME, scan, "-o", tmp_path / "out", "--device", "cpu", "--json")
    assert code == 0
    (line,) = out.strip().splitlines()
    assert json.loads(line)["case"] == "head" and json.loads(line)["error"] is None


def test_dry_run_writes_nothing(scan: Path, tmp_path: Path) -> None:
    code, out, _ = call("run", NAME, scan, "-o", tmp_path / "out", "--device", "cpu", "--dry-run")
    assert code == 0
    assert "20x17x12" in out and "GiB" in out and not (tmp_path / "out").exists()


def test_a_failed_case_makes_exit_code_1(scan: Path, tmp_path: Path) -> None:
    (tmp_path / "flat.nii.gz").write_bytes(b"not an image")
    code, out, _ = call("run", NAME, scan, tmp_path / "flat.nii.gz", "-o", tmp_path / "out", "--device", "cpu")
    assert code == 1
    assert "1 written" in out and "1 failed" in out


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"bundle": "no_such_bundle"}, "no bundle is named"),
        ({"path": "absent.nii.gz"}, "absent.nii.gz"),
        ({"path": "empty"}, "empty"),
        ({"device": "cuda:99"}, "no device 'cuda:99'"),
        ({"output": "head.nii.gz/out"}, "choose another output folder"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(scan: Path, tmp_path: Path, change: dict[str, str], words: str) -> None:
    (tmp_path / "empty").mkdir()
    use = {"bundle": NAME, "path": scan.name, "device": "cpu", "output": "out", **change}
    code, _, err = call("run", use["bundle"], tmp_path / use["path"], "-o", tmp_path / use["output"], "--device", use["device"])
    assert code == 2
    assert words in err and len(err.strip().splitlines()) == 1


def test_evaluate_an_identical_pair(scan: Path, tmp_path: Path) -> None:
    code, _, _ = call("evaluate", scan, "--reference", scan, "-o", tmp_path / "report")
    assert code == 0
    assert (tmp_path / "report/results.csv").is_file() and (tmp_path / "report/results.json").is_file()
    json.loads((tmp_path / "report/results.json").read_text())


def test_evaluate_wrong_use(scan: Path, tmp_path: Path) -> None:
    code, _, err = call("evaluate", scan, "--reference", tmp_path / "absent")
    assert code == 2 and "absent" in err
    assert call("evaluate", scan, "--reference", scan, "--data-range", "0")[0] == 2


def test_settings_are_shown_chosen_and_checked(scan: Path, tmp_path: Path) -> None:
    code, out, _ = call("info", "mr_enhance_gan")
    assert code == 0 and "--set strength=0.5: " in out and "--set project=true: " in out
    for wrong, message in [("strenght=1", "it has: strength"), ("strength=2", "from 0 to 1, not 2"), ("strength", "NAME=VALUE")]:
        code, _, err = call("run", "mr_enhance_gan", scan, "-o", tmp_path / "out", "--set", wrong)
        assert code == 2 and message in err and len(err.strip().splitlines()) == 1
    code, _, err = call("run", "brain_mri_translation_gan", scan, "-o", tmp_path / "out", "--set", 'contrast="T9"')
    assert code == 2 and "must be one of T1, " in err and err.strip().endswith("not T9")  # JSON, as the panel of Slicer sends it
    code, out, err = call("run", "mr_enhance_gan", scan, "-o", tmp_path / "out", "--device", "cpu", "--set", "spacing=1.5",
                          "--set", "project=False", "--set", "thickness=None")  # fmt: skip
    assert code == 0, err
    (sidecar,) = (tmp_path / "out").glob("*.json")
    told = json.loads(sidecar.read_text())
    assert told["parameters"]["project"] is False and told["parameters"]["thickness"] is None
    assert told["report"]["data_consistency_percent"].keys() == {"network", "written"}
