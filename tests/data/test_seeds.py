"""Seeds and generators of cells: pinned, distinct, and streams that are known."""

import hashlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hopfield_theory.data.seeds import derived_seed, keyed_generator


def test_seeds_are_pinned():
    # stored results name patterns by their seeds
    assert derived_seed(0, 1, "x") == int.from_bytes(hashlib.shake_256(b"('seed', 0, 1, 'x')").digest(8))


@pytest.mark.parametrize("cell", [(), (0,), (3, "queries")])
def test_a_generator_is_the_mersenne_twister_of_its_key(cell):
    twister = np.random.MT19937()
    key = hashlib.shake_256(repr(("cell", 2**70, *cell)).encode()).digest(4 * 624)
    twister.state = {"bit_generator": "MT19937", "state": {"key": np.frombuffer(key, "u4"), "pos": 624}}
    drawn = torch.empty(1000, dtype=torch.int64).random_(0, 2**30, generator=keyed_generator(2**70, *cell))
    # torch takes the lower bits of two words, the second of which is the lower one
    assert torch.equal(drawn, torch.from_numpy((twister.random_raw(2000)[1::2] % 2**30).astype("i8")))


CELLS = st.lists(st.integers(0, 2**70) | st.sampled_from(["", "0", "a b", "'"]), max_size=3)


@given(st.lists(st.tuples(st.sampled_from([0, 1, 2**32, 2**64]), CELLS), min_size=2, max_size=5))
def test_different_cells_have_different_seeds_and_streams(keys):
    distinct = {(seed, tuple(cell)) for seed, cell in keys}
    seeds = {derived_seed(seed, *cell) for seed, cell in distinct}
    streams = {keyed_generator(seed, *cell).get_state().numpy().tobytes() for seed, cell in distinct}
    assert len(seeds) == len(streams) == len(distinct)
    assert all(0 <= number < 2**64 for number in seeds)


@pytest.mark.parametrize(
    ("arguments", "error"), [((-1,), ValueError), ((0, -1), ValueError), ((0.5,), ValueError), ((True,), TypeError)]
)
@pytest.mark.parametrize("derived", [derived_seed, keyed_generator])
def test_bad_seeds(derived, arguments, error):
    with pytest.raises(error, match=r"seed|cell"):
        derived(*arguments)
