"""The truncated mixed derivative against NumPy's singular value decomposition of the whole matrix, in float64."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn
from torch.func import grad, jacrev

from augury.errors import ModelError, ParameterError
from augury.influence import truncated
from augury.influence.functional import Functional
from augury.influence.network import NetworkInfluence
from augury.influence.truncated import Exact, truncated_svd


def points(c=5, d=6, classes=4, seed=0):
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(d, 7), nn.Tanh(), nn.Linear(7, classes)).double().eval()
    return Exact(Functional(net), torch.randn(c, d).double(), torch.randint(0, classes, (c,)))


def matrices(mixed):
    """M of shape (c, q, p), one point at a time."""

    def loss(theta, x, t):
        return -mixed.net.logits(theta, x[None])[0].log_softmax(0)[t]

    each = [
        jacrev(grad(loss), argnums=1)(mixed.net.theta, x, int(t)) for x, t in zip(mixed.x, mixed.labels, strict=True)
    ]
    return torch.stack(each).flatten(2)


def test_products_are_those_of_the_matrix():
    mixed = points()
    M = matrices(mixed)
    rows, columns = torch.randn(5, 3, M.shape[1]).double(), torch.randn(5, 6, 2).double()
    np.testing.assert_allclose(mixed.left(rows), rows @ M, atol=1e-12)
    np.testing.assert_allclose(mixed.right(columns), (M @ columns).mT, atol=1e-12)


@pytest.mark.parametrize("rank", [1, 2, 4, 6])
def test_it_is_the_best_approximation_of_its_rank(rank):
    mixed = points(d=20)
    M = matrices(mixed)
    sigma = np.linalg.svd(M, compute_uv=False)
    found = truncated_svd(mixed, rank, rtol=1e-13)
    np.testing.assert_allclose(found.sigma, sigma[:, :rank], rtol=1e-9)
    eye = np.broadcast_to(np.eye(rank), (5, rank, rank))
    np.testing.assert_allclose(found.U.mT @ found.U, eye, atol=1e-12)
    np.testing.assert_allclose(found.V.mT @ found.V, eye, atol=1e-12)
    assert found.U.shape == (5, len(mixed.net.theta), rank) and found.V.shape == (5, 20, rank)
    error = M - found.U * found.sigma[:, None, :] @ found.V.mT
    np.testing.assert_allclose(np.linalg.norm(error, 2, (1, 2)), sigma[:, rank], rtol=1e-5)
    rows, columns = torch.randn(5, 3, M.shape[1]).double(), torch.randn(5, 20, 2).double()
    np.testing.assert_allclose(found.left(rows), rows @ (M - error), atol=1e-12)
    np.testing.assert_allclose(found.right(columns), ((M - error) @ columns).mT, atol=1e-12)


def test_the_default_tolerance_is_nearly_best():
    mixed = points(c=20, d=40)
    M = matrices(mixed)
    sigma = np.linalg.svd(M, compute_uv=False)
    found = truncated_svd(mixed, 3)
    error = np.linalg.norm(M - found.U * found.sigma[:, None, :] @ found.V.mT, 2, (1, 2))
    assert (error < 1.01 * sigma[:, 3]).all()


def test_equal_singular_values_and_vanishing_matrices():
    # of a linear model M = (p - e_y) (x) I + ...: |p - e_y| is a singular value many times over
    net = nn.Linear(8, 3).double().eval()
    x = torch.randn(2, 8, generator=torch.Generator().manual_seed(0)).double()
    net.weight.data[:], net.bias.data[:] = 0.0, torch.tensor([0.0, 0.0, 1.0])
    mixed = Exact(Functional(net), x, torch.tensor([0, 2]))
    found = truncated_svd(mixed, 3)
    sigma = np.linalg.svd(matrices(mixed), compute_uv=False)
    np.testing.assert_allclose(found.sigma, sigma[:, :3], rtol=1e-10)
    net.bias.data[2] = 2000.0  # beyond doubt: right for the second point, wrong for the first
    found = truncated_svd(Exact(Functional(net), x, torch.tensor([0, 2])), 3)
    assert found.sigma[0].min() > 1 and (found.sigma[1] == 0).all()
    np.testing.assert_allclose(found.U[1].T @ found.U[1], np.eye(3), atol=1e-12)


def test_the_flat_spectrum_of_a_softmax_layer_is_no_obstacle():
    net = nn.Linear(60, 5).double().eval()
    generator = torch.Generator().manual_seed(1)
    mixed = Exact(Functional(net), torch.randn(4, 60, generator=generator).double(), torch.arange(4))
    sigma = np.linalg.svd(matrices(mixed), compute_uv=False)
    assert np.ptp(sigma[:, 4:56], axis=1).max() < 1e-12  # 4 above, 4 below, 52 in between the same
    for rank in (2, 4, 6):
        found = truncated_svd(mixed, rank, iterations=6)
        np.testing.assert_allclose(found.sigma, sigma[:, :rank], rtol=1e-10)


def test_a_full_basis_is_cut_to_its_best_part(monkeypatch):
    mixed = points(c=3, d=90, classes=8)
    sigma = np.linalg.svd(matrices(mixed), compute_uv=False)
    widths = []
    right = Exact.right
    monkeypatch.setattr(truncated, "block_size", lambda rank, q, p: 1)
    monkeypatch.setattr(truncated, "basis_size", lambda rank, q, p: 3)
    monkeypatch.setattr(Exact, "right", lambda self, columns: widths.append(columns.shape[2]) or right(self, columns))
    found = truncated_svd(mixed, 1, rtol=1e-12)
    assert len(widths) > 4 and set(widths) == {1}
    np.testing.assert_allclose(found.sigma, sigma[:, :1], rtol=1e-10)
    np.testing.assert_allclose(found.V.mT @ found.V, np.ones((3, 1, 1)), atol=1e-12)


def test_a_point_does_not_depend_on_its_company():
    mixed = points(c=4, d=20)
    alone = truncated_svd(Exact(mixed.net, mixed.x[2:3], mixed.labels[2:3]), 2, rtol=1e-13)
    together = truncated_svd(mixed, 2, rtol=1e-13)
    parts = [found.U * found.sigma[:, None, :] @ found.V.mT for found in (alone, together)]
    np.testing.assert_allclose(parts[0][0], parts[1][2], atol=1e-7)


def test_impossible_ranks_and_options_are_refused():
    mixed = points()
    for rank in (0, 7, 2.0):
        with pytest.raises(ParameterError, match=r"rank is 1 to 6 \(the lesser of 81 parameters and 6 inputs\)"):
            truncated_svd(mixed, rank)
    for options in ({"rtol": 0.0}, {"iterations": 0}):
        with pytest.raises(ParameterError, match="rtol is in"):
            truncated_svd(mixed, 1, **options)
    with pytest.raises(ModelError, match="did not converge in 2 iterations"):
        truncated_svd(points(d=20), 2, rtol=1e-14, iterations=2)


# The rank correlations of k = 4 of 5 are at least 0.91 and 0.69.
@pytest.mark.parametrize(("whiten", "floor"), [(False, 0.9), (True, 0.6)])
def test_fi_of_a_rank_is_that_of_the_cut_matrices_and_of_full_rank_the_exact_one(whiten, floor):
    draw = np.random.default_rng(0)
    X, y = draw.normal(size=(20, 5)), draw.integers(0, 3, 20)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3))
    options = {"l2": 0.1, "damping": 0.5, "whiten": whiten}
    exact = NetworkInfluence(net, X, y, **options).pairs(X[:4], y[:4])
    full = NetworkInfluence(net, X, y, rank=5, **options).pairs(X[:4], y[:4])
    np.testing.assert_allclose(full, exact, rtol=1e-9)
    near, far = (NetworkInfluence(net, X, y, rank=k, **options).pairs(X[:4], y[:4]) for k in (4, 1))
    assert np.median(np.abs(near / exact - 1)) < np.median(np.abs(far / exact - 1))
    assert np.abs(near / exact - 1).max() > 1e-9
    assert min(spearmanr(*rows).statistic for rows in zip(near, exact, strict=True)) > floor
