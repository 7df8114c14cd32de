from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medgen.batch.picture import HEIGHT, MARGIN, TITLE, planes, three_planes

EXTENT = (48.0, 60.0, 36.0)  #: mm to the right, anterior and superior
PLANES = ("axial", "coronal", "sagittal")
#: RAS axes across and up in each plane, and whether the first runs to the left of the picture.
LAYOUT = {"axial": (0, 1, True), "coronal": (0, 2, True), "sagittal": (1, 2, False)}
ORIENTATIONS = list(itertools.product(itertools.permutations(range(3)), itertools.product((1, -1), repeat=3)))


def grid(
    order: tuple[int, ...], signs: tuple[int, ...], spacing: tuple[float, ...]
) -> tuple[tuple[int, ...], np.ndarray]:
    """Return shape and affine of a grid about the origin; its axis i runs along RAS axis order[i], by its sign."""
    shape = tuple(round(EXTENT[axis] / step) for axis, step in zip(order, spacing))
    affine = np.eye(4)
    affine[:3, :3] = 0
    for i, axis in enumerate(order):
        affine[axis, i] = signs[i] * spacing[i]
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return shape, affine


def world(shape: tuple[int, ...], affine: np.ndarray) -> np.ndarray:
    """Return the RAS coordinates of all voxels, (3, X, Y, Z)."""
    return np.einsum("ij,j...->i...", affine[:3, :3], np.indices(shape)) + affine[:3, 3, None, None, None]


def bar(plane: str, shape: tuple[int, ...], affine: np.ndarray) -> np.ndarray:
    """Return a bar through the volume across a plane, in the outermost 12 mm to the right (or anterior), and up."""
    across, up, _ = LAYOUT[plane]
    place = world(shape, affine)
    inside = [(place[axis] < EXTENT[axis] / 2) & (place[axis] > EXTENT[axis] / 2 - 12) for axis in (across, up)]
    return (inside[0] & inside[1]).astype(np.float32)


def draw(
    path: Path, panels: dict[str, np.ndarray], affine: np.ndarray, window: tuple[float, float] = (0, 1)
) -> np.ndarray:
    three_planes(path, panels, affine, dict.fromkeys(panels, window))
    with Image.open(path) as image:
        assert (image.format, image.mode) == ("PNG", "L")
        return np.asarray(image)


def cells(picture: np.ndarray, columns: int) -> list[list[np.ndarray]]:
    """Cut a picture of volumes of `EXTENT` into planes, by column and row."""
    widths = [round(HEIGHT * EXTENT[across] / EXTENT[up]) for across, up, _ in LAYOUT.values()]
    step = max(widths) + MARGIN
    assert picture.shape == (TITLE + 3 * (HEIGHT + MARGIN), columns * step + MARGIN)
    tops = [TITLE + row * (HEIGHT + MARGIN) for row in range(3)]
    lefts = [MARGIN + column * step for column in range(columns)]
    return [[picture[top : top + HEIGHT, left : left + width] for top, width in zip(tops, widths)] for left in lefts]


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
def test_every_orientation_is_drawn_the_radiological_way(
    tmp_path: Path, order: tuple[int, ...], signs: tuple[int, ...]
) -> None:
    """A bar at the patient's right, anterior and superior comes out on the documented side, and square."""
    shape, affine = grid(order, signs, (1.0, 2.0, 3.0))
    picture = draw(tmp_path / "a.png", {plane: bar(plane, shape, affine) for plane in PLANES}, affine)
    for plane, column in zip(PLANES, cells(picture, 3)):
        for other, cell in zip(PLANES, column):
            if other != plane:
                assert not cell.any()  # the bar lies beside the other two middle planes
                continue
            rows, columns = np.nonzero(cell > 127)
            _, up, right_is_left = LAYOUT[plane]
            scale = HEIGHT / EXTENT[up]
            assert rows.min() == 0
            assert columns.min() == 0 if right_is_left else columns.max() == cell.shape[1] - 1
            assert np.ptp(rows) + 1 == pytest.approx(12 * scale, abs=2)
            assert np.ptp(columns) + 1 == pytest.approx(12 * scale, abs=2)


def test_a_small_tilt_changes_nothing(tmp_path: Path) -> None:
    shape, affine = grid((0, 1, 2), (1, 1, 1), (1.0, 2.0, 3.0))
    angle = np.deg2rad(15)
    tilt = np.array(
        [[1, 0, 0, 0], [0, np.cos(angle), -np.sin(angle), 0], [0, np.sin(angle), np.cos(angle), 0], [0, 0, 0, 1]]
    )
    volumes = {plane: bar(plane, shape, affine) for plane in PLANES}
    straight = draw(tmp_path / "a.png", volumes, affine)
    np.testing.assert_array_equal(draw(tmp_path / "b.png", volumes, tilt @ affine), straight)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (3.0, 2.0, 1.0), (4.0, 0.5, 6.0)])
def test_the_size_depends_on_millimetres_not_on_voxels(tmp_path: Path, spacing: tuple[float, ...]) -> None:
    shape, affine = grid((2, 0, 1), (1, -1, 1), spacing)
    (column,) = cells(draw(tmp_path / "a.png", {"a": np.ones(shape)}, affine), 1)
    assert all((cell == 255).all() for cell in column)


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
def test_planes_go_through_a_voxel(order: tuple[int, ...], signs: tuple[int, ...]) -> None:
    shape, affine = grid(order, signs, (1.0, 2.0, 3.0))
    at = [n // 3 for n in shape]
    volume = np.zeros(shape)
    volume[tuple(at)] = 1
    assert all(np.asarray(plane).any() for plane in planes(volume, affine, (0, 1), at))
    assert not any(np.asarray(plane).any() for plane in planes(volume, affine, (0, 1)))


@pytest.mark.parametrize("axis", range(3))
def test_the_middle_plane_is_shown(tmp_path: Path, axis: int) -> None:
    shape, affine = grid((0, 1, 2), (1, 1, 1), (2.0, 2.0, 2.0))
    volume = np.zeros(shape)
    volume[(slice(None),) * axis + (shape[axis] // 2,)] = 1
    (column,) = cells(draw(tmp_path / "a.png", {"a": volume}, affine), 1)
    shown = column[2 - axis]
    assert (shown == 255).all()
    assert all((cell == 255).mean() < 0.1 for cell in column if cell is not shown)


@pytest.mark.parametrize(
    ("value", "grey"), [(-1000.0, 0), (-200.0, 0), (0.0, 102), (50.0, 127), (299.0, 254), (300.0, 255), (5e6, 255)]
)
def test_the_window_maps_values_to_grey(tmp_path: Path, value: float, grey: int) -> None:
    shape, affine = grid((0, 1, 2), (1, 1, 1), (6.0, 6.0, 6.0))
    (column,) = cells(draw(tmp_path / "a.png", {"a": np.full(shape, value)}, affine, (-200, 300)), 1)
    assert all(np.unique(cell).tolist() == [grey] for cell in column)


def test_whole_numbers_do_not_wrap_around(tmp_path: Path) -> None:
    shape, affine = grid((0, 1, 2), (1, 1, 1), (6.0, 6.0, 6.0))
    (column,) = cells(draw(tmp_path / "a.png", {"a": np.full(shape, 32767, np.int16)}, affine, (-1000, 400)), 1)
    assert all((cell == 255).all() for cell in column)


def test_each_panel_has_its_own_window_and_title(tmp_path: Path) -> None:
    shape, affine = grid((0, 1, 2), (1, 1, 1), (6.0, 6.0, 6.0))
    panels = {"one": np.full(shape, 10.0), "two": np.full(shape, 10.0)}
    three_planes(tmp_path / "a.png", panels, affine, {"one": (0, 10), "two": (10, 20)})
    with Image.open(tmp_path / "a.png") as image:
        picture = np.asarray(image)
    first, second = cells(picture, 2)
    assert all((cell == 255).all() for cell in first) and not any(cell.any() for cell in second)
    titles = np.split(picture[:TITLE], [picture.shape[1] // 2], axis=1)
    assert all(title.any() for title in titles) and not np.array_equal(titles[0][:, :100], titles[1][:, :100])


@pytest.mark.parametrize("value", [0.0, -3.5, 1e9])
def test_a_constant_image_with_a_window_of_no_width_is_drawn(tmp_path: Path, value: float) -> None:
    shape, affine = grid((0, 1, 2), (1, 1, 1), (6.0, 6.0, 6.0))
    (column,) = cells(draw(tmp_path / "a.png", {"a": np.full(shape, value)}, affine, (value, value)), 1)
    assert not any(cell.any() for cell in column)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 2, 2), (40, 1, 30), (3, 50, 7)])
def test_thin_volumes_are_drawn(tmp_path: Path, shape: tuple[int, ...]) -> None:
    picture = draw(tmp_path / "a.png", {"a": np.ones(shape)}, np.eye(4))
    assert picture.shape[0] == TITLE + 3 * (HEIGHT + MARGIN)
    assert (picture[TITLE : TITLE + HEIGHT, MARGIN] == 255).all()


def test_the_folder_is_made_and_the_volume_left_as_it_was(tmp_path: Path) -> None:
    shape, affine = grid((0, 1, 2), (1, 1, 1), (6.0, 6.0, 6.0))
    volume = np.random.RandomState(0).rand(*shape)
    before = volume.copy()
    draw(tmp_path / "new/folder/a.png", {"a": volume}, affine)
    np.testing.assert_array_equal(volume, before)
