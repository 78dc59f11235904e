"""Convolution, ReLU and 2 x 2 max-pooling as one matrix product over tiles: exact, for few channels on a CPU.

Convolutions with a handful of channels starve a CPU's vector units. Here an output *tile* of t x t positions is
computed from its (t + k - 1) x (t + k - 1) input patch by one dense matrix, which holds the kernel shifted to each
position (Toeplitz blocks). That spends 1.4 to 2.6 times the multiplications at a higher rate: about 1.3 times as fast
in all as torch's default layout, and no faster than its channels-last one (`tests/bench/test_lenet_speed.py`). The
four members of each pooling window lie in four equal column blocks, so that pooling is three vector maxima.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def tile(x: Tensor, kernel: int, size: int) -> Tensor:
    """Cut images into the overlapping input patches of output tiles.

    Parameters
    ----------
    x : Tensor of shape (n, H, W, C)
    kernel : int
        Side k of the convolution's kernel.
    size : int
        Side t of an output tile; it must be even and divide H - k + 1 and W - k + 1.

    Returns
    -------
    Tensor of shape (n * tiles, (t + k - 1)^2 * C)
        Patches in row-major order of the tiles, their entries ordered (row, column, channel).
    """
    patch = size + kernel - 1
    cut = x.unfold(1, patch, size).unfold(2, patch, size)  # (n, rows, columns, C, patch, patch)
    return cut.permute(0, 1, 2, 4, 5, 3).reshape(-1, patch * patch * x.shape[3])


class _Tiles(torch.autograd.Function):
    """`tile` with a backward pass that adds overlapping blocks instead of scattering single entries."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: int, size: int) -> Tensor:
        ctx.shape, ctx.kernel, ctx.size = x.shape, kernel, size
        return tile(x, kernel, size)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        n, height, width, channels = ctx.shape
        kernel, size = ctx.kernel, ctx.size
        patch = size + kernel - 1
        if patch % size or height % size or width % size:
            raise NotImplementedError("the tile's side must divide kernel - 1 and the image's sides")
        rows, columns, steps = (height - kernel + 1) // size, (width - kernel + 1) // size, patch // size
        g = grad.view(n, rows, columns, steps, size, steps, size * channels)
        out = grad.new_zeros(n, height // size, size, width // size, size * channels)
        for i in range(steps):
            for j in range(steps):
                out[:, i : i + rows, :, j : j + columns] += g[:, :, :, i, :, j].transpose(2, 3)
        return out.view(n, height, width, channels), None, None


def differentiable_tile(x: Tensor, kernel: int, size: int) -> Tensor:
    """Do what `tile` does, with gradients towards `x`."""
    return _Tiles.apply(x, kernel, size)


def toeplitz_index(channels_in: int, channels_out: int, kernel: int, size: int) -> Tensor:
    """Return where each entry of the tile matrix lies in the flattened kernel.

    Returns
    -------
    Tensor of int64, shape ((t + k - 1)^2 * C_in, 4 * (t/2)^2 * C_out)
        0 for an entry that is zero, else 1 + the flat position in a weight of shape (C_out, C_in, k, k). Columns are
        ordered (member of the pooling window, pooled row, pooled column, output channel).
    """
    patch, half = size + kernel - 1, size // 2
    index = torch.zeros(patch, patch, channels_in, 2, 2, half, half, channels_out, dtype=torch.int64)
    flat = 1 + torch.arange(channels_out * channels_in * kernel**2).view(channels_out, channels_in, kernel, kernel)
    for row in range(size):
        for column in range(size):
            block = flat.permute(2, 3, 1, 0)  # (k, k, C_in, C_out)
            window = (slice(row, row + kernel), slice(column, column + kernel), slice(None))
            index[(*window, row % 2, column % 2, row // 2, column // 2)] = block
    return index.reshape(patch * patch * channels_in, -1)


class _MatmulPoolReLU(torch.autograd.Function):
    """relu(max over four column blocks of (u @ w) + b); ties go to the first member, as in `max_pool2d`."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, w: Tensor, b: Tensor) -> Tensor:
        z0, z1, z2, z3 = torch.mm(u, w).split(w.shape[1] // 4, 1)
        upper, lower = torch.maximum(z0, z1), torch.maximum(z2, z3)
        out = torch.maximum(upper, lower).add_(b).clamp_(min=0)
        ctx.save_for_backward(u, w, z0 >= z1, z2 >= z3, upper >= lower, out)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        u, w, left_above, left_below, above, out = ctx.saved_tensors
        grad = grad * (out > 0)
        upper = grad * above
        lower = grad - upper
        members = torch.empty(len(u), w.shape[1], dtype=grad.dtype, device=grad.device)
        d0, d1, d2, d3 = members.split(out.shape[1], 1)
        torch.mul(upper, left_above, out=d0)
        torch.sub(upper, d0, out=d1)
        torch.mul(lower, left_below, out=d2)
        torch.sub(lower, d2, out=d3)
        to_u = torch.mm(members, w.t()) if ctx.needs_input_grad[0] else None
        return to_u, torch.mm(u.t(), members), grad.sum(0)


def conv_relu_pool(patches: Tensor, weight: Tensor, bias: Tensor, index: Tensor, size: int) -> Tensor:
    """Return pool(relu(conv(x))) of the images whose tiles are `patches`.

    Parameters
    ----------
    patches : Tensor of shape (n * tiles, (t + k - 1)^2 * C_in)
        From `tile`.
    weight : Tensor of shape (C_out, C_in, k, k)
    bias : Tensor of shape (C_out,)
    index : Tensor
        From `toeplitz_index` for the same sizes.
    size : int
        Side t of a tile.

    Returns
    -------
    Tensor of shape (n * tiles, t/2, t/2, C_out)
    """
    matrix = torch.cat([weight.new_zeros(1), weight.flatten()])[index]
    pooled = _MatmulPoolReLU.apply(patches, matrix, bias.repeat((size // 2) ** 2))
    return pooled.view(-1, size // 2, size // 2, len(bias))
