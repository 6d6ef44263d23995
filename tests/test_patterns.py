import builtins
import json
import math
import pickle
import struct
import sys
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from scipy import stats

import hopfield_theory.patterns as module
from hopfield_theory.patterns import (
    ArrayPatterns,
    Gaussian,
    Rademacher,
    RandomPatterns,
    Sphere,
    SpikedCovariance,
    base,
    digits,
    open_patterns,
    rows_per_block,
)

ENSEMBLES = [Sphere(3.0), Gaussian(0.5), Rademacher(2.0), SpikedCovariance(4.0, 0.5)]
FLOATS = [np.float16, np.float32, np.float64]

# ---------------------------------------------------------------------------------------------- blocks and seeds


@given(st.integers(1, 2**23))
def test_blocks_hold_about_a_million_numbers(dim):
    rows = rows_per_block(dim)
    assert rows >= 1
    assert rows == 1 or 2**19 <= rows * dim <= 2**20
    # Whole groups of 16 rows are what makes a short block a prefix of the full one.
    assert rows < 16 or rows % 16 == 0


def test_base_is_pinned():
    # Stored results name patterns by these seeds: they must never change.
    assert (base(0), base(0, 0), base(1, 2, 3)) == (2968811710, 3757552657, 690637451)


@given(st.lists(st.tuples(st.integers(0, 3), st.lists(st.integers(0, 2**32 - 1), max_size=3)), min_size=2, max_size=5))
def test_different_cells_have_different_bases(keys):
    distinct = {(seed, tuple(cell)) for seed, cell in keys}
    bases = {base(seed, *cell) for seed, cell in distinct}
    assert len(bases) == len(distinct)
    assert all(0 <= number < 2**32 for number in bases)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [((-1,), ValueError), ((0, -1), ValueError), ((0, 2**32), ValueError), ((0.0,), TypeError), ((True,), TypeError)],
)
def test_bad_seeds(arguments, error):
    with pytest.raises(error, match="seed"):
        base(*arguments)


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


def test_block_seeds_wrap_at_32_bits():
    source = RandomPatterns(Gaussian(), 3, 2**19 + 1, seed=0)
    source._base = 2**32 - 1
    expected = torch.empty(1, 2**19 + 1)
    Gaussian().fill(expected, torch.Generator().manual_seed(1), torch.Generator())
    assert torch.equal(source.block(2), expected)


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
        ({"num_patterns": 2.0}, TypeError, "num_patterns"),
        ({"dim": 0}, ValueError, "dim"),
        ({"dim": True}, TypeError, "dim"),
        ({"ensemble": "sphere"}, TypeError, "ensemble"),
        ({"dtype": torch.float16}, ValueError, "dtype"),
        ({"seed": -1}, ValueError, "seed"),
        ({"cell": (0.5,)}, TypeError, "cell"),
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
    ],
    ids=str,
)
def test_bad_arrays(patterns):
    with pytest.raises(ValueError, match=r"patterns must be real numbers of shape \(M, d\)"):
        ArrayPatterns(patterns)


# ---------------------------------------------------------------------------------------------- files


def save(path: Path, array: np.ndarray) -> None:
    """Write an array in the format of the ending, as its users do."""
    match path.suffix:
        case ".npy":
            np.save(path, array)
        case ".npz":
            np.savez_compressed(path, patterns=array)
        case ".csv":
            pd.DataFrame(array).to_csv(path, index=False, header=False)
        case ".parquet":
            pd.DataFrame(array, columns=[f"x{i}" for i in range(array.shape[1])]).to_parquet(path)
        case ".pt":
            torch.save(torch.from_numpy(array), path)
        case ".safetensors":
            save_file({"patterns": torch.from_numpy(array)}, path)


def writable(data: np.ndarray | torch.Tensor) -> torch.Tensor:
    assert isinstance(data, torch.Tensor) or data.flags.writeable
    return torch.asarray(data)


ENDINGS = [".npy", ".npz", ".csv", ".parquet", ".pt", ".safetensors"]


def refused(path: Path, *parts: str, name: str | None = None, error: type[Exception] = ValueError) -> None:
    with pytest.raises(error) as caught:
        open_patterns(path, name)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    for part in parts:
        assert part in message


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("dtype", [*FLOATS, np.int64, np.uint8, np.bool_])
def test_files_of_every_kind(tmp_path, ending, dtype, monkeypatch):
    array = (np.random.default_rng(0).normal(size=(7, 5)) * 3).astype(dtype)
    path = tmp_path / f"some patterns{ending}"
    save(path, array)
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        # torch warns once a process; as an error it would show once only.
        patch.setattr(torch, "as_tensor", writable)
        patterns = open_patterns(str(path))
    # Text has no precision of its own.
    expected = np.float64 if ending == ".csv" or np.dtype(dtype).kind != "f" else dtype
    assert patterns.numpy().dtype == expected
    np.testing.assert_array_equal(patterns.numpy().astype(dtype), array)
    patterns.zero_()
    assert path.read_bytes() == before
    assert not open_patterns(path).eq(0).all()


@pytest.mark.parametrize("ending", [".npy", ".safetensors", ".pt"])
def test_mapped_files_are_not_read_whole(tmp_path, ending):
    path = tmp_path / f"patterns{ending}"
    save(path, np.ones((1000, 1024), dtype=np.float32))
    patterns = open_patterns(path)
    # A page that nobody has touched yet shows what is in the file now.
    with path.open("r+b") as file:
        content = file.read()
        at = content.rindex(struct.pack("<f", 1.0) * 1024)
        file.seek(at)
        file.write(struct.pack("<f", 5.0))
    assert patterns.max() == 5


@pytest.mark.skipif(sys.platform != "linux", reason="needs sparse files and the Linux rules of overcommitment")
@pytest.mark.parametrize("ending", [".npy", ".safetensors"])
def test_mapped_files_may_be_larger_than_the_memory(tmp_path, ending):
    rows, dim = 2**32, 64
    path = tmp_path / f"huge{ending}"
    with path.open("wb") as file:
        if ending == ".npy":
            header = {"descr": "<f4", "fortran_order": False, "shape": (rows, dim)}
            np.lib.format.write_array_header_1_0(file, header)
        else:
            entry = {"dtype": "F32", "shape": [rows, dim], "data_offsets": [0, 4 * rows * dim]}
            header = json.dumps({"x": entry}).encode()
            file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(file.tell() + 4 * rows * dim)
    source = ArrayPatterns(open_patterns(path))
    assert source.num_patterns == rows
    assert source.block(source.num_blocks - 1).eq(0).all()


@pytest.mark.parametrize("layout", ["fortran", "big-endian"])
@pytest.mark.parametrize("dtype", FLOATS)
def test_npy_of_another_layout(tmp_path, layout, dtype):
    array = np.random.default_rng(0).normal(size=(7, 5)).astype(dtype)
    path = tmp_path / "patterns.npy"
    np.save(path, layouts(array)[layout])
    patterns = open_patterns(path)
    assert patterns.numpy().dtype == array.dtype
    np.testing.assert_array_equal(patterns.numpy(), array)


def test_bfloat16_stays(tmp_path):
    expected = torch.randn(3, 4).to(torch.bfloat16)
    save_file({"x": expected}, tmp_path / "x.safetensors")
    torch.save({"x": torch.nn.Parameter(expected)}, tmp_path / "x.pt")
    for name in ("x.safetensors", "x.pt"):
        patterns = open_patterns(tmp_path / name)
        assert torch.equal(patterns, expected)
        assert not patterns.requires_grad


@pytest.mark.parametrize("ending", [".npz", ".pt", ".safetensors"])
def test_one_of_several_arrays(tmp_path, ending):
    def write(**arrays):
        path = tmp_path / f"several{ending}"
        tensors = {key: torch.full((2, 3), value) for key, value in arrays.items()}
        if ending == ".npz":
            np.savez(path, **{key: value.numpy() for key, value in tensors.items()})
        elif ending == ".pt":
            torch.save(tensors, path)
        else:
            save_file(tensors, path)
        return path

    assert open_patterns(write(anything=1.0)).eq(1).all()
    path = write(keys=1.0, patterns=2.0)
    assert open_patterns(path).eq(2).all()
    assert open_patterns(path, "keys").eq(1).all()
    refused(path, "no array called 'other'", "'keys'", "'patterns'", name="other")
    refused(write(keys=1.0, values=2.0), "no array called 'patterns'", "name one", "'keys'", "'values'")


@pytest.mark.parametrize("ending", [".npy", ".csv", ".parquet", ".pt"])
def test_no_name_for_the_only_array(tmp_path, ending):
    path = tmp_path / f"patterns{ending}"
    save(path, np.ones((2, 3)))
    refused(path, "leave name out", name="patterns")


@pytest.mark.parametrize("ending", ENDINGS)
def test_files_that_are_not_there(tmp_path, ending, monkeypatch):
    path = tmp_path / f"patterns{ending}"
    refused(path, "no such file", error=FileNotFoundError)
    path.mkdir()
    refused(path, "directory", error=IsADirectoryError)
    path.rmdir()
    path.touch()
    refused(path, "empty")

    def forbid(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", forbid)
    refused(path, "may not read", error=PermissionError)


def test_unknown_ending(tmp_path):
    path = tmp_path / "patterns.mat"
    path.write_bytes(b"x")
    refused(path, "'.mat'", *ENDINGS)


def test_ending_in_capitals(tmp_path):
    with (tmp_path / "A.NPY").open("wb") as file:
        np.save(file, np.ones((2, 3)))
    assert open_patterns(tmp_path / "A.NPY").shape == (2, 3)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("kept", [1, 9, 0.5, -20])
def test_truncated_files(tmp_path, ending, kept):
    path = tmp_path / f"patterns{ending}"
    save(path, np.random.default_rng(0).normal(size=(30, 20)))
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content)) if isinstance(kept, float) else kept])
    if ending == ".csv":
        # Text that is cut is still text, but one row may be short.
        assert open_patterns(path).shape[0] >= 1
    else:
        refused(path, "cannot be read as", "write it again")


@pytest.mark.parametrize("ending", ENDINGS)
@given(data=st.data())
def test_damaged_files_give_one_line_or_an_array(tmp_path_factory, ending, data):
    path = tmp_path_factory.getbasetemp() / f"damaged{ending}"
    save(path, np.arange(12.0).reshape(4, 3))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.unlink()
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            patterns = open_patterns(path)
        except ValueError:
            refused(path)
        else:
            assert patterns.ndim == 2
            assert patterns.is_floating_point()


class Trap:
    """Raises where it is unpickled."""

    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


@pytest.mark.parametrize("ending", [".npy", ".npz", ".pt"])
def test_nothing_is_unpickled(tmp_path, ending):
    path = tmp_path / f"trap{ending}"
    trap = np.array([[Trap()]], dtype=object)
    if ending == ".npy":
        np.save(path, trap)
    elif ending == ".npz":
        np.savez(path, patterns=trap)
    else:
        torch.save({"patterns": torch.ones(2, 2), "trap": Trap()}, path)
    refused(path, "pickle", "write it again as plain numbers")
    path.write_bytes(pickle.dumps(trap))
    refused(path, "cannot be read as")


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.ones(3), "1 dimensions"),
        (np.ones((2, 2, 2)), "3 dimensions"),
        (np.array(1.0), "0 dimensions"),
        (np.ones((0, 3)), "no row"),
        (np.ones((3, 0)), "no column"),
        (np.ones((2, 2), dtype=np.complex64), "complex64"),
    ],
)
@pytest.mark.parametrize("ending", [".npy", ".npz", ".pt", ".safetensors"])
def test_arrays_that_are_no_patterns(tmp_path, ending, array, said):
    path = tmp_path / f"patterns{ending}"
    save(path, array)
    refused(path, "C64" if ending == ".safetensors" and array.dtype.kind == "c" else said)


@pytest.mark.parametrize("dtype", ["U3", "M8[s]", "i4,f4", "V8"])
def test_npy_of_no_numbers(tmp_path, dtype):
    np.save(tmp_path / "patterns.npy", np.zeros((2, 2), dtype=dtype))
    refused(tmp_path / "patterns.npy", "real numbers")


def test_pt_of_something_else(tmp_path):
    path = tmp_path / "patterns.pt"
    torch.save([1, 2], path)
    refused(path, "holds a list")
    torch.save({"count": 3}, path)
    refused(path, "it holds: no array")
    torch.save(torch.ones(2, 2).to_sparse(), path)
    refused(path, "sparse")
    torch.save(torch.ones(2, 2), path, _use_new_zipfile_serialization=False)
    refused(path, "zip archive")


def test_npz_that_holds_other_members(tmp_path):
    path = tmp_path / "patterns.npz"
    np.savez(path, x=np.ones((2, 3)))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("readme.txt", "hello")
    assert open_patterns(path).shape == (2, 3)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,2\n3,4\n", [[1, 2], [3, 4]]),
        ("a,b\n1,2\n3,4\n", [[1, 2], [3, 4]]),
        ("\ufeffa,b\r\n1,2\r\n", [[1, 2]]),
        ("\n\na, b\n1, 2\n", [[1, 2]]),
        ('"first\nname",b\n1,2\n', [[1, 2]]),
        ("0,1,2\n5,6,7\n", [[5, 6, 7]]),
        ("0,1\n5,6\n", [[0, 1], [5, 6]]),
        ("0.0,1.0,2.0\n5,6,7\n", [[0, 1, 2], [5, 6, 7]]),
        ("0.1,1e-3\n-inf,1e400\n", [[0.1, 1e-3], [-math.inf, math.inf]]),
        ("1,,3\n4,5,6\n", [[1, math.nan, 3], [4, 5, 6]]),
        ("True,False\nFalse,True\n", [[1, 0], [0, 1]]),
        ("x\n0.1\n0.30000000000000004\n", [[0.1], [0.30000000000000004]]),
        ("7", [[7]]),
        ("a,b\n1,2\n3\n", [[1, 2], [3, math.nan]]),
    ],
)
def test_csv(tmp_path, text, expected):
    path = tmp_path / "patterns.csv"
    path.write_bytes(text.encode())
    np.testing.assert_array_equal(open_patterns(path).numpy(), expected)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b,c\n1,x,y\n", "column 'b' is not numeric"),
        ("1,2,3\n1,2,y\n", "column '2' is not numeric"),
        ("a,b\n1,2\n3,4,5\n", "cannot be read as .csv"),
        ("a,b\n1,2,3\n", "2 columns in the first line, 3 in the next"),
        ("a,b\n", "cannot be read as .csv"),
        ("\n\n", "blank lines only"),
        (",a,b\n0,1,2\n", "first column has no name"),
        (",0,1\n0,1,2\n", "first column has no name"),
    ],
)
def test_bad_csv(tmp_path, text, said):
    path = tmp_path / "patterns.csv"
    path.write_text(text)
    refused(path, said)


def test_csv_that_is_no_text(tmp_path):
    path = tmp_path / "patterns.csv"
    path.write_bytes(b"\xff\xfe1,2")
    refused(path, "cannot be read as .csv")


def test_columns_of_parquet(tmp_path):
    path = tmp_path / "patterns.parquet"
    pd.DataFrame({"a": [1, 2], "b": ["x", "y"], "c": [None, "z"]}).to_parquet(path)
    refused(path, "column 'b' is not numeric")
    frame = pd.DataFrame({"a": [1, 2], "b": [0.5, None], "c": [True, False]}, index=["p", "q"])
    frame["d"] = pd.array([3, None], dtype="Int64")
    frame.to_parquet(path)
    expected = [[1, 0.5, 1, 3], [2, math.nan, 0, math.nan]]
    np.testing.assert_array_equal(open_patterns(path).numpy(), expected)
    pd.DataFrame({"a": []}, dtype=float).to_parquet(path)
    refused(path, "no row")


@pytest.mark.parametrize("ending", [".npz", ".csv", ".parquet"])
def test_files_that_must_be_read_whole_and_do_not_fit(tmp_path, ending, monkeypatch):
    path = tmp_path / f"patterns{ending}"
    save(path, np.ones((100, 10)))
    monkeypatch.setattr(module, "_available_memory", lambda: 1000)
    refused(path, "GiB", "convert it to .npy or .safetensors")


@pytest.mark.parametrize("ending", [".npy", ".safetensors", ".pt"])
def test_mapped_files_need_memory_only_to_be_converted(tmp_path, ending, monkeypatch):
    path = tmp_path / f"patterns{ending}"
    monkeypatch.setattr(module, "_available_memory", lambda: 1000)
    save(path, np.ones((100, 10)))
    assert open_patterns(path).shape == (100, 10)
    save(path.with_stem("integers"), np.ones((100, 10), dtype=np.int32))
    refused(path.with_stem("integers"), "GiB", "floats")


def test_pt_larger_than_the_memory(tmp_path, monkeypatch):
    path = tmp_path / "patterns.pt"
    torch.save(torch.ones(2, 2), path)

    def fail(*_, **__):
        raise RuntimeError("unable to mmap 274877907048 bytes from file <x.pt>: Cannot allocate memory (12)")

    monkeypatch.setattr(torch, "load", fail)
    refused(path, "larger than the memory", ".npy")


def test_available_memory(monkeypatch):
    available = module._available_memory()
    assert 2**20 < available < 2**50

    def fail(*_, **__):
        raise FileNotFoundError

    monkeypatch.setattr(builtins, "open", fail)
    assert module._available_memory() >= available


@pytest.mark.parametrize(
    ("missing", "call"),
    [
        ("pandas", lambda folder: open_patterns(folder / "patterns.csv")),
        ("pyarrow.parquet", lambda folder: open_patterns(folder / "patterns.parquet")),
        ("sklearn.datasets", lambda _: digits()),
    ],
)
def test_missing_extras(tmp_path, monkeypatch, missing, call):
    for ending in (".csv", ".parquet"):
        (tmp_path / f"patterns{ending}").write_text("1,2\n")
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=r"pip install 'hopfield-theory\[data\]'"):
        call(tmp_path)


def test_digits():
    patterns, labels = digits()
    assert (patterns.shape, patterns.dtype, labels.shape) == ((1797, 64), torch.float64, (1797,))
    assert labels.bincount().tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert patterns.sum() == 561718
