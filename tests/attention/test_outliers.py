"""Kurtosis and infinity norms, as they run past."""

import math

import pytest
import torch
from scipy import stats
from torch import nn

from hopfield_theory.attention.outliers import OutlierMeter, kurtosis


def test_kurtosis_is_scipy_s():
    x = torch.randn(7, 5, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(kurtosis(x), torch.from_numpy(stats.kurtosis(x.numpy(), -1, fisher=False)))
    assert kurtosis(torch.zeros(0, 4)).shape == (0,)


def test_a_spike_has_the_largest_kurtosis_in_every_dtype():
    """One of D numbers unlike the others: (D² − 3D + 3)/(D − 1), whatever its size."""
    size = 768
    expected = (size * size - 3 * size + 3) / (size - 1)
    for dtype, spike in (
        (torch.float16, 60000.0),
        (torch.bfloat16, 1e30),
        (torch.float32, 1e30),
        (torch.float64, 1e200),
    ):
        x = torch.zeros(3, size, dtype=dtype)
        x[:, 5] = spike
        torch.testing.assert_close(kurtosis(x), torch.full((3,), expected, dtype=torch.float64))


def test_outliers_on_a_large_mean_do_not_cancel():
    x = 1000 + torch.randn(2, 1024, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x[:, 0] += 50
    half = x.half()
    torch.testing.assert_close(
        kurtosis(half), torch.from_numpy(stats.kurtosis(half.double().numpy(), -1, fisher=False))
    )


def test_constant_rows_say_nothing():
    assert kurtosis(torch.ones(2, 4)).isnan().all()
    model = nn.Sequential(nn.Linear(4, 4, bias=False))
    with OutlierMeter(model) as meter:
        model(torch.cat([torch.zeros(1, 4), torch.randn(2, 4, generator=torch.Generator().manual_seed(0))]))
    assert meter.layers["0"].rows == 2
    assert math.isfinite(meter.average_kurtosis)


def test_batches_add_up_to_what_all_of_them_give():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))
    batches = [torch.randn(size, 5, 8) for size in (3, 1, 4)]
    with OutlierMeter(model) as meter, torch.no_grad():
        for batch in batches:
            model(batch)
    outputs = [model[0](batch).double() for batch in batches]
    first = meter.layers["0"]
    expected = torch.cat([kurtosis(out).flatten() for out in outputs]).mean().item()
    assert first.average_kurtosis == pytest.approx(expected, rel=1e-12)
    norms = [out.abs().max().item() for out in outputs]
    assert first.maximum_infinity_norm == pytest.approx(sum(norms) / 3)
    assert first.largest == pytest.approx(max(norms))
    assert (first.rows, first.batches) == (40, 3)
    second = meter.layers["2"]
    assert meter.average_kurtosis == pytest.approx((first.average_kurtosis + second.average_kurtosis) / 2)
    assert meter.maximum_infinity_norm == max(first.maximum_infinity_norm, second.maximum_infinity_norm)


def test_a_moment_may_be_over_a_sample():
    model = nn.Sequential(nn.Linear(8, 16))
    x = torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(1))
    with OutlierMeter(model, per="sample") as meter:
        out = model(x)
    assert meter.layers["0"].rows == 3
    assert meter.average_kurtosis == pytest.approx(kurtosis(out.flatten(1)).mean().item())


def test_no_hook_and_no_activation_stays():
    model = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 4)))
    meter = OutlierMeter(model, lambda name, _: name == "1")
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"), meter:
        model(torch.randn(2, 3))
    with meter:
        model(torch.randn(2, 4))
    assert list(meter.layers) == ["1"]
    assert all(not module._forward_hooks for module in model.modules())
    model(torch.randn(2, 4))
    assert meter.layers["1"].batches == 1
    assert not any(isinstance(value, torch.Tensor) for value in vars(meter.layers["1"]).values())


def test_what_is_not_run_is_not_a_number():
    class Lazy(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.unused = nn.Linear(2, 2), nn.Linear(2, 2)

        def forward(self, x):
            return self.used(x)

    model = Lazy()
    with OutlierMeter(model) as meter:
        model(torch.randn(3, 2))
    assert math.isnan(meter.average_kurtosis)
    assert math.isnan(meter.maximum_infinity_norm)
    assert math.isfinite(meter.layers["used"].average_kurtosis)


def test_what_is_refused():
    with pytest.raises(ValueError, match="per is 'row'"):
        OutlierMeter(nn.Linear(2, 2), per="row")
    with pytest.raises(ValueError, match="nothing to measure"):
        OutlierMeter(nn.ReLU())


def test_the_published_definitions():
    torch.manual_seed(0)
    model = nn.ModuleDict({"fc2": nn.Linear(8, 8), "norm": nn.LayerNorm(8), "q": nn.Linear(8, 8)})
    batches = [torch.randn(size, 5, 8) for size in (3, 1)]
    with OutlierMeter(model, protocol="bondarenko") as meter, torch.no_grad():
        for batch in batches:
            model["norm"](model["fc2"](batch))
    assert set(meter.layers) == {"fc2", "norm"}
    samples = torch.cat([model["fc2"](batch) for batch in batches]).double().flatten(1).detach().numpy()
    centred = samples - samples.mean(1, keepdims=True)
    expected = ((centred**4).mean(1) / (samples.std(1, ddof=1) ** 4 + 1e-6)).mean()
    assert meter.layers["fc2"].average_kurtosis == pytest.approx(expected)
    # over samples: three in one batch count as three
    assert meter.layers["fc2"].maximum_infinity_norm == pytest.approx(abs(samples).max(1).mean())
    assert meter.largest_layer in meter.layers


def test_compiled_models_are_refused():
    model = nn.Sequential(nn.Linear(4, 4))
    for compiled in (torch.compile(model, backend="eager"), nn.Sequential(torch.compile(model, backend="eager"))):
        with pytest.raises(ValueError, match="is compiled"):
            OutlierMeter(compiled)
