"""softmax_n, lse_n and the sparse separations, against independent formulas and at the edges of the floats."""

import math
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hopfield_theory.model.separation import Entmax, SoftmaxN, log_noop, lse_n, softmax_n

DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
NOOPS = [0.0, 5e-324, 1e-300, 1e-8, 1.0, 1e8, 1e300]


def reference(scores: torch.Tensor, n: float) -> torch.Tensor:
    """The definition, in exact rational-like arithmetic: Python floats shifted by their own maximum."""
    log_n = math.log(n) if n else -math.inf
    top = max([log_n, *scores.tolist()])
    parts = [math.exp(z - top) for z in scores.tolist()]
    total = math.fsum([*parts, math.exp(log_n - top)])
    return torch.tensor([part / total for part in parts], dtype=torch.float64)


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=6), st.sampled_from(NOOPS))
def test_softmax_n_is_its_definition(scores, n):
    z = torch.tensor(scores, dtype=torch.float64)
    torch.testing.assert_close(softmax_n(z, n), reference(z, n), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", NOOPS)
@pytest.mark.parametrize(
    "row", [[1, 1, 1], [-1, -1, -1], [1, -1, 0], [-math.inf] * 3, [-math.inf, -1, 0], [0, 0, 0], [1, -math.inf, 1]]
)
def test_values_and_gradients_are_finite_at_the_edge_of_every_dtype(dtype, n, row):
    largest = torch.finfo(dtype).max
    scores = torch.tensor([z if math.isinf(z) else z * largest for z in row], dtype=dtype, requires_grad=True)
    weights = softmax_n(scores, n)
    value = lse_n(scores, n)
    assert weights.dtype == dtype
    assert torch.isfinite(weights).all()
    assert 0 <= weights.sum().item() <= 1 + 4 * torch.finfo(dtype).eps
    (gradient,) = torch.autograd.grad((weights * torch.tensor([1, 2, 3], dtype=dtype)).sum(), scores, retain_graph=True)
    assert torch.isfinite(gradient).all()
    assert not value.isnan()
    (slope,) = torch.autograd.grad(value, scores)
    torch.testing.assert_close(slope, weights.detach(), rtol=0, atol=2 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("n", [0.0, 1.0])
def test_a_row_without_scores_gives_zeros_and_zero_gradient(n):
    scores = torch.full((2, 4), -torch.inf, requires_grad=True)
    weights = softmax_n(scores, n)
    weights.backward(torch.randn(2, 4))
    assert (weights == 0).all()
    assert (scores.grad == 0).all()
    assert (lse_n(scores, n) == (0.0 if n else -math.inf)).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_n_zero_is_the_ordinary_softmax(dtype):
    scores = 8 * torch.randn(16, 33, generator=torch.Generator().manual_seed(0)).to(dtype)
    eps = torch.finfo(dtype).eps
    torch.testing.assert_close(softmax_n(scores, 0.0), torch.softmax(scores, -1), rtol=4 * eps, atol=eps)
    torch.testing.assert_close(lse_n(scores, 0.0), torch.logsumexp(scores, -1), rtol=4 * eps, atol=eps)


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_first_and_second_derivatives(dim):
    generator = torch.Generator().manual_seed(1)
    scores = torch.randn(3, 4, dtype=torch.float64, generator=generator, requires_grad=True)
    shape = [3, 4]
    shape[dim] = 1
    log_n = torch.randn(shape, dtype=torch.float64, generator=generator, requires_grad=True)
    for function in (softmax_n, lse_n):
        assert torch.autograd.gradcheck(lambda z, a: function(z, dim=dim, log_n=a), (scores, log_n))  # noqa: B023
        assert torch.autograd.gradgradcheck(lambda z, a: function(z, dim=dim, log_n=a), (scores, log_n))  # noqa: B023


def test_tensor_n_broadcasts_with_length_one_along_dim():
    scores = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(2))
    n = torch.tensor([0.0, 1.0, 7.0]).view(3, 1)
    together = softmax_n(scores, n)
    for row, mass in enumerate([0.0, 1.0, 7.0]):
        torch.testing.assert_close(together[:, row], softmax_n(scores[:, row], mass))
    for wrong in (torch.ones(5), torch.ones(4, 1)):
        with pytest.raises(ValueError, match="n has shape"):
            softmax_n(scores, wrong)


def test_no_patterns_leave_the_noop_slot_alone():
    empty = torch.zeros(2, 0)
    assert softmax_n(empty).shape == (2, 0)
    torch.testing.assert_close(lse_n(empty, 3.0), torch.full((2,), math.log(3.0)))
    assert (lse_n(empty, 0.0) == -math.inf).all()


@pytest.mark.parametrize("n", [-1.0, math.inf, math.nan])
def test_bad_noop_is_refused_by_name(n):
    with pytest.raises(ValueError, match="n is"):
        softmax_n(torch.zeros(2), n)
    with pytest.raises(ValueError, match="noop is"):
        SoftmaxN(n)


def test_bad_types_are_refused():
    with pytest.raises(TypeError, match="log_n"):
        softmax_n(torch.zeros(2), torch.ones(1, requires_grad=True))
    with pytest.raises(ValueError, match="log_n is"):
        softmax_n(torch.zeros(2), log_n=math.inf)
    with pytest.raises(TypeError, match="scores"):
        softmax_n(torch.zeros(2, dtype=torch.int64))
    with pytest.raises(TypeError, match="noop"):
        SoftmaxN("1")  # pyright: ignore
    for alpha in (1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match=r"^alpha is"):
            Entmax(alpha)
    for wrong in (True, "2", None):
        with pytest.raises(TypeError, match=f"^noop is {wrong!r}: it must be a number"):
            SoftmaxN(wrong)
        with pytest.raises(TypeError, match=f"^alpha is {wrong!r}: it must be a number"):
            Entmax(wrong)


def test_the_noop_mass_is_one_unless_given():
    assert SoftmaxN() == SoftmaxN(1.0) != SoftmaxN(2.0)
    scores = torch.zeros(2)
    assert torch.equal(softmax_n(scores), softmax_n(scores, 1.0))
    assert torch.equal(lse_n(scores), lse_n(scores, 1.0))


def test_shapes_that_do_not_fit_are_told():
    with pytest.raises(ValueError, match=r"^n has shape \(2, 3\): it must broadcast to \(2, 1\), .* along dim=-1$"):
        softmax_n(torch.zeros(2, 3), torch.ones(2, 3))
    with pytest.raises(ValueError, match=r"^n has shape \(5,\): it must broadcast to \(1, 3\), .* along dim=0$"):
        lse_n(torch.zeros(2, 3), torch.ones(5), dim=0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_tensor_of_masses_is_taken_to_its_logarithm_in_float32_at_least(dtype):
    n = torch.tensor([0.0, 1.0, 3.0], dtype=dtype)
    log_n = log_noop(n)
    assert log_n.dtype == torch.promote_types(dtype, torch.float32)
    assert torch.equal(log_n, n.to(log_n.dtype).log())
    assert log_noop(None, -2.0) == -2.0
    assert log_noop(None, -math.inf) == -math.inf
    assert log_noop(None) == 0.0


@pytest.mark.parametrize("function", [softmax_n, lse_n])
def test_a_mass_is_one_number_or_tensor_given_once(function):
    scores = torch.zeros(3)
    for n, log_n in ((5.0, 0.0), (torch.ones(1), 0.0), (1.0, torch.zeros(1))):
        with pytest.raises(ValueError, match="one must be None"):
            function(scores, n, log_n=log_n)
    for mass in ({"n": "a"}, {"log_n": "a"}, {"n": [1.0]}):
        [name] = mass
        with pytest.raises(TypeError, match=f"^{name} is .*: it must be a number or a tensor"):
            function(scores, **mass)


def test_everything_happens_on_the_device_of_the_scores():
    scores = torch.zeros(2, 3, device="meta")
    for n in (0.0, 2.0, torch.ones(2, 1)):
        assert softmax_n(scores, n).device == scores.device
        assert lse_n(scores, n).device == scores.device


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("separation", [SoftmaxN(1.0), Entmax(1.3), Entmax(1.5), Entmax(2.0)])
def test_half_types_are_the_rounded_float32(dtype, separation):
    scores = 3 * torch.randn(5, 9, generator=torch.Generator().manual_seed(7)).to(dtype)
    for method in (separation.weights, separation.conjugate):
        assert method(scores).dtype == dtype
        assert torch.equal(method(scores), method(scores.float()).to(dtype))


def test_curvature_off_the_support_is_zero_at_every_alpha():
    weights = torch.tensor([[0.75, 0.25, 0.0]], dtype=torch.float64)
    for alpha in (1.5, 2.0, 3.0):
        s, c = Entmax(alpha).curvature(weights)
        torch.testing.assert_close(s[0, :2], weights[0, :2] ** (2 - alpha))
        assert s[0, 2] == 0
        assert torch.equal(c, s.sum(-1, keepdim=True))
    s, c = SoftmaxN(2.0).curvature(weights)
    assert s is weights
    assert torch.equal(c, torch.ones(1, 1, dtype=torch.float64))


@pytest.mark.parametrize("separation", [SoftmaxN(0), SoftmaxN(3), Entmax(1.3), Entmax(1.5), Entmax(2), Entmax(3)])
def test_weights_and_curvature_are_derivatives_of_the_conjugate(separation):
    generator = torch.Generator().manual_seed(3)
    for _ in range(5):
        scores = 2 * torch.randn(6, dtype=torch.float64, generator=generator)
        weights = torch.autograd.functional.jacobian(separation.conjugate, scores)
        torch.testing.assert_close(weights, separation.weights(scores), rtol=1e-9, atol=1e-12)
        s, c = separation.curvature(separation.weights(scores))
        jacobian = torch.autograd.functional.jacobian(separation.weights, scores)
        torch.testing.assert_close(jacobian, torch.diag(s) - torch.outer(s, s) / c, rtol=1e-9, atol=1e-12)


@given(st.lists(st.floats(-20, 20), min_size=2, max_size=6), st.sampled_from([1.2, 1.5, 2.0, 4.0]), st.data())
def test_entmax_maximises_its_own_objective(scores, alpha, data):
    """Fenchel–Young: Ψ*(z) ≥ ⟨q, z⟩ − Ψ(q) for every point q of the simplex, not only near the maximiser."""
    z = torch.tensor(scores, dtype=torch.float64)
    mass = data.draw(st.lists(st.floats(0, 1), min_size=len(scores), max_size=len(scores)).filter(lambda m: sum(m) > 0))
    q = torch.tensor(mass, dtype=torch.float64) / math.fsum(mass)
    value = (q * z).sum() - (q**alpha - q).sum() / (alpha * (alpha - 1))
    assert Entmax(alpha).conjugate(z) >= value - 1e-10 * (1 + z.abs().max())


@pytest.mark.parametrize("alpha", [1.25, 1.5, 2.0, 3.0])
def test_entmax_margin_is_where_one_pattern_takes_all(alpha):
    margin = Entmax(alpha).margin
    above = Entmax(alpha).weights(torch.tensor([margin * (1 + 1e-6), 0.0], dtype=torch.float64))
    below = Entmax(alpha).weights(torch.tensor([margin * (1 - 1e-2), 0.0], dtype=torch.float64))
    torch.testing.assert_close(above, torch.tensor([1.0, 0.0], dtype=torch.float64), rtol=0, atol=1e-12)
    assert below[1] > 0


@pytest.mark.parametrize("alpha", [1.2, 1.5, 2.0, 3.0])
def test_entmax_of_large_and_of_no_scores(alpha):
    weights = Entmax(alpha).weights
    assert weights(torch.tensor([1.6e8, 1.4e8])).tolist() == [1.0, 0.0]
    assert weights(torch.tensor([2.5e7, -math.inf, 1.0])).tolist() == [1.0, 0.0, 0.0]
    assert weights(torch.full((2, 3), -math.inf)).tolist() == [[0.0] * 3] * 2
    assert Entmax(alpha).conjugate(torch.full((3,), -math.inf)) == -math.inf
    x = torch.randn(3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    # a common shift changes nothing
    torch.testing.assert_close(weights(x + 1e6), weights(x), rtol=0, atol=1e-8)


@pytest.mark.parametrize("alpha", [1.01, 1.25, 1.5, 2.0, 3.0, 50.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_entmax_at_the_ends_of_the_floats(alpha, dtype):
    top = torch.finfo(dtype).max
    for large in (1e30, top):
        rows = [[large, 0, -large], [large, large, -large], [-large, -math.inf, -large], [-math.inf, large, -math.inf]]
        z = torch.tensor([*rows, [-math.inf] * 3], dtype=dtype, requires_grad=True)
        found = Entmax(alpha).weights(z)
        expected = [[1, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 1, 0], [0, 0, 0]]
        torch.testing.assert_close(found, torch.tensor(expected, dtype=dtype), rtol=0, atol=1e-6)
        (found @ torch.arange(3, dtype=dtype)).sum().backward()
        assert z.grad.isfinite().all()
        values = Entmax(alpha).conjugate(z)
        torch.testing.assert_close(values[:4], torch.tensor([large, large, -large, large], dtype=dtype))
        assert values[4] == -math.inf


@pytest.mark.parametrize("alpha", [1.25, 1.5, 2.0, 3.0])
def test_the_gradient_of_the_conjugate_is_the_weights_where_scores_are_ruled_out_too(alpha):
    z = torch.tensor([[0.3, -math.inf, 0.1], [5.0, 4.9, -9.0]], dtype=torch.float64, requires_grad=True)
    [slope] = torch.autograd.grad(Entmax(alpha).conjugate(z).sum(), z)
    torch.testing.assert_close(slope, Entmax(alpha).weights(z.detach()), rtol=0, atol=1e-9)
    assert Entmax(alpha).conjugate(torch.zeros(2, 0)).tolist() == [-math.inf, -math.inf]


@pytest.mark.parametrize("alpha", [1.25, 1.5, 2.0])
def test_entmax_of_what_is_no_score_is_nan_and_the_other_rows_are_right(alpha):
    found = Entmax(alpha).weights(torch.tensor([[math.nan, 0.0], [math.inf, 0.0], [9.0, 0.0]]))
    assert found[:2].isnan().all()
    assert found[2].tolist() == [1.0, 0.0]


def test_numbers_of_numpy_are_taken():
    assert SoftmaxN(np.int64(2)) == SoftmaxN(2.0)
    assert Entmax(np.float32(1.5)) == Entmax(1.5)


def test_the_library_does_not_need_entmax_until_it_is_asked(monkeypatch):
    monkeypatch.setitem(sys.modules, "entmax", None)
    separation = Entmax(2.0)
    with pytest.raises(ImportError, match="entmax"):
        separation.weights(torch.ones(2))


@pytest.mark.parametrize("dim", [2, -3, 5])
def test_an_axis_that_is_not_there_is_refused(dim):
    for function in (softmax_n, lse_n):
        with pytest.raises(ValueError, match=f"dim is {dim}: it must be in"):
            function(torch.zeros(3, 4), dim=dim)


def test_alpha_is_kept_as_a_float():
    assert isinstance(Entmax(2).alpha, float)
