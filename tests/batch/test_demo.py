from __future__ import annotations

import io
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from medgen.batch.demo import demo
from medgen.bundles import BundleError, available, read_metadata

RECIPES = {name: recipe for name, root in available().items() if (recipe := read_metadata(root).get("demo"))}
SHAPE = (32, 28, 24)


def head() -> np.ndarray:
    """Return a bright ball of 600 in air of 0."""
    place = np.indices(SHAPE) - (np.array(SHAPE) / 2)[:, None, None, None]
    return np.where((place**2).sum(0) < 10**2, 600, 0).astype(np.int16)


def samples(folder: Path) -> Path:
    """Write a head wherever a bundle's demo looks for scans."""
    for recipe in RECIPES.values():
        for path in recipe["scans"]:
            place = folder / path if Path(path).suffix else folder / path / "head.nii.gz"
            place.parent.mkdir(parents=True, exist_ok=True)
            nib.save(nib.Nifti1Image(head(), np.diag([1.0, 1.0, 1.5, 1.0])), place)
    return folder


def call(output: Path, data: Path | None) -> tuple[int, str]:
    console = Console(file=io.StringIO(), width=1000)
    failed = demo(output, data, "cpu", console)
    return failed, console.file.getvalue()  # type: ignore[attr-defined]


def test_some_bundle_has_a_demo() -> None:
    assert RECIPES


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int, str]:
    folder = tmp_path_factory.mktemp("demo")
    return folder / "out", *call(folder / "out", samples(folder / "data"))


def test_the_demo_measures_and_pictures_each_scan(done: tuple[Path, int, str]) -> None:
    output, failed, printed = done
    assert failed == 0
    for name in RECIPES:
        picture = output / f"head_{name}.png"
        assert f"picture: {picture}" in printed and "PSNR before" in printed
        with Image.open(picture) as image:
            image.load()
            assert image.format == "PNG" and image.getextrema() == (0, 255)
        for suffix in (".nii.gz", "_uncertainty.nii.gz", ".json"):
            assert (output / f"head_{name}{suffix}").is_file()


def test_the_noise_is_what_the_recipe_says_and_always_the_same(done: tuple[Path, int, str], tmp_path: Path) -> None:
    noisy = np.asarray(nib.load(done[0] / "noisy/head.nii.gz").dataobj)
    sigma = float(list(RECIPES.values())[-1]["rician_noise"]) * 600
    air, ball = noisy[head() == 0], noisy[head() > 0]
    assert (air**2).mean() == pytest.approx(2 * sigma**2, rel=0.05)
    assert (ball**2).mean() == pytest.approx(600**2 + 2 * sigma**2, rel=0.02)
    call(tmp_path / "again", samples(tmp_path / "data"))
    np.testing.assert_array_equal(np.asarray(nib.load(tmp_path / "again/noisy/head.nii.gz").dataobj), noisy)


def test_absent_samples_are_an_error_that_names_them(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="--data"):
        call(tmp_path / "out", tmp_path / "absent")
    (tmp_path / "data").mkdir()
    path = next(iter(RECIPES.values()))["scans"][0]
    with pytest.raises(BundleError, match=path):
        call(tmp_path / "out", tmp_path / "data")
