"""Uncertainty of predictions: entropy, and BALD by Monte-Carlo dropout (baselines of Section 5.2)."""

from __future__ import annotations

import numpy as np
import torch
from scipy.special import log_softmax, logsumexp
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from augury.errors import ModelError, ParameterError
from augury.models.logistic import Logistic
from augury.models.softmax import Softmax


def entropy(log_p: np.ndarray) -> np.ndarray:
    """Return the entropy of each point's label, - sum_c P_c log P_c, in nats.

    Parameters
    ----------
    log_p : ndarray of shape (..., m, K)
        Natural logarithms of the classes' probabilities; -inf where one is zero.

    Returns
    -------
    ndarray of shape (..., m)

    Raises
    ------
    ModelError
        If `log_p` is no array of logarithms of probabilities.
    """
    log_p = _checked(log_p, 2)
    return np.asarray(-np.multiply(np.exp(log_p), log_p, out=np.zeros_like(log_p), where=np.isfinite(log_p)).sum(-1))


def bald(log_p: np.ndarray) -> np.ndarray:
    r"""Return the mutual information of label and parameters in nats (Houlsby et al., 2011; Gal et al., 2017).

    .. math:: H[\bar P] - \frac1T \sum_t H[P_t] = \sum_c \bar P_c \frac1T \sum_t (d_{tc} e^{d_{tc}} - e^{d_{tc}} + 1),
        \quad d_{tc} = \log P_{tc} - \log \bar P_c, \quad \bar P = \frac1T \sum_t P_t

    The right side is computed: no term is negative, and none is lost where the draws hardly differ.

    Parameters
    ----------
    log_p : ndarray of shape (T, m, K)
        Natural logarithms of the classes' probabilities under T draws of the parameters, such as dropout masks.

    Returns
    -------
    ndarray of shape (m,)
        Between 0 and the entropy of the mean; at most log T.

    Raises
    ------
    ModelError
        If `log_p` is no such array of logarithms of probabilities.
    """
    log_p = _checked(log_p, 3)
    if log_p.ndim != 3:
        raise ModelError(f"log_p of shape {log_p.shape} must be of shape (draws, points, classes)")
    log_mean = logsumexp(log_p, axis=0) - np.log(len(log_p))
    possible = np.isfinite(log_p)
    d = np.subtract(log_p, log_mean, out=np.zeros_like(log_p), where=possible)
    terms = np.where(possible, np.maximum(d * np.exp(d) - np.expm1(d), 0.0), 1.0)  # rounding only could go below 0
    return np.asarray((np.exp(log_mean) * terms.mean(0)).sum(-1))


@torch.no_grad()
def dropout_log_probabilities(
    model: nn.Module, x: Tensor, passes: int, generator: torch.Generator, batch_size: int = 1024
) -> np.ndarray:
    """Predict under random dropout masks, which stand for draws of the parameters (Gal & Ghahramani, 2016).

    Dropout layers drop as in training; everything else, batch normalisation above all, is as in evaluation. Each point
    has masks of its own. The model is left in the modes it came in, and the global generators as they were.

    Parameters
    ----------
    model : Module
        Maps x to logits of shape (m, K).
    x : Tensor of shape (m, ...)
        Moved to the model's device in batches.
    passes : int
        T >= 1.
    generator : torch.Generator
        Of the masks. Equal state, `batch_size` and device give equal masks.
    batch_size : int
        Points predicted at once.

    Returns
    -------
    ndarray of float64, shape (T, m, K)
        Natural logarithms of the classes' probabilities.

    Raises
    ------
    ParameterError
        If `passes` or `batch_size` is below 1.
    ModelError
        If the model has no dropout layer or no parameters.
    """
    if passes < 1 or batch_size < 1:
        raise ParameterError(f"passes {passes} and batch_size {batch_size} must be at least 1")
    layers = [layer for layer in model.modules() if isinstance(layer, _DropoutNd)]
    if not layers:
        raise ModelError(f"{type(model).__name__} has no dropout layer to draw masks from: add one, or use entropy")
    device = next((part.device for part in model.parameters()), None)
    if device is None:
        raise ModelError(f"{type(model).__name__} has no parameters and so no masks that would stand for draws of them")
    modes = {module: module.training for module in model.modules()}
    seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
    try:
        model.eval()
        for layer in layers:
            layer.train()
        with torch.random.fork_rng([device] if device.type == "cuda" else []):  # dropout reads the global generator
            if device.type == "cpu":  # alone, for manual_seed would reach every device's
                torch.default_generator.manual_seed(seed)
            else:
                torch.manual_seed(seed)
            found = [
                torch.cat([model(part.to(device)).double().log_softmax(-1).cpu() for part in x.split(batch_size)])
                for _ in range(passes)
            ]
    finally:
        for module, mode in modes.items():
            module.training = mode
    return torch.stack(found).numpy()


def masked_log_probabilities(
    model: Logistic | Softmax, X: np.ndarray, rate: float, passes: int, generator: np.random.Generator
) -> np.ndarray:
    """Predict with a logistic regression under input dropout: features are dropped, those kept divided by 1 - rate.

    A pass has one mask for all points. It is then a draw of the weights, all passes are one product, and points are
    compared under the same draws; a point alone has the same distribution as with masks of its own. The intercept
    stays.

    Parameters
    ----------
    model : Logistic or Softmax
    X : ndarray of shape (m, p)
    rate : float
        Probability with which a feature is dropped, in [0, 1).
    passes : int
        T >= 1.
    generator : numpy.random.Generator

    Returns
    -------
    ndarray of float64, shape (T, m, K)
        Natural logarithms of the classes' probabilities.

    Raises
    ------
    ParameterError
        If `rate` or `passes` is out of range.
    ModelError
        If X does not fit the model or is not finite.
    """
    if not 0 <= rate < 1 or passes < 1:
        raise ParameterError(f"rate {rate} must be in [0, 1) and passes {passes} at least 1")
    # of two classes, the first has logit 0
    theta = np.stack([np.zeros_like(model.theta), model.theta]) if isinstance(model, Logistic) else model.theta
    classes, p = len(theta), theta.shape[1] - 1
    X = np.asarray(X, np.float64)
    if X.ndim != 2 or X.shape[1] != p:
        raise ModelError(f"the model was fitted on {p} features and cannot predict X of shape {X.shape}")
    if not np.isfinite(X).all():
        raise ModelError("the points have features that are not finite; remove or impute them")
    masks = (generator.random((passes, 1, p)) >= rate) / (1 - rate)
    weights = (masks * theta[:, :-1]).reshape(passes * classes, p)
    logits = (X @ weights.T).reshape(len(X), passes, classes) + theta[:, -1]
    return np.asarray(log_softmax(logits.swapaxes(0, 1), axis=-1))


def _checked(log_p: np.ndarray, dims: int) -> np.ndarray:
    """Return float64 logarithms with at least `dims` axes, whose exponentials sum to one over the classes."""
    log_p = np.asarray(log_p, np.float64)
    if log_p.ndim < dims or 0 in log_p.shape[:-2] + log_p.shape[-1:]:
        raise ModelError(f"log_p of shape {log_p.shape} must have {dims} axes, the last of them the classes")
    if not np.allclose(np.exp(log_p).sum(-1), 1, rtol=0, atol=1e-6):
        raise ModelError("log_p must be natural logarithms of probabilities that sum to one over the classes")
    return log_p
