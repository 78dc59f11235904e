"""Comments as numbers: what tells two of them apart, and their TF-IDF reduced by a truncated SVD.

It stands in for the sentence embeddings of the papers (MiniLM), which need a trained network.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from augury.errors import ParameterError

SEED = 0  # of the SVD's random projections

# The words, each in three texts at least; term counts enter as 1 + log.
WORDS = {"lowercase": True, "token_pattern": r"(?u)\b\w+\b", "min_df": 3, "sublinear_tf": True}


def bare(text: str) -> str:
    """Return a text in lower case, without punctuation and with single blanks: what tells two comments apart."""
    return " ".join(re.sub(r"[^\w\s]|_", "", text.lower()).split())


def embed(texts: Sequence[str], fitted: np.ndarray, width: int) -> np.ndarray:
    """Return texts as numbers: TF-IDF of their words, then a truncated SVD, both fitted without labels.

    Parameters
    ----------
    texts : sequence of n str
    fitted : ndarray of int
        The texts that the words, their weights and the directions are learnt from.
    width : int
        Number of directions.

    Returns
    -------
    ndarray of float32, shape (n, width)

    Raises
    ------
    ParameterError
        If the texts to learn from have fewer words than `width`.
    """
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = TfidfVectorizer(**WORDS).fit([texts[i] for i in fitted])
    if len(words.vocabulary_) <= width:
        raise ParameterError(
            f"{len(words.vocabulary_)} words cannot be embedded in {width} columns; take fewer columns"
        )
    counts = words.transform(texts)
    directions = TruncatedSVD(width, random_state=SEED).fit(counts[fitted])
    return np.asarray(directions.transform(counts), np.float32)
