"""Networks on ablated rows: the measures against loops over rows and features, the closed form, the cells' rows."""

import numpy as np
import pandas as pd
import pytest
import torch

from augury.design import Design, design
from augury.errors import ParameterError
from augury.models.mlp import MLP
from augury.models.replica import alone
from augury.penalties import analysis
from augury.penalties.linear import beta_ccp, beta_ml2p
from augury.penalties.networks import measure_model, penalties, replicas, train

SETTINGS = {
    "width": 8,
    "epochs": 30,
    "batch_size": 64,
    "lr": 0.01,
    "patience": 3,
    "ablate_validation": False,
    "steps": 20,
    "split_seed": 0,
}


def table(n: int, k: int, classes: tuple[str, ...]) -> Design:
    draw = np.random.default_rng(0)
    x = draw.standard_normal((2 * n, k)).astype(np.float32)
    y = draw.integers(0, len(classes), 2 * n) if classes else draw.standard_normal(2 * n)
    return Design("made", x[:n], y[:n], x[n:], y[n:], tuple(f"x{j}" for j in range(k)), classes, 1.0, k)


@pytest.mark.parametrize("hidden_layers", [0, 2])
@pytest.mark.parametrize("classes", [(), ("no", "yes", "perhaps")])
def test_measures_agree_with_loops_over_rows_and_features(hidden_layers, classes):
    made, steps = table(7, 4, classes), 16
    model = MLP(4, len(classes) or 1, hidden_layers, [1, 2], width=6)
    with torch.no_grad():
        for i, bias in enumerate(model.biases):
            bias.normal_(generator=torch.Generator().manual_seed(i))
    found = {(measure, label): values for measure, label, values in measure_model(model, made, steps)}
    for r in range(2):
        net = alone(model, r).double()
        outputs = []
        for c, label in enumerate(classes or ("",)):
            gradients = np.zeros((7, 4))
            for i, row in enumerate(made.x_test):
                for s in range(steps):
                    point = torch.tensor((s + 0.5) / steps * row, dtype=torch.float64, requires_grad=True)
                    gradients[i] += torch.autograd.grad(net(point)[c], point)[0].numpy() / steps
            contributions = gradients * made.x_test
            ccp = -sum(
                np.cov(contributions[:, j], contributions[:, k], bias=True)[0, 1]
                for j in range(4)
                for k in range(4)
                if j != k
            )
            assert found["CCP", label][r].item() == pytest.approx(ccp, rel=1e-4, abs=1e-6)
            assert found["ML2P", label][r].item() == pytest.approx((gradients**2).sum(1).mean(), rel=1e-4)
            with torch.no_grad():
                change = (net(torch.tensor(made.x_test).double()) - net(torch.zeros(4).double()))[:, c].numpy()
            gap = np.abs(change - contributions.sum(1)).mean() / np.abs(change).mean()
            assert found["gap", label][r].item() == pytest.approx(gap, rel=1e-2, abs=1e-5)
            outputs.append(net(torch.tensor(made.x_test).double())[:, c].detach().numpy())
        if classes:
            right = sum(int(np.argmax([o[i] for o in outputs]) == made.y_test[i]) for i in range(7))
            assert found["accuracy", ""][r].item() == pytest.approx(right / 7)
        else:
            assert found["MSE", ""][r].item() == pytest.approx(np.mean((outputs[0] - made.y_test) ** 2), rel=1e-5)


def test_linear_regression_is_the_closed_form_on_all_training_rows():
    rows = pd.DataFrame(penalties("diabetes", 0, seed=3, lambdas=[0.0, 0.5], **SETTINGS))
    whole = design("diabetes", 0)
    x = whole.x_test.astype(np.float64)
    for kind, closed in (("MADA", beta_ccp), ("IID", beta_ml2p)):
        for lam in (0.0, 0.5):
            intercept, beta = closed(whole.x_train, whole.y_train, lam)
            mine = rows[(rows["augmentation"] == kind) & (rows["lam"] == lam)].set_index("measure")["value"]
            assert mine["ML2P"] == pytest.approx((beta**2).sum(), rel=1e-4)
            ccp = ((x * beta).var(0)).sum() - (x @ beta).var()
            assert mine["CCP"] == pytest.approx(ccp, rel=1e-3)
            assert mine["MSE"] == pytest.approx(((intercept + x @ beta - whole.y_test) ** 2).mean(), rel=1e-4)
            assert mine["gap"] < 1e-4 and mine["epochs"] == 0
    assert rows.equals(pd.DataFrame(penalties("diabetes", 0, seed=4, lambdas=[0.0, 0.5], **SETTINGS)))


def test_a_cell_has_a_row_for_every_measure_lambda_and_class():
    lambdas = [0.0, 0.3, 0.6]
    rows = pd.DataFrame(penalties("breast-cancer", 1, seed=0, lambdas=lambdas, **SETTINGS))
    assert not rows.duplicated(["augmentation", "lam", "measure", "class"]).any()
    per_class = rows[rows["measure"].isin(["CCP", "ML2P", "gap"])]
    assert len(per_class) == 2 * 3 * 3 * 2 and set(per_class["class"]) == set(design("breast-cancer", 0).classes)
    assert len(rows) == len(per_class) + 2 * 3 * 2
    at_zero = rows[rows["lam"] == 0]
    mada, iid = (at_zero[at_zero["augmentation"] == kind]["value"].to_numpy() for kind in ("MADA", "IID"))
    assert np.array_equal(mada, iid)
    assert (rows.loc[rows["measure"] == "accuracy", "value"] > 0.8).all()
    assert rows.equals(pd.DataFrame(penalties("breast-cancer", 1, seed=0, lambdas=lambdas, **SETTINGS)))
    other = pd.DataFrame(penalties("breast-cancer", 1, seed=1, lambdas=lambdas, **SETTINGS))
    assert not np.allclose(rows["value"], other["value"])


def test_a_lambda_does_not_depend_on_the_others_trained_beside_it():
    many = pd.DataFrame(penalties("breast-cancer", 2, seed=0, lambdas=[0.0, 0.2, 0.5, 0.8], **SETTINGS))
    few = pd.DataFrame(penalties("breast-cancer", 2, seed=0, lambdas=[0.5], **SETTINGS))
    same = many[many["lam"] == 0.5].reset_index(drop=True)
    pd.testing.assert_frame_equal(same, few, rtol=1e-3)


def test_a_quarter_of_the_training_rows_is_held_out(monkeypatch):
    seen = {}

    def watch(model, x, y, *, validation, **rest):
        seen.update(train=x, held=validation[0])
        raise StopIteration

    monkeypatch.setattr("augury.penalties.networks.fit_replicas", watch)
    made = table(40, 3, ("a", "b"))
    for seed in (0, 1):
        with pytest.raises(StopIteration):
            train(MLP(3, 2, 1, [0]), made, [("MADA", 0.0)], seed, 1, 8, 0.1, 1, False)
        assert (len(seen["train"]), len(seen["held"])) == (30, 10)
        together = torch.cat([seen["train"], seen["held"]]).sort(0).values
        assert torch.equal(together, torch.from_numpy(made.x_train.copy()).sort(0).values)
        seen[seed] = seen["held"]
    assert not torch.equal(seen[0], seen[1])


def test_replicas_share_the_network_without_ablation():
    assert replicas([0.0, 0.5]) == [("MADA", 0.0), ("MADA", 0.5), ("IID", 0.5)]
    for bad in ([1.0], [-0.1], [0.5, 0.5]):
        with pytest.raises(ParameterError, match="lambda"):
            replicas(bad)


def test_cases_are_seeds_by_lambdas_and_errors_rise_where_accuracy_falls():
    rows = pd.DataFrame(
        {"dataset": "d", "hidden_layers": 2, "seed": s, "augmentation": "IID", "lam": lam, "class": "",
         "measure": "accuracy", "value": 1 - 0.1 * lam - 0.01 * s}
        for lam in (0.5, 0.0) for s in (0, 1, 2)
    )  # fmt: skip
    [(name, values)] = analysis.cases(rows, "error", "IID")
    assert name == "d, 2 hidden"
    np.testing.assert_allclose(values, [[0, 0.05], [0.01, 0.06], [0.02, 0.07]], atol=1e-12)
    assert not list(analysis.cases(rows, "error", "MADA"))
