"""The tables of the bundles' READMEs are those of the results beside them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medgen.bundles import open_bundle, read_metadata
from tests.benchmarks import numbers

BUNDLES = Path(__file__).parents[1] / "bundles"
MEASURED = sorted(path.parents[1].name for path in BUNDLES.glob("*/docs/numbers.json"))


@pytest.mark.parametrize("bundle", MEASURED)
def test_the_table_is_that_of_the_results(bundle: str) -> None:
    docs = BUNDLES / bundle / "docs"
    found = json.loads((docs / "numbers.json").read_text())
    readme = (docs / "README.md").read_text()
    assert numbers.put(readme, found) == readme, f"python -m tests.benchmarks.numbers bundles/{bundle}"
    assert found["bundle"] == bundle and found["benchmark"] in readme


@pytest.mark.parametrize("bundle", MEASURED)
def test_the_results_are_of_the_shipped_weights(bundle: str) -> None:
    found = json.loads((BUNDLES / bundle / "docs/numbers.json").read_text())
    assert found["weights_sha256"] == read_metadata(BUNDLES / bundle)["weights_sha256"]


def test_results_become_a_table(tmp_path: Path) -> None:
    rows = [{"name": name, "factor": 2, "cubic": {"psnr": psnr, "ssim": 0.5}, "medgen 0": {"psnr": psnr + 2, "ssim": 0.75}}
            for name, psnr in (("a", 20.0), ("b", 21.0))]  # fmt: skip
    numbers.write(tmp_path / "numbers.json", "enhance", open_bundle("mr_enhance_gan", "cpu"), rows)
    found = json.loads((tmp_path / "numbers.json").read_text())
    wanted = "| factor | n | cubic B-spline | strength 0 |\n|---|---|---|---|\n| 2 | 2 | 20.50 / 0.500 | 22.50 / 0.750 |\n"
    readme = f"# X\n\n{numbers.BEGIN}old\n{numbers.END}after\n"
    assert numbers.put(readme, found) == f"# X\n\n{numbers.BEGIN}\n{wanted}\n{numbers.END}after\n"
    with pytest.raises(ValueError, match="no line"):
        numbers.put("# X\n", found)


def test_the_table_of_denoising() -> None:
    rows = [{"group": "T1", "level": level, "method": method, "psnr": psnr, "ssim": 0.5}
            for level, method, psnr in ((0, "medgen", 50.0), (5, "noisy", 20.0), (5, "medgen", 30.0), (5, "bm4d", 31.0))]  # fmt: skip
    for row in rows[:1]:
        del row["ssim"]
    lines = numbers.table({"benchmark": "denoise", "rows": rows}).splitlines()
    assert lines == ["| contrast | noise | n | noisy | BM4D | medgen |", "|---|---|---|---|---|---|",
                     "| T1 | 5 % | 1 | 20.00 / 0.500 | 31.00 / 0.500 | 30.00 / 0.500 |"]  # fmt: skip
