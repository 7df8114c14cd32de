from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from medgen.batch.sequence import Vary, sequence
from medgen.bundles import Bundle, BundleError, available, open_bundle, read_metadata
from medgen.synthesis.order import order
from medgen.text.parse import parse
from medgen.text.spec import ScanSpec

TO_ORDER = next(name for name, root in available().items() if read_metadata(root).get("text"))


@pytest.fixture(scope="module")
def bundle() -> Iterator[Bundle]:
    yield open_bundle(TO_ORDER, "cpu")


@pytest.mark.parametrize("text", ["weight=1:2", "age=40", "age=old:new", "walk=1:2", "walk=-3", "walk=1.5", "age=nan:3"])
def test_what_cannot_be_varied_is_one_clear_error(text: str) -> None:
    with pytest.raises(ValueError, match="cannot be varied; choose from: age|such as"):
        Vary.read(text, 0)


def test_a_frame_is_the_specification_with_one_thing_changed() -> None:
    spec = parse("FLAIR of a woman of 60, 10 mm lesion in the left frontal lobe").spec
    aged = Vary.read("age=40:80", 0).of(spec, 0.25)
    assert aged.age_years is not None and aged.age_years.low == aged.age_years.high == 50
    assert aged.model_copy(update={"age_years": spec.age_years}) == spec
    grown = Vary.read("lesion=10:20", 0).of(spec, 1.0)
    assert grown.lesions is not None and grown.lesions[0].diameter_mm is not None and grown.lesions[0].diameter_mm.high == 20
    with pytest.raises(ValueError, match="no lesion was ordered"):
        Vary.read("lesion=10:20", 0).of(parse("T1").spec, 0.0)


def test_a_sequence_is_one_head_in_which_one_thing_changes(bundle: Bundle, tmp_path: Path) -> None:
    spec = ScanSpec.model_validate({"contrast": "T1", "ventricles": {"factor": 1.0}})
    seen: list[str] = []
    files = sequence(bundle, spec, Vary("ventricles", 1.0, 2.5), tmp_path, count=3, seed=4, progress=lambda n, what: seen.append(f"{n} {what}"))
    assert seen == ["1 ventricles 1 x usual", "2 ventricles 1.75 x usual", "3 ventricles 2.5 x usual"]
    image = nib.load(files["nifti"])
    series = np.asarray(image.dataobj)
    assert series.ndim == 4 and series.shape[3] == 3 and b"SYNTHETIC" in image.header["descrip"].tobytes()
    told = json.loads(files["json"].read_text())
    assert told["synthetic"] is True and [frame["value"] for frame in told["frames"]] == [1.0, 1.75, 2.5]
    volumes = [next(e for e in frame["edits"] if e.get("edit") == "ventricles")["obtained_ml"] for frame in told["frames"]]
    assert volumes[1] == pytest.approx(1.75 * volumes[0], rel=0.05) and volumes[2] == pytest.approx(2.5 * volumes[0], rel=0.05)
    assert all("nearest_training_scan" in frame for frame in told["frames"])
    neck = series[:, :, :20].astype(float)
    assert np.abs(neck[..., 0] - neck[..., 2]).max() <= 1  # far from the ventricles, outside of the skull: the same, texture and all
    assert np.abs(series[..., 0].astype(float) - series[..., 2]).max() > 100
    with Image.open(files["gif"]) as film:
        assert film.n_frames == 3  # type: ignore[attr-defined]


def test_a_lesion_grows_in_its_place() -> None:
    spec = parse("T1, lesion in the right parietal lobe").spec
    vary = Vary("lesion", 8.0, 20.0)
    last = order(vary.of(spec, 1.0), 3)
    stages = [order(vary.of(spec, part), 3, like=last) for part in (0.0, 0.5, 1.0)]
    masks = [np.isin(one.classes, (13, 14, 15)) for one in stages]
    assert len({one.classes.shape for one in stages}) == 1
    for small, large in pairwise(masks):
        assert small.sum() < large.sum() and (small & ~large).sum() <= 0.02 * small.sum()
    rest = ~masks[2]
    assert np.array_equal(stages[0].classes[rest], stages[2].classes[rest])


def test_a_walk_goes_from_one_brain_to_another() -> None:
    from medgen.anatomy.generator import drawn

    a, b = drawn(0), drawn(1)
    assert np.allclose(a.toward(b, 0.0).z, a.z) and np.allclose(a.toward(b, 1.0).z, b.z, atol=1e-6)
    length = float(a.toward(b, 0.5).z.norm())
    assert 0.5 * float(a.z.norm()) < length < 1.6 * float(b.z.norm())
    spec = parse("T1 of a woman of 60").spec
    first = order(spec, 0)
    assert np.array_equal(order(spec, 0, like=first, shape=a.toward(b, 0.0)).classes, first.classes)
    assert not np.array_equal(order(spec, 0, like=first, shape=a.toward(b, 0.5)).classes, first.classes)


def test_to_say_one_thing_leaves_what_is_drawn_else_as_it_was() -> None:
    """Sex, age and the midline have random numbers of their own."""
    spec = parse("T1 of a woman of 60, lesion in the left frontal lobe").spec
    shifted = parse("T1 of a woman of 60, lesion in the left frontal lobe, midline shift").spec
    own, other = (next(e for e in order(one, 5).report["edits"] if e.get("edit") == "lesion") for one in (spec, shifted))
    assert own["seed"] == other["seed"] and own["requested_mm"] == other["requested_mm"]


def test_a_bundle_that_takes_no_order_is_refused(tmp_path: Path) -> None:
    other = open_bundle(next(name for name, root in available().items() if not read_metadata(root).get("text")), "cpu")
    with pytest.raises(BundleError, match="makes no scans from a text"):
        sequence(other, ScanSpec(), Vary("age", 50, 60), tmp_path / "out")
    assert not (tmp_path / "out").exists()
