"""Repairs of two libraries that fail beside today's NumPy and a CPU torch.

`import augury` only arms them: a repair runs when its library is first imported, and only where it is needed, so that
importing augury stays cheap and a sound environment is left as it is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

# The scalar types that NumPy 1 listed in `np.sctypes`, by their names in NumPy 2.
SCTYPES = {
    "int": ("int8", "int16", "int32", "int64"),
    "uint": ("uint8", "uint16", "uint32", "uint64"),
    "float": ("float16", "float32", "float64", "longdouble"),
    "complex": ("complex64", "complex128", "clongdouble"),
    "others": ("bool_", "object_", "bytes_", "str_", "void"),
}


def restore_numpy_names(numpy: ModuleType) -> None:
    """Give NumPy 2 back the two names that imgaug 0.4.0 reads: `np.sctypes` at import, `np.complex` in its noise."""
    if not hasattr(numpy, "sctypes"):
        numpy.sctypes = {kind: [getattr(numpy, name) for name in names] for kind, names in SCTYPES.items()}  # type: ignore[attr-defined]
    if not hasattr(numpy, "complex"):
        numpy.complex = complex  # type: ignore[attr-defined]


def repair_elastic_transformation(imgaug: ModuleType) -> None:
    """Hand imgaug's elastic transformation single-precision shift maps: OpenCV refuses the double ones it draws."""
    transformation = imgaug.augmenters.ElasticTransformation
    draw = transformation._generate_shift_maps.__func__

    def draw_single(cls: type, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        dx, dy = draw(cls, *args, **kwargs)
        return dx.astype("float32", copy=False), dy.astype("float32", copy=False)

    transformation._generate_shift_maps = classmethod(draw_single)


def declare_torchvision_operators(torchvision: ModuleType) -> Any | None:
    """Declare the operators that `import torchvision` names, when its own library cannot be loaded.

    The wheels on the registry link against CUDA. Beside a CPU torch their operators are missing, though models,
    transforms and data sets use none: a schema without an implementation lets the import through.

    Returns
    -------
    torch.library.Library or None
        The declarations, which live as long as this object; None where torchvision's own library loads.
    """
    import torch

    folder = Path(next(iter(torchvision.__path__)))
    try:
        torch.ops.load_library(next(map(str, folder.glob("_C.*")), str(folder / "_C.so")))
    except OSError:
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        return library
    return None


def _before_imgaug(_: ModuleType) -> None:
    import numpy

    restore_numpy_names(numpy)


def _before_torchvision(torchvision: ModuleType) -> None:
    torchvision._augury_operators = declare_torchvision_operators(torchvision)  # type: ignore[attr-defined]


class Repairs:
    """Finder that wraps the import of each library in its repairs.

    Parameters
    ----------
    steps : dict
        For each library the functions of its module that run just before and just after its body is executed.
    """

    def __init__(self, steps: dict[str, tuple[Callable[[ModuleType], Any], Callable[[ModuleType], Any]]]) -> None:
        self.steps = steps

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return what the other finders return for `name`, its loader wrapped; None for any other library."""
        if name not in self.steps:
            return None
        others = (finder.find_spec(name, path, target) for finder in sys.meta_path if finder is not self)
        spec = next((spec for spec in others if spec is not None), None)
        if spec is not None and spec.loader is not None:
            before, after = self.steps[name]
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                before(module)
                execute(module)
                after(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


REPAIRS = Repairs(
    {
        "imgaug": (_before_imgaug, repair_elastic_transformation),
        "torchvision": (_before_torchvision, lambda _: None),
    }
)


def apply() -> None:
    """Arm the repairs, once a process; of a library that is already imported only what can be mended is mended."""
    if REPAIRS not in sys.meta_path:
        sys.meta_path.insert(0, REPAIRS)
        for name, (_, after) in REPAIRS.steps.items():
            if name in sys.modules:
                after(sys.modules[name])
