"""The recipes for clusters: what SLURM is handed, and what Kubernetes is, by its own schemas."""

from __future__ import annotations

import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.test_cli import call

RECIPES = Path(__file__).parents[2] / "configs/many_machines"


def script(*arguments: str) -> str:
    pytest.importorskip("dask_jobqueue", reason="pip install dask-jobqueue")
    done = subprocess.run([sys.executable, RECIPES / "slurm.py", "--show", *arguments], capture_output=True, text=True, check=True)
    checked = subprocess.run(["bash", "-n"], input=done.stdout, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    return done.stdout


def test_the_job_that_slurm_is_handed() -> None:
    lines = script("--partition", "gpu", "--account", "lab", "--gpus", "1", "--memory", "32GB", "--setup", "module load cuda").splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    directives = [line.removeprefix("#SBATCH ") for line in lines if line.startswith("#SBATCH ")]
    assert directives == ["-J medgen", "-p gpu", "-A lab", "-n 1", "--cpus-per-task=4", "--mem=30G", "-t 08:00:00", "--gres=gpu:1"]
    assert "module load cuda" in lines and "export OMP_WAIT_POLICY=passive" in lines
    assert "export DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED=False" in lines
    (worker,) = [shlex.split(line) for line in lines if "dask_worker" in line]
    options = dict(pairwise(worker))
    assert worker[:3] == [sys.executable, "-m", "distributed.cli.dask_worker"] and worker[3].startswith("tcp://")
    assert options["--resources"] == "GPU=1" and options["--nthreads"] == "4" and "--nanny" in worker


def test_the_job_without_a_gpu() -> None:
    text = script("--cores", "8")
    assert "--cpus-per-task=8" in text and "gres" not in text and "GPU" not in text


def documents() -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all((RECIPES / "kubernetes.yaml").read_text()) if one]


def test_kubernetes_takes_it() -> None:
    validator = pytest.importorskip("kubernetes_validate", reason='pip install "medgen[test]"')
    for document in documents():
        validator.validate(document, validator.latest_version(), strict=True)
    broken = documents()[2]
    broken["spec"]["replica"] = 1
    with pytest.raises(validator.ValidationError):
        validator.validate(broken, validator.latest_version(), strict=True)


def test_the_parts_of_kubernetes_fit_each_other() -> None:
    found = {(one["kind"], one["metadata"]["name"]): one for one in documents()}
    pods = {name: one["spec"]["template"] for (kind, name), one in found.items() if kind in ("Deployment", "Job")}
    assert set(pods) == {"medgen-scheduler", "medgen-worker", "medgen-run"}
    service = found["Service", "medgen-scheduler"]["spec"]
    assert service["selector"].items() <= pods["medgen-scheduler"]["metadata"]["labels"].items()
    address = f"tcp://medgen-scheduler:{service['ports'][0]['port']}"
    policy = found["NetworkPolicy", "medgen"]["spec"]["podSelector"]["matchLabels"]
    assert all(policy.items() <= pod["metadata"]["labels"].items() for pod in pods.values())
    scheduler, worker, run = (pods[name]["spec"]["containers"][0] for name in pods)
    assert scheduler["args"][-1] == str(service["ports"][0]["targetPort"])
    assert address in worker["args"] and address in run["args"]
    assert worker["resources"]["limits"]["nvidia.com/gpu"] == 1 and worker["args"][-2:] == ["--resources", "GPU=1"]
    claim = pods["medgen-run"]["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"]
    assert ("PersistentVolumeClaim", claim) in found
    assert run["args"][run["args"].index("--ledger") + 1] == run["volumeMounts"][0]["mountPath"]


def test_what_kubernetes_runs_are_commands_that_there_are() -> None:
    (job,) = [one for one in documents() if one["kind"] == "Job"]
    arguments = job["spec"]["template"]["spec"]["containers"][0]["args"]
    assert arguments[0] == "medgen"
    code, _, err = call(*arguments[1:])  # up to the first thing that is not here: a bundle of that name
    assert code == 2 and "no bundle is named 'BUNDLE'" in err
