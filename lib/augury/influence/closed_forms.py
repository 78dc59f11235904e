"""The derivatives behind FI in binary and in multinomial logistic regression, in closed form.

Both classes take parameters as rows of weights and intercept, z = (x, 1), and answer the same calls: `hessian` (of
the summed loss), `gradients`, `own_gradients`, `own`, `pairs`, `slopes` and `metric`. A training point has the weight v
in the loss, so that moving it moves the parameters v times as far. Row vectors in input coordinates ("covectors") are
multiplied by `root` from the right, which expresses them in whitened coordinates; None leaves them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.special import expit, log_softmax

from augury.influence.measure import Directions, directions, sqrt_probability_rows
from augury.models.logistic import with_intercept
from augury.models.softmax import data_hessian, residuals

BUDGET = 1 << 28  # bytes at a time, of which what the points themselves need takes half


def _turned(covectors: np.ndarray, root: np.ndarray | None) -> np.ndarray:
    return covectors if root is None else covectors @ root


def left_out(B: np.ndarray, P: np.ndarray, R: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return g'H^-1 g and g'(H - share J'Sigma J)^-1 g of points with logits' Jacobian J and g = J'R: shape (c,) each.

    With B = J H^-1 J' and Sigma = diag P - P P', Woodbury's identity makes them R'B R and R'(I - share B Sigma)^-1 B R.

    Parameters
    ----------
    B : ndarray of shape (c, K, K)
    P, R : ndarray of shape (c, K)
        Probabilities, and the loss's derivatives by the logits.
    share : ndarray of shape (c,)
        v / n, of which part the point's curvature enters H.
    """
    classes = P.shape[1]
    BR = (B @ R[:, :, None])[..., 0]
    sigma = P[:, :, None] * np.eye(classes) - P[:, :, None] * P[:, None, :]
    without = np.eye(classes) - B @ sigma * share[:, None, None]
    return (R * BR).sum(1), (R * np.linalg.solve(without, BR[:, :, None])[..., 0]).sum(1)


class Binary:
    """Binary logistic regression, logit w'x + b; all n points in O(n p^2 + p^3).

    With r = sigma - y, s = sigma (1 - sigma), v = H^-1 grad L(V) and v_x its part for the weights:
    dL = -(1/n) (r v_x + s (v'z) w), a = d logit = w - (1/n) (r (H^-1 z)_x + s (z'H^-1 z) w), G = s a a'.
    """

    def __init__(
        self, theta: np.ndarray, X: np.ndarray, y: np.ndarray, weight: np.ndarray, root: np.ndarray | None
    ) -> None:
        self.theta, self.Z, self.weight, self.root = theta, with_intercept(X), weight, root
        self.share = weight / len(weight)  # v / n, which a point's effect on the parameters is multiplied by
        self.w = _turned(theta[:-1], root)
        self.sign = np.where(y == 1, 1.0, -1.0)
        self.margin = self.sign * (self.Z @ theta)
        self.s = expit(self.margin) * expit(-self.margin)
        self.r = -self.sign * expit(-self.margin)

    def hessian(self) -> np.ndarray:
        """Return the summed loss's Hessian, of shape (p + 1, p + 1)."""
        return np.asarray((self.Z * (self.weight * self.s)[:, None]).T @ self.Z)

    def gradients(self, X: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return each point's gradient by the parameters: shape (m, p + 1)."""
        Z, sign = with_intercept(X), np.where(y == 1, 1.0, -1.0)
        return np.asarray((-sign * expit(-sign * (Z @ self.theta)))[:, None] * Z)

    def own_gradients(self) -> np.ndarray:
        """Return the training points' gradients, of unit weight: shape (n, p + 1)."""
        return self.r[:, None] * self.Z

    def own(self, half: np.ndarray, points: int) -> tuple[np.ndarray, np.ndarray]:
        """Return g'H^-1 g of the first points, H^-1 = half half', and g'(H - v s z z'/n)^-1 g: shape (points,) each.

        Sherman-Morrison: the second is the first over 1 - h, with the leverage h = v s z'(n H)^-1 z.
        """
        quadratic = ((self.Z[:points] @ half) ** 2).sum(1)
        first = self.r[:points] ** 2 * quadratic
        return first, first / (1 - self.s[:points] * quadratic * self.share[:points])

    def _logit_slopes(self, inverse: np.ndarray) -> np.ndarray:
        U = self.Z @ inverse  # H^-1 z
        own = (U * self.Z).sum(1)
        direct = 1 - self.s * own * self.share
        return np.asarray(direct[:, None] * self.w - (self.r * self.share)[:, None] * _turned(U[:, :-1], self.root))

    def pairs(self, V: np.ndarray, inverse: np.ndarray) -> np.ndarray:
        """Return FI of each row of V = H^-1 grad L, of shape (m, p + 1), with each training point: (m, n).

        dL / sqrt(s) has the factors r / sqrt(s) = -+exp(-margin / 2) and sqrt(s): no quotient 0/0, and the limits
        0 and infinity of points that are right or wrong beyond doubt.
        """
        a = self._logit_slopes(inverse)
        norm = (a**2).sum(1)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            # the weight comes first: with 0 nothing is left that could be infinite
            ratio = -self.sign * self.share * np.exp(np.minimum(-self.margin / 2, 700.0))
            value = _turned(V[:, :-1], self.root) @ a.T
            value *= ratio
            direct = V @ self.Z.T
            direct *= self.share * np.sqrt(self.s) * (a @ self.w)
            value += direct
            value /= norm
            np.square(value, out=value)
        flat = np.flatnonzero(norm == 0)  # G = 0: infinite unless the loss does not move either
        step = max(1, BUDGET // (3 * 8 * len(V) * len(self.w)))
        for part in (flat[i : i + step] for i in range(0, len(flat), step)):
            value[:, part] = np.where((self.slopes(V, part) != 0).any(-1), np.inf, 0.0)
        return np.asarray(value)

    def slopes(self, V: np.ndarray, points: slice | np.ndarray = slice(None)) -> np.ndarray:
        """Return dL by the perturbation for each row of V and each of the training points: shape (m, n, p)."""
        turned = _turned(V[:, :-1], self.root)
        direct = (V @ self.Z[points].T * self.s[points])[..., None] * self.w
        return np.asarray(-(self.r[points, None] * turned[:, None, :] + direct) * self.share[points, None])

    def metric(self, inverse: np.ndarray) -> np.ndarray:
        """Return S of each training point: shape (n, 2, p)."""
        a = self._logit_slopes(inverse)
        logits = np.stack([np.zeros(len(a)), self.sign * self.margin], axis=1)
        return sqrt_probability_rows(np.stack([np.zeros_like(a), a], axis=1), log_softmax(logits, axis=1))


class Multinomial:
    """Multinomial logistic regression with K classes, logits W x + b.

    With R = P - e_y and Q = (diag P - P P') W, the mixed derivative is d_x (theta-row c of the gradient) =
    R_c (I; 0) + z Q_c, and the logits' total derivative A_k = W_k - (1/n) [e_k (x) z]' H^-1 (that).
    """

    def __init__(
        self, theta: np.ndarray, X: np.ndarray, y: np.ndarray, weight: np.ndarray, root: np.ndarray | None
    ) -> None:
        self.theta, self.Z, self.weight, self.root = theta, with_intercept(X), weight, root
        self.share = weight / len(weight)
        self.W = _turned(theta[:, :-1], root)
        self.log_p = log_softmax(self.Z @ theta.T, axis=1)
        self.R = residuals(self.log_p, y)

    def hessian(self) -> np.ndarray:
        """Return the summed loss's Hessian, of shape (K (p + 1), K (p + 1))."""
        return data_hessian(np.exp(self.log_p), self.Z, self.weight)

    def gradients(self, X: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return each point's gradient by the parameters: shape (m, K (p + 1))."""
        Z = with_intercept(X)
        R = residuals(log_softmax(Z @ self.theta.T, axis=1), y)
        return (R[:, :, None] * Z[:, None, :]).reshape(len(Z), -1)

    def own_gradients(self) -> np.ndarray:
        """Return the training points' gradients, of unit weight: shape (n, K (p + 1))."""
        return (self.R[:, :, None] * self.Z[:, None, :]).reshape(len(self.Z), -1)

    def own(self, half: np.ndarray, points: int) -> tuple[np.ndarray, np.ndarray]:
        """Return g'H^-1 g of the first points, H^-1 = half half', and g'(H - v H_i / n)^-1 g: shape (points,) each.

        See `left_out`, with B_kl = (e_k (x) z)' H^-1 (e_l (x) z).
        """
        classes, size = self.theta.shape
        blocks = half.reshape(classes, size, -1)
        first, second = np.empty(points), np.empty(points)
        for chunk in self._chunks(3 * classes * classes * size, points):
            T = np.stack([self.Z[chunk] @ block for block in blocks], axis=1)  # (c, K, K (p + 1))
            B = T @ T.swapaxes(1, 2)
            first[chunk], second[chunk] = left_out(B, np.exp(self.log_p[chunk]), self.R[chunk], self.share[chunk])
        return first, second

    def _weight_slopes(self, chunk: slice) -> np.ndarray:
        """Return Q of shape (c, K, p), without cancellation where P saturates."""
        log_p = self.log_p[chunk]
        P = np.exp(log_p)
        D = self.W - self.W[log_p.argmax(1)][:, None, :]
        return np.asarray(P[:, :, None] * (D - P[:, None, :] @ D))

    def _metric(self, chunk: slice, inverse: np.ndarray) -> np.ndarray:
        Z, R, Q = self.Z[chunk], self.R[chunk], self._weight_slopes(chunk)
        classes, size = self.theta.shape
        blocks = inverse.reshape(classes, size, classes * size)
        U = np.stack([Z @ block for block in blocks], axis=1)  # (c, K, K (p + 1)): H^-1 (e_k (x) z)
        U = U.reshape(len(Z), classes, classes, size)
        through_r = (R[:, None, None, :] @ U[..., :-1])[..., 0, :]  # (c, K, p)
        through_q = (U @ Z[:, None, :, None])[..., 0] @ Q
        A = self.W - (_turned(through_r, self.root) + through_q) * self.share[chunk, None, None]
        return sqrt_probability_rows(A, self.log_p[chunk])

    def _chunks(self, each: int, points: int | None = None) -> Iterator[slice]:
        """Yield parts of the first training points for which `each` numbers a point stay within half the budget."""
        step, end = max(1, BUDGET // (2 * 8 * each)), len(self.Z[:points])
        return (slice(start, min(start + step, end)) for start in range(0, end, step))

    def pairs(self, V: np.ndarray, inverse: np.ndarray, rtol: float | None = None) -> np.ndarray:
        """Return FI of each row of V = H^-1 grad L, of shape (m, K (p + 1)), with each training point: (m, n)."""
        classes, size = self.theta.shape
        by_class = V.reshape(len(V), classes, size)
        turned = np.ascontiguousarray(_turned(by_class[..., :-1], self.root).swapaxes(0, 1))  # (K, m, p)
        p = turned.shape[-1]
        value = np.empty((len(V), len(self.Z)))
        for chunk in self._chunks(2 * classes * classes * size + len(V) * (p + 6 * classes) + 4 * classes * p):
            found = directions(self._metric(chunk, inverse), rtol, self.log_p[chunk])
            Z, R = self.Z[chunk], self.R[chunk]
            mixed = (R @ turned.reshape(classes, -1)).reshape(len(Z), len(V), p)
            along = mixed @ found.vectors  # (c, m, k)
            through = (by_class @ Z.T).transpose(2, 0, 1)  # (c, m, K): V_c'z
            along += through @ (self._weight_slopes(chunk) @ found.vectors)
            along *= -self.share[chunk, None, None]
            value[:, chunk] = Directions(found.vectors, found.inverse[:, None, :]).measure(along).T
        return value

    def slopes(self, V: np.ndarray) -> np.ndarray:
        """Return dL by the perturbation for each row of V and training point: shape (m, n, p)."""
        by_class = V.reshape(len(V), *self.theta.shape)
        turned = _turned(by_class[..., :-1], self.root)
        through = (by_class @ self.Z.T).transpose(2, 0, 1) @ self._weight_slopes(slice(None))
        direct = np.einsum("nc,mcp->nmp", self.R, turned)
        return np.asarray(-(direct + through).swapaxes(0, 1) * self.share[:, None])

    def metric(self, inverse: np.ndarray) -> np.ndarray:
        """Return S of each training point: shape (n, K, p)."""
        classes, size = self.theta.shape
        return np.concatenate([self._metric(c, inverse) for c in self._chunks(2 * classes * classes * size)])
