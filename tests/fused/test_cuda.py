"""The CUDA backend without a GPU: its conditions, its arithmetic on operators played by formulas, and its kernel."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hopfield_theory.fused import cuda, gate
from hopfield_theory.model.separation import lse_n, softmax_n

HOPPER, AMPERE = (9, 0), (8, 0)
HALF = torch.bfloat16


def zeros(*shape, dtype=HALF):
    return torch.zeros(shape, dtype=dtype)


# --- which operator is right ---


def choose(query=(2, 4, 16, 64), key=None, value=None, dtype=HALF, mask=None, beta=0.1, causal=False, **options):
    key = query if key is None else key
    tensors = (zeros(*shape, dtype=dtype) for shape in (query, key, key if value is None else value))
    return cuda.operator(*tensors, mask, beta, causal, **{"capability": HOPPER, **options})


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "cudnn"),
        ({"capability": AMPERE}, "flash"),
        ({"dtype": torch.float16}, "cudnn"),
        ({"dtype": torch.float32}, "efficient"),
        ({"dtype": torch.float64}, None),
        ({"beta": 0.0}, None),
        ({"beta": -1.0}, "cudnn"),
        ({"causal": True}, "cudnn"),
        ({"causal": True, "key": (2, 4, 20, 64)}, "cudnn"),
        # flash aligns the diagonal elsewhere
        ({"causal": True, "key": (2, 4, 20, 64), "capability": AMPERE}, "efficient"),
        # cuDNN has no backward pass for one query and one key
        ({"query": (2, 4, 1, 64)}, "flash"),
        ({"query": (2, 4, 0, 64), "key": (2, 4, 3, 64)}, None),
        ({"key": (2, 4, 0, 64)}, None),
        ({"query": (2, 4, 16, 264)}, "efficient"),
        ({"query": (2, 4, 16, 256)}, "cudnn"),
        # eight more columns carry the gradient of the log-sum-exp
        ({"query": (2, 4, 16, 256), "needs_grad_of_lse": True}, None),
        ({"query": (2, 4, 16, 128), "needs_grad_of_lse": True, "capability": AMPERE}, None),
        ({"query": (2, 4, 16, 256), "needs_grad_of_lse": True, "dtype": torch.float32}, "efficient"),
        ({"needs_grad_of_lse": True, "capability": AMPERE}, "efficient"),
        ({"value": (2, 4, 16, 20)}, "cudnn"),
        # groups
        ({"key": (2, 2, 16, 64)}, "cudnn"),
        ({"key": (2, 2, 16, 64), "capability": AMPERE}, None),
        ({"key": (2, 2, 16, 64), "capability": AMPERE, "needs_grad": False}, "flash"),
        ({"key": (2, 2, 16, 64), "dtype": torch.float32}, None),
        # few queries on many keys
        ({"query": (1, 4, 8, 64), "key": (1, 4, 8192, 64), "needs_grad": False}, "flash"),
        ({"query": (1, 4, 8, 64), "key": (1, 4, 8192, 64)}, "cudnn"),
        ({"query": (1, 4, 1, 64), "key": (1, 4, 8192, 64), "needs_grad": False}, "flash"),
        # old cards
        ({"dtype": torch.float32, "capability": (5, 0)}, "efficient"),
        ({"dtype": torch.float32, "capability": (3, 7)}, None),
        # masks
        ({"mask": torch.ones(2, 1, 1, 16, dtype=torch.bool)}, "cudnn"),
        ({"mask": torch.ones(2, 1, 1, 16, dtype=torch.bool), "capability": AMPERE}, "efficient"),
        ({"mask": torch.zeros(16, 16, dtype=HALF)}, "cudnn"),
        # rounded, it would be another mask
        ({"mask": torch.zeros(16, 16)}, None),
        ({"mask": torch.zeros(16, 16, dtype=HALF, requires_grad=True)}, None),
        ({"mask": torch.ones(16, 16, dtype=torch.bool), "causal": True}, None),
        ({"dropout": 0.1}, "flash"),
        ({"dropout": 0.1, "dtype": torch.float32}, "efficient"),
    ],
)
def test_the_operator_is_one_that_is_right(options, expected):
    assert choose(**options) == expected


def test_more_heads_or_batches_than_a_grid_holds_are_left_to_blocks():
    x = zeros(1, 1, 8, 8).expand(70_000, 1, 8, 8)
    assert cuda.operator(x, x, x, None, 1.0, False, capability=HOPPER) is None


def test_pytorch_s_switches_are_heeded():
    with torch.nn.attention.sdpa_kernel([torch.nn.attention.SDPBackend.FLASH_ATTENTION]):
        assert choose() == "flash"
        assert choose(dtype=torch.float32) is None


def test_what_an_operator_reads_rightly_is_not_copied():
    x = torch.zeros(2, 4, 6, 16, dtype=HALF)
    for fit in (x, x.transpose(1, 2), x[:, ::2], x[..., :8], x[:1, :, :1].expand(1, 4, 1, 16)):
        assert cuda._even(fit, fit.shape[-1]) is fit
    shifted = torch.zeros(x.numel() + 1, dtype=HALF)[1:].view(x.shape)
    odd = torch.zeros(2, 4, 6, 20, dtype=HALF)[..., :16]
    for unfit in (shifted, odd, x.mT[..., :0, :], x[:1].expand(2, 4, 6, 16)):
        copy = cuda._even(unfit, unfit.shape[-1])
        assert copy is not unfit
        assert copy.is_contiguous()
    assert cuda._even(x[..., :5], 8).shape == (2, 4, 6, 8)


# --- the operators, played by formulas that refuse what the real ones misread ---


def scores_of(query, key, bias, causal, beta):
    scores = beta * query.double() @ key.double().mT
    if bias is not None:
        scores = scores + bias.double()
    if causal:
        scores = scores.masked_fill(~torch.ones(scores.shape[-2:], dtype=torch.bool).tril(), -math.inf)
    return scores


def readable(name, *tensors):
    for x in tensors:
        assert x.stride(-1) == 1
        assert x.shape[-1] % 8 == 0
        assert all(
            size == 1 or (step > 0 and step % 8 == 0) for step, size in zip(x.stride()[:-1], x.shape[:-1], strict=True)
        )
        assert x.data_ptr() % 16 == 0


def checked(name, query, key, bias, beta):
    assert beta > 0
    if bias is not None:
        assert bias.dtype == query.dtype
        assert bias.stride(-1) == 1
        assert name != "flash"
        if name == "efficient":
            assert bias.shape == (*query.shape[:3], key.shape[2])
            assert all(
                size == 1 or step % 8 == 0 for step, size in zip(bias.stride()[:-1], bias.shape[:-1], strict=True)
            )


def played(name, query, key, value, bias, dropout, causal, beta):
    readable(name, query, key, value)
    checked(name, query, key, bias, beta)
    if name == "flash":
        assert query.shape[-1] == value.shape[-1]
    group = query.shape[1] // key.shape[1]
    wide_key, wide_value = (x.repeat_interleave(group, 1) for x in (key, value))
    scores = scores_of(query, wide_key, bias, causal, beta)
    lse = scores.logsumexp(-1).float()
    out = (scores.softmax(-1) @ wide_value.double()).to(query.dtype)
    if name == "cudnn":
        lse = lse.unsqueeze(-1)
    if name == "efficient":
        lse = torch.nn.functional.pad(lse, (0, -lse.shape[-1] % 32), value=math.inf)
    return out, lse, None, None, query.shape[2], key.shape[2], torch.tensor(7), torch.tensor(11)


def played_backward(name, grad, query, key, value, bias, out, lse, more, dropout, causal, beta):
    readable(name, query, key, value)
    checked(name, query, key, bias, beta)
    assert grad.stride() == out.stride()
    assert more[4:] == (torch.tensor(7), torch.tensor(11))
    group = query.shape[1] // key.shape[1]
    wide_key, wide_value = (x.repeat_interleave(group, 1).double() for x in (key, value))
    lse = {"cudnn": lse.squeeze(-1) if lse.dim() == 4 else lse}.get(name, lse)[..., : query.shape[2]]
    weights = torch.exp(scores_of(query, wide_key, bias, causal, beta) - lse.double().unsqueeze(-1))
    g = grad.double()
    inner = (g * out.double()).sum(-1, keepdim=True)
    grad_scores = beta * weights * (g @ wide_value.mT - inner)

    def grouped(x):
        return x.unflatten(1, (-1, group)).sum(2)

    return tuple(
        x.to(query.dtype)
        for x in (grad_scores @ wide_key, grouped(grad_scores.mT @ query.double()), grouped(weights.mT @ g))
    )


@pytest.fixture
def operators(monkeypatch):
    monkeypatch.setattr(cuda, "_call", played)
    monkeypatch.setattr(cuda, "_call_backward", played_backward)


def reference(query, key, value, log_n, beta, mask, causal):
    group = query.shape[1] // key.shape[1]
    key, value = (x.repeat_interleave(group, 1) for x in (key, value))
    scores = scores_of(query, key, None, causal, beta)
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else scores + mask.double()
    mass = log_n.unsqueeze(-1) if isinstance(log_n, torch.Tensor) else log_n
    return softmax_n(scores, log_n=mass) @ value.double(), lse_n(scores, log_n=mass)


CASES = {
    "plain": {},
    "causal": {"causal": True},
    "causal, more keys": {"causal": True, "keys": 19},
    "no slot": {"log_n": -math.inf},
    "heavy slot": {"log_n": 30.0},
    "negative scale": {"beta": -0.7},
    "odd widths": {"width": 5, "value_width": 11},
    "groups": {"groups": 2},
    "padding": {"mask": "padding"},
    "padding, no slot": {"mask": "padding", "log_n": -math.inf},
    "full mask": {"mask": "full"},
    "added": {"mask": "added"},
    "learnt": {"log_n": "heads"},
    "learnt, each query": {"log_n": "queries", "mask": "padding"},
    "turned": {"turned": True},
    "shifted": {"shifted": True},
    "rows of one sequence": {"repeated": True},
}


def problem(case, dtype=torch.float32):
    generator = torch.Generator().manual_seed(3)
    batch, heads, length, keys = 2, 4, 9, case.get("keys", 13)
    width, groups = case.get("width", 8), case.get("groups", heads)

    def normal(*shape):
        x = torch.randn(*shape, generator=generator).to(dtype)
        if case.get("turned"):
            x = x.transpose(1, 2).contiguous().transpose(1, 2)
        if case.get("shifted"):
            x = torch.cat([x.new_zeros(1), x.flatten()])[1:].view(shape)
        if case.get("repeated"):
            x = x[:1].expand(shape)
        return x.detach().requires_grad_()

    query, key = normal(batch, heads, length, width), normal(batch, groups, keys, width)
    value = normal(batch, groups, keys, case.get("value_width", width))
    mask = None
    if case.get("mask"):
        seen = torch.rand(batch, 1, 1, keys, generator=generator) > 0.4
        # one sequence is empty
        seen[1] = False
        whole = torch.rand(length, keys, generator=generator) > 0.5
        whole[2] = False
        uniform = torch.rand(batch, 1, length, keys, generator=generator).to(dtype)
        mask = {
            "padding": seen,
            "full": whole,
            "added": torch.where(whole, uniform, -math.inf),
            "least": torch.where(whole, 0.0, torch.finfo(dtype).min),
        }[case["mask"]]
        mask = mask if mask.dim() == 4 else mask[None, None]
    log_n = case.get("log_n", 0.0)
    if isinstance(log_n, str):
        shape = {"heads": (1, heads, 1), "queries": (batch, heads, length)}[log_n]
        log_n = torch.randn(shape, generator=generator, requires_grad=True)
    return query, key, value, log_n, case.get("beta", 0.6), mask, case.get("causal", False), generator


# flash has neither masks nor a derivative of the log-sum-exp, and another diagonal
CHOSEN = [
    (case, name, with_lse)
    for case, about in CASES.items()
    for name in ("cudnn", "flash", "efficient")
    for with_lse in (False, True)
    if not (name == "flash" and (about.get("mask") or with_lse or about.get("keys")))
]


@pytest.mark.parametrize(("case", "name", "with_lse"), CHOSEN)
def test_values_and_gradients_are_the_plain_formula_s(operators, case, name, with_lse):
    query, key, value, log_n, beta, mask, causal, generator = problem(CASES[case])
    out, lse = cuda.attend(name, query, key, value, log_n, mask, beta, causal, with_lse=with_lse)
    expected, expected_lse = reference(query, key, value, log_n, beta, mask, causal)
    # a few dozen roundings of numbers of about 3
    close = {"rtol": 0, "atol": 1e-5, "check_dtype": False}
    torch.testing.assert_close(out, expected, **close)
    weight = torch.randn(out.shape, generator=generator)
    total, expected_total = (out * weight).sum(), (expected * weight).sum()
    if with_lse:
        torch.testing.assert_close(lse, expected_lse, **close)
        by_query = torch.randn(lse.shape, generator=generator)
        finite = torch.isfinite(expected_lse)
        total = total + torch.where(finite, lse * by_query, 0.0).sum()
        expected_total = expected_total + torch.where(finite, expected_lse * by_query, 0.0).sum()
    learnt = [query, key, value, *([log_n] if isinstance(log_n, torch.Tensor) else [])]
    found = torch.autograd.grad(total, learnt)
    for gradient, right in zip(found, torch.autograd.grad(expected_total, learnt), strict=True):
        torch.testing.assert_close(gradient, torch.nan_to_num(right), rtol=0, atol=3e-5, check_dtype=False)


@pytest.mark.parametrize("log_n", [-math.inf, 0.0])
@pytest.mark.parametrize("name", ["cudnn", "efficient"])
def test_keys_that_the_least_number_hides_are_averaged_unless_there_is_a_slot(operators, name, log_n):
    query, key, value, _, beta, mask, causal, _ = problem({"mask": "least"})
    out, _ = cuda.attend(name, query, key, value, log_n, mask, beta, causal)
    expected, _ = reference(query, key, value, log_n, beta, mask, causal)
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-5, check_dtype=False)
    assert (out[:, :, 2] == 0).all() == (log_n == 0.0)


def test_without_gradients_the_answer_is_the_same(operators):
    query, key, value, log_n, beta, mask, causal, _ = problem(CASES["padding"])
    expected = cuda.attend("cudnn", query, key, value, log_n, mask, beta, causal)
    with torch.no_grad():
        found = cuda.attend("cudnn", query, key, value, log_n, mask, beta, causal)
    assert not found[0].requires_grad
    for x, y in zip(found, expected, strict=True):
        assert torch.equal(x, y)


@pytest.mark.parametrize("log_n", [0.0, 2.0, -math.inf])
@pytest.mark.parametrize("causal", [False, True])
def test_the_simplest_case_has_the_same_answer(operators, monkeypatch, log_n, causal):
    monkeypatch.setattr(cuda, "compute_capability", lambda device: HOPPER)
    generator = torch.Generator().manual_seed(1)
    query, key, value = (torch.randn(2, 4, rows, 16, generator=generator).to(HALF) for rows in (9, 13, 13))
    with torch.no_grad():
        expected, _ = cuda.attend("cudnn", query, key, value, log_n, None, 0.6, causal)
        torch.testing.assert_close(cuda.attend_simply(query, key, value, log_n, 0.6, causal), expected)
        # layouts, widths, scales and types that need more than that
        shifted = torch.cat([query.new_zeros(1), query.flatten()])[1:].view(query.shape)
        assert cuda.attend_simply(shifted, key, value, log_n, 0.6, causal) is None
        assert cuda.attend_simply(query[..., :5], key[..., :5], value[..., :5], log_n, 0.6, causal) is None
        assert cuda.attend_simply(query, key, value, log_n, -0.6, causal) is None
        assert cuda.attend_simply(query.double(), key.double(), value.double(), log_n, 0.6, causal) is None


@pytest.mark.parametrize("case", ["plain", "padding", "learnt"])
def test_nan_reaches_whoever_sees_it_and_no_other(operators, case):
    query, key, value, log_n, beta, mask, causal, _ = problem(CASES[case])
    with torch.no_grad():
        query[0, 1, 3, 2] = math.nan
        out, lse = cuda.attend("cudnn", query, key, value, log_n, mask, beta, causal)
    assert out[0, 1, 3].isnan().all()
    assert lse[0, 1, 3].isnan()
    out[0, 1, 3], lse[0, 1, 3] = 0.0, 0.0
    assert out.isfinite().all()
    assert lse.isfinite().all()


def test_a_bfloat16_gradient_of_the_log_sum_exp_keeps_sixteen_bits(operators):
    query, key, value, *_ = problem({}, dtype=HALF)
    _, lse = cuda.attend("cudnn", query, key, value, 0.0, None, 0.6, False)
    # not a number of bfloat16: its rounding alone would be 2⁻⁹ of the gradient
    weight = 1.0 + 2.0**-9
    [found] = torch.autograd.grad((lse * weight).sum(), query)
    scores = scores_of(query, key, None, False, 0.6)
    [right] = torch.autograd.grad((lse_n(scores, log_n=0.0) * weight).sum(), query)
    torch.testing.assert_close(found, right, rtol=2.0**-8, atol=1e-6)


def test_second_derivatives_are_refused(operators):
    query, key, value, *_ = problem({})
    out, _ = cuda.attend("cudnn", query, key, value, 0.0, None, 0.6, False)
    [first] = torch.autograd.grad(out.sum(), query, create_graph=True)
    with pytest.raises(NotImplementedError, match="first derivatives"):
        first.sum().backward()


# --- PyTorch's own operators, as far as arguments and shapes go ---


@pytest.mark.parametrize("name", ["cudnn", "flash", "efficient"])
def test_every_argument_of_an_operator_is_the_one_of_its_name(monkeypatch, name):
    given = {}

    def recorded(way):
        attribute = f"_{name}{way}".upper()
        schema = getattr(cuda, attribute)._schema
        arguments = [argument.name for argument in schema.arguments]

        def call(*ordered, **named):
            given[way] = dict(zip(arguments, ordered, strict=False)) | named
            assert set(arguments) == set(given[way])
            return tuple(f"{way} {place}" for place in range(len(schema.returns)))

        monkeypatch.setattr(cuda, attribute, call)
        return schema.returns

    returns = [each.name for each in recorded("")]
    recorded("_backward")
    options = {"dropout_p": 0.1, "is_causal": True, "scale": 0.7}
    out, lse, *more = cuda._call(name, "q", "k", "v", "mask", 0.1, True, 0.7)
    bias = {"attn_bias": "mask"} if name != "flash" else {}
    asked = {"query": "q", "key": "k", "value": "v"} | options
    debug = {"return_debug_mask": False} if name != "efficient" else {}
    assert given[""] == asked | bias | debug | ({"compute_log_sumexp": True} if name != "flash" else {})
    made = dict(zip(returns, (f" {place}" for place in range(len(returns))), strict=True))
    assert (out, lse) == (made["output"], made.get("logsumexp", made.get("log_sumexp")))
    # what its backward pass asks for by the name that it was given
    cuda._call_backward(name, "grad", "q", "k", "v", "mask", "o", "l", tuple(more), 0.1, True, 0.7)
    passed = {each: made[each] for each in ("cum_seq_q", "cum_seq_k", "max_q", "max_k") if each in made}
    seeds = [made[each] for each in ("philox_seed", "rng_state") if each in made]
    offsets = [made[each] for each in ("philox_offset", "unused") if each in made]
    passed |= {"philox_seed": seeds[0], "philox_offset": offsets[0], "out": "o", "logsumexp": "l"}
    gradient = {"grad_out_" if name == "efficient" else "grad_out": "grad"}
    wanted = {"grad_input_mask": [True, True, True, False]} if name == "efficient" else {}
    assert given["_backward"] == asked | bias | passed | gradient | wanted


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, name) for kind in ("plain", "causal", "odd", "learnt") for name in ("cudnn", "flash", "efficient")]
    + [(kind, name) for kind in ("padding", "lse") for name in ("cudnn", "efficient")],
)
def test_the_real_operators_take_these_arguments(kind, name):
    with torch.no_grad():
        dtype = torch.float32 if name == "efficient" else HALF
        width, value_width = (20, 24) if kind == "odd" else (64, 64)
        query, key, value = (
            torch.empty(2, 4, rows, columns, dtype=dtype, device="meta")
            for rows, columns in ((40, width), (50, width), (50, value_width))
        )
        if kind == "causal" and name == "flash":
            key, value = key[:, :, :40], value[:, :, :40]
        mask = torch.ones(2, 1, 1, 50, dtype=torch.bool, device="meta") if kind == "padding" else None
        log_n = torch.zeros(1, 4, 1, device="meta") if kind == "learnt" else 0.0
        causal = kind == "causal"
        *kept, rows, more = cuda._run(name, query, key, value, log_n, mask, 0.1, causal, 0.0, True)
        assert rows.shape == (2, 4, 40)
        starts_q, starts_k, *most, seed, offset = more
        grad_lse = torch.empty(2, 4, 40, device="meta") if kind == "lse" else None
        grads = cuda._gradients(
            torch.empty(2, 4, 40, value_width, dtype=dtype, device="meta"), grad_lse, *kept,
            log_n if kind == "learnt" else None, starts_q, starts_k, seed, offset, (width, value_width),
            (name, most, 0.0, causal, 0.1), kind == "learnt",
        )  # fmt: skip
        for grad, x in zip(grads, (query, key, value), strict=False):
            assert grad.shape == x.shape
        assert kind != "learnt" or grads[3].shape == log_n.shape


# --- the gate ---


@settings(max_examples=25)
@given(
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from([-math.inf, 0.0, -3.0, 40.0, "rows"]),
    st.booleans(),
)
def test_the_kernel_and_the_plain_gate_are_the_formula(batch, heads, length, width, log_n, turned):
    triton = pytest.importorskip("hopfield_theory.fused.kernels.gate", reason="Triton is not installed")
    generator = torch.Generator().manual_seed(length)
    shape = (batch, length, heads, width) if turned else (batch, heads, length, width)
    out = torch.randn(shape, generator=generator)
    out = out.transpose(1, 2) if turned else out
    lse = 5 * torch.randn(batch, heads, length, generator=generator)
    lse[..., ::3] = -math.inf
    # added masks may hide keys by the least number: so low are all scores then
    lse[..., 1::9] = -1.7e38
    # an operator may leave NaN where no key is seen; with the sum it is the caller's own
    out[..., ::9, :] = math.nan
    lse[..., 2::7] = math.nan
    seen = lse != -math.inf
    if log_n == "rows":
        log_n = torch.randn(batch, 1, length, generator=generator)
    mass = torch.as_tensor(log_n).double().expand(lse.shape)
    joined = torch.logaddexp(lse.double().masked_fill(~seen, -math.inf), mass)
    share = (lse.double() - joined).exp().unsqueeze(-1)
    expected = torch.where(seen.unsqueeze(-1), share * out.double(), 0.0)
    joined = joined.masked_fill(joined == -math.inf, 0.0)
    grad = torch.randn(out.shape, generator=generator)
    slope = -torch.exp(mass - joined) * (expected * grad).sum(-1)
    for gates in (triton, gate):
        gated, sums = out.clone(), lse.clone()
        gates.gate_(gated, sums, log_n)
        torch.testing.assert_close(gated, expected, rtol=1e-5, atol=1e-5, check_dtype=False, equal_nan=True)
        torch.testing.assert_close(sums, joined, rtol=1e-6, atol=1e-6, check_dtype=False, equal_nan=True)
        found = gates.mass_gradient(gated, grad, sums, torch.as_tensor(log_n))
        torch.testing.assert_close(found, slope, rtol=1e-5, atol=1e-4, check_dtype=False, equal_nan=True)
        if not isinstance(log_n, torch.Tensor):
            # where each query sees a key, in fewer steps
            open_out, open_lse = out[..., 1:2, :].clone(), (5.0 + out[..., 1:2, 0]).clone()
            expected_out, expected_lse = open_out.clone(), open_lse.clone()
            gates.gate_(expected_out, expected_lse, log_n)
            gate.gate_seen_(open_out, open_lse, log_n, True)
            torch.testing.assert_close((open_out, open_lse), (expected_out, expected_lse), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_rows_that_the_gate_would_not_change_are_left_and_no_others(dtype):
    kernel = pytest.importorskip("hopfield_theory.fused.kernels.gate", reason="Triton is not installed")
    eps = torch.finfo(dtype).eps
    # every significand: at powers of two the neighbour below is nearer
    out = torch.arange(1, 2, eps, dtype=torch.float64).to(dtype)
    out = torch.cat([out, -4 * out])
    lost = eps / 4 * torch.tensor([1e-3, 0.5, 0.9, 0.99, 1.01, 1.1, 1.5, 2.0, 5.0], dtype=torch.float64)
    lse = torch.log((1 - lost) / lost).float().reshape(1, 1, -1)
    gated = out.expand(1, 1, lse.numel(), -1).contiguous()
    kernel.gate_(gated, lse.clone(), 0.0)
    products = (out.double() * (1 - lost).unsqueeze(-1)).to(dtype)
    assert (gated[0, 0] == out).all(-1).tolist() == (products == out).all(-1).tolist() == [True] * 4 + [False] * 5
