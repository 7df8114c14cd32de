from __future__ import annotations

import pytest

from medgen.text.numbers import read


@pytest.mark.parametrize(
    ("text", "values", "unit"),
    [
        ("12 mm", (12,), "mm"),
        ("1.2cm", (12,), "mm"),
        ("1,2 cm", (12,), "mm"),
        ("½ cm", (5,), "mm"),
        ("1½ cm", (15,), "mm"),
        ("2 1/2 cm", (25,), "mm"),
        ("one and a half cm", (15,), "mm"),
        ("half a centimetre", (5,), "mm"),
        ("0.5 inch", (12.7,), "mm"),
        ("500 µm", (0.5,), "mm"),
        ("8-12 mm", (8, 12), "mm"),
        ("8 mm to 1.2 cm", (8, 12), "mm"),
        ("between 8 and 12 mm", (8, 12), "mm"),
        ("8到12毫米", (8, 12), "mm"),
        ("十二毫米", (12,), "mm"),
        ("一点五厘米", (15,), "mm"),
        ("半厘米", (5,), "mm"),
        ("2公分", (20,), "mm"),
        ("1 x 1 x 5 mm", (1, 1, 5), "mm"),
        ("70-year-old", (70,), "age"),
        ("70 y/o", (70,), "age"),
        ("七十岁", (70,), "age"),
        ("一百零二岁", (102,), "age"),
        ("seventy-two years old", (72,), "age"),
        ("6-month-old", (0.5,), "age"),
        ("六十多岁", (60,), "decade"),
        ("1.5 t", (1.5,), "tesla"),
        ("3特斯拉", (3,), "tesla"),
        ("15 ms", (15,), "other"),
        ("3 ml", (3,), "volume"),
        ("三个", (3,), "piece"),
        ("twenty-one", (21,), ""),
        ("1,200 mm", (1200,), "mm"),
    ],
)
def test_numbers_have_units(text: str, values: tuple[float, ...], unit: str) -> None:
    found = read(text, 0)
    assert found is not None and found.values == pytest.approx(values) and found.unit == unit and found.end == len(text)


@pytest.mark.parametrize("text", ["一侧", "left", "半球", "mm", "十字"])
def test_what_is_no_number(text: str) -> None:
    assert read(text, 0) is None


@pytest.mark.parametrize("text", ["12 to 8 mm", "二三十毫米"])
def test_numbers_that_make_no_sense(text: str) -> None:
    with pytest.raises(ValueError):
        read(text, 0)
