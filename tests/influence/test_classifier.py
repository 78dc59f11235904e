"""FI and IV of logistic regressions against refits, autograd written out, and their limits, in float64."""

import numpy as np
import pytest
import torch
from scipy.stats import ortho_group, spearmanr, trim_mean
from torch import nn
from torch.func import grad, hessian, jacrev

from augury.errors import ModelError, ParameterError
from augury.influence import closed_forms
from augury.influence.classifier import ClassifierInfluence
from augury.influence.measure import influence_measure
from augury.influence.network import NetworkInfluence
from augury.models.logistic import Logistic, fit_logistic
from augury.models.softmax import Softmax, fit_softmax

C = 2.0


def problem(classes, n=60, p=3, seed=0):
    """Return training and validation points of a noisy linear problem."""
    draw = np.random.default_rng(seed)
    X, T = draw.normal(size=(n + 20, p)), draw.normal(size=(classes, p))
    y = (X @ T.T + draw.gumbel(size=(n + 20, classes))).argmax(1)
    return X[:n], y[:n], X[n:], y[n:]


def fit(X, y, classes, C=C, start=None, weight=None):
    if classes == 2:
        return fit_logistic(X, y, C, start=start, tol=1e-18, sample_weight=weight)
    return fit_softmax(X, y, C, start=start, sample_weight=weight)


def log_probabilities(model, x):
    if isinstance(model, Logistic):
        logit = model.decision(x[None])[0]
        return np.array([-np.logaddexp(0, logit), -np.logaddexp(0, -logit)])
    return np.log(model.probabilities(x[None])[0])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("classes", [2, 4])
def test_derivatives_are_those_of_refits_on_moved_points(classes, weighted):
    X, y, X_val, y_val = problem(classes)
    weight = np.random.default_rng(1).uniform(0.2, 3, len(X)) if weighted else None
    model = fit(X, y, classes, weight=weight)
    scores = ClassifierInfluence(model, X, y, sample_weight=weight)
    slopes, metric, step = scores.slopes(X_val, y_val), scores.metric(), 1e-3
    for i in (0, 7, 23):
        loss, log_p = np.empty((2, 3)), np.empty((2, 3, classes))
        for j in range(3):
            for side, sign in enumerate((1, -1)):
                moved = X.copy()
                moved[i, j] += sign * step
                refit = fit(moved, y, classes, start=model.theta, weight=weight)
                loss[side, j] = refit.losses(X_val, y_val).mean()
                log_p[side, j] = log_probabilities(refit, moved[i])
        assert (loss[0] - loss[1]) / (2 * step) == pytest.approx(
            slopes[i], rel=1e-4, abs=1e-4 * np.abs(slopes[i]).max()
        )
        rows = ((log_p[0] - log_p[1]) / (2 * step)).T * np.exp(log_probabilities(model, X[i]) / 2)[:, None]
        np.testing.assert_allclose(rows, metric[i], rtol=1e-4, atol=1e-4 * np.abs(metric[i]).max())
        # with eq. (2.2)'s sign instead of (A.7)'s the slopes would be the opposite: not within any tolerance
        assert (loss[0] - loss[1]) @ slopes[i] > 0


def naive(model, X, y, X_new, y_new, regularised=True):
    """Return FI(z', z) as eqs. (2.1) to (2.3) are written: autograd a point at a time, q x p and p x p matrices."""
    theta = torch.tensor(model.theta if model.theta.ndim == 2 else np.stack([0 * model.theta, model.theta]))
    binary, n = model.theta.ndim == 1, len(X)

    def logits(flat, x):
        T = torch.stack([torch.zeros_like(flat), flat]) if binary else flat.reshape(theta.shape)
        return T[:, :-1] @ x + T[:, -1]

    def loss(flat, x, t):
        return -logits(flat, x).log_softmax(0)[t]

    flat = theta[1] if binary else theta.ravel()
    points = [(torch.tensor(x), int(t)) for x, t in zip(X, y, strict=True)]

    def objective(flat):
        weights = flat[:-1] if binary else flat.reshape(theta.shape)[:, :-1]
        return sum(loss(flat, *z) for z in points) / n + regularised * weights.square().sum() / (2 * model.C * n)

    inverse = torch.linalg.pinv(hessian(objective)(flat), hermitian=True, rtol=1e-12)
    news = [grad(loss)(flat, torch.tensor(x), int(t)) for x, t in zip(X_new, y_new, strict=True)]
    found = np.empty((len(X_new), n))
    for i, (x, t) in enumerate(points):
        mixed = jacrev(lambda at, t=t: grad(loss)(flat, at, t))(x)  # q x p
        moved = -inverse @ mixed / n
        P = logits(flat, x).softmax(0)
        rows = jacrev(lambda th, x=x: logits(th, x).log_softmax(0))(flat) @ moved
        rows = rows + jacrev(lambda at: logits(flat, at).log_softmax(0))(x)
        G = torch.linalg.pinv(rows.T @ (P[:, None] * rows), hermitian=True, rtol=1e-10)
        found[:, i] = [float((g @ moved) @ G @ (g @ moved)) for g in news]
    return found


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("regularised", [True, False])
def test_pairs_are_the_papers_formulas_written_out(classes, regularised):
    X, y, X_val, y_val = problem(classes, n=40)
    model = fit(X, y, classes)
    scores = ClassifierInfluence(model, X, y, regularised=regularised)
    found = scores.pairs(X_val[:5], y_val[:5])
    np.testing.assert_allclose(found, naive(model, X, y, X_val[:5], y_val[:5], regularised), rtol=1e-5)
    for j in range(5):  # a validation set of one point
        np.testing.assert_allclose(scores.util(X_val[j : j + 1], y_val[j : j + 1]), found[j], rtol=1e-8)


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("whiten", [False, True])
def test_closed_forms_are_the_measure_of_slopes_and_metric(classes, whiten):
    X, y, X_val, y_val = problem(classes, p=6)
    scores = ClassifierInfluence(fit(X, y, classes), X, y, whiten=whiten)
    expected = influence_measure(scores.slopes(X_val, y_val), scores.metric())
    np.testing.assert_allclose(scores.util(X_val, y_val), expected, rtol=1e-9)


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("regularised", [False, True])
def test_two_classes_are_the_same_in_both_forms(whiten, regularised):
    X, y, X_val, y_val = problem(2)
    options = {"whiten": whiten, "regularised": regularised}
    one = ClassifierInfluence(fit_logistic(X, y, 2 * C, tol=1e-18), X, y, **options)
    two = ClassifierInfluence(fit_softmax(X, y, C), X, y, **options)
    for name in ("util", "pairs", "removal"):
        np.testing.assert_allclose(getattr(one, name)(X_val, y_val), getattr(two, name)(X_val, y_val), rtol=1e-8)
    np.testing.assert_allclose(one.active(X_val), two.active(X_val), rtol=1e-8)


@pytest.mark.parametrize("classes", [2, 4])
def test_active_aggregates_the_predicted_labels_pairs(classes, monkeypatch):
    X, y, pool, _ = problem(classes)
    model = fit(X, y, classes)
    scores = ClassifierInfluence(model, X, y)
    logits = model.decision(pool)
    predicted = (logits > 0).astype(int) if classes == 2 else logits.argmax(1)
    expected = trim_mean(scores.pairs(pool, predicted), 0.1, axis=1)
    np.testing.assert_allclose(scores.active(pool), expected, rtol=1e-12)
    # in parts of a few points each, the same
    monkeypatch.setattr(closed_forms, "BUDGET", 20_000)
    monkeypatch.setattr("augury.influence.classifier.BUDGET", 8 * len(X) * 3)
    np.testing.assert_allclose(scores.active(pool), expected, rtol=1e-10)


@pytest.mark.parametrize("classes", [2, 3])
def test_intercept_shifts_change_nothing(classes):
    X, y, X_val, y_val = problem(classes)
    model = fit_softmax(X, y, C)
    moved = Softmax(model.theta + np.r_[np.zeros(X.shape[1]), 3.0], C)
    a, b = (ClassifierInfluence(m, X, y).util(X_val, y_val) for m in (model, moved))
    np.testing.assert_allclose(a, b, rtol=1e-8)


@pytest.mark.parametrize("classes", [2, 4])
def test_iv_ranks_points_as_leaving_them_out_does(classes):
    X, y, X_val, y_val = problem(classes, n=80)
    model = fit(X, y, classes)
    before, change = model.losses(X_val, y_val).mean(), []
    for i in range(len(X)):
        rest = np.arange(len(X)) != i
        change.append(fit(X[rest], y[rest], classes, start=model.theta).losses(X_val, y_val).mean() - before)
    found = ClassifierInfluence(model, X, y).removal(X_val, y_val) / len(X)
    assert spearmanr(found, change).statistic > 0.99
    assert 0.8 < np.polyfit(found, change, 1)[0] < 1.6  # the first order falls short at leverage


@pytest.mark.parametrize("classes", [2, 4])
def test_iv_ranks_new_points_as_adding_them_does(classes):
    X, y, X_val, y_val = problem(classes, n=120)
    (pool, X), y = (X[:40], X[40:]), y[40:]
    model = fit(X, y, classes)
    logits = model.decision(pool)
    labels = (logits > 0).astype(int) if classes == 2 else logits.argmax(1)
    before, change = model.losses(X_val, y_val).mean(), []
    for x, label in zip(pool, labels, strict=True):
        more = fit(np.r_[X, x[None]], np.r_[y, label], classes, start=model.theta)
        change.append(before - more.losses(X_val, y_val).mean())
    found = ClassifierInfluence(model, X, y).addition(pool, X_val, y_val) / len(X)
    assert spearmanr(found, change).statistic > 0.98
    assert 0.6 < np.polyfit(found, change, 1)[0] < 1.1


def test_iv_of_a_weighted_point_is_that_of_so_many_copies():
    X, y, X_val, y_val = problem(3)
    weight = np.ones(len(X))
    weight[4] = 3
    copies = np.r_[np.arange(len(X)), 4, 4]
    model = fit(X, y, 3, weight=weight)
    once = ClassifierInfluence(model, X, y, sample_weight=weight).removal(X_val, y_val) / len(X)
    thrice = ClassifierInfluence(model, X[copies], y[copies]).removal(X_val, y_val) / len(copies)
    assert once[4] == pytest.approx(3 * thrice[4], rel=1e-8)


def saturated(scale):
    """Return points in the plane, all but the last two far on the right side of a steep boundary, and its model."""
    X = np.array([[-3.0, 1], [-2, -1], [2, 1], [3, -1], [0.001, 0], [-0.001, 0.5], [4.0, 0], [4.0, 0]])
    return X, np.array([0, 0, 1, 1, 1, 0, 1, 0]), np.array([scale, 0.1 * scale, 0.0])


@pytest.mark.parametrize("kind", ["binary", "multinomial"])
def test_points_beyond_doubt_take_the_limits(kind):
    X, y, theta = saturated(1000.0)  # logits in the thousands: s = 0 in floating point
    model = Logistic(theta, 1.0) if kind == "binary" else Softmax(np.stack([-theta, theta]) / 2, 0.5)
    scores = ClassifierInfluence(model, X, y)
    value = scores.util(X[4:6], 1 - y[4:6])
    assert value[6] < 1e-300 and value[7] == np.inf
    assert (value[:4] < 1e-100).all() and np.isfinite(value[4:6]).all() and (value[4:6] > 0).all()
    assert not np.isnan(scores.pairs(X, y)).any() and not np.isnan(scores.active(X)).any()


@pytest.mark.parametrize("kind", ["binary", "multinomial"])
def test_a_point_of_weight_zero_moves_nothing_however_wrong_it_is(kind):
    X, y, theta = saturated(1000.0)
    model = Logistic(theta, 1.0) if kind == "binary" else Softmax(np.stack([-theta, theta]) / 2, 0.5)
    weight = np.r_[np.ones(6), 0.0, 0.0]
    found = ClassifierInfluence(model, X, y, sample_weight=weight).pairs(1e6 * X, 1 - y)
    assert not np.isnan(found).any() and (found[:, 6:] == 0).all()


def test_points_without_metric_are_infinite_unless_the_loss_stays(monkeypatch):
    X, y = np.zeros((6, 2)), np.array([0, 1, 0, 1, 0, 1])  # weights 0: the logit does not follow the point
    scores = ClassifierInfluence(Logistic(np.array([0.0, 0.0, 0.3]), 1.0), X, y)
    X_new = np.array([[1.0, 2.0], [0.0, 0.0]])  # the second's gradient has no part in the weights
    expected = scores.pairs(X_new, [0, 1])
    assert (expected[0] == np.inf).all() and (expected[1] == 0).all()
    monkeypatch.setattr(closed_forms, "BUDGET", 1)
    np.testing.assert_array_equal(scores.pairs(X_new, [0, 1]), expected)


@pytest.mark.parametrize("generic", [False, True])
def test_a_point_that_is_wrong_beyond_doubt_between_two_classes_grows_without_a_cut(generic):
    values, draw = [], np.random.default_rng(0)
    X, y = np.r_[draw.normal(size=(60, 2)), [[0.1, 1.0]]], np.r_[draw.integers(0, 3, 60), 2]
    for scale in (30.0, 60.0, 70.0, 80.0, 100.0, 400.0):  # the last point's class has P = exp(-scale) or so
        theta = np.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0], [0.0, -scale, 0.0]])
        model, X_at = Softmax(theta, 1.0), X * np.r_[1.0, 0.2 / scale]
        X_at[-1] = X[-1]
        scores = ClassifierInfluence(model, X_at, y)
        if generic:
            net = nn.Linear(2, 3).double()
            net.weight.data, net.bias.data = torch.tensor(theta[:, :2]), torch.tensor(theta[:, 2])
            found = NetworkInfluence(net, X_at, y, l2={"weight": 1 / 61, "bias": 1e-9}).util(X_at[:20], y[:20])
            np.testing.assert_allclose(found, scores.util(X_at[:20], y[:20]), rtol=1e-5)
        values.append(scores.util(X_at[:20], y[:20])[-1])
    assert (np.diff(np.log(values)) > 5).all() and values[-1] > 1e150 and np.isfinite(values).all()


def test_the_limits_are_approached():
    values = []
    for scale in (10.0, 30.0, 100.0, 200.0):
        X, y, theta = saturated(scale)
        values.append(ClassifierInfluence(Logistic(theta, 1.0), X, y).util(X[4:6], 1 - y[4:6])[6:])
    right, wrong = np.transpose(values)
    assert (np.diff(right) < 0).all() and right[-1] < 1e-300
    assert (np.diff(np.log(wrong)) > 0).all() and wrong[-1] > 1e200


@pytest.mark.parametrize("classes", [2, 4])
def test_only_whitened_scores_ignore_the_features_units(classes):
    X, y, X_val, y_val = problem(classes, p=6, n=100)
    B = ortho_group.rvs(6, random_state=0) @ np.diag([100.0, 10, 1, 1, 0.1, 0.01]) @ ortho_group.rvs(6, random_state=1)
    model = fit(X, y, classes)
    turned = model.theta.copy()
    turned[..., :-1] = model.theta[..., :-1] @ np.linalg.inv(B)  # x -> B x leaves the logits
    both = {}
    for whiten in (False, True):
        # without the penalty in H, which would have to be mapped along
        options = {"regularised": False, "whiten": whiten}
        plain = ClassifierInfluence(model, X, y, **options).util(X_val, y_val)
        mapped = type(model)(turned, model.C)
        both[whiten] = plain, ClassifierInfluence(mapped, X @ B.T, y, **options).util(X_val @ B.T, y_val)
    np.testing.assert_allclose(*both[True], rtol=1e-5)
    assert spearmanr(*both[False]).statistic < 0.99
    assert np.abs(np.log(both[False][0] / both[False][1])).max() > 1


def test_whitening_is_the_identity_on_white_inputs_and_takes_collinear_ones():
    X, y, X_val, y_val = problem(2)
    X = X - X.mean(0)
    X = X @ np.linalg.inv(np.linalg.cholesky(X.T @ X / len(X))).T
    model = fit(X, y, 2)
    plain, white = (ClassifierInfluence(model, X, y, whiten=w).util(X_val, y_val) for w in (False, True))
    np.testing.assert_allclose(plain, white, rtol=1e-9)
    twice, val_twice = np.c_[X, X[:, 0]], np.c_[X_val, X_val[:, 0]]
    found = ClassifierInfluence(fit(twice, y, 2), twice, y, whiten=True).util(val_twice, y_val)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("classes", [2, 3])
def test_a_singular_hessian_is_refused_with_the_remedy(classes):
    X, y, *_ = problem(classes)
    twice = np.c_[X, X[:, 0]]
    model = fit(twice, y, classes)
    ClassifierInfluence(model, twice, y)
    with pytest.raises(ModelError, match="singular.*regularised=True"):
        ClassifierInfluence(model, twice, y, regularised=False)
    beyond = type(model)(1e5 * model.theta, C)
    with pytest.raises(ModelError, match="no curvature|singular"):
        ClassifierInfluence(beyond, twice, y)


def test_units_do_not_make_a_hessian_singular():
    X, y, *_ = problem(2)
    units = np.array([1e7, 1.0, 1e-7])
    model = fit(X, y, 2)
    ClassifierInfluence(Logistic(model.theta / np.r_[units, 1], C), X * units, y, regularised=False)


def test_bad_input_is_refused():
    X, y, X_val, y_val = problem(3)
    model = fit_softmax(X, y, C)
    scores = ClassifierInfluence(model, X, y)
    with pytest.raises(ModelError, match="fitted Logistic or Softmax, not NoneType"):
        ClassifierInfluence(None, X, y)
    with pytest.raises(ModelError, match="parameters are not finite; fit it again"):
        ClassifierInfluence(Softmax(np.full((3, 4), np.nan), C), X, y)
    for bad in (0.0, -1.0, np.nan):
        with pytest.raises(ModelError, match="strength, is .*; it must be positive"):
            ClassifierInfluence(Softmax(model.theta, bad), X, y)
    with pytest.raises(ModelError, match="damping is inf; it must be finite"):
        ClassifierInfluence(model, X, y, damping=np.inf)
    for rtol in (-1e-9, 1.0, np.nan):
        with pytest.raises(ParameterError, match=r"rtol is in \[0, 1\)"):
            ClassifierInfluence(model, X, y, rtol=rtol)
    for points in (0, -1, len(X) + 1, 2.0):
        with pytest.raises(ParameterError, match=f"points is 1 to {len(X)}"):
            scores.own(points)
    with pytest.raises(ModelError, match="3 features; the training points have shape"):
        ClassifierInfluence(model, X[:, :2], y)
    with pytest.raises(ModelError, match="training points need one label each, of 0 to 2"):
        ClassifierInfluence(model, X, y + 1)
    with pytest.raises(ModelError, match="training points need one label each"):
        ClassifierInfluence(model, X, y[:-1])
    with pytest.raises(ModelError, match="validation points need one label each"):
        scores.util(X_val, y_val - 1)
    with pytest.raises(ModelError, match="no pool points"):
        scores.active(X_val[:0])
    with pytest.raises(ModelError, match="new points have features that are not finite"):
        scores.pairs(np.full((1, 3), np.nan), [0])
    with pytest.raises(ModelError, match="cannot be whitened"):
        ClassifierInfluence(model, np.ones((4, 3)), y[:4], whiten=True)
