import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import hopfield_theory.data.ensembles as module
from hopfield_theory.data.ensembles import (
    ArrayPatterns,
    Gaussian,
    Rademacher,
    RandomPatterns,
    Sphere,
    SpikedCovariance,
    rows_per_block,
)
from hopfield_theory.data.seeds import keyed_generator

ENSEMBLES = [Sphere(3.0), Gaussian(0.5), Rademacher(2.0), SpikedCovariance(4.0, 0.5)]
FLOATS = [np.float16, np.float32, np.float64]

# ---------------------------------------------------------------------------------------------- blocks


@given(st.integers(1, 2**23))
def test_blocks_hold_about_a_million_numbers(dim):
    rows = rows_per_block(dim)
    assert rows >= 1
    assert rows == 1 or 2**19 <= rows * dim <= 2**20
    # Whole groups of 16 rows are what makes a short block a prefix of the full one.
    assert rows < 16 or rows % 16 == 0


# ---------------------------------------------------------------------------------------------- random patterns


@pytest.mark.parametrize("ensemble", ENSEMBLES, ids=repr)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("dim", [1, 3, 33, 2000, 70_000, 2**19 + 1])
def test_the_first_patterns_do_not_depend_on_how_many_there_are(ensemble, dtype, dim):
    rows = rows_per_block(dim)
    full = RandomPatterns(ensemble, rows, dim, seed=3, dtype=dtype).block(0)
    for count in {1, min(5, rows), min(17, rows), max(1, rows - 1)}:
        short = RandomPatterns(ensemble, count, dim, seed=3, dtype=dtype).block(0)
        assert short.shape == (count, dim)
        assert torch.equal(short, full[:count])


@pytest.mark.parametrize("ensemble", ENSEMBLES, ids=repr)
def test_any_block_can_be_drawn_alone(ensemble):
    dim = 50_000
    source = RandomPatterns(ensemble, 70, dim, seed=5, cell=(1, 2))
    assert (source.num_blocks, source.rows_per_block) == (5, 16)
    together = source.tensor()
    assert together.shape == (70, dim)
    blocks = dict(source.blocks())
    assert list(blocks) == [0, 16, 32, 48, 64]
    for index in (4, 0, 2):
        again = RandomPatterns(ensemble, 70, dim, seed=5, cell=(1, 2)).block(index)
        assert torch.equal(again, together[16 * index : 16 * (index + 1)])
        assert torch.equal(again, blocks[16 * index])
    assert not torch.equal(blocks[0], blocks[16])


@pytest.mark.parametrize("ensemble", ENSEMBLES, ids=repr)
def test_seeds_and_cells_give_other_patterns(ensemble):
    drawn = [
        RandomPatterns(ensemble, 4, 30, seed=seed, cell=cell).tensor() for seed in (0, 1) for cell in ((), (0,), (1,))
    ]
    for i, first in enumerate(drawn):
        assert not any(torch.equal(first, second) for second in drawn[i + 1 :])


def test_seeds_that_agree_in_32_bits_give_other_patterns():
    drawn = [RandomPatterns(Gaussian(), 4, 30, seed=seed).tensor() for seed in (1, 1 + 2**32, 1 + 2**64)]
    assert not any(torch.equal(drawn[0], other) for other in drawn[1:])


def test_a_block_shares_its_stream_with_no_generator():
    rows = rows_per_block(2)
    source = RandomPatterns(Gaussian(), 2 * rows, 2, seed=4, cell=(1,))
    for key in ((1,), (1, 0), (1, 1)):
        drawn = torch.empty(rows, 2).normal_(generator=keyed_generator(4, *key))
        assert not any(torch.equal(block, drawn) for _, block in source.blocks())


def test_the_global_generator_is_left_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    for ensemble in ENSEMBLES:
        RandomPatterns(ensemble, 10, 4, seed=1).tensor()
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("dim", [1, 2, 40])
def test_sphere(dtype, dim):
    count = 20_000
    patterns = RandomPatterns(Sphere(7.0), count, dim, seed=0, dtype=dtype).tensor().double()
    assert patterns.norm(dim=1).sub(7).abs().max() < 20 * torch.finfo(dtype).eps * 7
    assert patterns.mean(0).abs().max() < 5 * 7 / math.sqrt(dim * count)
    # Of a uniform direction, the square of a coordinate follows a beta law.
    if dim > 1:
        squares = (patterns[:, 0] / 7) ** 2
        assert stats.kstest(squares.numpy(), stats.beta(0.5, (dim - 1) / 2).cdf).pvalue > 1e-4


def test_sphere_guards_against_a_zero_row(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "normal_", lambda self, *_, **__: self.zero_())
    assert torch.equal(RandomPatterns(Sphere(2.0), 2, 3, seed=0).tensor(), torch.tensor([[2.0, 0, 0]] * 2))


def test_gaussian():
    patterns = RandomPatterns(Gaussian(0.5), 5000, 10, seed=0).tensor()
    assert stats.kstest(patterns.flatten().numpy(), stats.norm(0, 0.5).cdf).pvalue > 1e-4


def test_rademacher():
    patterns = RandomPatterns(Rademacher(0.3), 20_000, 6, seed=0, dtype=torch.float64).tensor()
    assert set(patterns.unique().tolist()) == {-0.3, 0.3}
    signs = patterns / 0.3
    assert (signs.T @ signs / 20_000 - torch.eye(6)).abs().max() < 5 / math.sqrt(20_000)
    assert signs.mean(0).abs().max() < 5 / math.sqrt(20_000)


@pytest.mark.parametrize("spike", [0.0, 8.0])
def test_spiked_covariance(spike):
    dim, count = 50, 3 * rows_per_block(50)
    source = RandomPatterns(SpikedCovariance(spike, 2.0), count, dim, seed=1, dtype=torch.float64)
    variances, directions = zip(
        *(torch.linalg.eigh(block.T @ block / len(block)) for _, block in source.blocks()), strict=True
    )
    rows = source.rows_per_block
    edge = 4 * (1 + math.sqrt(dim / rows)) ** 2 + 8 * rows ** (-2 / 3)
    for values in variances:
        assert values[-1 if spike == 0 else -2] < edge
        assert values[0] > 8 - edge
        if spike:
            assert values[-1] == pytest.approx(4 * (1 + spike), rel=5 * math.sqrt(2 / rows))
    if spike:  # one direction for all blocks, another for another seed
        assert abs(directions[0][:, -1] @ directions[2][:, -1]) > 0.99
        other = RandomPatterns(SpikedCovariance(spike, 2.0), rows, dim, seed=2, dtype=torch.float64).block(0)
        assert abs(torch.linalg.eigh(other.T @ other)[1][:, -1] @ directions[0][:, -1]) < 0.8


@pytest.mark.parametrize("kind", [Sphere, Gaussian, Rademacher, SpikedCovariance, lambda v: SpikedCovariance(1.0, v)])
@pytest.mark.parametrize(
    ("value", "error"), [(-1.0, ValueError), (math.inf, ValueError), (math.nan, ValueError), ("1", TypeError)]
)
def test_bad_ensembles(kind, value, error):
    with pytest.raises(error, match="must be"):
        kind(value)


@pytest.mark.parametrize(
    ("changes", "error", "name"),
    [
        ({"num_patterns": 0}, ValueError, "num_patterns"),
        ({"num_patterns": 2.5}, ValueError, "num_patterns"),
        ({"dim": 0}, ValueError, "dim"),
        ({"dim": True}, TypeError, "dim"),
        ({"ensemble": "sphere"}, TypeError, "ensemble"),
        ({"dtype": torch.float16}, ValueError, "dtype"),
        ({"seed": -1}, ValueError, "seed"),
        ({"cell": (0.5,)}, ValueError, "cell"),
    ],
)
def test_bad_random_patterns(changes, error, name):
    arguments = {"ensemble": Sphere(1.0), "num_patterns": 3, "dim": 2, "seed": 0} | changes
    with pytest.raises(error, match=name):
        RandomPatterns(**arguments)


@pytest.mark.parametrize("index", [-1, 1])
def test_no_such_block(index):
    with pytest.raises(IndexError, match="index"):
        RandomPatterns(Sphere(1.0), 3, 2, seed=0).block(index)


# ---------------------------------------------------------------------------------------------- arrays


def layouts(array: np.ndarray) -> dict[str, np.ndarray]:
    frozen = array.copy()
    frozen.flags.writeable = False
    return {
        "plain": array,
        "fortran": np.asfortranarray(array),
        "big-endian": array.astype(array.dtype.newbyteorder(">")),
        "reversed": array[::-1, ::-1].copy()[::-1, ::-1],
        "columns": np.repeat(array, 2, axis=1)[:, ::2],
        "read-only": frozen,
    }


@pytest.mark.parametrize("layout", layouts(np.ones((1, 1))))
@pytest.mark.parametrize("dtype", [*FLOATS, np.int8, np.uint16, np.int64, np.bool_])
def test_arrays_of_every_layout(layout, dtype):
    rows, dim = 40, 2**16
    array = layouts(np.arange(rows * dim).reshape(rows, dim).__mod__(100).astype(dtype))[layout]
    source = ArrayPatterns(array)
    assert (source.num_patterns, source.dim, source.num_blocks) == (rows, dim, 3)
    assert source.dtype == {2: torch.float16, 4: torch.float32}.get(
        array.itemsize if array.dtype.kind == "f" else 0, torch.float64
    )
    for start, block in source.blocks():
        assert block.dtype == source.dtype
        np.testing.assert_array_equal(block.numpy(), array[start : start + 16].astype(block.numpy().dtype))
    np.testing.assert_array_equal(source.tensor().numpy(), array.astype(source.tensor().numpy().dtype))


def test_blocks_share_memory_where_they_can():
    array, tensor = np.ones((3, 2)), torch.ones(3, 2, requires_grad=True)
    assert ArrayPatterns(array).block(0).data_ptr() == array.ctypes.data
    assert ArrayPatterns(tensor).block(0).data_ptr() == tensor.data_ptr()
    assert not ArrayPatterns(tensor).block(0).requires_grad
    assert ArrayPatterns(torch.ones(3, 2, dtype=torch.bfloat16)).dtype == torch.bfloat16


def test_a_file_mapped_for_reading_only_is_copied_block_by_block(tmp_path, monkeypatch):
    rows, dim = 3 * 16, 2**16
    path = tmp_path / "mapped.npy"
    np.save(path, np.arange(rows * dim, dtype=np.float32).reshape(rows, dim))
    mapped = np.load(path, mmap_mode="r")
    copied = []
    original = np.array
    monkeypatch.setattr(
        module.np, "array", lambda data, **options: copied.append(data.shape) or original(data, **options)
    )
    source = ArrayPatterns(mapped)
    assert copied == []
    block = source.block(2)
    assert copied == [(16, dim)]
    assert block[0, 0] == 32 * dim
    block.zero_()
    assert mapped[32, 1] == 32 * dim + 1


@pytest.mark.parametrize(
    "patterns",
    [
        [1.0, 2.0],
        np.ones((2, 2, 2)),
        np.ones((0, 2)),
        torch.ones(2, 0),
        [["a", "b"]],
        np.array([[None]]),
        np.ones((2, 2), dtype=complex),
        np.ones((2, 2), dtype=np.longdouble) if np.dtype(np.longdouble).itemsize > 8 else 1.0,
        torch.ones(2, 2, dtype=torch.complex64),
        torch.ones(2, 2).to_sparse(),
        torch.ones(2, 2).to(torch.float8_e5m2),
        np.ma.masked_array(np.ones((2, 2)), mask=np.eye(2)),
    ],
    ids=str,
)
def test_bad_arrays(patterns):
    with pytest.raises(ValueError, match=r"patterns is .*: it must hold real numbers, of shape"):
        ArrayPatterns(patterns)
