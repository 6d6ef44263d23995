"""Clipped softmax and gates, against their formulas."""

import math

import pytest
import torch

from hopfield_theory.attention import (
    AttentionGate,
    clipped_attention,
    clipped_weights,
    softmax_n_attention,
    softmax_n_weights,
)


def some(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("n", [0.0, 1.0])
def test_clipped_attention_is_the_formula(n):
    query, key, value = some(2, 3, 4, 5), some(2, 3, 6, 5, seed=1), some(2, 3, 6, 7, seed=2)
    mask = torch.rand(4, 6, generator=torch.Generator().manual_seed(3)) < 0.7
    out = clipped_attention(query, key, value, mask, gamma=-0.1, zeta=1.2, n=n)
    exponentials = (query @ key.mT / math.sqrt(5)).exp() * mask
    p = exponentials / (n + exponentials.sum(-1, keepdim=True))
    torch.testing.assert_close(out, (1.3 * p - 0.1).clip(0, 1) @ value)


def test_without_stretch_it_is_plain_attention():
    query, key, value = some(1, 4, 5), some(1, 6, 5, seed=1), some(1, 6, 5, seed=2)
    for n in (0.0, 2.0):
        torch.testing.assert_close(
            clipped_attention(query, key, value, is_causal=True, n=n),
            softmax_n_attention(query, key, value, is_causal=True, n=n),
        )


def test_zeros_and_ones_are_exact_and_have_no_gradient():
    scores = torch.tensor([[0.0, 12.0, 0.0]], dtype=torch.float64, requires_grad=True)
    weights = clipped_weights(scores.softmax(-1), gamma=-0.01, zeta=1.01)
    assert weights.tolist() == [[0.0, 1.0, 0.0]]
    weights.square().sum().backward()
    assert (scores.grad == 0).all()
    # what is hidden stays without weight
    query = some(1, 1, 4)
    hidden = clipped_attention(query, query, query, torch.zeros(1, 1, dtype=torch.bool), gamma=-0.5, zeta=2.0)
    assert (hidden == 0).all()


def test_alpha_is_gamma_times_the_length():
    query, key = some(1, 4, 5), some(1, 8, 5, seed=1)
    torch.testing.assert_close(
        clipped_attention(query, key, key, alpha=0.4), clipped_attention(query, key, key, gamma=-0.05)
    )
    with pytest.raises(ValueError, match="stands in place of gamma"):
        clipped_attention(query, key, key, alpha=0.4, gamma=-0.1)
    with pytest.raises(ValueError, match="alpha is -1"):
        clipped_attention(query, key, key, alpha=-1.0)


def test_grouped_heads_and_dropout():
    query, key = some(1, 4, 3, 5), some(1, 2, 6, 5, seed=1)
    out = clipped_attention(query, key, key, enable_gqa=True, gamma=-0.02)
    repeated = key.repeat_interleave(2, 1)
    torch.testing.assert_close(out, clipped_weights(softmax_n_weights(query, repeated, n=0.0), -0.02) @ repeated)
    assert (clipped_attention(query, key, key, dropout_p=1.0, enable_gqa=True) == 0).all()


@pytest.mark.parametrize("hidden", [None, 3])
def test_a_gate_is_a_network_a_head(hidden):
    torch.manual_seed(0)
    gate = AttentionGate(2, 4, hidden, initial_gate=0.25)
    x = some(3, 5, 8).float()
    gates = gate(x)
    assert gates.shape == (3, 2, 5, 1)
    for head in range(2):
        y = x[..., 4 * head : 4 * head + 4]
        for index, (weight, bias) in enumerate(zip(gate.weights, gate.biases, strict=True)):
            y = y @ weight[head] + bias[head]
            y = y.relu() if index < len(gate.weights) - 1 else y
        torch.testing.assert_close(gates[:, head], y.sigmoid())
    torch.testing.assert_close(gate(torch.zeros(1, 1, 8)).flatten(), torch.full((2,), 0.25))
    gates.sum().backward()
    assert all((p.grad != 0).any() for p in gate.parameters())


@pytest.mark.parametrize("arguments", [{"gamma": 0.1}, {"zeta": 0.9}, {"gamma": math.nan}, {"zeta": math.inf}])
def test_what_cannot_be_clipped_is_refused(arguments):
    with pytest.raises(ValueError, match="must be at most 0 and at least 1"):
        clipped_weights(torch.ones(1), **arguments)


def test_gates_and_masks_that_are_refused():
    for arguments in ((0, 4), (2, 0), (2, 4, 0)):
        with pytest.raises(ValueError, match="must be at least 1"):
            AttentionGate(*arguments)
    with pytest.raises(ValueError, match="initial_gate is 1"):
        AttentionGate(2, 4, initial_gate=1.0)
    x = torch.zeros(1, 2, 4)
    with pytest.raises(ValueError, match="is_causal must not"):
        clipped_attention(x, x, x, torch.ones(2, 2, dtype=torch.bool), is_causal=True)


@pytest.mark.parametrize("hiding", [-1e4, -1e9, torch.finfo(torch.float32).min, -math.inf])
def test_alpha_counts_the_keys_that_any_mask_leaves(hiding):
    query, key = some(1, 3, 4), some(1, 5, 4, seed=1)
    keep = torch.tensor([True, True, False, True, False])
    added = torch.zeros(5, dtype=torch.float64).masked_fill(~keep, hiding)
    torch.testing.assert_close(
        clipped_attention(query, key, key, added, alpha=1.0), clipped_attention(query, key, key, keep, alpha=1.0)
    )


def test_alpha_by_a_fixed_length():
    query, key = some(1, 4, 5), some(1, 8, 5, seed=1)
    torch.testing.assert_close(
        clipped_attention(query, key, key, alpha=0.4, length=20), clipped_attention(query, key, key, gamma=-0.02)
    )


@pytest.mark.parametrize("options", [{"per": "head"}, {"per": "constant"}, {"all_features": True}])
@pytest.mark.parametrize("fine_tuning", [False, True])
def test_the_kinds_of_gates(options, fine_tuning):
    torch.manual_seed(0)
    gate = AttentionGate(2, 4, initial_gate=0.25, fine_tuning=fine_tuning, **options)
    x = some(3, 5, 8).float()
    gates, start = gate(x).expand(3, 2, 5, 1), 1.0 if fine_tuning else 0.25
    if fine_tuning:
        # a trained model starts where it was
        torch.testing.assert_close(gates, torch.ones_like(gates), rtol=0, atol=0.2)
    if options.get("per") == "constant":
        torch.testing.assert_close(gates, torch.full_like(gates, start))
    elif options.get("per") == "head":
        logits = torch.stack([x[..., 4 * h : 4 * h + 4] @ gate.weights[0][h] + gate.biases[0][h] for h in range(2)], 1)
        expected = logits.mean(2, keepdim=True).sigmoid() * start / 0.25
        torch.testing.assert_close(gates, expected.expand(3, 2, 5, 1))
    else:
        expected = torch.stack([x @ gate.weights[0][h] + gate.biases[0][h] for h in range(2)], 1).sigmoid()
        torch.testing.assert_close(gates, expected * start / 0.25)
    with pytest.raises(ValueError, match="per is 'token, head'"):
        AttentionGate(2, 4, per="token, head")
