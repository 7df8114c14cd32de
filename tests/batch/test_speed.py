from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from medgen.batch.speed import hardware, speed
from medgen.bundles import Bundle, available, open_bundle
from medgen.scans import find
from tests.batch.test_evaluate import save

SHAPES = {"a": (24, 20, 16), "b": (16, 16, 12)}


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    """A bundle that denoises: the first of those with an uncertainty."""
    return open_bundle(next(name for name in available() if "denoise" in name), "cpu")


def test_each_scan_is_timed_and_the_hardware_named(tmp_path: Path, bundle: Bundle) -> None:
    for name, shape in SHAPES.items():
        save(tmp_path / f"scans/{name}.nii.gz", np.random.RandomState(0).rayleigh(100, shape).astype(np.int16))
    (tmp_path / "scans/c.nii.gz").write_bytes(b"no image")
    cases, errors, _ = find(tmp_path / "scans")
    assert not errors
    console = Console(file=io.StringIO(), width=1000)
    failed = speed(bundle, cases, 2, None, tmp_path / "out", console)
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert failed == 1 and "failed: " in printed and "c.nii.gz" in printed
    found = json.loads((tmp_path / "out/speed.json").read_text())
    for row, shape in zip(found["rows"], SHAPES.values()):
        assert row["shape"] == "x".join(map(str, shape))
        assert 0 < row["fastest"] <= row["seconds"] <= row["slowest"]
        assert row["voxels_per_second"] == pytest.approx(np.prod(shape) / row["seconds"])
        assert row["peak_gib"] is None or 0 <= row["peak_gib"] < 64
        assert row["device_peak_gib"] is None
    assert found["throughput"]["scans"] == 2
    assert found["throughput"]["scans_per_hour"] == pytest.approx(7200 / found["throughput"]["seconds"])
    assert found["hardware"]["processor"] and found["hardware"]["threads"] >= 1
    assert str(found["hardware"]["processor"]) in printed
    assert found["bundle"] == bundle.root.name


def test_memory_is_that_of_the_work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, bundle: Bundle) -> None:
    """Work that holds 256 MiB for a moment is seen to; the peak of before is not."""
    from medgen.batch import speed as module
    from medgen.scans import read

    if module._reset_peak() is None:
        pytest.skip("this system does not tell a process's peak memory")
    scan = read(save(tmp_path / "a.nii", np.zeros((8, 8, 8), np.int16)))
    for megabytes in (256, 0):
        monkeypatch.setattr(module, "apply", lambda *_, size=megabytes: np.ones(size * 2**20, np.uint8).sum())
        peak = module._time(bundle, scan, None, 1)["peak_gib"]
        assert isinstance(peak, float) and peak * 1024 == pytest.approx(megabytes, abs=32)


def test_hardware_of_this_machine() -> None:
    found = hardware("cpu")
    assert found["device"] == "cpu" and found["cores"] >= 1 and "gpu" not in found
