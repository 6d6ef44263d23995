"""softmax_n attention on the card against the formula in float64, by every operator and shape that has its own path."""

import math

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from hopfield_theory.attention import softmax_n_attention
from hopfield_theory.fused import cuda
from hopfield_theory.model.separation import lse_n, softmax_n

if not torch.cuda.is_available():
    pytest.skip("no GPU", allow_module_level=True)

BF16, F16, F32, F64 = torch.bfloat16, torch.float16, torch.float32, torch.float64
# relative to the norm of the answer: the rounding of weights and sums of one operator
CLOSE = {BF16: 1e-2, F16: 2e-3, F32: 2e-5, F64: 1e-12}


def reference(query, key, value, log_n, scale, mask, causal):
    query, key, value = (x.double() for x in (query, key, value))
    group = query.shape[1] // key.shape[1]
    key, value = (x.repeat_interleave(group, 1) for x in (key, value))
    scores = scale * query @ key.mT
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else scores + mask.double()
    if causal:
        rows, columns = (torch.arange(size, device=scores.device) for size in scores.shape[-2:])
        scores = scores.masked_fill(columns > rows[:, None], -math.inf)
    mass = log_n.double() if isinstance(log_n, torch.Tensor) else log_n
    return softmax_n(scores, log_n=mass) @ value, lse_n(scores, log_n=mass)


def apart(found, right):
    assert found.isfinite().all()
    return ((found.double() - right).norm() / right.norm().clamp_min(1e-30)).item()


SHAPES = {
    # batch, heads, key heads, queries, keys, width, value width
    "square": (2, 4, 4, 128, 128, 64, 64),
    "wide": (2, 4, 4, 200, 200, 128, 128),
    "widest": (1, 2, 2, 70, 70, 256, 256),
    "beyond": (1, 2, 2, 40, 40, 264, 264),
    "more keys": (2, 4, 4, 33, 201, 64, 64),
    "fewer keys": (2, 4, 4, 201, 33, 64, 64),
    "odd widths": (2, 2, 2, 40, 50, 20, 36),
    "value width": (2, 2, 2, 40, 50, 64, 128),
    "one query": (2, 4, 4, 1, 300, 64, 64),
    "one of each": (2, 4, 4, 1, 1, 64, 64),
    "groups": (2, 8, 2, 128, 128, 64, 64),
    "groups, few queries": (1, 8, 2, 4, 5000, 128, 128),
    "groups, one query": (2, 8, 2, 1, 5000, 128, 128),
}
KINDS = [
    "plain",
    "causal",
    "padding",
    "full mask",
    "added",
    "no slot",
    "heavy slot",
    "heads",
    "queries",
    "lse",
    "turned",
]


def problem(shape, kind, dtype):
    batch, heads, groups, length, keys, width, value_width = SHAPES[shape]
    generator = torch.Generator("cuda").manual_seed(7)

    def normal(*size):
        if kind == "turned":
            size = (size[0], size[2], size[1], size[3])
        x = torch.randn(size, generator=generator, device="cuda").to(dtype)
        return (x.transpose(1, 2) if kind == "turned" else x).detach().requires_grad_()

    query, key = normal(batch, heads, length, width), normal(batch, groups, keys, width)
    value = normal(batch, groups, keys, value_width)
    mask = None
    if kind == "padding":
        mask = torch.rand(batch, 1, 1, keys, generator=generator, device="cuda") > 0.3
        # a sequence without a key
        mask[0] = False
    if kind in ("full mask", "added"):
        seen = torch.rand(length, keys, generator=generator, device="cuda") > 0.5
        seen[0] = False
        uniform = torch.rand(length, keys, generator=generator, device="cuda").to(dtype)
        mask = seen if kind == "full mask" else torch.where(seen, uniform, -math.inf)
    log_n = {"no slot": -math.inf, "heavy slot": 12.0}.get(kind, 0.0)
    if kind in ("heads", "queries"):
        size = (heads, 1, 1) if kind == "heads" else (batch, heads, length, 1)
        work = torch.promote_types(dtype, F32)
        log_n = torch.randn(size, generator=generator, device="cuda", dtype=work, requires_grad=True)
    return query, key, value, log_n, mask, kind == "causal"


# float16 takes the paths of bfloat16, float64 one that a CPU has too: each shape and each kind once
CASES = [
    (shape, kind, dtype)
    for dtype in (BF16, F16, F32, F64)
    for kind in KINDS
    for shape in SHAPES
    if dtype in (BF16, F32) or shape == "square" or kind == "plain"
]


@pytest.mark.parametrize(("shape", "kind", "dtype"), CASES, ids=str)
def test_values_and_gradients(shape, kind, dtype):
    query, key, value, log_n, mask, causal = problem(shape, kind, dtype)
    scale = query.shape[-1] ** -0.5
    found = softmax_n_attention(
        query, key, value, mask, is_causal=causal, scale=scale, enable_gqa=True, log_n=log_n, return_lse=kind == "lse"
    )
    out, lse = found if kind == "lse" else (found, None)
    right, right_lse = reference(query, key, value, log_n, scale, mask, causal)
    assert apart(out, right) < CLOSE[dtype]
    torch.manual_seed(0)
    weight = torch.randn_like(out)
    total, right_total = (out * weight).sum(), (right * weight).sum()
    if lse is not None:
        assert apart(lse, right_lse) < CLOSE[dtype]
        by_query = torch.randn_like(lse)
        total, right_total = total + (lse * by_query).sum(), right_total + (right_lse * by_query).sum()
    learnt = [query, key, value, *([log_n] if isinstance(log_n, torch.Tensor) else [])]
    grads = torch.autograd.grad(total, learnt)
    for grad, expected in zip(grads, torch.autograd.grad(right_total, learnt), strict=True):
        # gradients differ by the rounding of two products more
        assert grad.isfinite().all()
        error = (grad.double() - torch.nan_to_num(expected.double())).norm()
        size = max(expected.double().nan_to_num().norm().item(), 1e-2 * weight.double().norm().item())
        assert error.item() < 3 * CLOSE[dtype] * size


@pytest.mark.parametrize("dtype", [BF16, F32], ids=str)
@pytest.mark.parametrize("shape", ["square", "more keys", "groups, few queries", "one query", "odd widths"])
def test_without_gradients(shape, dtype):
    query, key, value, _, _, _ = problem(shape, "plain", dtype)
    with torch.no_grad():
        out = softmax_n_attention(query, key, value, enable_gqa=True)
    right, _ = reference(query, key, value, 0.0, query.shape[-1] ** -0.5, None, False)
    assert apart(out, right) < CLOSE[dtype]


@pytest.mark.parametrize("scale", [-0.2, 0.0, 3.0])
def test_any_scale(scale):
    query, key, value, _, _, _ = problem("square", "plain", BF16)
    out = softmax_n_attention(query, key, value, scale=scale)
    right, _ = reference(query, key, value, 0.0, scale, None, False)
    assert apart(out, right) < 2 * CLOSE[BF16]


def test_strange_layouts():
    generator = torch.Generator("cuda").manual_seed(0)
    flat = torch.randn(2 * 4 * 128 * 64 + 3, generator=generator, device="cuda").to(BF16)
    shifted = flat[3:].view(2, 4, 128, 64)
    repeated = shifted[:1].expand(2, 4, 128, 64)
    sliced = torch.randn(2, 4, 128, 68, generator=generator, device="cuda").to(BF16)[..., :64]
    columns = torch.randn(2, 4, 64, 128, generator=generator, device="cuda").to(BF16).mT
    for x in (shifted, repeated, sliced, columns):
        out = softmax_n_attention(x, x, x)
        right, _ = reference(x, x, x, 0.0, 0.125, None, False)
        assert apart(out, right) < CLOSE[BF16]
    # a gradient in other strides than the output's
    x = shifted.clone().requires_grad_()
    weight = torch.randn(2, 128, 4, 64, generator=generator, device="cuda").to(BF16)
    [grad] = torch.autograd.grad(softmax_n_attention(x, x, x).transpose(1, 2), x, weight)
    [right] = torch.autograd.grad(reference(x, x, x, 0.0, 0.125, None, False)[0].transpose(1, 2), x, weight.double())
    assert apart(grad, right.double()) < 3 * CLOSE[BF16]


@pytest.mark.parametrize("kind", ["plain", "padding", "heads"])
@pytest.mark.parametrize("shape", ["square", "wide"])
def test_nan_reaches_its_own_query_alone(shape, kind):
    query, key, value, log_n, mask, _ = problem(shape, kind, BF16)
    with torch.no_grad():
        query[1, 1, 3, 2] = math.nan
        for large in (1, 64):
            out = softmax_n_attention(*(x.repeat(large, 1, 1, 1) for x in (query, key, value)),
                                      None if mask is None else mask.repeat(large, 1, 1, 1), log_n=log_n)  # fmt: skip
            assert out[1, 1, 3].isnan().all()
            out[1::2, 1, 3] = 0.0
            assert out.isfinite().all()


def test_without_a_slot_it_is_pytorch_s_attention():
    query, key, value, _, _, _ = problem("square", "plain", BF16)
    out = softmax_n_attention(query, key, value, n=0.0)
    with sdpa_kernel([SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION], set_priority=True):
        right = torch.nn.functional.scaled_dot_product_attention(query, key, value)
    assert apart(out, right.double()) < CLOSE[BF16] / 2


@pytest.mark.parametrize("dtype", [BF16, F32], ids=str)
def test_dropout_drops_what_pytorch_drops(dtype):
    query, key, value, _, _, _ = problem("square", "plain", dtype)
    backend = SDPBackend.FLASH_ATTENTION if dtype == BF16 else SDPBackend.EFFICIENT_ATTENTION
    torch.manual_seed(5)
    with sdpa_kernel(backend):
        dense = torch.nn.functional.scaled_dot_product_attention(query, key, value, dropout_p=0.3)
    torch.manual_seed(5)
    assert apart(softmax_n_attention(query, key, value, dropout_p=0.3, n=0.0), dense.double()) < CLOSE[dtype]
    torch.manual_seed(5)
    out = softmax_n_attention(query, key, value, dropout_p=0.3, n=1.0)
    scores = 0.125 * query.double() @ key.double().mT
    share = torch.exp(scores.logsumexp(-1) - lse_n(scores, n=1.0)).unsqueeze(-1)
    assert apart(out, dense.double() * share) < CLOSE[dtype]
    grads = torch.autograd.grad(out.square().sum(), (query, key, value))
    assert all(grad.isfinite().all() for grad in grads)


@pytest.mark.parametrize("kind", ["plain", "padding", "heads"])
def test_compiles_into_one_graph(kind):
    query, key, value, log_n, mask, _ = problem("square", kind, BF16)

    def attend(query, key, value, log_n):
        return softmax_n_attention(query, key, value, mask, log_n=log_n)

    compiled = torch.compile(attend, fullgraph=True)
    out, right = compiled(query, key, value, log_n), attend(query, key, value, log_n)
    assert apart(out, right.double()) < CLOSE[BF16]
    grads = torch.autograd.grad(out.square().sum(), (query, key, value))
    for grad, expected in zip(grads, torch.autograd.grad(right.square().sum(), (query, key, value)), strict=True):
        assert apart(grad, expected.double()) < 3 * CLOSE[BF16]


def test_the_operators_are_used():
    chosen = {
        shape: cuda.operator(
            *(x.detach() for x in problem(shape, "plain", BF16)[:3]), None, 0.1, False, needs_grad=False
        )
        for shape in SHAPES
    }
    assert all(chosen[shape] in ("cudnn", "flash") for shape in ("square", "wide", "groups", "one query"))
    assert chosen["beyond"] == "efficient"
