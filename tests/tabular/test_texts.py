"""TF-IDF and its truncated SVD against the formulas and NumPy's full SVD; nothing is learnt from other texts."""

import numpy as np
import pytest

from augury.errors import ParameterError
from augury.tabular.texts import bare, embed


def comments(n, seed=0):
    draw = np.random.default_rng(seed)
    return [" ".join(f"w{i}" for i in draw.geometric(0.15, size=draw.integers(3, 12))) for _ in range(n)]


def by_hand(texts, fitted):
    """TF-IDF with 1 + log counts, smooth inverse frequencies and rows of unit length, word by word."""
    learnt = [texts[i].split() for i in fitted]
    frequency = {word: sum(word in text for text in learnt) for text in learnt for word in text}
    words = sorted(word for word, number in frequency.items() if number >= 3)
    X = np.zeros((len(texts), len(words)))
    for i, text in enumerate(texts):
        for j, word in enumerate(words):
            if count := text.split().count(word):
                X[i, j] = (1 + np.log(count)) * (np.log((1 + len(learnt)) / (1 + frequency[word])) + 1)
    return X / np.maximum(np.linalg.norm(X, axis=1, keepdims=True), 1e-300)


def test_embedding_is_tf_idf_on_the_leading_right_singular_vectors():
    texts, fitted = comments(120), np.arange(0, 120, 2)
    X = by_hand(texts, fitted)
    _, values, vectors = np.linalg.svd(X[fitted])
    width = 3
    assert X.shape[1] > width and values[width - 1] > 1.02 * values[width]  # the directions are well told apart
    found = embed(texts, fitted, width)
    assert found.dtype == np.float32 and found.shape == (120, width)
    expected = X @ vectors[:width].T
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=2e-3)  # a direction's sign is free
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=2e-3)


def test_texts_that_are_not_fitted_change_nothing():
    texts, fitted = comments(60), np.arange(40)
    changed = texts[:40] + comments(20, seed=1)
    np.testing.assert_array_equal(embed(texts, fitted, 3)[:40], embed(changed, fitted, 3)[:40])


def test_bare_texts_differ_by_more_than_case_blanks_and_punctuation():
    assert bare("  It's  SO_good!\n") == bare("its sogood") == "its sogood"
    assert bare("?!…") == "" and bare("Ünï 7") == "ünï 7"


def test_more_columns_than_words_are_refused():
    with pytest.raises(ParameterError, match="words cannot be embedded in 40 columns"):
        embed(comments(30), np.arange(30), 40)
