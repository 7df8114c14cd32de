"""Scans and results in an object store: a server of the S3 protocol on this machine, and dask workers that ask it."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from medgen.batch.ledger import Ledger, RunStopped
from medgen.batch.many_machines import spread
from medgen.batch.object_store import Objects, as_path, fetch, find_all, find_stored, is_url
from medgen.batch.run import Options, run
from medgen.bundles import Bundle, BundleError, open_bundle
from medgen.scans import ScanError, find
from tests.batch.killing import assert_same
from tests.batch.tiny import ball, mr_series, quick_bundle, save, scans
from tests.test_cli import call

for needed in ("distributed", "s3fs", "moto", "flask"):
    pytest.importorskip(needed, reason='pip install "medgen[dask,s3,test]"')
from distributed import SpecCluster

from tests.batch.machines import cluster

KEY = "not-a-secret-of-anyone"


@pytest.fixture(scope="module")
def keys() -> Iterator[dict[str, str]]:
    """The environment that leads to a server with an empty bucket."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    where = {"AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": KEY,
             "AWS_DEFAULT_REGION": "us-east-1"}  # fmt: skip
    with patch.dict(os.environ, where):
        store().mkdir("bucket")
        yield where
    server.stop()


@pytest.fixture(scope="module")
def machines(keys: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[SpecCluster]:
    with cluster(tmp_path_factory.mktemp("scratch"), {"a": {}}, keys) as made:
        yield made


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return open_bundle(str(quick_bundle(tmp_path_factory.mktemp("bundle"))), "cpu")


def store() -> Any:
    import s3fs

    return s3fs.S3FileSystem()


def put(folder: Path, url: str) -> None:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            store().put_file(str(path), f"{url}/{path.relative_to(folder).as_posix()}")


def test_from_bucket_to_bucket_as_from_folder_to_folder(machines: SpecCluster, bundle: Bundle, tmp_path: Path) -> None:
    folder = scans(tmp_path / "in", 3)
    mr_series(folder / "series", 1)
    (folder / "bad.nii.gz").write_bytes((folder / "p0_T1.nii.gz").read_bytes()[:2000])
    put(folder, "s3://bucket/first/in")
    list(run(bundle, find(folder).cases, Options(tmp_path / "here")))
    to_s3 = ("run", bundle.root, "s3://bucket/first/in", "-o", "s3://bucket/first/in/out", "--ledger", tmp_path / "ledger",
             "--engine", "dask", "--scheduler", machines.scheduler_address)  # fmt: skip
    code, out, _ = call(*to_s3)
    assert code == 1 and "4 written to s3://bucket/first/in/out" in out
    (line,) = [line for line in out.splitlines() if "failed: " in line]
    assert "s3://bucket/first/in/bad.nii.gz: " in line and "cut short" in line
    store().get("s3://bucket/first/in/out", str(tmp_path / "there"), recursive=True)
    assert_same(tmp_path / "there", tmp_path / "here")
    with Ledger(tmp_path / "ledger") as ledger:
        rows = {row.name: row for row in ledger.rows()}
    assert KEY.encode() not in (tmp_path / "ledger/ledger.sqlite").read_bytes()
    with Ledger(tmp_path / "here") as ledger:
        for row in ledger.rows():
            assert (rows[row.name].input, rows[row.name].state) == (row.input, row.state)
            assert {key: one[:2] for key, one in rows[row.name].outputs.items() if key != "json"} == {
                key: one[:2] for key, one in row.outputs.items() if key != "json"
            }
    (folder / "bad.nii.gz").unlink()
    store().rm("s3://bucket/first/in/bad.nii.gz")
    code, out, _ = call(*to_s3)
    assert code == 0 and "0 written" in out and "4 were there already" in out
    store().rm("s3://bucket/first/in/out/p0_T1_blur.nii.gz")  # a result is gone, another was altered, and a scan is another
    store().pipe_file("bucket/first/in/out/p1_T1_blur.json", b"{}")
    store().put_file(str(save(tmp_path / "new.nii.gz", ball(9))), "bucket/first/in/p2_T1.nii.gz")
    code, out, _ = call(*to_s3, "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert {line["case"]: line["files"][:1] for line in lines if line["files"]} == {
        f"p{number}_T1": [f"s3://bucket/first/in/out/p{number}_T1_blur.nii.gz"] for number in range(3)
    }


def test_dicom_series_and_names_of_nobody(machines: SpecCluster, bundle: Bundle, tmp_path: Path) -> None:
    pytest.importorskip("dicomanonymizer", reason="pip install medgen[dicom]")
    mr_series(tmp_path / "in/Mueller", 1, PatientName="Mueller^Eva")
    (tmp_path / "in/Mueller.nii.gz").write_bytes(b"broken")
    put(tmp_path / "in", "s3://bucket/dicom/in")
    options = Options(tmp_path / "ledger", format="same", deidentify=True, scheduler=machines.scheduler_address, url="s3://bucket/dicom/out")
    results = list(spread(bundle, find_stored(["s3://bucket/dicom/in"]).cases, options))
    (done,) = [result for result in results if result.files]
    made = store().find("bucket/dicom/out")
    assert len(results) == 2 and sum(path.endswith(".dcm") for path in made) == 12 and len(made) == 13
    assert b"ueller" not in (tmp_path / "ledger/ledger.sqlite").read_bytes()
    assert not any("ueller" in path or b"ueller" in store().cat_file(path) for path in made)
    store().pipe_file(f"{str(done.files[0]).removeprefix('s3://')}/99999.dcm", b"of an earlier series with more slices")
    assert not any(result.files for result in spread(bundle, find_stored(["s3://bucket/dicom/in"]).cases, options))
    assert any(result.files for result in spread(bundle, find_stored(["s3://bucket/dicom/in"]).cases, replace(options, overwrite=True)))
    assert sorted(store().find("bucket/dicom/out")) == made


def test_what_is_found_is_named_like_in_a_folder(tmp_path: Path) -> None:
    folder = scans(tmp_path / "in", 1)
    for place in ("a", "b"):
        save(folder / place / "head.nii.gz", ball(1))
        mr_series(folder / place / "dicom", 1)
    save(folder / ".hidden/p9.nii", ball(1))
    (folder / "notes.txt").write_text("no scan")
    found = find_stored([f"file://{folder}"])
    assert not found.errors
    assert [(case.name, case.kind, len(case.files)) for case in found.cases] == [
        (case.name, case.kind, len(case.files)) for case in find(folder).cases
    ]
    alone = find_stored([f"file://{folder}/a/head.nii.gz"]).cases
    assert [(case.name, case.kind) for case in alone] == [("head", "nifti")]
    both = find_all([str(folder / "a"), f"file://{folder}/b"]).cases
    assert [case.name for case in both] == ["a_dicom", "a_head", "b_dicom", "b_head"]


def test_the_state_of_a_case_is_that_of_its_objects(tmp_path: Path) -> None:
    folder = scans(tmp_path / "in", 1)

    def state() -> str:
        (case,) = find_stored([f"file://{folder}"]).cases
        return case.state  # type: ignore[attr-defined, no-any-return]

    before = state()
    assert before == state()
    save(folder / "p0_T1.nii.gz", ball(2))
    assert before != state()


def test_a_folder_of_two_volumes_and_an_object_that_is_gone_are_refused(tmp_path: Path) -> None:
    first = mr_series(tmp_path / "in/one", 1)
    for path in mr_series(tmp_path / "other", 2).iterdir():
        path.rename(first / f"b{path.name}")
    (case,) = find_stored([f"file://{tmp_path}/in"]).cases
    (tmp_path / "at").mkdir()
    with pytest.raises(ScanError, match=r"file://.*/in/one: holds 2 volumes; put the .dcm of each volume into a folder of its own"):
        fetch(case, tmp_path / "at")  # type: ignore[arg-type]
    (case,) = find_stored([f"file://{scans(tmp_path / 'nifti', 1)}"]).cases
    (tmp_path / "nifti/p0_T1.nii.gz").unlink()
    with pytest.raises(ScanError, match=r"file://.*/p0_T1.nii.gz: cannot be fetched .*; check the object"):
        fetch(case, tmp_path / "at")  # type: ignore[arg-type]


def test_a_store_that_is_not_there_is_no_scans_fault(keys: dict[str, str], tmp_path: Path) -> None:
    def told(*arguments: object) -> str:
        code, _, err = call("run", "mr_denoise_vae", *arguments, "--engine", "dask", "--scheduler", "tcp://127.0.0.1:9")
        assert code == 2 and err.count("\n") == 1, err
        return err

    out = ("-o", tmp_path / "out")
    assert "s3://nowhere/in: cannot be listed (" in told("s3://nowhere/in", *out)
    assert "s3://bucket/none: holds no scans" in told("s3://bucket/none", *out)
    assert "nothing://a: Protocol not known: nothing" in told("nothing://a", *out)
    store().put_file(str(save(tmp_path / "p.nii.gz", ball(1))), "bucket/error/p.nii.gz")
    assert "--ledger FOLDER goes with a URL as -o" in told("s3://bucket/error", "-o", "s3://bucket/out")
    assert "s3://nowhere/out: cannot be written to (" in told("s3://bucket/error", "-o", "s3://nowhere/out", "--ledger", tmp_path / "l")
    code, _, err = call("run", "mr_denoise_vae", "s3://bucket/error", *out)
    assert code == 2 and "URLs are read and written by --engine dask only" in err
    with pytest.raises(RunStopped, match="s3://nowhere: the store does not answer as it should"):
        Objects("s3://nowhere").recorded({"": tmp_path / "p.nii.gz"})
    missing = pytest.raises(BundleError, match=r'Install s3fs .*: pip install "medgen\[s3\]"')
    with patch.dict("sys.modules", {"s3fs": None}), patch.dict("fsspec.registry._registry", clear=True), missing:
        Objects("s3://bucket/x")


def test_what_is_a_url() -> None:
    assert [is_url(text) for text in ("s3://b/k", "simplecache::s3://b/k", "/a/b", "a:b", "C:\\x", "a//b")] == [True, True] + [False] * 4
    assert as_path("s3://b/k") == Path("/s3/b/k") and as_path("a/b") == Path("a/b")


def test_results_are_looked_up_in_one_listing(keys: dict[str, str], tmp_path: Path) -> None:
    place, files = Objects("s3://bucket/place"), {}
    for key in ("", "json"):
        files[key] = tmp_path / f"r{key}"
        files[key].write_bytes(np.random.RandomState(len(key)).bytes(1000))
    recorded = place.recorded(files)
    assert list(recorded) == ["", "json"]  # the sidecar last
    for _ in range(2):
        assert all(Objects("s3://bucket/place").state(names) == state != "" for names, _, state in recorded.values())
    place.remove(["r", "none"])
    assert Objects("s3://bucket/place").state(["r"]) == ""
