"""Algorithm 4 against a plain re-implementation, what may never overlap, pools that run out, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit

from augury.acquisition.subsample import forest_ranks
from augury.active import rounds
from augury.active.rounds import Sizes, active_learning, drawn, start, top
from augury.active.scores import FI, METHODS, RANDOM, SHAPLEY, SUBSAMPLED, Known
from augury.errors import DataError, ModelError, ParameterError

SIZES = Sizes(4, 12, 20, 3, "redrawn", 10)


def plain_fit(X: np.ndarray, y: np.ndarray, weight_decay: float) -> np.ndarray:
    """Weights and intercept by a quasi-Newton method on the mean loss with its penalty."""
    Z, sign = np.c_[X, np.ones(len(X))], 2 * y - 1

    def objective(theta: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (Z @ theta)
        gradient = -(sign * expit(-margin)) @ Z / len(Z) + weight_decay * np.r_[theta[:-1], 0]
        return np.logaddexp(0, -margin).mean() + weight_decay * theta[:-1] @ theta[:-1] / 2, gradient

    return minimize(objective, np.zeros(3), jac=True, method="BFGS", options={"gtol": 1e-10}).x


def plain_fi(theta: np.ndarray, X: np.ndarray, y: np.ndarray, x_new: np.ndarray, weight_decay: float) -> float:
    """FI^active of one point by Algorithm 2's loop: eqs. (2.2) and (2.3) written out, a p x p pseudo-inverse each."""
    n, w = len(X), theta[:-1]

    def gradient(x: np.ndarray, label: float) -> np.ndarray:
        return (expit(w @ x + theta[-1]) - label) * np.r_[x, 1.0]

    H = np.diag([weight_decay, weight_decay, 0.0])
    for x in X:
        sigma = expit(w @ x + theta[-1])
        H += sigma * (1 - sigma) * np.outer(np.r_[x, 1.0], np.r_[x, 1.0]) / n
    predicted = float(w @ x_new + theta[-1] > 0)
    values = []
    for x, label in zip(X, y, strict=True):
        sigma = expit(w @ x + theta[-1])
        mixed = (sigma - label) * np.eye(3, 2) + sigma * (1 - sigma) * np.outer(np.r_[x, 1.0], w)  # d_x d_theta L
        moved = -np.linalg.solve(H, mixed) / n  # d theta / d omega
        dL = gradient(x_new, predicted) @ moved
        logit = w + np.r_[x, 1.0] @ moved
        G = np.zeros((2, 2))
        for c, p in ((1, sigma), (0, 1 - sigma)):
            row = (c - sigma) * logit  # d log P_c
            G += p * np.outer(row, row)
        values.append(dL @ np.linalg.pinv(G, rcond=1e-9, hermitian=True) @ dL)
    cut = int(0.1 * len(values) + 1e-9)
    return float(np.mean(sorted(values)[cut : len(values) - cut]))


def plain_rounds(table, begin, sizes, seed, share=None):
    """Algorithm 4 with sets and loops; with a share, its subsampling too. Yields the acquired sets and accuracies."""
    labelled, unlabelled = set(begin.labelled.tolist()), set(begin.unlabelled.tolist())

    def fitted() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        own = sorted(labelled)
        return table.X[own], table.y[own], plain_fit(table.X[own], table.y[own], table.weight_decay)

    for j in range(1, sizes.rounds + 1):
        X, y, theta = fitted()
        free = np.zeros(len(table.y), bool)
        free[list(unlabelled)] = True
        candidates = [int(i) for i in drawn(free, sizes.pool, seed, j)]
        score = {i: plain_fi(theta, X, y, table.X[i], table.weight_decay) for i in candidates}
        if share is not None:
            exact = np.array([score[i] for i in candidates])
            ranks = forest_ranks(lambda p, s=exact: s[p], table.X[candidates], share, seed, "active", j)
            score = dict(zip(candidates, ranks, strict=True))
        best = sorted(candidates, key=lambda i: score[i], reverse=True)[: sizes.acquisition]
        unlabelled -= set(best)
        labelled |= set(best)
        theta = fitted()[2]
        right = (table.X_test @ theta[:-1] + theta[-1] > 0) == (table.y_test == 1)
        yield set(best), right.mean()


class Watched:
    """Trains as the table does and keeps what was labelled in each round."""

    def __init__(self, table):
        self.table, self.seen = table, []

    def __call__(self, labelled: np.ndarray, round: int):
        assert round == len(self.seen)
        self.seen.append(labelled)
        return self.table.train(labelled, round)


@pytest.mark.parametrize("method, share", [(FI, None), (SUBSAMPLED, 0.5)])
def test_algorithm_4_is_that_of_plain_loops(plane, method, share):
    begin = start(plane.y, 2, SIZES, 5)
    watched = Watched(plane)
    rows = active_learning(method, watched, plane.y, begin, SIZES, 5, share or 0.5)
    expected = list(plain_rounds(plane, begin, SIZES, 5, share))
    assert len(rows) == 1 + len(expected)
    for j, (acquired, accuracy) in enumerate(expected, 1):
        assert set(watched.seen[j]) - set(watched.seen[j - 1]) == acquired
        assert rows[j]["accuracy"] == accuracy


@pytest.mark.parametrize("candidates", rounds.CANDIDATES)
@pytest.mark.parametrize("method", METHODS)
def test_nothing_is_labelled_twice_and_validation_points_never(plane, method, candidates):
    sizes = Sizes(4, 12, 20, 3, candidates, 10)
    begin = start(plane.y, 2, sizes, 1)
    parts = [set(part.tolist()) for part in (begin.labelled, begin.validation, begin.unlabelled)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == len(plane.y)
    watched = Watched(plane)
    rows = active_learning(method, watched, plane.y, begin, sizes, 1, 0.4)
    assert [row["labelled"] for row in rows] == [12, 15, 18, 21, 24] == [len(seen) for seen in watched.seen]
    for before, after in zip(watched.seen, watched.seen[1:], strict=False):
        assert after[: len(before)].tolist() == before.tolist()
    final = watched.seen[-1].tolist()
    assert len(set(final)) == len(final) and not set(final) & parts[1]
    assert all(row["seconds"] >= 0 and 0.5 <= row["confidence"] <= 1 for row in rows[1:])
    assert all((row["agreement"] is not None) == (method == FI) for row in rows[1:])


def test_a_method_sees_no_label_of_a_candidate(plane):
    """With every label hidden that is not yet asked for, the same points are acquired."""
    begin = start(plane.y, 2, SIZES, 2)
    for method in METHODS:
        told, untold = Watched(plane), Watched(plane)
        active_learning(method, told, plane.y, begin, SIZES, 2, 0.4)
        once = Sizes(1, 12, 20, 3, "redrawn", 10)
        known = np.concatenate([begin.labelled, begin.validation])
        hidden = np.full_like(plane.y, -99)
        hidden[known] = plane.y[known]
        active_learning(method, untold, hidden, begin, once, 2, 0.4)
        assert told.seen[1].tolist() == untold.seen[1].tolist()


def test_a_fixed_pool_runs_out_and_stays_what_it_was(plane):
    sizes = Sizes(9, 12, 10, 4, "fixed", 10)
    begin = start(plane.y, 2, sizes, 0)
    watched = Watched(plane)
    rows = active_learning(RANDOM, watched, plane.y, begin, sizes, 0, 0.2)
    assert [row["labelled"] for row in rows] == [12, 16, 20, 22] and [row["round"] for row in rows] == [0, 1, 2, 3]
    other = Watched(plane)
    active_learning(FI, other, plane.y, begin, sizes, 0, 0.2)
    assert set(watched.seen[-1]) == set(other.seen[-1])  # all methods empty the same pool


def test_redrawn_candidates_end_only_with_all_that_is_unlabelled(plane):
    sizes = Sizes(9, 12, 20, 20, "redrawn", 10)
    begin = start(plane.y, 2, sizes, 0)
    rows = active_learning(RANDOM, plane.train, plane.y, begin, sizes, 0, 0.2)
    assert [row["labelled"] for row in rows] == [12, 32, 52, 70]


def test_methods_share_their_start_and_first_candidates_and_seeds_do_not(plane):
    first = [active_learning(m, plane.train, plane.y, start(plane.y, 2, SIZES, 4), SIZES, 4, 0.4)[0] for m in METHODS]
    assert len({row["accuracy"] for row in first}) == 1
    a, b = (start(plane.y, 2, SIZES, seed) for seed in (4, 5))
    assert a.labelled.tolist() == start(plane.y, 2, SIZES, 4).labelled.tolist() != b.labelled.tolist()


@given(st.data())
def test_candidates_are_free_and_almost_shared(data):
    n = data.draw(st.integers(1, 60))
    free = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    size, seed, round = data.draw(st.integers(1, 70)), data.draw(st.integers(0, 9)), data.draw(st.integers(0, 9))
    found = drawn(free, size, seed, round)
    assert len(found) == min(size, free.sum()) and free[found].all() and (np.diff(found) > 0).all()
    if free.any():  # one point labelled elsewhere changes one candidate at most
        fewer = free.copy()
        fewer[np.flatnonzero(free)[data.draw(st.integers(0, int(free.sum()) - 1))]] = False
        assert len(set(found) - set(drawn(fewer, size, seed, round))) <= 1


def test_the_largest_scores_come_first_infinite_ones_too_and_ties_in_order():
    assert top(np.array([1.0, np.inf, 3.0, 3.0, -np.inf]), 4).tolist() == [1, 2, 3, 0]
    with pytest.raises(ModelError, match="1 of 2 scores are not numbers"):
        top(np.array([0.0, np.nan]), 1)


def test_subsampling_agrees_with_itself_where_all_points_are_scored(plane):
    begin = start(plane.y, 2, SIZES, 0)
    rows = active_learning(FI, plane.train, plane.y, begin, SIZES, 0, 1.0)
    assert [row["agreement"] for row in rows[1:]] == pytest.approx([1.0] * 4)


def test_shapley_is_that_of_predicted_labels(plane):
    """A candidate whose predicted label its validation neighbours share is worth more than one where they do not."""
    begin = start(plane.y, 2, SIZES, 0)
    model = plane.train(begin.labelled, 0)
    known = Known(model, plane.y, begin.labelled, begin.unlabelled[:30], 0, 1, 1.0)
    points = begin.unlabelled[30:]
    worth = METHODS[SHAPLEY](known, points)
    predicted = model.model.decision(plane.X[points]) > 0
    own = plane.X[points]
    shared = []
    for x, label in zip(own, predicted, strict=True):
        near = np.argsort(((plane.X[known.validation] - x) ** 2).sum(1))[:5]
        shared.append(((plane.y[known.validation[near]] == 1) == label).mean())
    shared = np.array(shared)
    assert worth[shared == 1].mean() > worth[shared < 0.5].mean()


@pytest.mark.parametrize(
    "sizes, said",
    [
        ((0, 12, 20, 3, "redrawn", 10), "sizes of at least 1"),
        ((4, 12, 20, 3, "redrawn", 0), "sizes of at least 1"),
        ((4, 12, 20, 21, "redrawn", 10), "21 points cannot be labelled out of 20 candidates"),
        ((4, 12, 20, 3, "refilled", 10), "redrawn, fixed, not 'refilled'"),
    ],
)
def test_sizes_out_of_range_are_refused(sizes, said):
    with pytest.raises(ParameterError, match=said):
        Sizes(*sizes)


def test_pools_that_are_empty_or_too_small_are_refused(plane):
    with pytest.raises(ParameterError, match="leave 0: too few for 20 candidates"):
        start(plane.y, 2, Sizes(1, 70, 20, 3, "redrawn", 10), 0)
    with pytest.raises(ParameterError, match="leave 19: too few"):
        start(plane.y, 2, Sizes(1, 51, 20, 3, "redrawn", 10), 0)
    with pytest.raises(ParameterError, match="of 0 points"):
        start(plane.y[:0], 2, SIZES, 0)


def test_labels_outside_the_classes_and_unknown_methods_are_refused(plane):
    with pytest.raises(DataError, match="labels outside its 2 classes, 0 to 1"):
        start(np.where(plane.y == 1, 2, 0), 2, SIZES, 0)
    begin = start(plane.y, 2, SIZES, 0)
    with pytest.raises(ParameterError, match="called 'BatchBALD'; choose one of FI, FI subsampled, IV"):
        active_learning("BatchBALD", plane.train, plane.y, begin, SIZES, 0, 0.2)


def test_labelled_points_of_one_class_are_refused_clearly(plane):
    with pytest.raises(ParameterError, match="all of one class"):
        plane.train(np.flatnonzero(plane.y == 1)[:5], 0)
