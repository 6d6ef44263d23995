"""Fused attention against the plain formula in float64, on both backends, and every guard of PyTorch's operator."""

import math
from contextlib import contextmanager

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from hopfield_theory.fused import chunked, cpu
from hopfield_theory.fused.attention import attend_at_once, fused_attention
from hopfield_theory.model.separation import lse_n, softmax_n


def plain(query, key, value, log_n, beta, mask=None, is_causal=False):
    scores = beta * (query @ key.mT)
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else scores + mask
    if is_causal:
        scores = scores.masked_fill(~torch.ones(scores.shape[-2:], dtype=torch.bool).tril(), -math.inf)
    return softmax_n(scores, log_n=log_n) @ value, lse_n(scores, log_n=log_n)


@contextmanager
def path(name: str, block: int = 64):
    """Force one of the two backends; small blocks, so that many merge."""
    with pytest.MonkeyPatch.context() as patch:
        if name == "chunked":
            patch.setattr(cpu, "applies", lambda *_: False)
        patch.setattr(chunked, "_BLOCK", {"cpu": block})
        yield


@st.composite
def problems(draw):
    """Shapes, a mask and a no-op mass; the numbers come from the seed, so that shrinking works on the shapes."""
    lead = draw(st.lists(st.integers(1, 3), max_size=3))
    length, keys = draw(st.integers(1, 12)), draw(st.integers(1, 40))
    width = draw(st.integers(1, 5))
    value_width = draw(st.sampled_from([width, width + 1]))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))

    def normal(*shape):
        return torch.randn(*shape, dtype=torch.float64, generator=generator).requires_grad_()

    query = normal(*lead, length, width)
    key = normal(*(lead if draw(st.booleans()) else []), keys, width)
    value = normal(*lead[-1:], keys, value_width)
    kind = draw(st.sampled_from(["none", "boolean", "additive", "rows", "keys"]))
    uniform = torch.rand(length, keys, generator=generator)
    mask = {
        "none": None,
        "boolean": uniform > 0.4,
        "additive": torch.where(uniform > 0.7, -math.inf, uniform),
        "rows": uniform[:, :1] > 0.5,
        "keys": uniform[:1] > 0.3,
    }[kind]
    log_n = draw(st.sampled_from([-math.inf, -300.0, 0.0, 2.5, 300.0, "learnt"]))
    if log_n == "learnt":
        log_n = normal(*lead[-1:], 1, 1)
    return query, key, value, log_n, draw(st.sampled_from([0.3, 1.0, 40.0])), mask, draw(st.booleans()), generator


@pytest.mark.parametrize("name", ["flash", "chunked"])
@settings(max_examples=150)
@given(problem=problems())
def test_both_paths_are_the_plain_formula_and_its_gradient(name, problem):
    query, key, value, log_n, beta, mask, is_causal, generator = problem
    with path(name):
        out, lse = fused_attention(
            query, key, value, log_n=log_n, beta=beta, mask=mask, is_causal=is_causal, return_lse=True
        )
        expected, expected_lse = plain(query, key, value, log_n, beta, mask, is_causal)
        # a score carries E + 2 roundings of its size, which the exponential turns into relative error of a weight
        scale = 1 + beta * (query.detach().norm(dim=-1).max() * key.detach().norm(dim=-1).max()).item()
        atol = 64 * torch.finfo(torch.float64).eps * scale * (1 + value.detach().abs().max().item())
        torch.testing.assert_close(out, expected, rtol=0, atol=atol)
        finite = torch.isfinite(expected_lse)
        torch.testing.assert_close(lse[finite], expected_lse[finite], rtol=1e-13, atol=atol)
        assert torch.equal(lse[~finite], expected_lse[~finite])
        learnt = [t for t in (query, key, value, log_n) if isinstance(t, torch.Tensor)]
        weight, weight_lse = (torch.randn(t.shape, dtype=t.dtype, generator=generator) for t in (out, lse))
        for use_lse in (0.0, 1.0):
            grads, expected_grads = (
                torch.autograd.grad(
                    (o * weight).sum() + use_lse * (torch.where(finite, z, 0.0) * weight_lse).sum(),
                    learnt,
                    retain_graph=True,
                )
                for o, z in ((out, lse), (expected, expected_lse))
            )
            size = 1 + max(g.abs().max().item() for g in expected_grads)
            for got, wanted in zip(grads, expected_grads, strict=True):
                torch.testing.assert_close(got, wanted, rtol=0, atol=16 * atol * (1 + beta) * size)


@pytest.mark.parametrize("name", ["flash", "chunked"])
def test_gradcheck(name):
    generator = torch.Generator().manual_seed(0)
    query, key, value = (
        torch.randn(1, 2, length, 3, dtype=torch.float64, generator=generator).requires_grad_() for length in (4, 7, 7)
    )
    log_n = torch.randn(2, 1, 1, dtype=torch.float64, generator=generator).requires_grad_()
    with path(name, 8):
        assert torch.autograd.gradcheck(
            lambda q, k, v, a: fused_attention(q, k, v, log_n=a, beta=0.7, return_lse=True), (query, key, value, log_n)
        )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("name", ["flash", "chunked"])
def test_narrow_dtypes_agree_to_their_rounding(dtype, name):
    generator = torch.Generator().manual_seed(1)
    query, key, value = (torch.randn(2, 3, 20, 8, generator=generator).to(dtype).requires_grad_() for _ in range(3))
    wide = [t.detach().double().requires_grad_() for t in (query, key, value)]
    with path(name):
        out, lse = fused_attention(query, key, value, beta=0.5, return_lse=True)
        out.sum().backward()
    expected, _ = plain(*wide, 0.0, 0.5)
    expected.sum().backward()
    assert (out.dtype, lse.dtype) == (dtype, torch.float32)
    # the half types round the scores of the backward pass too: a few units of the largest number met
    tolerance = 32 * torch.finfo(dtype).eps
    torch.testing.assert_close(out.double(), expected, rtol=0, atol=tolerance)
    for narrow, reference in zip((query, key, value), wide, strict=True):
        size = 1 + reference.grad.abs().max().item()
        torch.testing.assert_close(narrow.grad.double(), reference.grad, rtol=0, atol=tolerance * size)


@pytest.mark.parametrize(("length", "keys"), [(0, 3), (3, 0), (0, 0)])
def test_empty_axes(length, keys):
    query = torch.randn(2, length, 4, requires_grad=True)
    key = torch.randn(2, keys, 4, requires_grad=True)
    log_n = torch.zeros(2, 1, 1, requires_grad=True)
    out, lse = fused_attention(query, key, key, log_n=log_n, return_lse=True)
    (out.sum() + lse.sum()).backward()
    assert out.shape == (2, length, 4)
    assert (out == 0).all()
    assert (lse == 0).all()
    assert all((t.grad == 0).all() for t in (query, key))
    assert torch.equal(log_n.grad, torch.full((2, 1, 1), float(length)))


def test_strides_other_than_one_are_copied_not_misread():
    generator = torch.Generator().manual_seed(2)
    base = torch.randn(3, 8, 20, generator=generator)
    query, key = base.mT[..., :8, :], base.mT
    torch.testing.assert_close(
        fused_attention(query, key, key), fused_attention(query.clone(), key.clone(), key.clone())
    )
    every_other = torch.randn(3, 20, 16, generator=generator)[..., ::2]
    torch.testing.assert_close(fused_attention(*[every_other] * 3), fused_attention(*[every_other.clone()] * 3))
    rows_apart = torch.randn(3, 20, 16, generator=generator)[..., :8]
    assert cpu._unit_stride(rows_apart) is rows_apart
    dense = torch.randn(2, 6, 4, generator=generator).requires_grad_()
    out = fused_attention(dense, dense, dense)
    out.backward(torch.ones(4).expand(2, 6, 4))
    expected = dense.detach().clone().requires_grad_()
    fused_attention(expected, expected, expected).backward(torch.ones(2, 6, 4))
    torch.testing.assert_close(dense.grad, expected.grad)


@pytest.mark.parametrize("n", [0.0, 1.0, 7.0])
def test_few_keys_are_answered_at_once(n):
    generator = torch.Generator().manual_seed(4)
    # heads as models lay them out: rows apart
    query, key, value = torch.randn(3, 2, 6, 3, 4, dtype=torch.float64, generator=generator).transpose(2, 3)
    for is_causal in (False, True):
        found = attend_at_once(query, key, value, n, 0.3, is_causal)
        expected, _ = plain(query, key, value, math.log(n) if n else -math.inf, 0.3, is_causal=is_causal)
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("n", [torch.ones(()), -1.0, math.nan, math.inf])
def test_few_keys_leave_other_masses_to_the_others(n):
    x = torch.ones(1, 1, 2, 4)
    assert attend_at_once(x, x, x, n, None, False) is None


def test_few_keys_leave_the_rest_to_the_others():
    x = torch.ones(1, 1, 2, 4)
    assert attend_at_once(x, x, x, None, None, True) is not None
    for scale in (torch.ones(()), 0.0, -1.0, math.nan, math.inf):
        assert attend_at_once(x, x, x, None, scale, False) is None
    many, apart, twice, none = torch.ones(1, 1, 1024, 4), torch.ones(1, 1, 4, 2).mT, x.double(), x[..., :0, :]
    for arguments in (
        (x[0], x[0], x[0]), (x, many, many), (x, apart, apart), (x, twice, twice), (x, none, none), (none, x, x),
        (x, x, x[..., :2]), (x, x[..., :2], x[..., :2]), (x, x.expand(2, -1, -1, -1), x), (x.int(), x.int(), x.int()),
        (x.clone().requires_grad_(), x, x), (x.to("meta"),) * 3,
    ):  # fmt: skip
        assert attend_at_once(*arguments, None, None, False) is None
    assert attend_at_once(x, x[..., :1, :], x[..., :1, :], None, None, True) is None
    with torch.autocast("cpu"):
        assert attend_at_once(x, x, x, None, None, False) is None


def test_few_queries_share_out_the_keys(monkeypatch):
    shared, split = [], cpu._flash_split
    monkeypatch.setattr(cpu, "_flash_split", lambda q, *rest: shared.append(q.shape[2]) or split(q, *rest))
    monkeypatch.setattr(cpu, "_threads", lambda: 2)
    generator = torch.Generator().manual_seed(3)
    key = torch.randn(1024, 5, dtype=torch.float64, generator=generator)
    seen = torch.ones(1024, dtype=torch.bool)
    for count in (1, 2, 32, 33):
        query = torch.randn(count, 5, dtype=torch.float64, generator=generator)
        out, lse = fused_attention(query, key, key, n=3.0, return_lse=True)
        expected, expected_lse = plain(query, key, key, math.log(3.0), 1.0)
        torch.testing.assert_close(out, expected)
        torch.testing.assert_close(lse, expected_lse)
        # fewer keys, a mask or more heads leave the threads something else to share
        fused_attention(query, key[:-1], key[:-1])
        fused_attention(query, key, key, mask=seen)
        fused_attention(query.expand(2, -1, -1), key, key)
    assert shared == [1, 2, 32]
    torch.testing.assert_close(fused_attention(query[:1], key[:1], key[:1], 0.0), key[:1])


@pytest.mark.parametrize("parts", [1, 4, 7, 30])
def test_keys_are_shared_out_with_any_remainder(parts):
    generator = torch.Generator().manual_seed(9)
    query, key = (torch.randn(1, 1, count, 5, dtype=torch.float64, generator=generator) for count in (3, 29))
    out, lse = cpu._flash_split(query, key, key + 1, 0.7, parts)
    expected, expected_lse = plain(query, key, key + 1, -math.inf, 0.7)
    torch.testing.assert_close(out, expected)
    torch.testing.assert_close(lse, expected_lse)


def test_the_flash_backward_pass_is_for_as_many_heads_as_threads(monkeypatch):
    calls = []
    original = cpu._flash_backward
    monkeypatch.setattr(cpu, "_flash_backward", lambda *a, **k: calls.append(a[1].shape[:2]) or original(*a, **k))
    monkeypatch.setattr(cpu, "_threads", lambda: 4)
    for lead in ((2, 1), (1, 3), (2, 2), (5, 1)):
        query = torch.randn(*lead, 6, 3, requires_grad=True, generator=torch.Generator().manual_seed(10))
        fused_attention(query, query, query).sum().backward()
    assert calls == [(2, 2), (5, 1)]


def test_vmap_and_function_transforms():
    generator = torch.Generator().manual_seed(4)
    query, key, value = (torch.randn(4, 5, 3, dtype=torch.float64, generator=generator) for _ in range(3))
    expected, _ = plain(query, key, value, 0.0, 1.0)
    torch.testing.assert_close(torch.vmap(fused_attention)(query, key, value), expected)
    shared = torch.vmap(fused_attention, in_dims=(0, None, None))(query, key[0], value[0])
    torch.testing.assert_close(shared, plain(query, key[0], value[0], 0.0, 1.0)[0])
    jacobian = torch.func.jacrev(lambda q: fused_attention(q, key, value))(query)
    reference = torch.autograd.functional.jacobian(lambda q: plain(q, key, value, 0.0, 1.0)[0], query)
    torch.testing.assert_close(jacobian, reference)


def test_gradients_of_many_masks_at_once():
    generator = torch.Generator().manual_seed(4)
    query, key, value = (torch.randn(5, 3, dtype=torch.float64, generator=generator) for _ in range(3))
    masks = torch.randn(4, 5, 5, dtype=torch.float64, generator=generator)

    def loss(attention):
        return lambda query, mask: attention(query, mask).square().sum()

    fused = loss(lambda query, mask: fused_attention(query, key, value, mask=mask))
    formula = loss(lambda query, mask: plain(query, key, value, 0.0, 1.0, mask)[0])
    for learnt in (0, 1, (0, 1)):
        found, right = (torch.vmap(torch.func.grad(f, learnt), (None, 0))(query, masks) for f in (fused, formula))
        torch.testing.assert_close(found, right)


@pytest.mark.parametrize("alone", range(5))
def test_what_learns_alone_has_its_gradient(alone):
    generator = torch.Generator().manual_seed(0)
    shapes = (4, 3), (5, 3), (5, 3), (), (4, 5)
    given = [torch.randn(shape, dtype=torch.float64, generator=generator) for shape in shapes]
    given[alone].requires_grad_()
    query, key, value, log_n, mask = given
    (found,) = torch.autograd.grad(fused_attention(query, key, value, log_n=log_n, mask=mask).sum(), given[alone])
    (right,) = torch.autograd.grad(plain(query, key, value, log_n, 1.0, mask)[0].sum(), given[alone])
    torch.testing.assert_close(found, right)


def test_everything_happens_on_the_device_of_the_queries():
    query, key = (torch.zeros(count, 4, device="meta", requires_grad=True) for count in (3, 5))
    out, lse = fused_attention(query, key, key, 2.0, is_causal=True, return_lse=True)
    (out.sum() + lse.sum()).backward()
    assert {t.device.type for t in (out, lse, query.grad, key.grad)} == {"meta"}


def test_second_derivatives_raise():
    query = torch.randn(2, 3, requires_grad=True)
    (first,) = torch.autograd.grad(fused_attention(query, query, query).sum(), query, create_graph=True)
    with pytest.raises(NotImplementedError, match=r"^the fused attention has first derivatives only: .* @ v$"):
        first.sum().backward()


@pytest.mark.slow
@pytest.mark.xdist_group("trained")
@pytest.mark.parametrize("name", ["flash", "chunked"])
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # raised inside dynamo
def test_compiles_into_one_graph(name):
    compiled = torch.compile(fused_attention, fullgraph=True, backend="aot_eager")
    with path(name):
        for length in (5, 9):
            query = torch.randn(2, length, 4, dtype=torch.float64, requires_grad=True)
            out = compiled(query, query, query)
            out.sum().backward()
            torch.testing.assert_close(out, fused_attention(query, query, query))
            assert torch.isfinite(query.grad).all()


class LargestResult(TorchDispatchMode):
    """Records the most numbers that any operation returned."""

    largest = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else (result,):
            if isinstance(tensor, torch.Tensor) and tensor._base is None:
                self.largest = max(self.largest, tensor.numel())
        return result


@pytest.mark.parametrize("name", ["flash", "chunked"])
def test_no_tensor_of_queries_times_keys_is_ever_made(name):
    query = torch.randn(512, 8, requires_grad=True)
    key = torch.randn(4096, 8, requires_grad=True)
    with path(name, 1 << 14), LargestResult() as watched:
        fused_attention(query, key, key).sum().backward()
    assert watched.largest == key.numel()


def test_blocks_hold_no_more_scores_than_they_may():
    with path("chunked", 64):
        # 64 // 6 = 10 scores for each of the leading 2 × 3: 3 rows and 3 columns
        assert chunked._block_sizes(torch.zeros(2, 3, 12, 5), torch.zeros(2, 3, 40, 5)) == (3, 3)
        assert chunked._block_sizes(torch.zeros(2, 3, 2, 5), torch.zeros(2, 3, 40, 5)) == (2, 5)
        assert chunked._block_sizes(torch.zeros(1, 1, 12, 5), torch.zeros(1, 1, 40, 5)) == (8, 8)
        # at least one of each, whatever the leading shape
        assert chunked._block_sizes(torch.zeros(10, 10, 0, 5), torch.zeros(10, 10, 0, 5)) == (1, 1)
        assert chunked._block_sizes(torch.zeros(0, 3, 12, 5), torch.zeros(0, 3, 40, 5)) == (8, 8)
    assert [(b.start, b.stop) for b in chunked._blocks(7, 3)] == [(0, 3), (3, 6), (6, 7)]
    assert chunked._blocks(0, 3) == []


@pytest.mark.parametrize("name", ["flash", "chunked"])
def test_products_that_leave_float16_are_formed_in_float32(name):
    generator = torch.Generator().manual_seed(6)
    query, key = (torch.randn(1, 1, 4, 3, generator=generator).half().requires_grad_() for _ in range(2))
    value = torch.full((1, 1, 4, 3), 300.0, dtype=torch.float16)
    log_n = torch.zeros(1, 1, 1, 1, requires_grad=True)
    with path(name):
        # 300 · 300 · 3 is beyond the largest float16
        fused_attention(query, key, value, log_n=log_n).backward(torch.full_like(value, 300.0))
    p0 = 1 - plain(query.double(), key.double(), torch.ones(1, 1, 4, 1).double(), 0.0, 1.0)[0]
    torch.testing.assert_close(
        log_n.grad.double(), -(p0 * (1 - p0)).sum().reshape(1, 1, 1, 1) * 27e4, rtol=4e-3, atol=0
    )
    assert torch.isfinite(query.grad).all()


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"query": torch.zeros(3)}, ValueError, "query has shape"),
        (
            {"query": torch.zeros(2, 5)},
            ValueError,
            r"do not fit: they must be \(\.\.\., L, E\), \(\.\.\., S, E\) and \(\.\.\., S, V\)$",
        ),
        ({"value": torch.zeros(2, 4)}, ValueError, "do not fit"),
        ({"key": torch.zeros(3, 4, dtype=torch.float64)}, TypeError, "key is torch.float64"),
        ({"query": torch.zeros(2, 4, dtype=torch.int64)}, TypeError, "query is torch.int64"),
        ({"beta": math.inf}, ValueError, "beta is inf"),
        ({"beta": -math.inf}, ValueError, "beta is -inf"),
        ({"n": -1.0}, ValueError, "n is -1"),
        (
            {"n": torch.ones(2, 3)},
            ValueError,
            r"^n of shape \(2, 3\) and mask of shape None must broadcast to \(2, 1\) and \(2, 3\)$",
        ),
        (
            {"mask": torch.ones(5, dtype=torch.bool)},
            ValueError,
            r"^n of shape .* and mask of shape \(5,\) must broadcast to \(2, 1\) and \(2, 3\)$",
        ),
        ({"mask": torch.ones(3, dtype=torch.int64)}, TypeError, "mask is torch.int64"),
        ({"query": torch.zeros(2, 2, 4), "key": torch.zeros(3, 3, 4)}, ValueError, "leading shapes"),
    ],
)
def test_bad_input_is_refused_by_name(change, error, match):
    arguments = {"query": torch.zeros(2, 4), "key": torch.zeros(3, 4), "value": torch.zeros(3, 4)} | change
    with pytest.raises(error, match=match):
        fused_attention(**arguments)


@pytest.mark.parametrize(("heads", "length", "keys"), [(5, 3, 5), (5, 5, 3), (3, 3, 5), (3, 5, 3), (4, 4, 4)])
def test_a_causal_mask_counts_from_the_first_key(heads, length, keys):
    generator = torch.Generator().manual_seed(11)
    query, key = (torch.randn(1, heads, n, 2, dtype=torch.float64, generator=generator) for n in (length, keys))
    out, lse = fused_attention(query, key, key, is_causal=True, return_lse=True)
    expected, expected_lse = plain(query, key, key, 0.0, 1.0, is_causal=True)
    torch.testing.assert_close(out, expected)
    torch.testing.assert_close(lse, expected_lse)
    assert cpu.applies(query, key, key, None, 1.0, True) == (length == keys)


def test_beta_zero_under_a_causal_mask():
    query, key, value = (torch.randn(3, 4, requires_grad=True) for _ in range(3))
    out = fused_attention(query, key, value, beta=0.0, is_causal=True)
    torch.testing.assert_close(out, plain(query, key, value, 0.0, 0.0, None, True)[0])
    out.sum().backward()
    assert torch.isfinite(query.grad).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_mask_is_not_rounded_to_the_dtype_of_the_query(dtype):
    generator = torch.Generator().manual_seed(5)
    tensors = [torch.randn(2, 6, 4, generator=generator).to(dtype).requires_grad_() for _ in range(3)]
    mask = -300 - torch.rand(6, 6, generator=generator)
    expected, _ = plain(*(t.double() for t in tensors), -math.inf, 1.0, mask.double())
    got = fused_attention(*tensors, 0.0, mask=mask)
    close = {"rtol": 0, "atol": 16 * torch.finfo(dtype).eps}
    torch.testing.assert_close(got.double(), expected, **close)
    right = torch.autograd.grad(expected.square().sum(), tensors)
    for found, gradient in zip(torch.autograd.grad(got.square().sum(), tensors), right, strict=True):
        torch.testing.assert_close(found, gradient, rtol=0, atol=64 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("shape", [(2, 3, 4, 7), (3, 1, 7), (2, 1, 4, 1), (7,), (4, 7)])
@pytest.mark.parametrize("name", ["flash", "chunked"])
def test_a_mask_may_learn(name, shape):
    generator = torch.Generator().manual_seed(12)
    query, key = (torch.randn(2, 3, n, 5, dtype=torch.float64, generator=generator).requires_grad_() for n in (4, 7))
    mask = torch.randn(shape, dtype=torch.float64, generator=generator).requires_grad_()
    with path(name, 16):
        out, lse = fused_attention(query, key, key, 2.0, beta=0.6, mask=mask, return_lse=True)
        expected, expected_lse = plain(query, key, key, math.log(2.0), 0.6, mask)
        for actual, wanted in ((out.square().sum(), expected.square().sum()), (lse.sum(), expected_lse.sum())):
            grads = torch.autograd.grad(actual, (query, key, mask), retain_graph=True)
            for got, reference in zip(
                grads, torch.autograd.grad(wanted, (query, key, mask), retain_graph=True), strict=True
            ):
                torch.testing.assert_close(got, reference)
