"""The way of the face to a card's operators and kernels, with operators played by formulas on tensors that say so."""

import math

import pytest
import torch

from hopfield_theory.fused import cuda, gate, retrieval
from hopfield_theory.fused.attention import attend_at_once, drops_weights, fused_attention
from hopfield_theory.model.separation import lse_n, softmax_n

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="tests/gpu has the real operators")


class OnACard(torch.Tensor):
    is_cuda, is_cpu = True, False


def normal(*shape, seed=0, dtype=torch.float32):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)
    return x.as_subclass(OnACard)


def formula(query, key, value, log_n, mask=None, causal=False):
    key, value = (x.repeat_interleave(query.shape[-3] // x.shape[-3], -3).double() for x in (key, value))
    scores = query.double() @ key.mT
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    if causal:
        scores = scores.masked_fill(~torch.ones(scores.shape[-2:], dtype=torch.bool).tril(), -math.inf)
    return softmax_n(scores, log_n=log_n) @ value, lse_n(scores, log_n=log_n)


@pytest.mark.parametrize("log_n", [0.0, -math.inf, "rows"])
def test_the_gate_is_a_kernel_there(monkeypatch, log_n):
    kernel = pytest.importorskip("hopfield_theory.fused.kernels.gate", reason="Triton is not installed")
    called = []
    for name in ("gate_", "mass_gradient"):
        real = getattr(kernel, name)
        monkeypatch.setattr(kernel, name, lambda *given, name=name, real=real: called.append(name) or real(*given))
    monkeypatch.setattr(gate, "FEW", 4)
    out, grad, lse = normal(2, 3, 5, 4), normal(2, 3, 5, 4, seed=1), normal(2, 3, 5, seed=2)
    mass = normal(2, 1, 5, seed=3) if log_n == "rows" else log_n
    lse[0, 0, 0] = -math.inf

    def gated(kind, function, *more):
        mine, sums = out.clone().as_subclass(kind), lse.clone().as_subclass(kind)
        function(mine, sums, mass, *more)
        found = gate.mass_gradient(mine, grad.as_subclass(kind), sums, torch.as_tensor(mass))
        return [x.as_subclass(torch.Tensor) for x in (mine, sums, found)]

    expected = gated(torch.Tensor, gate.gate_)
    assert called == []
    torch.testing.assert_close(gated(OnACard, gate.gate_), expected)
    assert called == ["gate_", "mass_gradient"]
    if log_n == 0.0:
        lse[0, 0, 0] = 0.0
        torch.testing.assert_close(gated(OnACard, gate.gate_seen_, False), gated(torch.Tensor, gate.gate_))
        assert called == ["gate_", "mass_gradient"] * 2


@pytest.fixture
def calls(monkeypatch):
    """What the backend is asked for; it answers by the formula."""
    asked = []

    def attend(name, query, key, value, log_n, mask, beta, causal, dropout=0.0, with_lse=False):
        assert query.dim() == key.dim() == value.dim() == 4
        assert mask is None or mask.dim() == 4
        asked.append((name, key.shape[1], dropout))
        log_n = log_n.unsqueeze(-1) if isinstance(log_n, torch.Tensor) else log_n
        out, lse = formula(beta * query, key, value, log_n, mask, causal)
        return out.to(query.dtype), lse.float()

    def attend_simply(query, key, value, log_n, beta, causal):
        if query.dtype == torch.float64:
            return None
        return attend("simply", query, key, value, log_n, None, beta, causal)[0]

    for module in (cuda, retrieval):
        monkeypatch.setattr(module, "compute_capability", lambda device: {"cpu": (9, 0)}[device.type])
    monkeypatch.setattr(cuda, "attend", attend)
    monkeypatch.setattr(cuda, "attend_simply", attend_simply)
    return asked


LSE = {"return_lse": True}
MASK = torch.rand(6, 9, generator=torch.Generator().manual_seed(9)) > 0.4


# the shapes of query, key and value, options, and which operator is called for how many heads of keys
@pytest.mark.parametrize(
    ("shapes", "options", "call"),
    [
        ([(2, 4, 6, 8), (2, 4, 9, 8), (2, 4, 9, 8)], {}, ("simply", 4)),
        ([(2, 4, 6, 8), (2, 4, 9, 8), (2, 4, 9, 8)], LSE, ("efficient", 4)),
        ([(2, 4, 6, 8), (2, 4, 9, 8), (2, 4, 9, 5)], {"n": 3.0}, ("efficient", 4)),
        ([(2, 4, 6, 8), (2, 4, 9, 8), (2, 4, 9, 8)], {"n": torch.rand(4, 1, 1)}, ("efficient", 4)),
        ([(2, 4, 6, 8), (2, 4, 9, 8), (2, 4, 9, 8)], {"mask": MASK}, ("efficient", 4)),
        ([(6, 8), (9, 8), (9, 8)], {"mask": MASK, **LSE}, ("efficient", 1)),
        ([(3, 6, 8), (9, 8), (9, 8)], {"mask": MASK[:, :1]}, ("efficient", 3)),
        ([(2, 3, 4, 6, 8), (3, 4, 9, 8), (3, 4, 9, 8)], {"mask": MASK[0], **LSE}, ("efficient", 4)),
        ([(2, 4, 6, 8), (2, 4, 9, 8), (2, 4, 9, 8)], {"is_causal": True}, ("simply", 4)),
        ([(2, 4, 9, 8), (2, 4, 6, 8), (2, 4, 6, 8)], {"is_causal": True, **LSE}, ("efficient", 4)),
        # groups of heads: taken as they are, or repeated where the operator has none
        ([(2, 4, 6, 8), (2, 2, 9, 8), (2, 2, 9, 8)], {"enable_gqa": True, **LSE}, ("efficient", 4)),
        ([(2, 4, 6, 8), (2, 2, 9, 8), (2, 4, 9, 8)], {"enable_gqa": True}, ("efficient", 4)),
        ([(2, 4, 6, 8), (2, 2, 9, 8), (2, 2, 9, 8)], {"enable_gqa": True, "dtype": torch.bfloat16}, ("cudnn", 2)),
        ([(2, 4, 6, 8), (2, 4, 9, 8), (2, 4, 9, 8)], {"dtype": torch.bfloat16, "mask": MASK}, ("cudnn", 4)),
    ],
)
@pytest.mark.parametrize("learns", [False, True])
def test_one_operator_is_asked_and_its_answer_has_the_shape_of_the_queries(calls, shapes, options, call, learns):
    options = dict(options)
    dtype = options.pop("dtype", torch.float32)
    query, key, value = (normal(*shape, seed=i, dtype=dtype).requires_grad_(learns) for i, shape in enumerate(shapes))
    found = fused_attention(query, key, value, **options)
    out, lse = found if options.get("return_lse") else (found, None)
    n = options.get("n", 1.0)
    log_n = n.log() if isinstance(n, torch.Tensor) else math.log(n)
    mask = options.get("mask")
    mask = mask if mask is None else mask.expand(6, 9)
    whole = [x if x.dim() > 2 else x.unsqueeze(0) for x in (query, key, value)]
    expected, expected_lse = formula(*whole, log_n, mask, options.get("is_causal", False))
    close = {"rtol": 0, "atol": 1e-5 if dtype == torch.float32 else 2e-2, "check_dtype": False}
    lead = query.shape[:-1]
    torch.testing.assert_close(out, expected.reshape(*lead, -1), **close)
    if lse is not None:
        torch.testing.assert_close(lse, expected_lse.reshape(lead), **close)
    assert calls == [(*call, 0.0)]
    assert out.requires_grad == learns


def test_weights_are_dropped_by_an_operator_that_can_and_refused_elsewhere(calls):
    x = normal(2, 4, 6, 8)
    mask = torch.ones(6, 6, dtype=torch.bool)
    for given in (None, mask):
        assert drops_weights(x, x, x, given, 1.0, False, 0.1)
        fused_attention(x, x, x, mask=given, dropout_p=0.1)
    assert calls == [("efficient", 4, 0.1)] * 2
    for other in (x.double(), x[0], x.as_subclass(torch.Tensor)):
        assert not drops_weights(other, other, other, None, 1.0, False, 0.1)
    assert not drops_weights(x, x[:, :2], x[:, :2], None, 1.0, False, 0.1)
    assert not drops_weights(x, x.half(), x, None, 1.0, False, 0.1)
    assert not drops_weights(x, x, x, mask[None, None, None], 1.0, False, 0.1)
    assert not drops_weights(x, x, x, None, 1.0, False, 1.0)
    with pytest.raises(ValueError, match=r"dropout_p is 0\.1: no operator drops weights of these tensors"):
        fused_attention(x.double(), x.double(), x.double(), dropout_p=0.1)


def test_what_no_operator_computes_is_left_to_blocks(calls):
    x = normal(2, 4, 6, 8, dtype=torch.float64)
    torch.testing.assert_close(fused_attention(x, x, x), formula(x, x, x, 0.0)[0])
    assert calls == []


@pytest.mark.parametrize("other", [False, True])
def test_one_head_of_very_many_keys_has_a_kernel_of_its_own(calls, monkeypatch, other):
    pytest.importorskip("triton", reason="Triton is not installed")
    monkeypatch.setattr(retrieval, "_MANY_KEYS", 64)
    query, key = normal(1, 1, 3, 8), normal(1, 1, 70, 8, seed=1)
    # as wide, and with the same steps in memory
    value = normal(1, 1, 70, 8, seed=2) if other else key
    expected, expected_lse = formula(query, key, value, math.log(2.0))
    out, lse = fused_attention(query, key, value, 2.0, return_lse=True)
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-5, check_dtype=False)
    torch.testing.assert_close(lse, expected_lse, rtol=0, atol=1e-5, check_dtype=False)
    assert calls == []


@pytest.mark.parametrize(("n", "scale"), [(None, None), (3.0, None), (0.0, 0.7)])
def test_the_simplest_case_is_asked_at_once(calls, monkeypatch, n, scale):
    query, key, value = normal(1, 1, 3, 8), normal(1, 1, 70, 8, seed=1), normal(1, 1, 70, 8, seed=2)
    log_n = 0.0 if n is None else math.log(n) if n else -math.inf
    expected, _ = formula((8**-0.5 if scale is None else scale) * query, key, value, log_n)
    found = attend_at_once(query, key, value, n, scale, False)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5, check_dtype=False)
    assert calls == [("simply", 1, 0.0)]
    # no width has no default scale, mixed precision rounds first, and very many keys have a kernel
    assert attend_at_once(query[..., :0], key[..., :0], value[..., :0], n, scale, False) is None
    with monkeypatch.context() as patch:
        patch.setattr(torch, "is_autocast_enabled", lambda kind: kind == "cuda")
        assert attend_at_once(query, key, value, n, scale, False) is None
    monkeypatch.setattr(retrieval, "_MANY_KEYS", 64)
    assert attend_at_once(query, key, value, n, scale, False) is None
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("dtype", "capability", "expected"),
    [
        (torch.float32, (7, 5), False),
        (torch.float32, (8, 0), True),
        (torch.float32, (8, 9), True),
        (torch.float32, (10, 0), True),
        (torch.float64, (8, 0), True),
        (torch.float64, (8, 9), False),
        (torch.float64, (9, 0), True),
    ],
)
def test_float64_has_a_kernel_where_tensor_cores_have_it(monkeypatch, dtype, capability, expected):
    monkeypatch.setattr(retrieval, "compute_capability", lambda device: {"meta": capability}[device.type])
    monkeypatch.setattr(retrieval.kernels, "available", lambda: True)

    def applies(query=(1, 1, 4, 8), keys=1 << 14, value_width=8, mask=None, is_causal=False):
        key, value = (1, 1, keys, query[3]), (1, 1, keys, value_width)
        tensors = (torch.empty(shape, dtype=dtype, device="meta").as_subclass(OnACard) for shape in (query, key, value))
        return retrieval.applies(*tensors, mask, is_causal)

    widest = 128 if dtype == torch.float32 else 64
    for options in ({}, {"query": (1, 1, 1 << 14, 8)}, {"query": (1, 1, 4, widest)}, {"value_width": widest}):
        assert applies(**options) == expected
    for options in (
        {"query": (1, 2, 4, 8)},
        {"query": (2, 1, 4, 8)},
        {"query": (1, 1, 0, 8)},
        {"keys": (1 << 14) - 1},
        # more queries than keys
        {"query": (1, 1, (1 << 14) + 1, 8)},
        {"query": (1, 1, 4, widest + 1)},
        {"query": (1, 1, 4, 0)},
        {"value_width": widest + 1},
        {"value_width": 0},
        {"mask": torch.ones(1)},
        {"is_causal": True},
    ):
        assert not applies(**options)
