from __future__ import annotations

import getpass
import io
import json
import platform
import shutil
from pathlib import Path

import pytest
import torch
from rich.console import Console

from medgen import __version__
from medgen.batch.doctor import doctor, show
from medgen.bundles import available, find, read_metadata
from tests.batch.tiny import BUNDLE


def test_it_tells_versions_codecs_and_bundles_and_nothing_of_the_user() -> None:
    about = doctor()
    assert about["medgen"] == __version__ and about["versions"]["monai"].startswith("1.")
    assert "pydicom" in about["codecs"]["RLE Lossless"] and about["hardware"]["cores"] >= 1
    assert about["bundles"].keys() == available().keys() and about["problems"] == []
    assert about["bundles"][BUNDLE]["weights_sha256"] == read_metadata(Path(find(BUNDLE)))["weights_sha256"]
    told = json.dumps(about)
    words = (platform.node(), str(Path.home()), str(Path(find(BUNDLE)).parent), getpass.getuser() if getpass.getuser() != "root" else "/root")
    assert not any(word in told for word in words if len(word) > 3)
    console = Console(file=io.StringIO(), width=400)
    show(about, console)
    assert "no problems found" in console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("speedup", [0.6, 1.7])
def test_it_tells_what_the_engine_does_not_what_the_processor_says(speedup: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medgen.batch.doctor.choose_device", lambda _: "cpu")
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    monkeypatch.setattr("medgen.inference.inferers._speedup_of_bf16", lambda: speedup)
    assert doctor()["runs in bfloat16"] is (speedup > 1)


def test_an_altered_bundle_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("altered", "empty"):
        shutil.copytree(find(BUNDLE), tmp_path / name)
    with (tmp_path / "altered/models/model.pt").open("ab") as file:
        file.write(b"x")
    (tmp_path / "empty/models/model.pt").unlink()
    monkeypatch.setenv("MEDGEN_BUNDLES", str(tmp_path))
    about = doctor()
    assert [line.split(":")[0] for line in about["problems"]] == ["bundle altered", "bundle empty"]
    assert about["bundles"]["empty"]["weights_sha256"] == "missing"
    console = Console(file=io.StringIO(), width=400)
    show(about, console)
    assert console.file.getvalue().count("problem: ") == 2  # type: ignore[attr-defined]
