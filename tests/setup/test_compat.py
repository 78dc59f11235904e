"""Each repair of augury.compat in an interpreter of its own, since a repair acts on a library's first import."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

import augury
from augury import compat


def run(code: str) -> str:
    """Run `code` in a fresh interpreter; return what it prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_augury_loads_no_library() -> None:
    heavy = "numpy scipy torch torchvision imgaug cv2 pandas matplotlib"
    assert run(f"import sys, augury; print([n for n in '{heavy}'.split() if n in sys.modules])") == "[]"


def test_looking_for_a_library_does_not_import_it() -> None:
    code = "import sys, augury, importlib.util as u; print(u.find_spec('torchvision').name, 'torch' in sys.modules)"
    assert run(code) == "torchvision False"


def test_imgaug_imports_and_knows_numpy_types() -> None:
    code = "import augury, imgaug.imgaug as i; print(sorted(t.__name__ for t in i.NP_UINT_TYPES))"
    assert run(code) == "['uint16', 'uint32', 'uint64', 'uint8']"


def test_imgaug_frequency_noise_draws_complex_spectra() -> None:
    code = "import augury, imgaug.parameters as p; print(p.FrequencyNoise(-2).draw_samples((8, 8), 1).shape)"
    assert run(code) == "(8, 8)"


def test_numpy_names_are_given_only_where_missing() -> None:
    old = SimpleNamespace(sctypes="kept", complex="kept")
    compat.restore_numpy_names(old)
    assert vars(old) == {"sctypes": "kept", "complex": "kept"}

    new = SimpleNamespace(**{name: getattr(np, name) for names in compat.SCTYPES.values() for name in names})
    compat.restore_numpy_names(new)
    assert new.complex is complex
    assert new.sctypes["float"] == [np.float16, np.float32, np.float64, np.longdouble]


def test_elastic_transformation_moves_pixels_as_its_shift_maps_say() -> None:
    from imgaug.augmenters import ElasticTransformation
    from imgaug.random import RNG

    dx, dy = ElasticTransformation._generate_shift_maps((32, 32), alpha=8.0, sigma=3.0, random_state=RNG(1))
    assert dx.dtype == dy.dtype == np.float32 and np.abs(dx).max() > 0.5
    rows, columns = np.mgrid[:32, :32]
    image = (3 * rows + 4 * columns).astype(np.uint8)  # smooth: OpenCV rounds positions to 1/32 of a pixel
    ours = ElasticTransformation._map_coordinates(image[..., None], dx, dy, order=1, mode="nearest")[..., 0]
    expected = map_coordinates(image.astype(float), (rows - dy, columns - dx), order=1, mode="nearest")
    assert np.abs(ours - expected).max() <= 1

    images = np.stack([image, image.T])[..., None]
    moved = ElasticTransformation(alpha=8.0, sigma=3.0, seed=1)(images=images)
    assert moved.dtype == np.uint8 and moved.shape == images.shape and (moved != images).mean() > 0.3


def test_elastic_transformation_imported_earlier_is_mended_too(monkeypatch: pytest.MonkeyPatch) -> None:
    class Transformation:
        @classmethod
        def _generate_shift_maps(cls) -> tuple[np.ndarray, np.ndarray]:
            return np.zeros(1), np.zeros(1)

    early = SimpleNamespace(augmenters=SimpleNamespace(ElasticTransformation=Transformation))
    monkeypatch.setitem(sys.modules, "imgaug", early)
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    monkeypatch.setattr(sys, "meta_path", [finder for finder in sys.meta_path if finder is not compat.REPAIRS])
    compat.apply()
    assert [shift.dtype.name for shift in Transformation._generate_shift_maps()] == ["float32", "float32"]


def test_torchvision_is_mended_exactly_where_its_own_library_fails() -> None:
    code = """
import importlib.util, pathlib, torch, augury
folder = pathlib.Path(importlib.util.find_spec("torchvision").origin).parent
try:
    torch.ops.load_library(str(next(folder.glob("_C.*"))))
    sound = True
except OSError:
    sound = False
import torchvision
from torchvision.transforms import v2
assert (torchvision._augury_operators is None) == sound
images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
flipped = v2.functional.horizontal_flip(images)
assert torch.equal(flipped, images.flip(-1))
logits = torchvision.models.resnet18(num_classes=4)(flipped)
logits.sum().backward()
print(tuple(logits.shape), str(torch.ops.torchvision.nms.default._schema))
"""
    assert run(code) == "(2, 4) torchvision::nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def test_sound_torchvision_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(torch.ops, "load_library", asked.append)
    assert compat.declare_torchvision_operators(SimpleNamespace(__path__=["/nowhere/torchvision"])) is None
    assert [path.replace("\\", "/") for path in asked] == ["/nowhere/torchvision/_C.so"]


def test_repairs_are_armed_once() -> None:
    compat.apply()
    assert sys.meta_path.count(compat.REPAIRS) == 1
    assert augury.__version__
