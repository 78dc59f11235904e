"""The replicated MLP against torch's own layers, one network at a time."""

import pytest
import torch

from augury.errors import ModelError
from augury.models.mlp import MLP
from augury.models.replica import alone


@pytest.mark.parametrize("hidden_layers", [0, 1, 4])
def test_every_replica_is_the_network_of_its_weights(hidden_layers):
    model = MLP(5, 3, hidden_layers, seeds=[1, 2, 1], width=7).double()
    with torch.no_grad():
        for i, bias in enumerate(model.biases):
            bias.normal_(generator=torch.Generator().manual_seed(i))
    x = torch.randn(3, 11, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(9))
    expected = torch.stack([alone(model, r)(x[r]) for r in range(3)])
    torch.testing.assert_close(model(x), expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(model.rest(model.first(x)), expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(model(x[0])[2], alone(model, 2)(x[0]), rtol=1e-12, atol=1e-12)


def test_equal_seeds_give_equal_weights_of_glorots_variance():
    model = MLP(300, 2, 2, seeds=[4, 5, 4], width=200)
    for layer, (fan_in, fan_out) in enumerate([(300, 200), (200, 200), (200, 2)]):
        weight = model.weights[layer].detach()
        assert torch.equal(weight[0], weight[2]) and not torch.equal(weight[0], weight[1])
        bound = (6 / (fan_in + fan_out)) ** 0.5
        assert weight.abs().max() <= bound
        assert weight.var().item() == pytest.approx(bound**2 / 3, rel=0.1)
    assert all(bool((bias == 0).all()) for bias in model.biases)
    # a replica does not depend on the others beside it
    assert torch.equal(MLP(300, 2, 2, seeds=[5], width=200).weights[1][0], model.weights[1][1])


@pytest.mark.parametrize("sizes", [(0, 1, 1, [0]), (1, 0, 1, [0]), (1, 1, -1, [0]), (1, 1, 1, [])])
def test_impossible_sizes_are_refused(sizes):
    with pytest.raises(ModelError, match="at least one"):
        MLP(*sizes)
