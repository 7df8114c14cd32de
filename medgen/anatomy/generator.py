"""Brains that nobody has: a linear-Gaussian VAE over the velocities that turn a template into heads, given age, sex and ventricles.

The decoder is p(v | z, c) = N(m + B c + W z, s^2), with z ~ N(0, 1) and the covariates c; with linear maps the VAE's optimum is
known in closed form: probabilistic PCA (Tipping and Bishop 1999; Lucas et al. 2019) of what age, sex and ventricles leave.
A velocity is followed for a time of 1, which folds nothing: every brain has the template's parts, each in one piece.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from medgen.anatomy.flow import Edited, refine, warp
from medgen.anatomy.register import fine_grid, integrate
from medgen.anatomy.sides import LATERAL, millilitres
from medgen.anatomy.ventricles import scale_ventricles
from medgen.weights import fault

WEIGHTS = Path(__file__).with_name("generator.pt")
SHA256 = "cdc98f0cc461ee106768d528ea392d64f2034e05f52d3b38c3e9d1ea74523e23"
AGES = (20.0, 95.0)  #: years that are taken; what was seen is told by the README
VENTRICLES = (4.0, 150.0)  #: ml that are taken
LATERALS = sum(LATERAL["dlmuse"], ())


@dataclass(frozen=True)
class Generator:
    """The model: what `tests/benchmarks/train_anatomy.py` makes.

    Attributes:
        template: (X, Y, Z) DLMUSE numbers on the frame's fine grid.
        inside: (x, y, z) where velocities are told, on the coarse grid of twice its voxels.
        mean, covariates, components: (D,), (3, D) and (K, D) velocities in coarse voxels at `inside`, three a voxel.
        noise: s, what the components leave, in coarse voxels.
        centre, scale: of age (years), sex (1 male, 0 female) and log ventricle volume (ml).
        ventricles: log ml = ventricles . (1, age, sex) in those units, and the standard deviation around it (4,).
        size: log size of the head along x, y, z against the frame's: (2, 3) for (1, sex), and (3, 3) a root of its covariance.
    """

    template: Tensor
    inside: Tensor
    mean: Tensor
    covariates: Tensor
    components: Tensor
    noise: float
    centre: Tensor
    scale: Tensor
    ventricles: Tensor
    size: Tensor
    spread: Tensor

    def standard(self, age: float, sex: str, ml: float) -> Tensor:
        """Return the covariates as the model takes them."""
        return (torch.tensor([age, float(sex == "male"), float(np.log(ml))]) - self.centre) / self.scale

    def encode(self, velocity: np.ndarray, covariates: Tensor) -> Tensor:
        """Return the posterior mean of z (K,) for a velocity (3, x, y, z) of a head of these covariates."""
        own = torch.from_numpy(velocity)[:, self.inside].T.reshape(-1)
        rest = own - self.mean.float() - covariates @ self.covariates.float()
        w = self.components.float()
        return torch.linalg.solve(w @ w.T + self.noise**2 * torch.eye(len(w)), w @ rest)

    def velocity(self, z: Tensor, covariates: Tensor) -> np.ndarray:
        """Return the velocity (3, x, y, z) that z and the covariates mean."""
        flat = self.mean.float() + covariates @ self.covariates.float() + z @ self.components.float()
        whole = torch.zeros(3, *self.inside.shape)
        whole[:, self.inside] = flat.reshape(-1, 3).T
        return whole.numpy()

    def paint(self, velocity: np.ndarray) -> np.ndarray:
        """Return the template's labels after a velocity (3, x, y, z), on the fine grid."""
        shift = integrate(torch.from_numpy(refine(velocity * 2, np.full(3, 2), tuple(self.template.shape))))
        return warp(self.template[None].float(), shift, "nearest")[0].numpy().round().astype(np.int16)


@dataclass(frozen=True)
class Shape:
    """What makes one brain differ from others of its age and sex, in standard deviations: all of it is 0 in their mean.

    Attributes:
        z: (K,) of the shape's components.
        ventricles: of the log ventricle volume.
        size: (3,) of the head's size.
    """

    z: Tensor
    ventricles: float
    size: Tensor

    def toward(self, other: Shape, part: float) -> Shape:
        """Return the shape a part (0 to 1) of the way to another, on an arc: every shape on it is as likely as its ends are."""
        a, b = np.cos(part * np.pi / 2), np.sin(part * np.pi / 2)
        return Shape(a * self.z + b * other.z, float(a * self.ventricles + b * other.ventricles), a * self.size + b * other.size)


def drawn(seed: int, spread: float = 1.0, model: Generator | None = None) -> Shape:
    """Return the shape of a seed, `spread` times as far from the mean as it was drawn."""
    draw = np.random.default_rng(seed)
    z = torch.from_numpy(spread * draw.standard_normal(len((load() if model is None else model).components))).float()
    ventricles = spread * float(draw.standard_normal())
    return Shape(z, ventricles, torch.from_numpy(spread * draw.standard_normal(3)).float())


@cache
def load(path: Path = WEIGHTS) -> Generator:
    """Return the shipped generator. Raises ValueError for a file that is missing or not the one that was shipped."""
    wrong = fault(path, SHA256)
    if wrong:
        raise ValueError(f"{path}: the weights are {wrong}; install medgen again")
    return Generator(**torch.load(path, map_location="cpu", weights_only=True))


def usual_ventricles(age: float, sex: str, model: Generator | None = None) -> float:
    """Return the volume of both lateral ventricles, in ml, that goes with an age (years) and a sex: the geometric mean."""
    model = load() if model is None else model
    usual = model.ventricles[0] + model.ventricles[1:3] @ model.standard(age, sex, 1.0)[:2]
    return float(np.clip(np.exp(float(usual)), *VENTRICLES))


def generate(
    age: float, sex: str, ventricles_ml: float | None = None, *, seed: int = 0, spread: float = 1.0, shape: Shape | None = None,
    model: Generator | None = None,
) -> tuple[Edited, np.ndarray]:  # fmt: skip
    """Return a brain that nobody has, as DLMUSE numbers on a grid of about 2 mm, and its affine (RAS, mm).

    Args:
        age: 20 to 95 years.
        sex: "female" or "male".
        ventricles_ml: both lateral ventricles, 4 to 150 ml, which is met within 2 %; by default drawn as age and sex have it.
        seed: of the shape.
        spread: standard deviations of the shape: 0 is the mean of all heads of this age, sex and ventricle size.
        shape: instead of that of the seed.
        model: another than the shipped one.

    Raises ValueError for values out of range.
    """
    if sex not in ("female", "male"):
        raise ValueError(f"there is no sex '{sex}'; choose from: female, male")
    if not AGES[0] <= age <= AGES[1]:
        raise ValueError(f"an age of {age:g} years is outside of {AGES[0]:g} to {AGES[1]:g}")
    if ventricles_ml is not None and not VENTRICLES[0] <= ventricles_ml <= VENTRICLES[1]:
        raise ValueError(f"ventricles of {ventricles_ml:g} ml are outside of {VENTRICLES[0]:g} to {VENTRICLES[1]:g}")
    model = load() if model is None else model
    shape = drawn(seed, spread, model) if shape is None else shape
    by_age = model.standard(age, sex, 1.0)[:2]
    usual = model.ventricles[0] + model.ventricles[1:3] @ by_age + model.ventricles[3] * shape.ventricles
    wanted = float(np.clip(np.exp(float(usual)), *VENTRICLES)) if ventricles_ml is None else ventricles_ml
    labels = model.paint(model.velocity(shape.z, model.standard(age, sex, wanted)))
    size = model.size[0] + model.size[1] * float(sex == "male") + model.spread @ shape.size
    affine = np.diag([*np.exp(size.numpy().astype(float)), 1.0]) @ fine_grid()
    volume = millilitres(np.isin(labels, LATERALS), affine)
    report = {"age_years": age, "sex": sex, "seed": seed, "spread": spread, "ventricles_drawn_ml": round(volume, 3)}
    if ventricles_ml is not None:
        edited = scale_ventricles(labels, affine, "dlmuse", float(np.clip(wanted / volume, 0.2, 10)))
        labels = edited.labels
        report |= {"ventricles_requested_ml": wanted}
    report |= {"ventricles_obtained_ml": round(millilitres(np.isin(labels, LATERALS), affine), 3),
               "within_skull_ml": round(millilitres(labels > 0, affine), 1)}  # fmt: skip
    return Edited(labels, None, report), affine
