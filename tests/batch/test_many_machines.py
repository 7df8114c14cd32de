"""Runs on the workers of a dask scheduler: real processes on this machine, killed, lost and started again."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from medgen.batch import many_machines
from medgen.batch.ledger import Ledger, RunStopped
from medgen.batch.many_machines import KILLED, spread
from medgen.batch.run import Options, run
from medgen.batch.status import status
from medgen.bundles import Bundle, BundleError, open_bundle
from medgen.scans import Case, find
from tests.batch.killing import assert_same, tallied, tally
from tests.batch.tiny import ball, quick_bundle, save, scans
from tests.test_cli import call

pytest.importorskip("distributed", reason='pip install "medgen[dask]"')
from distributed import Client, SpecCluster

from tests.batch.machines import GPU, Killer, Machine, cluster


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SpecCluster]:
    with cluster(tmp_path_factory.mktemp("scratch"), {"plain": {}, "gpu": GPU}) as made:
        yield made


@pytest.fixture
def machines(started: SpecCluster) -> SpecCluster:
    with Client(started, set_as_default=False) as client:
        client.wait_for_workers(len(started.workers), timeout=60)  # those that an earlier test killed start again
    return started


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return open_bundle(str(quick_bundle(tmp_path_factory.mktemp("bundle"))), "cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scans(tmp_path_factory.mktemp("scans"), 24)


@pytest.fixture(scope="module")
def cases(folder: Path) -> list[Case]:
    return find(folder).cases


@pytest.fixture(scope="module")
def undisturbed(bundle: Bundle, cases: list[Case], tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("undisturbed")
    assert all(result.files for result in run(bundle, cases, Options(output)))
    return output


def loads() -> int:
    from medgen.batch import one_case

    return one_case._load.cache_info().misses


def test_each_case_is_done_once_by_workers_that_load_the_network_once(
    machines: SpecCluster, bundle: Bundle, cases: list[Case], undisturbed: Path, tmp_path: Path
) -> None:
    options = Options(tmp_path / "out", scheduler=machines.scheduler_address)
    tally(options.output)
    with Client(machines, set_as_default=False) as client:
        before = client.run(loads)
        results = spread(bundle, cases, options)
        first = next(results)
        assert first.files and status(options.output)["workers"] == 2
        assert all(result.files for result in results)
        assert all(after - before[worker] <= 1 for worker, after in client.run(loads).items())
    assert tallied(options.output) == sorted(f"{case.name}_blur" for case in cases)
    assert_same(options.output, undisturbed)
    assert not any(result.files or result.error for result in spread(bundle, cases, options))  # the ledger is that of any run
    assert not any(result.files or result.error for result in run(bundle, cases, replace(options, scheduler=None)))


def test_a_bad_scan_fails_alone_with_one_reason(
    machines: SpecCluster, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where no worker is
    folder = scans(Path("in"), 4)
    (folder / "p1_T1.nii.gz").write_bytes((folder / "p1_T1.nii.gz").read_bytes()[:2000])
    run_it = ("run", bundle.root, folder, "-o", "out", "--engine", "dask", "--scheduler", machines.scheduler_address)
    code, out, _ = call(*run_it)
    assert code == 1 and "3 written" in out
    (line,) = [line for line in out.splitlines() if "failed: " in line]
    assert "p1_T1.nii.gz: " in line and "cut short" in line
    save(folder / "p1_T1.nii.gz", ball(1))
    code, out, _ = call(*run_it, "--json")
    assert code == 0 and [bool(json.loads(line)["files"]) for line in out.splitlines()].count(True) == 1


def test_workers_killed_at_random_moments_lose_nothing(
    machines: SpecCluster, bundle: Bundle, cases: list[Case], undisturbed: Path, tmp_path: Path
) -> None:
    options = Options(tmp_path / "out", scheduler=machines.scheduler_address)
    tally(options.output)
    with Killer(machines, pause=0.5, seed=1, most=4) as killer:
        results = list(spread(bundle, cases, options))
    assert killer.kills >= 1
    assert sorted(result.case.name for result in results if result.files) == [case.name for case in cases]
    assert tallied(options.output) == sorted(f"{case.name}_blur" for case in cases)
    assert_same(options.output, undisturbed)


def test_a_lost_scheduler_loses_nothing(bundle: Bundle, cases: list[Case], undisturbed: Path, tmp_path: Path) -> None:
    options = Options(tmp_path / "out", scheduler="")
    tally(options.output)
    first = Machine(tmp_path / "scratch")
    done = 0
    with pytest.raises(RunStopped, match="the scheduler is lost; start it again, and the same again goes on"):
        for number, _ in enumerate(spread(bundle, cases, replace(options, scheduler=first.address))):
            done += 1
            if number == 3:
                first.kill()
    assert done < len(cases)
    with Ledger(options.output) as ledger:
        assert {row.state for row in ledger.rows()} == {"done", "planned"}  # what was in hand was given back
    second = Machine(tmp_path / "scratch")
    with pytest.raises(BundleError, match="none of its . workers has the resource GPU; start them with --resources GPU=1"):
        list(spread(replace(bundle, device="cuda"), cases, Options(tmp_path / "none", scheduler=second.address)))
    done += sum(bool(result.files) for result in spread(bundle, cases, replace(options, scheduler=second.address)))
    second.kill()
    assert done == len(cases)
    assert tallied(options.output) == sorted(f"{case.name}_blur" for case in cases)
    assert_same(options.output, undisturbed)


def test_a_scan_that_kills_its_workers_fails_alone(machines: SpecCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, folder = quick_bundle(tmp_path), scans(tmp_path / "in", 3)
    config = json.loads((root / "configs/inference.json").read_text())
    config["network_def"]["_target_"] = "tests.batch.machines.Deadly"
    (root / "configs/inference.json").write_text(json.dumps(config))
    save(folder / "deadly.nii.gz", ball(9, (31, 26, 24)))
    monkeypatch.setattr(machines.scheduler, "allowed_failures", 0)
    options = Options(tmp_path / "out", scheduler=machines.scheduler_address)
    results = {result.case.name: result for result in spread(open_bundle(str(root), "cpu"), find(folder).cases, options)}
    assert results.pop("deadly").error == f"deadly_blur: {KILLED}"
    assert len(results) == 3 and all(result.files for result in results.values())


def test_only_workers_with_a_gpu_are_asked_for_one(machines: SpecCluster, bundle: Bundle, cases: list[Case], tmp_path: Path) -> None:
    options = Options(tmp_path / "out", scheduler=machines.scheduler_address)
    with pytest.raises(BundleError, match=r"worker gpu \(tcp.*: there is no device 'cuda:99' here"):
        list(spread(replace(bundle, device="cuda:99"), cases, options))
    with Ledger(options.output) as ledger:
        assert {row.state for row in ledger.rows()} == {"planned"}


def test_another_version_of_the_bundle_on_the_workers_is_refused(
    machines: SpecCluster, bundle: Bundle, cases: list[Case], tmp_path: Path
) -> None:
    other = replace(bundle)
    other.__dict__["sha256"] = "0" * 64
    with pytest.raises(BundleError, match="its blur is another version than the one here; install the same"):
        list(spread(other, cases, Options(tmp_path / "out", scheduler=machines.scheduler_address)))


def test_what_is_wrong_with_the_command_is_told_in_one_line(
    bundle: Bundle, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(many_machines, "ANSWER", 0.5)

    def told(*arguments: object) -> str:
        code, out, err = call("run", bundle.root, folder, "-o", tmp_path / "out", *arguments)
        assert code == 2 and out == "" and err.count("\n") == 1, err
        return err

    assert "127.0.0.1:9: no dask scheduler answers" in told("--engine", "dask", "--scheduler", "127.0.0.1:9")
    assert "no dask scheduler answers" in told("--engine", "dask", "--scheduler", "nowhere")
    assert "goes with --scheduler ADDRESS" in told("--engine", "dask")
    assert "goes with --scheduler ADDRESS" in told("--scheduler", "tcp://127.0.0.1:9")
    assert "--engine must be local or dask, not ray" in told("--engine", "ray")
    assert "dask has its own" in told("--engine", "dask", "--scheduler", "x", "--workers", "2")
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert 'pip install "medgen[dask]"' in told("--engine", "dask", "--scheduler", "127.0.0.1:9")
