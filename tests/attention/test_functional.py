"""softmax_n_attention against the plain formula, SDPA, autograd, compilation and export."""

import math
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.attention.bias import causal_lower_right, causal_upper_left
from torch.nn.functional import scaled_dot_product_attention as sdpa

from hopfield_theory.attention import clipped_attention, softmax_n_attention, softmax_n_weights

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def plain(query, key, value, mask=None, is_causal=False, scale=None, log_n=0.0):
    """The formula, in float64, written out with an extra column for the slot."""
    query, key, value = (x.double() for x in (query, key, value))
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = query @ key.mT * scale
    if is_causal:
        seen = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
        scores = scores.masked_fill(~seen, -math.inf)
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else scores + mask.double()
    slot = torch.as_tensor(log_n, dtype=torch.float64).expand(*scores.shape[:-1], 1)
    exponentials = (torch.cat([scores, slot], -1) - torch.maximum(scores.amax(-1, True), slot)).exp()
    return (exponentials[..., :-1] / exponentials.sum(-1, True)) @ value


def close(actual, expected, dtype, size=1.0):
    # the products of E numbers and the sum over S keys round in float32 at least, the output once in its dtype
    accumulated = 1e-12 if dtype == torch.float64 else 2e-5
    allowed = size * (accumulated + 4 * torch.finfo(dtype).eps)
    torch.testing.assert_close(actual.double(), expected, rtol=0, atol=allowed)


@st.composite
def problems(draw):
    dtype = draw(st.sampled_from(DTYPES))
    batch, heads, length, keys, width, out = (draw(st.integers(1, most)) for most in (2, 3, 7, 9, 8, 8))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**16)))
    query, key, value = (
        torch.randn(batch, heads, rows, columns, generator=generator).to(dtype)
        for rows, columns in ((length, width), (keys, width), (keys, out))
    )
    kind = draw(st.sampled_from(["none", "causal", "boolean", "additive", "rows"]))
    mask = None
    if kind in ("boolean", "rows"):
        shape = (length, keys) if kind == "boolean" else (batch, 1, 1, keys)
        mask = torch.rand(shape, generator=generator) < 0.6
    elif kind == "additive":
        mask = torch.randn(heads, length, keys, generator=generator).to(dtype)
    log_n = torch.randn(heads, 1, 1, generator=generator) * 3
    return query, key, value, mask, kind == "causal", draw(st.sampled_from([None, 0.3, 2.0])), log_n, dtype


@settings(max_examples=150)
@given(problems())
def test_the_formula(problem):
    query, key, value, mask, is_causal, scale, log_n, dtype = problem
    out = softmax_n_attention(query, key, value, mask, is_causal=is_causal, scale=scale, log_n=log_n)
    assert out.dtype == dtype
    size = 1 + value.double().abs().max().item() * (1 + (0 if mask is None or mask.dtype == torch.bool else 4))
    # scores of half types are sums of exact products; their rounding in float32 becomes relative in the weights
    scores = 1 + query.double().norm(dim=-1).max().item() * key.double().norm(dim=-1).max().item() * (scale or 1)
    close(out, plain(query, key, value, mask, is_causal, scale, log_n), dtype, size * scores)
    weights = softmax_n_weights(query, key, mask, is_causal, scale, log_n=log_n)
    close(weights.double() @ value.double(), out.double(), dtype, size * scores * key.shape[-2])


@settings(max_examples=40)
@given(problems())
def test_n_zero_is_pytorch_s_own(problem):
    query, key, value, mask, is_causal, scale, _, _ = problem
    query, key, value = (x.double() for x in (query, key, value))
    mask = mask if mask is None or mask.dtype == torch.bool else mask.double()
    own = softmax_n_attention(query, key, value, mask, is_causal=is_causal, scale=scale, n=0.0)
    torch.testing.assert_close(own, sdpa(query, key, value, mask, 0.0, is_causal, scale=scale), rtol=0, atol=1e-10)


def some(*shape, seed=0, grad=True):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).requires_grad_(grad)


@pytest.mark.parametrize("kind", ["none", "causal", "boolean", "rows without a key", "additive", "wide values"])
def test_gradients(kind):
    query, key = some(2, 2, 3, 4), some(2, 2, 5, 4, seed=1)
    value = some(2, 2, 5, 6 if kind == "wide values" else 4, seed=2)
    log_n = some(2, 1, 1, seed=3)
    mask = {
        "boolean": torch.rand(3, 5, generator=torch.Generator().manual_seed(4)) < 0.5,
        "rows without a key": torch.tensor([[True] * 5, [False] * 5, [True] * 5]),
        "additive": some(3, 5, seed=5, grad=False),
    }.get(kind)

    def attend(query, key, value, log_n):
        return softmax_n_attention(query, key, value, mask, is_causal=kind == "causal", log_n=log_n)

    assert torch.autograd.gradcheck(attend, (query, key, value, log_n))


def test_a_mask_that_learns_has_a_gradient():
    query, key, value, mask = some(1, 3, 4), some(1, 5, 4, seed=1), some(1, 5, 4, seed=2), some(3, 5, seed=3)
    assert torch.autograd.gradcheck(lambda m: softmax_n_attention(query, key, value, m), mask)


def test_a_query_that_sees_nothing_gets_zeros_and_finite_gradients():
    for n in (0.0, 1.0):
        query, key, value = (some(1, 3, 4, seed=seed) for seed in range(3))
        out = softmax_n_attention(query, key, value, torch.zeros(3, 3, dtype=torch.bool), n=n)
        assert (out == 0).all()
        out.sum().backward()
        assert all(torch.isfinite(x.grad).all() for x in (query, key, value))
        assert (softmax_n_weights(query, key, torch.zeros(3, 3, dtype=torch.bool), n=n) == 0).all()


def test_grouped_heads():
    query, key, value = some(2, 6, 3, 4), some(2, 2, 5, 4, seed=1), some(2, 2, 5, 4, seed=2)
    grouped = softmax_n_attention(query, key, value, enable_gqa=True, n=0.7)
    repeated = softmax_n_attention(query, key.repeat_interleave(3, 1), value.repeat_interleave(3, 1), n=0.7)
    assert torch.equal(grouped, repeated)
    torch.testing.assert_close(
        softmax_n_attention(query, key, value, enable_gqa=True, n=0.0), sdpa(query, key, value, enable_gqa=True)
    )
    with pytest.raises(ValueError, match="must be a multiple"):
        softmax_n_attention(query, some(2, 4, 5, 4), value, enable_gqa=True)


def test_dropout_drops_weights_and_keeps_their_mean():
    query, key, value = some(1, 200, 4, grad=False), some(1, 50, 4, seed=1, grad=False), torch.ones(1, 50, 1).double()
    torch.manual_seed(0)
    dropped = softmax_n_attention(query, key, value, dropout_p=0.3)
    kept = softmax_n_attention(query, key, value)
    assert not torch.equal(dropped, kept)
    # of 200 sums of 50 weights each p_i B_i/0.7: standard deviation of the mean is at most √(0.3/0.7 Σp²/200²)
    weights = softmax_n_weights(query, key)
    deviation = math.sqrt(0.3 / 0.7 * (weights**2).sum().item()) / 200
    assert abs((dropped - kept).mean().item()) < 5 * deviation
    assert (softmax_n_attention(query, key, value, dropout_p=1.0) == 0).all()


def test_empty_sequences():
    for length, keys in ((0, 3), (3, 0), (0, 0)):
        query, key = some(2, length, 4), some(2, keys, 4, seed=1)
        out = softmax_n_attention(query, key, key)
        assert out.shape == (2, length, 4)
        assert (out == 0).all()
        out.sum().backward()


def test_layouts_do_not_matter():
    query, key, value = (some(2, 4, 3, 5, seed=seed, grad=False) for seed in range(3))
    expected = softmax_n_attention(query, key, value)
    turned = [x.transpose(-1, -2).contiguous().transpose(-1, -2) for x in (query, key, value)]
    torch.testing.assert_close(softmax_n_attention(*turned), expected)
    strided = [torch.stack([x, x], -1)[..., 0] for x in (query, key, value)]
    torch.testing.assert_close(softmax_n_attention(*strided), expected)


def test_autocast_as_for_pytorch_s_own():
    query, key, value = (some(1, 4, 8, seed=seed, grad=False).float() for seed in range(3))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        own, theirs = softmax_n_attention(query, key, value, n=0.0), sdpa(query, key, value)
    assert own.dtype == theirs.dtype == torch.bfloat16
    # inputs and output are rounded to bfloat16, and so may be the weights in between
    torch.testing.assert_close(own, theirs, rtol=0, atol=4 * value.abs().max().item() * 2**-8)


def test_vmap_and_functional_gradients():
    query, key, value = (some(5, 3, 4, seed=seed, grad=False) for seed in range(3))
    mapped = torch.vmap(lambda q, k, v: softmax_n_attention(q, k, v, n=2.0))(query, key, value)
    torch.testing.assert_close(mapped, softmax_n_attention(query, key, value, n=2.0))
    gradient = torch.func.grad(lambda q: softmax_n_attention(q, key, value).square().sum())(query)
    x = query.clone().requires_grad_()
    softmax_n_attention(x, key, value).square().sum().backward()
    torch.testing.assert_close(gradient, x.grad)


def test_second_derivatives_raise_and_those_of_the_weights_do_not():
    query, key, value = (some(1, 2, 3, seed=seed) for seed in range(3))
    [first] = torch.autograd.grad(softmax_n_attention(query, key, value).square().sum(), query, create_graph=True)
    with pytest.raises(NotImplementedError, match="first derivatives only"):
        first.sum().backward()
    assert torch.autograd.gradgradcheck(lambda q: softmax_n_weights(q, key) @ value, query)


@pytest.mark.slow
@pytest.mark.xdist_group("trained")
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # raised inside dynamo
def test_compiles_into_one_graph():
    torch._dynamo.reset()

    def attend(query, key, value, log_n):
        return softmax_n_attention(query, key, value, is_causal=True, log_n=log_n)

    compiled = torch.compile(attend, fullgraph=True, dynamic=True, backend="aot_eager")
    log_n = some(2, 1, 1, seed=9)
    # a length equal to another size would be taken for it, and the next one compiled anew
    for length in (5, 7):
        inputs = [some(2, 2, length, 4, seed=seed) for seed in range(3)]
        twins = [x.detach().clone().requires_grad_() for x in inputs]
        compiled(*inputs, log_n).square().sum().backward()
        attend(*twins, log_n).square().sum().backward()
        for one, other in zip(inputs, twins, strict=True):
            torch.testing.assert_close(one.grad, other.grad)


def test_exports():
    class Module(torch.nn.Module):
        def forward(self, query, key, value):
            return softmax_n_attention(query, key, value, n=1.0)

    inputs = tuple(some(1, 2, 4, 8, seed=seed, grad=False).float() for seed in range(3))
    program = torch.export.export(Module(), inputs)
    torch.testing.assert_close(program.module()(*inputs), Module()(*inputs))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"dropout_p": 1.5}, ValueError, "dropout_p is 1.5"),
        ({"dropout_p": math.nan}, ValueError, "dropout_p is nan"),
        ({"is_causal": True, "attn_mask": torch.ones(2, 2, dtype=torch.bool)}, ValueError, "is_causal must not"),
        ({"n": -1.0}, ValueError, "n"),
        ({"scale": math.inf}, ValueError, "scale is inf"),
        ({"attn_mask": torch.ones(3, 2, dtype=torch.bool)}, ValueError, "must broadcast"),
        ({"attn_mask": torch.ones(2, 2, dtype=torch.int64)}, TypeError, "mask is torch.int64"),
        # a mass in the fourth place
        ({"attn_mask": 1.0}, TypeError, "attn_mask is float: it must be a tensor"),
    ],
)
def test_what_is_refused(arguments, error, message):
    x = torch.zeros(1, 2, 4)
    with pytest.raises(error, match=message):
        softmax_n_attention(x, x, x, **arguments)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_on_a_gpu():
    query, key, value = (some(2, 2, 5, 4, seed=seed, grad=False) for seed in range(3))
    there = softmax_n_attention(*(x.cuda() for x in (query, key, value)), is_causal=True)
    close(there.cpu(), plain(query, key, value, is_causal=True), torch.float64)


@pytest.mark.parametrize(
    "shape", [(4, 5), (1, 5), (4, 1), (1, 1, 1, 5), (2, 1, 1, 5), (3, 4, 5), (2, 3, 4, 1), (1, 3, 1, 5)]
)
@pytest.mark.parametrize("width", [4, 6])
def test_masks_broadcast_and_are_never_spread_out(shape, width):
    """What heads, queries or a batch have in common; width 6 of the values takes the chunked path."""
    query, key, value = some(2, 3, 4, 4), some(2, 3, 5, 4, seed=1), some(2, 3, 5, width, seed=2)
    generator = torch.Generator().manual_seed(3)
    for mask in (torch.rand(shape, generator=generator) < 0.6, torch.randn(shape, generator=generator).double()):
        spread = mask.expand(2, 3, 4, 5).contiguous()
        gradients = []
        for either in (mask, spread):
            out = softmax_n_attention(query, key, value, either, n=0.5)
            gradients.append((out, *torch.autograd.grad(out.square().sum(), (query, key, value))))
        for one, other in zip(*gradients, strict=True):
            torch.testing.assert_close(one, other)
        mapped = torch.vmap(lambda q, k, v, m=mask: softmax_n_attention(q, k, v, m, n=0.5))(
            *(torch.stack([x, x + 1]) for x in (query, key, value))
        )
        torch.testing.assert_close(mapped[0], gradients[0][0])


# --- what else PyTorch's attention takes ---


@pytest.mark.parametrize(("length", "keys"), [(4, 4), (3, 6), (6, 3)])
@pytest.mark.parametrize("bias", [causal_lower_right, causal_upper_left])
@pytest.mark.filterwarnings("ignore:Lower right causal bias")
def test_causal_biases(bias, length, keys):
    query, key = some(1, 2, length, 8, grad=False), some(1, 2, keys, 8, seed=1, grad=False)
    out = softmax_n_attention(query, key, key, bias(length, keys), n=0.0)
    seen = torch.ones(length, keys, dtype=torch.bool).tril(keys - length if bias is causal_lower_right else 0)
    # a query that sees nothing has zeros here
    expected = torch.where(seen.any(-1, keepdim=True), sdpa(query, key, key, seen), 0.0)
    torch.testing.assert_close(out, expected)
    weights = softmax_n_weights(query, key, bias(length, keys), n=0.0)
    assert (weights[..., ~seen] == 0).all()
    with pytest.raises(ValueError, match="attn_mask is causal for"):
        softmax_n_attention(query, key, key, bias(length + 1, keys))


@pytest.mark.parametrize("layout", [torch.jagged, torch.strided])
def test_nested_tensors(layout):
    lengths = (2, 5, 3)
    pieces = [[some(rows, 2, 4, seed=10 * i + j, grad=False) for i, rows in enumerate(lengths)] for j in range(3)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nested tensors are a prototype, PyTorch says
        nested = [torch.nested.nested_tensor(piece, layout=layout, requires_grad=True) for piece in pieces]
        out = softmax_n_attention(*(x.transpose(1, 2) for x in nested), is_causal=True, n=2.0)
        theirs = out.transpose(1, 2).unbind()
    for index, (query, key, value) in enumerate(zip(*pieces, strict=True)):
        expected = softmax_n_attention(*(x.transpose(0, 1) for x in (query, key, value)), is_causal=True, n=2.0)
        torch.testing.assert_close(theirs[index], expected.transpose(0, 1))
    (out.values() if layout == torch.jagged else out.to_padded_tensor(0.0)).sum().backward()
    assert nested[0].grad is not None


def test_the_meta_device_gives_shapes():
    query, key = torch.empty(1, 4, 3, 8, device="meta"), torch.empty(1, 2, 5, 8, device="meta")
    assert softmax_n_attention(query, key, key, enable_gqa=True).shape == (1, 4, 3, 8)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize("shape", [(), (2, 1, 1)])
def test_a_learnt_scale_has_its_gradient(dropout, shape):
    query, key, scale = some(1, 2, 3, 4), some(1, 2, 5, 4, seed=1), torch.full(shape, 0.7).double().requires_grad_()

    def attend(query, key, scale):
        torch.manual_seed(0)
        return softmax_n_attention(query, key, key, scale=scale, dropout_p=dropout)

    assert torch.autograd.gradcheck(attend, (query, key, scale))
    torch.testing.assert_close(
        softmax_n_attention(query, key, key, scale=scale),
        softmax_n_attention(query, key, key, scale=0.7),
        rtol=1e-6,
        atol=1e-6,
    )


def test_log_sum_exps_of_packed_and_plain_heads():
    query, key, log_n = some(2, 6, 3, 4), some(2, 2, 5, 4, seed=1), some(6, 1, 1, seed=2)
    mask = torch.rand(2, 1, 1, 5, generator=torch.Generator().manual_seed(0)) < 0.7
    repeated = key.repeat_interleave(3, 1)
    for m in (None, mask):
        out, lse = softmax_n_attention(query, key, key, m, enable_gqa=True, log_n=log_n, return_lse=True)
        expected = softmax_n_attention(query, repeated, repeated, m, log_n=log_n, return_lse=True)
        torch.testing.assert_close((out, lse), expected)
        scores = query @ repeated.mT / 2
        scores = scores if m is None else scores.masked_fill(~m, -math.inf)
        torch.testing.assert_close(lse, torch.logaddexp(scores.logsumexp(-1), log_n.squeeze(-1)))
    with pytest.raises(ValueError, match="return_lse is True"):
        softmax_n_attention(query, query, query, dropout_p=0.5, return_lse=True)


def test_without_gradients_the_result_is_the_same():
    query, key = some(2, 3, 4, 8), some(2, 3, 9, 8, seed=1)
    for n in (0.0, 1e-3, 1.0, 1e6):
        for causal in (False, True):
            expected = softmax_n_attention(query, key, key, is_causal=causal, n=n, return_lse=True)
            with torch.no_grad():
                torch.testing.assert_close(
                    softmax_n_attention(query, key, key, is_causal=causal, n=n, return_lse=True), expected
                )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("keys", [1, 5, 40])
def test_nan_goes_where_pytorch_lets_it_go(dtype, keys):
    query, key = some(1, 1, 3, 4, grad=False).to(dtype), some(1, 1, keys, 4, seed=1, grad=False).to(dtype)
    query[0, 0, 1, 2] = torch.nan
    own, theirs = softmax_n_attention(query, key, key), sdpa(query, key, key)
    assert torch.equal(own.isnan(), theirs.isnan())


@pytest.mark.parametrize("attend", [softmax_n_attention, clipped_attention])
def test_two_masses_and_masks_of_integers_are_refused(attend):
    x = some(1, 2, 4, grad=False)
    with pytest.raises(ValueError, match=r"n is 1.0 and log_n 0.0: one must be None"):
        attend(x, x, x, n=1.0, log_n=0.0)
    for dropout in (0.0, 0.5):
        with pytest.raises(TypeError, match=r"attn_mask is torch.int64: it must be boolean"):
            attend(x, x, x, torch.ones(2, 2, dtype=torch.long), dropout)


@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize("scale", [None, 0.3, 1])
@pytest.mark.parametrize("n", [None, 0.0, 1, 3.5])
def test_a_short_call_without_derivatives_is_the_formula(n, scale, is_causal):
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.randn(2, 3, 5, 4, dtype=torch.float64, generator=generator) for _ in range(3)]
    before = [x.clone() for x in inputs]
    found = softmax_n_attention(*inputs, is_causal=is_causal, scale=scale, n=n)
    weights = softmax_n_weights(*inputs[:2], is_causal=is_causal, scale=scale, n=n)
    torch.testing.assert_close(found, weights @ inputs[2], rtol=0, atol=1e-14)
    assert all(torch.equal(x, y) for x, y in zip(inputs, before, strict=True))


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"n": -1.0}, ValueError),
        ({"n": math.inf}, ValueError),
        ({"scale": math.nan}, ValueError),
        ({"dropout_p": 2.0}, ValueError),
    ],
)
def test_a_short_call_is_checked_like_any_other(wrong, error):
    with pytest.raises(error):
        softmax_n_attention(*torch.ones(3, 1, 1, 2, 4), **wrong)
