"""The sweeps of the ball bound: many segments together, and a kernel's, are one after another's."""

from dataclasses import fields

import pytest
import torch

from hopfield_theory.certificates import ball_bound, segments
from hopfield_theory.certificates.ball_bound import certified_balls
from hopfield_theory.model.memory import Memory
from hopfield_theory.model.separation import Entmax

COUNT = 64 * 128 + 63


def memory(separation=None, beta=30.0):
    generator = torch.Generator().manual_seed(4)
    patterns = torch.randn(COUNT, 12, generator=generator, dtype=torch.float64)
    # a near duplicate in another segment, and an exact one
    patterns[5000], patterns[700] = patterns[3] + 1e-3, patterns[4]
    return Memory(patterns, beta, separation=separation, normalise=True)


def assert_same(found, expected, rtol):
    for field in fields(expected):
        one, other = getattr(found, field.name), getattr(expected, field.name)
        torch.testing.assert_close(one, other, rtol=rtol, atol=0, equal_nan=True, msg=field.name)


# far apart, close, equal to another, and in the last segment, which is short
INDICES = torch.tensor([0, 3, 4, 700, 5000, COUNT - 1])


@pytest.mark.parametrize("separation", [None, Entmax(1.5)])
def test_segments_swept_together_give_the_same_balls(monkeypatch, separation):
    expected = certified_balls(memory(separation), INDICES)
    monkeypatch.setattr(segments, "_TOGETHER", {"cpu": 16})
    # products of wider tiles are summed in another order
    assert_same(certified_balls(memory(separation), INDICES), expected, 1e-12)


@pytest.mark.slow
def test_the_kernel_gives_the_same_balls(monkeypatch):
    pytest.importorskip("triton", reason="Triton is not installed")
    # on a GPU every sweep is in float64
    monkeypatch.setattr(ball_bound, "_narrow_error", lambda _: 1.0)
    expected = certified_balls(memory(beta=300.0), INDICES)
    taken = []

    def in_kernel(overlap, tile):
        taken.append(overlap.shape[1] % tile == 0)
        return taken[-1]

    monkeypatch.setattr(segments, "_in_kernel", in_kernel)
    monkeypatch.setattr(segments, "_TOGETHER", {"cpu": 16})
    assert_same(certified_balls(memory(beta=300.0), INDICES), expected, 1e-12)
    # the last columns do not fill a segment
    assert taken.count(False) in (1, 2)
    assert taken.count(True) >= 4
