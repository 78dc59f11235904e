import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import ndimage

from augury.augment import exhaustive
from augury.augment.exhaustive import Exhaustive, crop, paper_transform, rotate, translate
from augury.errors import ParameterError

SHAPES = [(7, 28, 28, 1), (5, 32, 32, 3), (3, 24, 30, 2)]


def noise(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def by_scipy(x, coordinates, order):
    """Interpolate every channel of images at (rows, columns) of shape (2, H, W); edges are repeated."""
    out = [[ndimage.map_coordinates(i[..., c].astype(float), coordinates, order=order, mode="nearest")
            for c in range(x.shape[3])] for i in x]  # fmt: skip
    return np.stack([np.stack(channels, -1) for channels in out])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("directions", ["cardinal", "diagonal"])
@pytest.mark.parametrize("pixels", [1, 3, 6])
def test_translate_equals_scipy(shape, directions, pixels):
    x = noise(shape)
    moved = translate(pixels, directions)(x).x.reshape(shape[0], 4, *shape[1:])
    steps = {
        "cardinal": [(-pixels, 0), (pixels, 0), (0, -pixels), (0, pixels)],
        "diagonal": [(-pixels, -pixels), (pixels, -pixels), (-pixels, pixels), (pixels, pixels)],
    }[directions]
    grid = np.stack(np.meshgrid(np.arange(shape[1]), np.arange(shape[2]), indexing="ij"))
    for t, (right, down) in enumerate(steps):
        expected = by_scipy(x, grid - np.array([down, right])[:, None, None], order=0)
        np.testing.assert_array_equal(moved[:, t], expected)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 6])
def test_crop_equals_torch(shape, width):
    x = noise(shape)
    n, height, cols, _ = shape
    inner = torch.from_numpy(x[:, width : height - width, width : cols - width]).permute(0, 3, 1, 2).double()
    # each pixel as a block as wide as the result, then means over blocks as wide as the crop: exact areas
    blocks = F.interpolate(inner, scale_factor=(height, cols), mode="nearest")
    mean = F.avg_pool2d(blocks, (height - 2 * width, cols - 2 * width)).permute(0, 2, 3, 1).numpy()
    cropped = crop([width])(x)
    np.testing.assert_array_equal(cropped.x, np.floor(mean + 0.5 + 1e-9))
    np.testing.assert_array_equal(cropped.index, np.arange(n))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("degrees", [-30.0, -2.5, 30 / 7, 5.0, 73.0])
def test_rotate_equals_scipy_within_one_grey_level(shape, degrees):
    x = noise(shape)
    turned = rotate([degrees])(x).x
    centre = (np.array(shape[1:3]) - 1)[:, None, None] / 2
    down, right = np.stack(np.meshgrid(np.arange(shape[1]), np.arange(shape[2]), indexing="ij")) - centre
    a = np.deg2rad(degrees)  # clockwise: the source lies counter-clockwise, with rows counted downwards
    source = np.stack([np.cos(a) * down - np.sin(a) * right, np.sin(a) * down + np.cos(a) * right]) + centre
    difference = np.abs(turned - by_scipy(x, source, order=1))
    assert difference.max() <= 0.51  # rounded to the nearest grey level


def test_rotation_is_clockwise_about_the_centre():
    x = noise((2, 28, 28, 1))
    np.testing.assert_array_equal(rotate([90])(x).x, np.rot90(x, -1, axes=(1, 2)))


@pytest.mark.parametrize("transform", [translate(2), rotate([-5, 5, 9]), crop([1, 3])], ids=lambda t: t.kind)
def test_order_and_index(transform):
    x = noise((4, 28, 28, 1))
    copies = transform(x)
    assert copies.x.dtype == np.uint8 and copies.x.shape == (4 * transform.n_copies, 28, 28, 1)
    np.testing.assert_array_equal(copies.index, np.repeat(np.arange(4), transform.n_copies))
    assert copies.index.dtype == np.int64
    for t, setting in enumerate(transform.settings):
        alone = Exhaustive("alone", transform.kind, (setting,))
        for i in range(4):
            np.testing.assert_array_equal(copies.x[i * transform.n_copies + t], alone(x[i : i + 1]).x[0])


@pytest.mark.parametrize("transform", [translate(2), rotate([-5, 5]), crop([1, 3])], ids=lambda t: t.kind)
def test_deterministic_in_chunks_and_without_side_effects(transform, monkeypatch):
    x = noise((9, 32, 32, 3))
    before, state = x.copy(), np.random.get_state()[1].copy()
    whole = transform(x)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(np.random.get_state()[1], state)
    monkeypatch.setattr(exhaustive, "CHUNK", 4 * 32 * 32 * 3)
    np.testing.assert_array_equal(transform(x).x, whole.x)


def test_constant_images_and_empty_batches():
    flat = np.full((2, 28, 28, 1), 200, np.uint8)
    for name in ("translate", "rotate", "crop"):
        transform = paper_transform(name, "mnist")
        assert (transform(flat).x == 200).all()
        empty = transform(flat[:0])
        assert empty.x.shape == (0, 28, 28, 1) and empty.index.shape == (0,)


def test_parameters_of_the_paper():
    step = 60 / 14
    angles = [s[0] for s in paper_transform("rotate", "mnist").settings]
    np.testing.assert_allclose(angles, [i * step for i in range(-7, 8) if i])
    for dataset, pixels in (("mnist", 2), ("cifar-10", 3), ("small-norb", 6)):
        cardinal = {(pixels, 0), (-pixels, 0), (0, pixels), (0, -pixels)}
        assert set(paper_transform("translate", dataset).settings) == cardinal
        diagonal = {(pixels, pixels), (-pixels, pixels), (pixels, -pixels), (-pixels, -pixels)}
        assert set(paper_transform("translate", dataset, "diagonal").settings) == diagonal
    for dataset in ("cifar-10", "small-norb"):
        assert [s[0] for s in paper_transform("rotate", dataset).settings] == [-5, -2.5, 2.5, 5]
        assert paper_transform("crop", dataset).settings == ((2,),)
    assert paper_transform("crop", "mnist").settings == tuple((w,) for w in range(1, 7))
    for name in ("translate", "rotate", "crop"):
        assert paper_transform(name, "digits") == paper_transform(name, "mnist")


@pytest.mark.parametrize(
    "call",
    [
        lambda: translate(0),
        lambda: translate(1.5),
        lambda: translate(2, "up"),
        lambda: rotate([]),
        lambda: rotate([float("nan")]),
        lambda: crop([]),
        lambda: crop([0]),
        lambda: crop([14])(noise((1, 28, 28, 1))),
        lambda: translate(2)(noise((28, 28, 1))),
        lambda: translate(2)(noise((1, 28, 28, 1)).astype(float)),
        lambda: paper_transform("flip", "mnist"),
        lambda: paper_transform("crop", "adult"),
    ],
)
def test_bad_parameters_are_refused(call):
    with pytest.raises(ParameterError):
        call()


def test_imgaug_agrees_on_single_images():
    iaa = exhaustive.iaa
    x = noise((3, 32, 32, 3))
    moved = np.stack([iaa.Affine(translate_px={"x": 3, "y": 0}, mode="edge").augment_image(i) for i in x])
    np.testing.assert_array_equal(translate(3)(x).x[1::4], moved)
    turned = np.stack([iaa.Affine(rotate=5, mode="edge").augment_image(i) for i in x]).astype(int)
    assert np.abs(turned - rotate([5])(x).x).max() <= 8  # imgaug's default backend rounds positions to 1/32 pixel
    cut = np.stack([iaa.Crop(px=2, keep_size=True).augment_image(i) for i in x]).astype(int)
    assert np.abs(cut - crop([2])(x).x).max() <= 1
