from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from medgen.batch.distributions import DistributionProtocol, distributions
from medgen.evaluation.features import Extractor
from medgen.evaluation.sampling import Sampling
from medgen.scans import ScanError
from tests.batch.test_evaluate import save
from tests.test_cli import call

TINY = DistributionProtocol(sampling=Sampling(side=48, slices=3, planes=("coronal", "axial"), crop=48), resamples=10)
AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])


def head(seed: int, noise: float = 0.0) -> np.ndarray:
    """Return a ball with a darker ball inside, of sizes that differ from seed to seed."""
    rng = np.random.default_rng(seed)
    x, y, z = np.ogrid[-22:22, -22:22, -22:22]
    far = np.sqrt(x**2 + y**2 + (z * rng.uniform(0.9, 1.2)) ** 2)
    image = 900.0 * (far < rng.uniform(15, 19)) - 500 * (far < rng.uniform(5, 9))
    parts = noise * np.random.default_rng(seed + 1000).standard_normal((2, *image.shape))
    return np.rint(np.hypot(image + parts[0], parts[1])).astype(np.int16)


@pytest.fixture(scope="module")
def extractor() -> Extractor:
    return Extractor()


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sets")
    for seed in range(8):
        save(root / f"real/sub-{seed:02}_T1w.nii.gz", head(seed), AFFINE)
    for seed in range(5):
        save(root / f"good/sub-{seed + 20}.nii.gz", head(seed + 20), AFFINE)
        save(root / f"noisy/sub-{seed + 20}.nii.gz", head(seed + 20, 200), AFFINE)
        save(root / f"copies/new-{seed}.nii.gz", head(seed), AFFINE)
    return root


def run(
    extractor: Extractor, generated: Path, real: Path, output: Path, protocol: DistributionProtocol = TINY, train: Path | None = None
) -> tuple[dict[str, Any], str]:
    console = Console(file=io.StringIO(), width=500)
    assert distributions(generated, real, train, extractor, protocol, output, console) == 0
    return json.loads((output / "distributions.json").read_text()), console.file.getvalue()  # type: ignore[attr-defined]


def values(report: dict[str, Any], measure: str) -> dict[str, float]:
    return {row["view"]: row["value"] for row in report["rows"] if row["measure"] == measure}


def test_noise_is_further_from_the_real_than_what_is_like_them(extractor: Extractor, folders: Path, tmp_path: Path) -> None:
    good, told = run(extractor, folders / "good", folders / "real", tmp_path / "good")
    noisy, _ = run(extractor, folders / "noisy", folders / "real", tmp_path / "noisy")
    for measure in ("frechet", "kernel", "kernel_gaussian"):
        near, far = values(good, measure), values(noisy, measure)
        assert set(near) == {"coronal", "axial", "2.5D mean", "volume"} and all(far[view] > near[view] for view in near)
    planes = values(good, "frechet")
    assert planes["2.5D mean"] == pytest.approx((planes["coronal"] + planes["axial"]) / 2)
    rows = {(row["view"], row["measure"]): row for row in good["rows"]}
    for view in planes:
        row = rows[view, "frechet"]
        assert row["low"] < row["value"] < row["high"] and row["real"] > 0 and (row["subjects"], row["subjects_real"]) == (5, 8)
        assert rows[view, "ms_ssim"]["low"] < rows[view, "ms_ssim"]["value"] < rows[view, "ms_ssim"]["high"]
    assert good["score"] == extractor.label and "FID" not in told and extractor.label in told
    assert any("singular" in warning for warning in good["warnings"])  # 15 slices, 64 features
    assert any("5 subjects are few" in warning for warning in good["warnings"])


def test_a_set_against_itself(extractor: Extractor, folders: Path, tmp_path: Path) -> None:
    found, _ = run(extractor, folders / "real", folders / "real", tmp_path)
    assert all(row["low"] < row["value"] < row["high"] for row in found["rows"] if row["measure"] == "frechet_extrapolated")
    assert all(value == pytest.approx(0, abs=1e-6) for value in values(found, "frechet").values())
    assert set(values(found, "precision").values()) == set(values(found, "recall").values()) == {1.0}
    for row in found["rows"]:
        if row["measure"] in ("vendi", "uniformity", "richness", "class_score", "ms_ssim"):
            assert row["value"] == row["real"]


def test_copies_of_the_training_set_are_found(extractor: Extractor, folders: Path, tmp_path: Path) -> None:
    found, told = run(extractor, folders / "copies", folders / "good", tmp_path, train=folders / "real")
    assert {(copy["case"], copy["training"]) for copy in found["copies"]} == {(f"new-{n}", f"sub-{n:02}_T1w") for n in range(5)}
    assert set(values(found, "near_training").values()) == {1.0} and "copy: new-0" in told
    assert max(values(found, "training_distance").values()) < 1e-3 and found["protocol"]["n"]["train"] == 8
    others, _ = run(extractor, folders / "good", folders / "good", tmp_path / "good", train=folders / "real")
    assert others["copies"] == [] and min(values(others, "training_distance").values()) > 1


def test_mirrored_copies_are_found(extractor: Extractor, folders: Path, tmp_path: Path) -> None:
    for seed in range(4):
        lump = np.zeros((44, 44, 44), np.int16)
        lump[6 + seed : 14 + seed, 18:26, 18:26] = 400  # on one side
        save(tmp_path / f"lumps/sub-{seed:02}.nii.gz", head(seed) + lump, AFFINE)
        save(tmp_path / f"mirrored/new-{seed}.nii.gz", (head(seed) + lump)[::-1].copy(), AFFINE)
    found, _ = run(extractor, tmp_path / "mirrored", folders / "good", tmp_path / "out", train=tmp_path / "lumps")
    assert {(copy["case"], copy["training"]) for copy in found["copies"]} == {(f"new-{n}", f"sub-{n:02}") for n in range(4)}


def test_the_protocol_repeats_the_numbers(extractor: Extractor, folders: Path, tmp_path: Path) -> None:
    first, told = run(extractor, folders / "good", folders / "real", tmp_path / "first")
    assert first["protocol"]["n"] == {"generated": 5, "real": 8} and first["protocol"]["sha256"] == extractor.sha256
    printed = json.loads(next(line for line in told.splitlines() if line.startswith("protocol: ")).removeprefix("protocol: "))
    (tmp_path / "protocol.json").write_text(json.dumps(printed))
    protocol = DistributionProtocol.read(tmp_path / "protocol.json")
    assert protocol == DistributionProtocol.read(tmp_path / "first/distributions.json")
    again, _ = run(extractor, folders / "good", folders / "real", tmp_path / "again", protocol)
    assert again["rows"] == first["rows"] and again["protocol"] == first["protocol"]
    assert "```json" in (tmp_path / "first/distributions.md").read_text() and (tmp_path / "first/distributions.csv").is_file()


def test_of_more_scans_as_many_are_drawn_as_the_protocol_says(extractor: Extractor, folders: Path, tmp_path: Path) -> None:
    found, _ = run(extractor, folders / "good", folders / "real", tmp_path, replace(TINY, n={"real": 6}))
    assert found["protocol"]["n"] == {"generated": 5, "real": 6}
    with pytest.raises(ScanError, match="holds 5 scans, and the protocol was of 9"):
        run(extractor, folders / "good", folders / "real", tmp_path, replace(TINY, n={"generated": 9}))


def test_other_weights_than_the_protocols_are_refused(extractor: Extractor, folders: Path, tmp_path: Path) -> None:
    with pytest.raises(ScanError, match="other weights than the protocol"):
        run(extractor, folders / "good", folders / "real", tmp_path, replace(TINY, sha256="0" * 64))


def test_what_cannot_be_read_is_told_and_the_rest_goes_on(extractor: Extractor, folders: Path, tmp_path: Path) -> None:
    for path in (folders / "good").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "broken.nii.gz").write_bytes(b"nothing")
    console = Console(file=io.StringIO(), width=500)
    assert distributions(tmp_path, folders / "real", None, extractor, TINY, None, console) == 1
    assert "failed: " in console.file.getvalue() and "broken.nii.gz" in console.file.getvalue()  # type: ignore[attr-defined]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ScanError, match="holds no scan that could be read"):
        distributions(tmp_path / "empty", folders / "real", None, extractor, TINY, None, console)


def test_the_command(folders: Path, tmp_path: Path) -> None:
    (tmp_path / "protocol.json").write_text(json.dumps(TINY.told()))
    code, out, err = call("distributions", folders / "good", "--real", folders / "real", "--protocol", tmp_path / "protocol.json",
                          "-o", tmp_path / "out")  # fmt: skip
    assert code == 0, err
    assert "FD-medgen-v1[" in out and "warning: " in out and (tmp_path / "out/distributions.md").is_file()
    code, out, _ = call("distributions", "--help")
    assert code == 0 and "Example: medgen distributions" in " ".join(out.split())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--real", "absent"], "absent: there is no such"),
        (["--real", "real", "--extractor", "inception-fid"], "comes without weights"),
        (["--real", "real", "--extractor", "beauty"], "is no extractor"),
        (["--real", "real", "--subject", "("], "no regular expression"),
        (["--real", "real", "--protocol", "wrong.json"], "holds no protocol"),
        (["--real", "real", "--protocol", "wrong.json", "--hu"], "leave them out"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(
    folders: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], words: str
) -> None:
    monkeypatch.chdir(folders)
    (folders / "wrong.json").write_text('{"protocol": {"extractr": "medgen-v1"}}')
    code, _, err = call("distributions", "good", *options)
    assert code == 2 and words in err and len(err.strip().splitlines()) == 1
