"""What to cite, as BibTeX."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

MONAI = {
    "title": "{MONAI}: An open-source framework for deep learning in healthcare",
    "author": "Cardoso, M. Jorge and Li, Wenqi and Brown, Richard and others",
    "howpublished": "arXiv:2211.02701",
    "year": "2022",
}
#: By what was measured.
MEASURES = {
    "ssim": "Wang et al., Image quality assessment: from error visibility to structural similarity, IEEE TIP 2004",
    "ms_ssim": "Wang et al., Multiscale structural similarity for image quality assessment, Asilomar 2003",
    "frechet": "Heusel et al., GANs trained by a two time-scale update rule converge to a local Nash equilibrium, NeurIPS 2017",
    "frechet_extrapolated": "Chong and Forsyth, Effectively unbiased FID and Inception Score and where to find them, CVPR 2020",
    "kernel": "Binkowski et al., Demystifying MMD GANs, ICLR 2018",
    "precision": "Kynkaanniemi et al., Improved precision and recall metric for assessing generative models, NeurIPS 2019",
    "density": "Naeem et al., Reliable fidelity and diversity metrics for generative models, ICML 2020",
    "class_score": "Salimans et al., Improved techniques for training GANs, NeurIPS 2016",
    "vendi": "Friedman and Dieng, The Vendi Score: a diversity evaluation metric for machine learning, TMLR 2023",
    "agreement": "Bland and Altman, Statistical methods for assessing agreement between two methods of clinical measurement, Lancet 1986",
}


def bibtex(versions: Mapping[str, str], bundles: Sequence[Mapping[str, Any]], measures: Collection[str] = ()) -> str:
    """Return entries for medgen, MONAI, what the metadata of bundles refer to, and what defined the measures, each once.

    Args:
        versions: of "medgen" and "monai", as used.
        bundles: their metadata: name, version, weights_sha256, references.
        measures: what was measured; those that have a paper of their own are in `MEASURES`.
    """
    used = [f"bundle {one.get('name')} {one.get('version')}, weights {str(one.get('weights_sha256'))[:12]}" for one in bundles]
    note = {"note": "; ".join(used)} if used else {}
    own = {"title": "medgen: generative medical imaging on {MONAI}", "author": "{The medgen team}", "version": versions["medgen"], **note}
    entries = {
        "medgen": _entry("software", "medgen", own),
        "monai": _entry("misc", "cardoso2022monai", {**MONAI, "note": f"version {versions['monai']}"}),
    }
    references = [str(reference) for one in bundles for reference in one.get("references", [])]
    for reference in (*references, *(paper for name, paper in MEASURES.items() if name in measures)):
        key, fields = parse(reference)
        entries.setdefault(key, _entry("misc", key, fields))
    return "\n\n".join(entries.values()) + "\n"


def parse(reference: str) -> tuple[str, dict[str, str]]:
    """Return the key and the fields of a reference such as "Lim and Ye, Geometric GAN, ICLR 2017".

    Authors end at the first comma, the title at the last; "et al." is "and others". What has no such form is a note as it
    stands: nothing is made up.
    """
    found = re.fullmatch(r"([^,]+), (.+), (?:([^,]*) )?(\d{4})", reference.strip())
    if not found:
        words = re.findall(r"[a-z]+", reference.lower())
        return "".join(words[:3]) or "reference", {"note": _plain(reference)}
    authors, title, venue, year = found.groups()
    people = re.sub(r" et al\.?$", " and others", authors)
    surname, word = (re.sub(r"\W", "", text.split()[0]).lower() for text in (people, title))
    fields = {"author": _plain(people), "title": f"{{{_plain(title)}}}", "howpublished": _plain(venue or ""), "year": year}
    return f"{surname}{year}{word}", {name: value for name, value in fields.items() if value}


def _plain(text: str) -> str:
    return re.sub(r"([&%#_$])", r"\\\1", re.sub(r"[{}\\]", "", text))


def _entry(kind: str, key: str, fields: Mapping[str, str]) -> str:
    return "\n".join([f"@{kind}{{{key},", *(f"  {name} = {{{value}}}," for name, value in fields.items()), "}"])
