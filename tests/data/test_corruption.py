import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hopfield_theory.data.corruption import add_noise, flip_signs, mask, mask_tail

SHAPES = st.lists(st.integers(1, 5), min_size=0, max_size=2).flatmap(
    lambda batch: st.integers(1, 40).map(lambda dim: (*batch, dim))
)
FRACTIONS = st.floats(0, 1)
SEEDS = st.integers(0, 2**32 - 1)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(shape: tuple[int, ...], seed: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    # Without zeros, so that a changed coordinate shows.
    return torch.randn(shape, generator=generator(seed), dtype=dtype).exp()


@settings(deadline=None)
@given(SHAPES, st.floats(0, 1e3), SEEDS)
def test_noise_lies_at_the_stated_distance(shape, relative_distance, seed):
    patterns = drawn(shape, seed)
    query = add_noise(patterns, relative_distance, generator(seed))
    assert query.shape == patterns.shape
    norm = patterns.norm(dim=-1)
    torch.testing.assert_close((query - patterns).norm(dim=-1), relative_distance * norm, rtol=1e-12, atol=1e-12)


def test_noise_has_no_preferred_direction():
    count, dim = 20_000, 3
    step = add_noise(torch.ones(count, dim, dtype=torch.float64), 1.0, generator(0)) - 1
    # A unit vector's coordinate has variance 1/d, and sqrt(d) is the length of the pattern.
    assert step.mean(0).abs().max() < 5 / math.sqrt(count)
    second = step.T @ step / count
    assert (second - torch.eye(dim)).abs().max() < 5 * math.sqrt(2 / count)


def test_noise_survives_a_zero_direction(monkeypatch):
    monkeypatch.setattr(torch, "randn", lambda shape, **_: torch.zeros(shape))
    torch.testing.assert_close(add_noise(torch.ones(2, 4), 0.5).sub(1).norm(dim=-1), torch.ones(2))


@pytest.mark.parametrize(
    ("dtype", "size"), [(torch.float16, 300.0), (torch.float16, 5e4), (torch.float32, 1e25), (torch.float64, 1e-170)]
)
def test_noise_neither_overflows_nor_underflows_in_between(dtype, size):
    patterns = torch.full((3, 50_000 if size == 300.0 else 4), size, dtype=dtype)
    moved = (add_noise(patterns, 0.2, torch.Generator().manual_seed(0)).double() - patterns.double()) / size
    rounding = 4 * torch.finfo(dtype).eps * patterns.shape[1] ** 0.5
    torch.testing.assert_close(
        moved.norm(dim=1), torch.full((3,), 0.2 * patterns.shape[1] ** 0.5, dtype=torch.float64), rtol=0, atol=rounding
    )


def test_noise_leaves_a_zero_pattern():
    assert torch.equal(add_noise(torch.zeros(2, 3), 2.0, generator(0)), torch.zeros(2, 3))


@settings(deadline=None)
@given(SHAPES, FRACTIONS, SEEDS)
def test_each_row_changes_in_exactly_the_stated_number_of_places(shape, fraction, seed):
    patterns, count = drawn(shape, seed), round(fraction * shape[-1])
    masked = mask(patterns, fraction, fill=-1.0, generator=generator(seed))
    flipped = flip_signs(patterns, fraction, generator(seed))
    tail = mask_tail(patterns, fraction, fill=-1.0)
    for queries in (masked, flipped, tail):
        assert queries.shape == patterns.shape
        assert ((queries != patterns).sum(-1) == count).all()
    assert (masked[masked != patterns] == -1).all()
    assert torch.equal(flipped.abs(), patterns)
    assert torch.equal(tail[..., : shape[-1] - count], patterns[..., : shape[-1] - count])


@pytest.mark.parametrize("corrupt", [lambda p, g: mask(p, 0.3, 9.0, g), lambda p, g: flip_signs(p, 0.3, g)])
def test_every_coordinate_is_as_likely(corrupt):
    count, dim = 20_000, 10
    patterns = torch.ones(count, dim, dtype=torch.float16)
    changed = (corrupt(patterns, generator(0)) != patterns).double()
    deviation = 5 * math.sqrt(0.3 * 0.7 / count)
    assert (changed.mean(0) - 0.3).abs().max() < deviation
    # Without replacement, two coordinates change together with probability 3/10 * 2/9.
    both = (changed[:, 0] * changed[:, 1]).mean().item()
    assert abs(both - 1 / 15) < 5 * math.sqrt(1 / 15 / count)


CORRUPTIONS = {
    "add_noise": lambda p, g: add_noise(p, 0.5, g),
    "mask": lambda p, g: mask(p, 0.5, generator=g),
    "mask_tail": lambda p, g: mask_tail(p, 0.5),
    "flip_signs": lambda p, g: flip_signs(p, 0.5, g),
}


@pytest.mark.parametrize("corrupt", CORRUPTIONS.values(), ids=CORRUPTIONS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_pure_and_reproducible(corrupt, dtype):
    patterns = drawn((3, 8), 1, dtype)
    before = patterns.clone()
    first, second = corrupt(patterns, generator(2)), corrupt(patterns, generator(2))
    assert torch.equal(first, second)
    assert first.dtype == dtype
    assert not torch.equal(first, patterns)
    first.zero_()
    assert torch.equal(patterns, before)


@pytest.mark.parametrize("corrupt", [lambda p: mask(p, 0.0), lambda p: flip_signs(p, 0.0), lambda p: mask_tail(p, 0.0)])
def test_nothing_corrupted_is_a_copy(corrupt):
    patterns = drawn((3, 8), 1)
    queries = corrupt(patterns)
    assert torch.equal(queries, patterns)
    assert queries.data_ptr() != patterns.data_ptr()


def test_without_a_generator_the_global_one_is_used():
    patterns = drawn((4, 30), 0)
    for corrupt in (lambda: add_noise(patterns, 0.5), lambda: mask(patterns, 0.5), lambda: flip_signs(patterns, 0.5)):
        torch.manual_seed(5)
        first = corrupt()
        torch.manual_seed(5)
        assert torch.equal(first, corrupt())


@pytest.mark.parametrize("function", [mask, mask_tail, flip_signs])
@pytest.mark.parametrize(
    ("fraction", "error"), [(-0.1, ValueError), (1.1, ValueError), (math.nan, ValueError), ("1", TypeError)]
)
def test_bad_fraction(function, fraction, error):
    with pytest.raises(error, match="fraction"):
        function(torch.ones(2, 3), fraction)


@pytest.mark.parametrize(
    ("distance", "error"), [(-0.1, ValueError), (math.inf, ValueError), (math.nan, ValueError), (True, TypeError)]
)
def test_bad_distance(distance, error):
    with pytest.raises(error, match="relative_distance"):
        add_noise(torch.ones(2, 3), distance)


@pytest.mark.parametrize("function", [mask, mask_tail])
def test_bad_fill(function):
    with pytest.raises(ValueError, match="fill is nan"):
        function(torch.ones(2, 3), 0.5, math.nan)


@pytest.mark.parametrize("function", [add_noise, mask, mask_tail, flip_signs])
@pytest.mark.parametrize(
    ("patterns", "error"),
    [
        ([["a"]], TypeError),
        (np.array([["a"]]), TypeError),
        (torch.ones(2, 3, dtype=torch.complex64), TypeError),
        (torch.tensor(1.0), ValueError),
        (torch.ones(2, 0), ValueError),
    ],
)
def test_bad_patterns(function, patterns, error):
    with pytest.raises(error, match="patterns"):
        function(patterns, 0.5)


@pytest.mark.parametrize(
    "kind", [np.asarray, list, pd.DataFrame, lambda rows: torch.as_tensor(rows, dtype=torch.int64)]
)
def test_array_likes_are_corrupted_like_tensors(kind):
    rows = np.arange(12).reshape(3, 4)
    expected = torch.as_tensor(rows, dtype=torch.float64)
    for function in (mask, flip_signs, add_noise):
        found = function(kind(rows), 0.5, generator=torch.Generator().manual_seed(0))
        assert torch.equal(found, function(expected, 0.5, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(mask_tail(kind(rows), 0.5), mask_tail(expected, 0.5))


@pytest.mark.parametrize("function", [mask, mask_tail])
def test_a_fill_beyond_the_dtype(function):
    with pytest.raises(ValueError, match=r"fill is -1e\+06: patterns are torch.float16, which ends at 65504"):
        function(torch.ones(2, 4, dtype=torch.float16), 0.5, fill=-1e6)
