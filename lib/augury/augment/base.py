"""The type of an augmentation: a random function of a sample, closed under composition (Eghbal-zadeh, 2020).

An augmentation is a random function A: (X x Y)^s -> (X x Y)^r. Observing A(S) for a sample S of s labelled points
gives the augmented sample of r labelled points. All its chance comes from the generator it is handed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from augury.errors import ParameterError

if TYPE_CHECKING:  # imgaug takes a second to import, and the type does not need it
    from augury.augment.exhaustive import Exhaustive


@dataclass(frozen=True)
class Augmentation:
    """A random function of a sample.

    Attributes
    ----------
    name : str
    function : callable
        (x, y, generator) -> (x, y), on tensors as `__call__` describes; it must draw from the generator alone, and must
        not alter its arguments.
    """

    name: str
    function: Callable[[Tensor, Tensor, torch.Generator], tuple[Tensor, Tensor]]

    def __call__(self, x: Tensor, y: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Observe A(S) once.

        Parameters
        ----------
        x : Tensor of uint8, shape (s, H, W, C), or of floats, shape (s, k)
            The sample's images, or rows of features.
        y : Tensor of int64, shape (s,), or of floats, shape (s, K)
            Their labels, as numbers of classes or as distributions over K classes.
        generator : torch.Generator
            Its state decides the outcome: equal states give equal samples.

        Returns
        -------
        x : Tensor of shape (r, H, W, C) or (r, k)
        y : Tensor of shape (r,) or (r, K)

        Raises
        ------
        ParameterError
            If there are not as many labels as samples, before or after.
        """
        self._check(x, y, "was given")
        x, y = self.function(x, y, generator)
        self._check(x, y, "returned")
        return x, y

    def _check(self, x: Tensor, y: Tensor, verb: str) -> None:
        if len(x) != len(y):
            raise ParameterError(f"the augmentation {self.name!r} {verb} {len(x)} samples and {len(y)} labels")


identity = Augmentation("identity", lambda x, y, generator: (x, y))


def compose(*augmentations: Augmentation) -> Augmentation:
    """Return the composition A o B o ...: the last is applied first. It is an augmentation (the lemma).

    The parts draw from the generator one after another. So composition is associative, and `identity` its unit, for
    every seed and not only in distribution. The composition of nothing is the identity.
    """

    def composed(x: Tensor, y: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        for augmentation in reversed(augmentations):
            x, y = augmentation(x, y, generator)
        return x, y

    return Augmentation(" o ".join(a.name for a in augmentations) or identity.name, composed)


def label_preserving(name: str, function: Callable[[Tensor, torch.Generator], Tensor]) -> Augmentation:
    """Return the augmentation that replaces every sample by one of the same label.

    Parameters
    ----------
    name : str
    function : callable
        (x, generator) -> x, images of shape (s, H, W, C) or rows of shape (s, k) to as many, in the same order.
    """
    return Augmentation(name, lambda x, y, generator: (function(x, generator), y))


def random_pick(transform: Exhaustive, original: bool = True) -> Augmentation:
    """Return the augmentation that replaces every image by one of its exhaustive copies, drawn uniformly.

    Parameters
    ----------
    transform : Exhaustive
    original : bool
        Whether the original is one of the candidates. With it the augmented distribution dominates the original one,
        as the formal definition asks: what can be sampled can also be observed after augmentation.
    """

    def pick(x: Tensor, generator: torch.Generator) -> Tensor:
        draws = torch.randint(transform.n_copies + original, (len(x),), generator=generator, device=generator.device)
        draws, out = draws.to(x.device), x.clone()
        for t, setting in enumerate(transform.settings):  # draws beyond the transforms leave the original
            mine = draws == t
            copies = replace(transform, settings=(setting,))(x[mine].cpu().numpy()).x
            out[mine] = torch.from_numpy(copies).to(x.device)
        return out

    return label_preserving(f"one of {transform.name}" + " or none" * original, pick)
