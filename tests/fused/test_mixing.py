"""The kernel of accelerated trial states against the plain formula, in Triton's interpreter."""

import pytest
import torch

from hopfield_theory.model import fixed_point

if torch.cuda.is_available():
    pytest.skip("kernels run on the card here: tests/gpu", allow_module_level=True)
mixing = pytest.importorskip("hopfield_theory.fused.kernels.mixing", reason="Triton is not installed")


@pytest.mark.parametrize(("width", "dtype"), [(3, torch.float64), (20, torch.float32)])
def test_trial_states_are_the_plain_formula_s(width, dtype):
    generator = torch.Generator().manual_seed(width)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    number, window = 12, 8
    dx, residual = normal(number, window, width), normal(number).abs()
    # a linear map, contracting for most rows: Anderson mixing, relaxed and plain steps all occur
    df = (torch.linspace(-1.5, 0.2, number).view(-1, 1, 1) * dx + 0.2 * normal(number, window, width)).to(dtype)
    rows = {
        "x": normal(number, width), "new": normal(number, width), "f": normal(number, width), "dx": dx, "df": df,
        "depth": torch.arange(number) % (window + 1), "previous": (0.8 + normal(number).abs()).to(dtype),
        "was_plain": torch.arange(number) % 3 > 0,
    }  # fmt: skip
    trial, sure = mixing.trial_states(rows, residual, fixed_point._TRUST, fixed_point._RELAXATION)
    expected, expected_sure = fixed_point._trial(rows, residual)
    assert torch.equal(sure, expected_sure)
    assert 0 < sure.sum() < number
    close = 1e-9 if dtype == torch.float64 else 2e-3
    torch.testing.assert_close(trial, expected, rtol=close, atol=close)


def test_other_states_are_left_to_the_formula():
    assert all(map(mixing.takes, (torch.ones(2, 128), torch.ones(1, 1).double())))
    assert not any(map(mixing.takes, (torch.ones(2, 129), torch.ones(0, 3), torch.ones(2, 3).half())))
