"""STanHop-Net: its size is the published one, every variant learns with every parameter, its parts are the formula."""

import math

import pytest
import torch

from hopfield_theory.attention.stanhop import Association, STanHop

SMALL = {"variates": 3, "length": 10, "horizon": 5, "segment": 4, "size": 8, "hidden": 8, "num_heads": 2, "factor": 2}
VARIANTS = {
    "dense": {"noop": 0.0},
    "sparse": {"noop": 0.0, "entmax": 2.0},
    "generalised sparse": {"noop": 0.0, "entmax": "learnt"},
    "OutEffHop": {"noop": 1.0},
    "OutEffHop, learnt n": {"noop": 1.0, "learn_noop": True},
    "clipped": {"noop": 0.0, "clip": (-0.1, 1.1)},
    "clipped OutEffHop": {"noop": 1.0, "clip": (-0.1, 1.1)},
    "gated": {"noop": 0.0, "gate": 0.25},
    "gated OutEffHop": {"noop": 1.0, "gate": 0.25},
}


def small(**changes):
    torch.manual_seed(0)
    return STanHop(**(SMALL | changes)).double()


def test_the_published_number_of_parameters():
    with torch.device("meta"):
        net = STanHop(7)
    assert sum(p.numel() for p in net.parameters()) == 35_150_664


@pytest.mark.parametrize("window", [1, 2])
@pytest.mark.parametrize("name", VARIANTS)
def test_every_parameter_of_every_variant_has_a_gradient(name, window):
    net = small(layers=3, window=window, length=34, dropout=0.1, **VARIANTS[name])
    net(torch.randn(6, 34, 3, dtype=torch.float64)).square().mean().backward()
    for key, parameter in net.named_parameters():
        assert parameter.grad is not None, key
        assert 0 < parameter.grad.abs().max() < math.inf, key


def test_front_padding_repeats_the_first_step():
    net = small(layers=1)
    x = torch.arange(30.0).reshape(1, 10, 3)
    cut = net.segments(x)
    assert cut.shape == (1, 3, 3, 4)
    assert cut[0, 1].flatten().tolist() == [1.0, 1.0, *range(1, 30, 3)]


def test_coarse_graining_joins_neighbours():
    net = small(layers=2, window=2)
    x = torch.arange(3.0).reshape(1, 1, 3, 1).expand(1, 3, 3, 8)
    joined = net.coarsened(x)
    assert joined.shape == (1, 3, 2, 16)
    assert joined[0, 0, :, [0, 8]].tolist() == [[0.0, 1.0], [2.0, 2.0]]

    # wider than what is there
    assert small(layers=2, window=9).coarsened(x)[0, 0, 0, ::8].tolist() == [0.0, 1.0, *[2.0] * 7]


@pytest.mark.parametrize("name", VARIANTS)
def test_an_association_is_the_formula(name):
    torch.manual_seed(1)
    layer = Association(6, 2, **VARIANTS[name]).double()
    stored, state = torch.randn(2, 5, 6, dtype=torch.float64), torch.randn(2, 3, 6, dtype=torch.float64)
    q, k = layer.state_projection(state), layer.stored_projection(stored)
    v = layer.pattern_projection(k)
    heads = []
    for head in range(2):
        mine = slice(3 * head, 3 * head + 3)
        scores = q[..., mine] @ k[..., mine].mT / math.sqrt(3)
        if "sparse" in name:
            weights = projected(scores, 2.0 if name == "sparse" else 1.5)
        else:
            weights = scores.exp() / (VARIANTS[name]["noop"] + scores.exp().sum(-1, keepdim=True))
        weights = (1.2 * weights - 0.1).clamp(0, 1) if "clip" in VARIANTS[name] else weights
        out = weights @ v[..., mine]
        if "gated" in name:
            out = out * (state[..., mine] @ layer.gate.weight_0[head] - math.log(3)).sigmoid()
        heads.append(out)
    torch.testing.assert_close(layer((stored, state, stored)), layer.output_projection(torch.cat(heads, -1)))


def projected(scores, alpha):
    """α-entmax by bisection for the threshold."""
    z = (alpha - 1) * scores
    low, high = z.amax(-1, keepdim=True) - 1, z.amax(-1, keepdim=True)
    for _ in range(80):
        middle = (low + high) / 2
        above = (z - middle).clamp(min=0).pow(1 / (alpha - 1)).sum(-1, keepdim=True) > 1
        low, high = torch.where(above, middle, low), torch.where(above, high, middle)
    return (z - low).clamp(min=0).pow(1 / (alpha - 1))


def test_the_forecast_does_not_depend_on_the_rest_of_a_batch():
    net = small(layers=2, window=2).eval()
    x = torch.randn(4, 10, 3, dtype=torch.float64)
    torch.testing.assert_close(net(x)[1:2], net(x[1:2]))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"size": 9}, "size is 9: it must be a multiple of num_heads"),
        ({"layers": 0}, "layers is 0"),
        ({"entmax": 2.0, "noop": 1.0}, "entmax goes with noop=0"),
        ({"entmax": 3.0, "noop": 0.0}, "entmax is 3.0: it must be"),
        ({"clip": (0.1, 1.0)}, "gamma is 0.1"),
        ({"clip": (0.0,)}, "it must be two numbers, gamma and zeta"),
    ],
)
def test_bad_arguments(arguments, words):
    with pytest.raises(ValueError, match=words.replace("(", r"\(")):
        small(**arguments)


def test_a_series_of_another_length_is_refused():
    with pytest.raises(ValueError, match="it must be"):
        small(layers=1)(torch.zeros(1, 9, 3, dtype=torch.float64))
