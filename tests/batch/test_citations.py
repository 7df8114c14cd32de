from __future__ import annotations

import re

import pytest

from medgen.batch.citations import MEASURES, bibtex, parse


@pytest.mark.parametrize(
    ("reference", "key", "fields"),
    [
        (
            "Sonderby et al., Ladder variational autoencoders, NeurIPS 2016",
            "sonderby2016ladder",
            {"author": "Sonderby and others", "title": "{Ladder variational autoencoders}", "howpublished": "NeurIPS", "year": "2016"},
        ),
        ("Lim and Ye, Geometric GAN (hinge loss), 2017", "lim2017geometric",
         {"author": "Lim and Ye", "title": "{Geometric GAN (hinge loss)}", "year": "2017"}),
        ("Who, A, b and 5 % of C, Med Phys 2013", "who2013a",
         {"author": "Who", "title": r"{A, b and 5 \% of C}", "howpublished": "Med Phys", "year": "2013"}),
        ("https://example.org/a_{b}", "httpsexampleorg", {"note": r"https://example.org/a\_b"}),
    ],
)  # fmt: skip
def test_a_reference_becomes_what_it_says_and_no_more(reference: str, key: str, fields: dict[str, str]) -> None:
    assert parse(reference) == (key, fields)


def test_every_entry_is_there_once_and_braces_are_closed() -> None:
    one = {"name": "x_vae", "version": "1.2", "weights_sha256": "ab" * 32, "references": ["Lim and Ye, Geometric GAN, 2017"]}
    text = bibtex({"medgen": "0.1.0", "monai": "1.6.1"}, [one, {**one, "name": "y_gan"}])
    assert re.findall(r"^@\w+\{([^,]+),$", text, re.MULTILINE) == ["medgen", "cardoso2022monai", "lim2017geometric"]
    assert text.count("{") == text.count("}") and "bundle x_vae 1.2, weights abababababab; bundle y_gan" in text
    assert "version = {0.1.0}" in text and "version 1.6.1" in text


def test_measures_have_the_papers_that_defined_them() -> None:
    text = bibtex({"medgen": "0.1.0", "monai": "1.6.1"}, [], {"psnr", "ssim", "frechet"})
    assert re.findall(r"^@\w+\{([^,]+),$", text, re.MULTILINE)[2:] == ["wang2004image", "heusel2017gans"]
    keys = [parse(paper)[0] for paper in MEASURES.values()]
    assert len(set(keys)) == len(keys) and all("title" in parse(paper)[1] for paper in MEASURES.values())
