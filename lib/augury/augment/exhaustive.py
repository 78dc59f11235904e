"""Exhaustive label-preserving transforms: every copy f_T(x) = {x_1, ..., x_t} of an image (Kuchnik & Smith, Sec. 5).

The transforms are imgaug's, applied to all images at once: an image's channels are transformed alike, so a whole batch
is handed over as the channels of one image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import imgaug.augmenters as iaa
import numpy as np

from augury.errors import ParameterError

Directions = Literal["cardinal", "diagonal"]

# Unit steps (right, down) of the text and of the paper's released code.
STEPS = {
    "cardinal": ((-1, 0), (1, 0), (0, -1), (0, 1)),
    "diagonal": ((-1, -1), (1, -1), (-1, 1), (1, 1)),
}
CHUNK = 1 << 22  # pixels transformed at a time; bounds the working memory, which is float64 for rotations


@dataclass(frozen=True)
class Copies:
    """Transformed copies, ordered by original, then by transform.

    Attributes
    ----------
    x : ndarray of uint8, shape (m, H, W, C)
    index : ndarray of int64, shape (m,)
        Position of each copy's original; its label is the copy's label.
    """

    x: np.ndarray
    index: np.ndarray


@dataclass(frozen=True)
class Exhaustive:
    """A finite set of deterministic, label-preserving transforms, all of which are applied to every image.

    Attributes
    ----------
    name : str
    kind : {"translate", "rotate", "crop"}
    settings : tuple of tuples
        Of each transform: pixels to the right and down; degrees clockwise; or pixels cut from each side.
    """

    name: str
    kind: Literal["translate", "rotate", "crop"]
    settings: tuple[tuple[float, ...], ...]

    @property
    def n_copies(self) -> int:
        """Number of copies of an original."""
        return len(self.settings)

    def __call__(self, x: np.ndarray) -> Copies:
        """Return every transform of every image.

        Parameters
        ----------
        x : ndarray of uint8, shape (n, H, W, C)

        Returns
        -------
        Copies
            n * n_copies images of the same height and width.

        Raises
        ------
        ParameterError
            If x is not uint8 of four dimensions, or a crop would leave nothing of an image.
        """
        if x.ndim != 4 or x.dtype != np.uint8:
            raise ParameterError(f"images must be uint8 of shape (n, H, W, C), not {x.dtype} of shape {x.shape}")
        n, height, width, channels = x.shape
        if self.kind == "crop" and 2 * max(s[0] for s in self.settings) >= min(height, width):
            raise ParameterError(f"{self.name} leaves nothing of images of {height} x {width} pixels")
        out = np.empty((n, self.n_copies, height, width, channels), np.uint8)
        chunk = max(1, CHUNK // max(1, height * width * channels))
        for t, setting in enumerate(self.settings):
            augmenter = _augmenter(self.kind, setting)
            for start in range(0, n, chunk):
                part = slice(start, start + chunk)
                out[part, t] = _transform(augmenter, x[part], self.kind == "crop")
        return Copies(out.reshape(-1, height, width, channels), np.repeat(np.arange(n), self.n_copies))


def _augmenter(kind: str, setting: tuple[float, ...]) -> Any:
    if kind == "translate":
        right, down = (int(step) for step in setting)
        return iaa.Affine(translate_px={"x": right, "y": down}, mode="edge", order=0, seed=0)
    if kind == "rotate":
        # scikit-image interpolates at the exact position; OpenCV first rounds it to 1/32 pixel (up to 6 grey levels)
        return iaa.Affine(rotate=setting[0], mode="edge", order=1, backend="skimage", seed=0)
    return iaa.Crop(px=int(setting[0]), keep_size=True, sample_independently=False, seed=0)


def _transform(augmenter: Any, x: np.ndarray, rescales: bool) -> np.ndarray:
    """Apply one deterministic augmenter to images of shape (n, H, W, C)."""
    n, height, width, channels = x.shape
    stacked = x.transpose(1, 2, 0, 3).reshape(1, height, width, n * channels)
    if rescales:
        # Pixel areas are averaged here. In uint8 OpenCV's fixed-point weights miss the rounded mean in a tenth of the
        # pixels; in float32 the mean is off by less than 1e-4, which the sum below forgives: halves are rounded up.
        out = np.floor(augmenter.augment_images(stacked.astype(np.float32)) + np.float32(0.5001)).astype(np.uint8)
    else:
        out = augmenter.augment_images(stacked)
    return out.reshape(height, width, n, channels).transpose(2, 0, 1, 3)


def translate(pixels: int, directions: Directions = "cardinal") -> Exhaustive:
    """Return the four moves by `pixels`; pixels that come into view repeat the edge.

    Parameters
    ----------
    pixels : int
        At least 1.
    directions : {"cardinal", "diagonal"}
        Left, right, up, down (the paper's text), or by `pixels` along both axes (its released code).

    Raises
    ------
    ParameterError
        If a parameter is out of range.
    """
    if directions not in STEPS:
        raise ParameterError(f"directions must be one of {', '.join(STEPS)}, not {directions!r}")
    if int(pixels) != pixels or pixels < 1:
        raise ParameterError(f"translate moves by whole pixels, at least 1, not {pixels}")
    settings = tuple((int(pixels) * right, int(pixels) * down) for right, down in STEPS[directions])
    return Exhaustive(f"translate {int(pixels)} px {directions}", "translate", settings)


def rotate(degrees: Sequence[float]) -> Exhaustive:
    """Return the rotations by `degrees` (clockwise) about the centre, bilinear; what comes into view repeats the edge.

    Raises
    ------
    ParameterError
        If no angle is given or one is not finite.
    """
    angles = tuple(float(angle) for angle in degrees)
    if not angles or not np.isfinite(angles).all():
        raise ParameterError(f"rotate needs at least one finite angle in degrees, not {list(degrees)}")
    return Exhaustive(f"rotate {', '.join(f'{a:.4g}' for a in angles)} degrees", "rotate", tuple((a,) for a in angles))


def crop(pixels: Sequence[int]) -> Exhaustive:
    """Return crops that cut each of `pixels` from all four sides and enlarge the rest to the old size.

    A pixel of the result is the mean of the area that it covers, halves rounded up.

    Raises
    ------
    ParameterError
        If no width is given or one is not a whole number of at least 1.
    """
    widths = tuple(pixels)
    if not widths or any(int(width) != width or width < 1 for width in widths):
        raise ParameterError(f"crop cuts whole pixels, at least 1, not {list(widths)}")
    return Exhaustive(f"crop {', '.join(map(str, widths))} px", "crop", tuple((int(width),) for width in widths))


# Translation in pixels, rotations in degrees, crops in pixels (Appendix B).
PAPER: dict[str, tuple[int, tuple[float, ...], tuple[int, ...]]] = {
    "mnist": (2, tuple(30 * (i - 7) / 7 for i in range(15) if i != 7), (1, 2, 3, 4, 5, 6)),
    "cifar-10": (3, (-5.0, -2.5, 2.5, 5.0), (2,)),
    "small-norb": (6, (-5.0, -2.5, 2.5, 5.0), (2,)),
}
PAPER["digits"] = PAPER["mnist"]


def paper_transform(name: str, dataset: str, translate_directions: Directions = "cardinal") -> Exhaustive:
    """Return the paper's transform `name` for images of `dataset` (Appendix B).

    Parameters
    ----------
    name : {"translate", "rotate", "crop"}
    dataset : {"mnist", "cifar-10", "small-norb", "digits"}
        scikit-learn's digits, enlarged to 28 x 28 pixels, are treated as MNIST.
    translate_directions : {"cardinal", "diagonal"}
        As for `translate`.

    Raises
    ------
    ParameterError
        If the paper has no such transform or data set.
    """
    if dataset not in PAPER:
        raise ParameterError(f"the paper's transforms are for {', '.join(PAPER)}, not {dataset!r}")
    pixels, degrees, widths = PAPER[dataset]
    if name == "translate":
        return translate(pixels, translate_directions)
    if name == "rotate":
        return rotate(degrees)
    if name == "crop":
        return crop(widths)
    raise ParameterError(f"the paper's transforms are translate, rotate and crop, not {name!r}")
