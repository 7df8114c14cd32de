from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from medgen.anatomy import generator as g
from medgen.anatomy.classes import classes_of
from medgen.anatomy.flow import jacobian
from medgen.anatomy.register import integrate
from medgen.anatomy.sides import midplane, millilitres


def test_a_brain_is_made_as_asked_and_the_seed_tells_which() -> None:
    one, affine = g.generate(70, "female", 30.0, seed=1)
    assert millilitres(np.isin(one.labels, g.LATERALS), affine) == pytest.approx(30, rel=0.02)
    assert one.report["ventricles_obtained_ml"] == pytest.approx(30, rel=0.02)
    volumes = {n: millilitres(classes_of(one.labels, "dlmuse") == n, affine) for n in range(1, 10)}
    assert 400 < volumes[1] < 800 and 350 < volumes[2] < 700 and 8 < volumes[8] < 40  # ml of a brain
    assert set(np.unique(one.labels)) <= set(np.unique(g.load().template.numpy()))
    normal, offset = midplane(one.labels, affine, "dlmuse")
    assert normal[0] > 0.99 and abs(offset) < 5
    again, _ = g.generate(70, "female", 30.0, seed=1)
    assert np.array_equal(one.labels, again.labels)


def test_shapes_fold_nothing_and_differ() -> None:
    model = g.load()
    rng = np.random.default_rng(0)
    covariates = model.standard(60, "male", 20.0)
    first, second = (model.velocity(torch.from_numpy(rng.standard_normal(len(model.components))).float(), covariates) for _ in range(2))
    assert np.abs(first - second).max() > 0.3
    for velocity in (first, second):
        assert jacobian(np.moveaxis(integrate(torch.from_numpy(velocity)).numpy(), 0, -1), np.eye(4)).min() > 0


def test_larger_ventricles_are_drawn_where_they_are_asked_for() -> None:
    model = g.load()
    none = torch.zeros(len(model.components))
    volumes = [np.isin(model.paint(model.velocity(none, model.standard(60, "female", ml))), g.LATERALS).sum() for ml in (10.0, 40.0)]
    assert volumes[1] > 1.5 * volumes[0]


def test_the_decoder_is_turned_around_by_the_encoder() -> None:
    model = g.load()
    covariates = model.standard(65, "male", 25.0)
    z = torch.from_numpy(np.random.default_rng(2).standard_normal(len(model.components))).float()
    found = model.encode(model.velocity(z, covariates), covariates)
    torch.testing.assert_close(found, z, atol=0.05, rtol=0.1)


@pytest.mark.parametrize(
    ("age", "sex", "ml", "message"),
    [(70, "no", 30, "choose from: female, male"), (5, "male", 30, "5 years is outside of 20 to 95"), (70, "male", 900, "900 ml are outside of 4 to 150")],
)  # fmt: skip
def test_what_cannot_be_made_is_refused(age: float, sex: str, ml: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        g.generate(age, sex, ml)


def test_weights_that_are_not_the_shipped_ones_are_refused(tmp_path: Path) -> None:
    (tmp_path / "generator.pt").write_bytes(g.WEIGHTS.read_bytes()[:-1] + b"x")
    with pytest.raises(ValueError, match="are altered"):
        g.load(tmp_path / "generator.pt")
    with pytest.raises(ValueError, match="are missing"):
        g.load(tmp_path / "no.pt")
    assert g.WEIGHTS.stat().st_size < 10e6
