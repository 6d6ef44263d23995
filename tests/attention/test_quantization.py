"""Eight bits: grids, ranges, what stays in floating point, and how little is lost."""

import numpy as np
import pytest
import torch
from torch import nn

from hopfield_theory.attention import HopfieldPooling
from hopfield_theory.attention.quantization import calibrate, quantized


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Embedding(50, 16), nn.Linear(16, 64), nn.GELU(), nn.LayerNorm(64), nn.Linear(64, 10)).eval()


def tokens(seed, count=40):
    return torch.randint(50, (count, 7), generator=torch.Generator().manual_seed(seed))


def watched(model):
    """Run a model and return every module's input and output."""
    seen, handles = {}, []
    for name, module in model.named_modules():
        if name:
            hook = lambda _m, inputs, out, name=name: seen.update({name: out, f"{name} input": inputs[0]})  # noqa: E731
            handles.append(module.register_forward_hook(hook))
    model(tokens(3))
    for handle in handles:
        handle.remove()
    return seen


def test_weights_and_activations_take_at_most_256_values():
    model = network()
    rough = quantized(model, calibrate(model, [tokens(0), tokens(1)]))
    for name, module in rough.named_modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            levels = module.weight.unique()
            assert len(levels) <= 255, name
            assert (levels.abs().max() - model.get_submodule(name).weight.abs().max()).abs() < 1e-6
            # symmetric: multiples of one step
            step = levels.abs().max() / 127
            torch.testing.assert_close(levels / step, (levels / step).round(), rtol=0, atol=1e-3)
    seen = watched(rough)
    for name in ("0", "1", "2", "3", "4", "1 input", "4 input"):
        assert 2 < len(seen[name].unique()) <= 256, name
    # and without quantisation they take many more
    assert len(watched(model)["1"].unique()) > 1000


def test_the_model_itself_stays_as_it_is():
    model = network()
    before, weights = model(tokens(5)), [p.clone() for p in model.parameters()]
    quantized(model, calibrate(model, [tokens(0)]))
    assert torch.equal(model(tokens(5)), before)
    assert all(torch.equal(p, w) for p, w in zip(model.parameters(), weights, strict=True))
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in model.modules())


def test_little_is_lost_and_more_with_an_outlier():
    model = network()
    exact = model(tokens(5))
    error = (quantized(model, calibrate(model, [tokens(0)]))(tokens(5)) - exact).abs().max() / exact.abs().max()
    assert 0 < error < 0.1
    with torch.no_grad():
        model[1].bias[0] = 100.0
    # one feature far out takes the levels from all others
    spiked = quantized(model, calibrate(model, [tokens(0)]))
    plain = network()
    small = (watched(quantized(plain, calibrate(plain, [tokens(0)])))["1"] - watched(plain)["1"]).abs().mean()
    assert (watched(spiked)["1"] - watched(model)["1"])[..., 1:].abs().mean() > 5 * small


def test_ranges_are_those_of_the_batches():
    model = nn.Sequential(nn.Linear(1, 1, bias=False))
    with torch.no_grad():
        model[0].weight.fill_(2.0)
    x = torch.arange(1001.0)[:, None]
    assert calibrate(model, [x, -x / 2]) == {"0": (-1000.0, 2000.0), "0 input": (-500.0, 1000.0)}
    # a percentile of each batch, averaged; zero is always in the range
    clipped = calibrate(model, [x, x * 3], percentile=99.0)
    assert clipped["0 input"] == (0.0, pytest.approx((991 + 3 * 991) / 2, abs=4))
    assert clipped["0"][1] == pytest.approx(2 * clipped["0 input"][1])


def test_a_head_may_stay_in_floating_point():
    model = network()
    ranges = calibrate(model, [tokens(0)], skip=("4",))
    assert "4" not in ranges
    rough = quantized(model, ranges, skip=("4",))
    assert torch.equal(rough[4].weight, model[4].weight)
    assert len(watched(rough)["4"].unique()) > 256
    nested = nn.Sequential(nn.Sequential(nn.Linear(2, 2)), nn.Linear(2, 2))
    assert set(calibrate(nested, [torch.ones(1, 2)], skip=("0",))) == {"1", "1 input"}


def test_how_a_model_is_run_is_up_to_the_caller():
    model = network()
    ranges = calibrate(model, [{"x": tokens(0)}], run=lambda model, batch: model(batch["x"]))
    assert ranges == calibrate(model, [tokens(0)])


def test_half_precision_and_constant_layers():
    model = nn.Sequential(nn.Linear(4, 4)).bfloat16()
    x = torch.randn(9, 4).bfloat16()
    out = quantized(model, calibrate(model, [x]))(x)
    assert out.dtype == torch.bfloat16
    zero = nn.Sequential(nn.Linear(4, 4, bias=False))
    with torch.no_grad():
        zero[0].weight.zero_()
    assert (quantized(zero, calibrate(zero, [x.float()]))(x.float()) == 0).all()


def language_model(name):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    small = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    text = {"vocab_size": 64, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    return {
        "gpt2": lambda: transformers.GPT2LMHeadModel(
            transformers.GPT2Config(n_embd=32, n_layer=2, n_head=4, vocab_size=64, n_positions=32)
        ),
        "mixtral": lambda: transformers.MixtralForCausalLM(
            transformers.MixtralConfig(**small, **text, num_key_value_heads=2, num_local_experts=4)
        ),
        "bert": lambda: transformers.BertModel(transformers.BertConfig(**small, **text)),
    }[name]().eval()


@pytest.mark.parametrize("name", ["gpt2", "mixtral", "bert"])
def test_every_matrix_of_a_language_model_is_rounded(name):
    model, ids = language_model(name), torch.randint(3, 64, (2, 8))
    ranges = calibrate(model, [ids])
    rough = quantized(model, ranges)
    for key, weight in rough.named_parameters():
        if weight.dim() > 1:
            assert len(weight.unique()) <= 255, key
    assert all(torch.isfinite(x).all() for x in (rough(ids)[0], model(ids)[0]))
    assert (rough(ids)[0] - model(ids)[0]).abs().max() < 0.3 * model(ids)[0].abs().max()


class Experts(nn.Module):
    """Stacked experts, each token to one, with products and slices of the matrices in several ways."""

    def __init__(self, way):
        super().__init__()
        self.way = way
        self.up = nn.Parameter(torch.randn(3, 8, 16))
        self.up_bias = nn.Parameter(torch.randn(3, 16))
        self.down = nn.Parameter(torch.randn(3, 16, 8))

    def forward(self, x, chosen):
        if self.way == "fails":
            raise KeyError
        if self.way == "gathered":
            h = torch.bmm(self.up.mT[chosen], x[:, :, None])[..., 0] + self.up_bias[chosen]
            return torch.einsum("bi,bio->bo", h.relu(), self.down[chosen])
        found = torch.zeros_like(x)
        for i in range(3):
            rows = torch.where(chosen == i)[0]
            if self.way == "linear":
                h = nn.functional.linear(x[rows], self.up[i].T) + self.up_bias[i]
            else:
                h = x[rows] @ self.up[i].contiguous() + self.up_bias[i]
            found[rows] = torch.matmul(h.relu(), self.down[i])
        return found


@pytest.mark.parametrize("way", ["linear", "sliced", "gathered"])
def test_what_stacked_experts_multiply_is_rounded(way):
    torch.manual_seed(0)
    model, chosen = Experts(way), torch.tensor([0, 1, 2, 2, 1, 0, 0])
    x, other = torch.randn(2, 7, 8)
    ranges = calibrate(model, [(x, chosen)], run=lambda model, batch: model(*batch))
    hidden = torch.einsum("bi,bio->bo", x, model.up[chosen])
    torch.testing.assert_close(ranges[" up output"], (hidden.min().item(), hidden.max().item()))
    assert ranges[" up input"] == (x.min().item(), x.max().item())
    assert ranges[" down input"][0] == 0
    assert ranges[" down input"][1] == pytest.approx((hidden + model.up_bias[chosen]).max().item())

    def grid(x, name):
        low, high = ranges[name]
        step = (high - low) / 255
        zero = round(-low / step)
        return ((x / step).round() + zero).clamp(0, 255).sub(zero) * step

    rough = quantized(model, ranges)
    assert rough.left_out == ()
    h = grid(torch.einsum("bi,bio->bo", grid(grid(other, " input"), " up input"), rough.up[chosen]), " up output")
    h = grid((h + rough.up_bias[chosen]).relu(), " down input")
    expected = grid(grid(torch.einsum("bi,bio->bo", h, rough.down[chosen]), " down output"), "")
    torch.testing.assert_close(rough(other, chosen), expected)
    assert torch.overrides._len_torch_function_stack() == 0
    # and what is not rounded is named
    fewer = {name: ends for name, ends in ranges.items() if name != " down input"}
    assert quantized(model, fewer).left_out == (" inside",)


def test_a_module_that_fails_leaves_nothing_behind():
    with pytest.raises(KeyError):
        calibrate(Experts("fails"), [torch.randn(7, 8)], run=lambda model, batch: model(batch, None))
    assert torch.overrides._len_torch_function_stack() == 0
    model = Experts("fails")
    rough = quantized(model, {" up input": (-1.0, 1.0)})
    with pytest.raises(KeyError):
        rough(torch.randn(7, 8), None)
    assert torch.overrides._len_torch_function_stack() == 0


@pytest.mark.parametrize("way", ["eager", "batched_mm", "grouped_mm"])
def test_what_stays_in_floating_point_is_named(way):
    model, ids = language_model("mixtral"), torch.randint(3, 64, (2, 8), generator=torch.Generator().manual_seed(0))
    model.set_experts_implementation(way)
    ranges = calibrate(model, [ids])
    experts = [name for name, module in model.named_modules() if name.endswith(".experts")]
    assert len(experts) == 2
    assert {f"{name} {key} input" for name in experts for key in ("gate_up_proj", "down_proj")} <= set(ranges)
    assert quantized(model, ranges).left_out == ()
    fewer = {name: ends for name, ends in ranges.items() if name not in ("lm_head", f"{experts[0]} down_proj input")}
    assert set(quantized(model, fewer).left_out) == {"lm_head", f"{experts[0]} inside"}
    # what was asked to stay is no news
    assert not any(name.startswith("model.") for name in quantized(model, fewer, skip=("model",)).left_out)
    assert quantized(network(), calibrate(network(), [tokens(0)])).left_out == ()
    # a pattern that is handed on is no matrix
    pooling = HopfieldPooling(8, quantity=2, normalize_state_pattern=False)
    seen = calibrate(pooling, [torch.randn(2, 3, 8)])
    assert not any("pooling_weights" in name for name in seen)
    # an attention of PyTorch's is one operator
    attention = nn.MultiheadAttention(16, 2, kdim=8, vdim=8)
    seen = calibrate(attention, [torch.randn(3, 1, 8)], run=lambda m, x: m(torch.randn(2, 1, 16), x, x))
    assert " inside" in quantized(attention, seen).left_out


def test_other_weights_are_rounded_too():
    x = torch.randn(5, 3, 16)
    attention = nn.MultiheadAttention(16, 2, batch_first=True)
    rough = quantized(attention, {})
    assert len(rough.in_proj_weight.unique()) <= 255
    for norm in (nn.utils.parametrizations.weight_norm, nn.utils.spectral_norm):
        model = nn.Sequential(norm(nn.Linear(16, 40))).eval()
        before = model(x)
        rough = quantized(model, calibrate(model, [x]))
        assert len(rough[0].weight.unique()) <= 255
        assert torch.equal(model(x), before)
        assert (rough(x) - model(x)).abs().max() < 0.1 * model(x).abs().max()


def test_bit_widths_channels_and_ranges_of_least_error():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 64))
    with torch.no_grad():
        model[0].weight[3] *= 20
    x = torch.randn(256, 64)
    error = {}
    for name, options in {
        "tensor": {}, "channel": {"per_channel": True}, "least": {"mse": True}, "wide": {"bits": 12},
    }.items():  # fmt: skip
        bits = options.get("bits", 4)
        rough = quantized(model, {}, **({"bits": 4} | options))
        error[name] = (rough[0].weight - model[0].weight).square().sum().item()
        per = 1 if options.get("per_channel") else 0
        rows = rough[0].weight if per else [rough[0].weight]
        assert max(len(row.unique()) for row in rows) <= 2**bits - 1
    assert error["channel"] < error["least"] < error["tensor"]
    assert error["wide"] < error["channel"]
    spread = x.clone()
    spread[0, 0] = 50.0
    wide, close = (calibrate(model, [spread], mse=mse, bits=3)["0 input"] for mse in (False, True))
    assert wide[1] == 50.0
    assert close != wide


def test_the_published_ranges():
    model = nn.Sequential(nn.Linear(1, 1, bias=False))
    x = torch.arange(1001.0)[:, None]
    ranges = calibrate(model, [x, 3 * x], protocol="bondarenko")
    assert ranges["0 input"][1] == pytest.approx(0.9 * 1000 + 0.1 * 3000)
    ranges = calibrate(model, [x], percentile=99.999, protocol="bondarenko")
    assert ranges["0 input"][1] == pytest.approx(np.percentile(x.numpy(), 99.999))


def test_the_published_protocol_rounds_what_is_between_modules():
    pytest.importorskip("transformers")
    from hopfield_theory.attention.transformers import convert

    model, ids = language_model("bert"), torch.randint(3, 64, (2, 8))
    with pytest.raises(ValueError, match="scores cannot be seen"):
        calibrate(model, [ids], protocol="bondarenko")
    convert(model, noop=1.0, eager=True)
    ranges = calibrate(model, [ids], protocol="bondarenko")
    layer = "encoder.layer.0"
    for name in ("scores", "probabilities", "context"):
        assert f"{layer}.attention.self {name}" in ranges
    assert {f"{layer}.output sum 0", f"{layer}.attention.output sum 0"} <= set(ranges)
    rough = quantized(model, ranges)
    weights = rough(ids, output_attentions=True).attentions[0]
    assert len(weights.unique()) <= 256
    assert len(model(ids, output_attentions=True).attentions[0].unique()) > 300


def test_what_is_refused():
    model = network()
    with pytest.raises(ValueError, match="percentile is 50"):
        calibrate(model, [tokens(0)], percentile=50)
    with pytest.raises(ValueError, match="no calibration batch"):
        calibrate(model, [])
    with pytest.raises(ValueError, match="head: no such module"):
        calibrate(model, [tokens(0)], skip=("head",))
    with pytest.raises(ValueError, match="head: no such module"):
        quantized(model, {}, skip=("head",))
    compiled = torch.compile(model, backend="eager")
    for act in (lambda: calibrate(compiled, [tokens(0)]), lambda: quantized(compiled, {})):
        with pytest.raises(ValueError, match="is compiled"):
            act()
    with pytest.raises(ValueError, match=r"ranges hold module.1: no such module"):
        quantized(model, {"module.1": (0.0, 1.0)})
    with pytest.raises(ValueError, match="protocol is 'other'"):
        calibrate(model, [tokens(0)], protocol="other")
    line = nn.Sequential(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="its activations are not finite"):
        calibrate(line, [torch.full((1, 2), torch.nan)])
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in line.modules())
