"""T22 and T23 once more, by the layer itself: keys and values of their own, causal masks, several triggers."""

import math

import pytest
import torch

from hopfield_theory.attention import Hopfield
from hopfield_theory.statements.arithmetic import Floats
from hopfield_theory.statements.registry import STATEMENTS
from hopfield_theory.statements.statement import Instance

D = 4
FIRST, ORDINARY, TRIGGER = range(3)


def head(scores, noop):
    """The layer whose values are contents and whose scores come from what kind of token asks and is asked."""
    options = {"hidden_size": 3, "pattern_size": D, "input_bias": False, "disable_out_projection": True, "scaling": 1.0}
    options |= dict.fromkeys(
        ("normalize_stored_pattern", "normalize_state_pattern", "normalize_pattern_projection"), False
    )
    layer = Hopfield(D + 3, noop=noop, **options).double()
    flags = torch.eye(D + 3, dtype=torch.float64)[D:]
    with torch.no_grad():
        layer.state_projection.weight.copy_(scores.T @ flags)
        layer.stored_projection.weight.copy_(flags)
        layer.pattern_projection.weight.copy_(torch.eye(D, D + 3))
        # built in single precision
        layer.log_n.fill_(math.log(noop) if noop else -math.inf)
    return layer


def sequence(length, generator):
    """A first token, then contents of norm at most 1 and triggers; what each token is to be answered."""
    kinds = torch.where(torch.rand(length, generator=generator) < 0.3, TRIGGER, ORDINARY)
    kinds[0], kinds[1] = FIRST, ORDINARY
    contents = torch.randn(length, D, generator=generator, dtype=torch.float64)
    contents = contents / contents.norm(dim=-1, keepdim=True) * (kinds == ORDINARY)[:, None]
    sums, counts = contents.cumsum(0), (kinds == ORDINARY).cumsum(0).clamp(min=1)
    wanted = torch.where((kinds == TRIGGER)[:, None], sums / counts[:, None], 0.0)
    tokens = torch.cat([contents, torch.nn.functional.one_hot(kinds, 3).double()], -1)
    return tokens[None], wanted, kinds


@pytest.mark.parametrize("tolerance", [0.5, 1e-2, 1e-6])
@pytest.mark.parametrize("noop", [1e-3, 1.0, 50.0])
def test_one_layer_solves_averaging_with_the_slot_for_a_sink(noop, tolerance):
    length = 20
    low, high = math.log(noop * tolerance / length), math.log(noop / tolerance)
    scores = torch.full((3, 3), low, dtype=torch.float64)
    scores[TRIGGER, ORDINARY] = high
    layer, hidden = head(scores, noop), torch.ones(length, length, dtype=torch.bool).triu(1)
    worst = 0.0
    for seed in range(5):
        tokens, wanted, kinds = sequence(length, torch.Generator().manual_seed(seed))
        off = (layer(tokens, association_mask=hidden)[0] - wanted).norm(dim=-1)
        slot = 1 - layer.get_association_matrix(tokens, association_mask=hidden)[0, 0].sum(-1)
        assert (off <= tolerance).all()
        assert (slot[kinds != TRIGGER] >= 1 / (1 + tolerance) - 1e-12).all()
        worst = max(worst, off.max().item())
    # no score was larger than needed by much
    assert worst > 0.2 * tolerance


def test_a_slot_is_a_first_token_of_value_0():
    """Softmax with a first token of score log n answers as the head with a slot does without it."""
    noop = 2.5
    scores = torch.randn(3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with_first = scores.clone()
    with_first[:, FIRST] = math.log(noop)
    tokens, _, _ = sequence(12, torch.Generator().manual_seed(1))
    dense, slot = head(with_first, 0.0), head(scores, noop)
    torch.testing.assert_close(dense(tokens)[:, 1:], slot(tokens[:, 1:]), rtol=1e-12, atol=1e-13)
    first = dense.get_association_matrix(tokens)[0, 0, 1:, 0]
    noop_weight = 1 - slot.get_association_matrix(tokens[:, 1:])[0, 0].sum(-1)
    torch.testing.assert_close(first, noop_weight, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("noop", [0.0, 1.0])
def test_what_is_not_on_the_contents_is_on_the_slot_or_the_first_token(noop):
    """T22's first part for a layer of random weights, whose values are no keys."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer = Hopfield(D, noop=noop, disable_out_projection=True).double()
        x = torch.randn(50, 8, D, dtype=torch.float64)
    values = layer.pattern_projection(layer.norm_pattern_projection(x))
    weights, answers = layer.get_association_matrix(x)[:, 0], layer(x)
    # the direction of the mean of the contents, where they are all on one side
    v = torch.nn.functional.normalize(values[:, 1:].mean(1), dim=-1)
    along = (values @ v[..., None])[..., 0]
    least, of_first = along[:, 1:].amin(-1), along[:, 0]
    speaks = least > 0
    assert 0 < speaks.sum() < len(x)
    slot, first = 1 - weights.sum(-1), weights[..., 0]
    kept = least[:, None] * (1 - slot - first) + of_first[:, None] * first
    assert (kept <= answers.norm(dim=-1) + 1e-12)[speaks].all()


def test_a_key_bias_of_the_layer_is_a_no_op_mass_of_each_query():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer, plain = (Hopfield(D, noop=1.5, scaling=0.7).double() for _ in range(2))
        x, bias = torch.randn(2, 5, D, dtype=torch.float64), torch.randn(D, dtype=torch.float64)
    plain.load_state_dict(layer.state_dict())
    with torch.no_grad():
        layer.stored_projection.bias += bias
    query = plain.state_projection(plain.norm_state_pattern(x))
    for place in range(5):
        with torch.no_grad():
            plain.log_n.fill_(math.log(1.5) - 0.7 * (query[0, place] @ bias).item())
            layer.log_n.fill_(math.log(1.5))
        torch.testing.assert_close(layer(x)[0, place], plain(x)[0, place], rtol=1e-12, atol=1e-13)


def test_the_head_by_hand():
    """One content m: what an idle token and a trigger are answered, and the weight of the slot."""
    m, n, r = 1.5, 0.7, 0.9
    values = {"patterns": [[m]], "beta": 1.0, "noop": n, "query": [0.0], "other": [0.0], "ball": r}
    tensors = {name: torch.tensor(value, dtype=torch.float64) for name, value in values.items()}
    instance = Instance(**tensors, outliers=torch.zeros(1, 1, dtype=torch.float64), xp=Floats())
    low, high = n * r / (3 * m), n * m / r
    expected = {
        "the head, idle": (r - m * low / (n + 3 * low)) / (m + r),
        "the head's slot": -abs(n / (n + 3 * low) - m / (m + r)),
        "the head, at a trigger": (r - m * (1 - high / (n + 2 * low + high))) / (m + r),
    }
    for part in STATEMENTS["T22"].parts:
        if part.name in expected:
            assert part.conclusion(instance).item() == pytest.approx(expected.pop(part.name), abs=1e-14)
    assert not expected
