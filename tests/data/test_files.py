"""Files of patterns: every kind, mapped or read, damaged, foreign, too large; and the digits."""

import builtins
import json
import math
import pickle
import re
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

import hopfield_theory.data.files as module
from hopfield_theory.data.ensembles import ArrayPatterns
from hopfield_theory.data.files import digits, open_patterns, open_queries

FLOATS = [np.float16, np.float32, np.float64]


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
def test_files_of_every_kind(tmp_path, save, ending, dtype, monkeypatch):
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
def test_mapped_files_are_not_read_whole(tmp_path, save, ending):
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
    np.save(path, array.astype(array.dtype.newbyteorder(">")) if layout == "big-endian" else np.asfortranarray(array))
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
def test_no_name_for_the_only_array(tmp_path, save, ending):
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


def test_endings(tmp_path):
    path = tmp_path / "patterns.mat"
    path.write_bytes(b"x")
    refused(path, "'.mat'", *ENDINGS)
    packed = tmp_path / "patterns.csv.gz"
    packed.write_bytes(b"x")
    refused(packed, "unpack it first")
    with (tmp_path / "A.NPY").open("wb") as file:
        np.save(file, np.ones((2, 3)))
    assert open_patterns(tmp_path / "A.NPY").shape == (2, 3)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("kept", [1, 9, 0.5, -20])
def test_truncated_files(tmp_path, save, ending, kept):
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
@pytest.mark.parametrize("content", [b"j", b"\x00" * 64, b"PK\x03\x04" + b"\xff" * 300])
def test_bytes_of_something_else(tmp_path, ending, content):
    path = tmp_path / f"damaged{ending}"
    path.write_bytes(content)
    refused(path)


@pytest.mark.parametrize("ending", ENDINGS)
@given(data=st.data())
def test_damaged_files_give_one_line_or_an_array(tmp_path_factory, save, ending, data):
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
        (np.ones(3), "with 1 dimension;"),
        (np.ones((2, 2, 2)), "3 dimensions"),
        (np.array(1.0), "0 dimensions"),
        (np.ones((0, 3)), "no row"),
        (np.ones((3, 0)), "no column"),
        (np.ones((2, 2), dtype=np.complex64), "complex64"),
    ],
)
@pytest.mark.parametrize("ending", [".npy", ".npz", ".pt", ".safetensors"])
def test_arrays_that_are_no_patterns(tmp_path, save, ending, array, said):
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
        ("NA,1,2\n3,4,5\n", [[math.nan, 1, 2], [3, 4, 5]]),
        ("NA,NaN\n3,4\n", [[math.nan, math.nan], [3, 4]]),
        ("a;b\n1;2\n3;4\n", [[1, 2], [3, 4]]),
        ("1\t2\n3\t4\n", [[1, 2], [3, 4]]),
        ("a b\n1  2\n3 4\n", [[1, 2], [3, 4]]),
        (" 1 2\n 3 4\n", [[1, 2], [3, 4]]),
    ],
)
def test_csv(tmp_path, text, expected):
    path = tmp_path / "patterns.csv"
    path.write_bytes(text.encode())
    np.testing.assert_array_equal(open_patterns(path).numpy(), expected)


@pytest.mark.parametrize(
    ("text", "chosen", "expected"),
    [
        ("name,x,y,label\nu,1,2,v\nw,3,4,z\n", {"drop": ["name", "label"]}, [[1, 2], [3, 4]]),
        ("name,x,y\nu,1,2\nw,3,4\n", {"columns": ["y", "x"]}, [[2, 1], [4, 3]]),
        (",x,y\n0,1,2\n1,3,4\n", {"drop": ["Unnamed: 0"]}, [[1, 2], [3, 4]]),
        (",0,1\n0,1,2\n1,3,4\n", {"columns": ["0", "1"]}, [[1, 2], [3, 4]]),
        ("label,0,1\nu,1,2\n", {"drop": ["label"]}, [[1, 2]]),
        ("1,2,3\n", {"drop": ["1"]}, [[1, 3]]),
        ("id,x\n1,5\n2,5\n3,5\n", {"drop": ["id"]}, [[5], [5], [5]]),
        ("id,x\n1,5\n2,5\n3,5\n", {"columns": ["id", "x"]}, [[1, 5], [2, 5], [3, 5]]),
        ("t,x,y\n1,5,1\n2,5,1\n3,5,1\n", {"columns": ["x", "t"]}, [[5, 1], [5, 2], [5, 3]]),
    ],
)
def test_chosen_columns(tmp_path, text, chosen, expected):
    path = tmp_path / "patterns.csv"
    path.write_text(text)
    np.testing.assert_array_equal(open_patterns(path, **chosen).numpy(), expected)


@pytest.mark.parametrize(
    "text",
    [
        # whole numbers like all others, repeated, or of two rows; names that only contain a key's
        "a,b\n3,5\n1,5\n7,5\n",
        "a,b,c\n3,0.5,1\n3,0.1,2\n7,0.1,2\n",
        "a,b\n3,0.5\n1,0.1\n",
        "a,b\n9,2\n3,4.5\n-7,0.5\n4,1\n",
        "width,idea,classes,valid\n3,5,1,1\n1,5,1,1\n7,5,1,1\n",
        "x\n1\n2\n3\n",
    ],
)
def test_whole_numbers_that_are_coordinates(tmp_path, text):
    path = tmp_path / "patterns.csv"
    path.write_text(text)
    np.testing.assert_array_equal(open_patterns(path), pd.read_csv(path).to_numpy())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n3,\n", "line 3 has no number in column 'b'; every cell must be a number"),
        ("a,b\n1,2\n\n  \n3\n,\n", "line 5 has no number in column 'b' (2 such rows in all)"),
        ('"a\nb",c\n1,2\n-inf,2\n', "line 4 has -inf in column 'a\\nb'"),
        ("1,,3\n4,5,6\n", "line 1 has no number in column '1'"),
        ("1 2\n\n3 nan\n", "line 3 has no number in column '1'"),
    ],
)
def test_missing_numbers_are_named_by_line_and_column(tmp_path, text, said):
    path = tmp_path / "patterns.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"{re.escape(f'{path}: {said}')}"):
        open_patterns(path, finite=True)
    assert not torch.isfinite(open_patterns(path)).all()


def test_missing_numbers_of_parquet_are_named_by_row_and_column(tmp_path):
    path = tmp_path / "patterns.parquet"
    pd.DataFrame({"a": [1, 2], "b": [0.5, None]}).to_parquet(path)
    with pytest.raises(ValueError, match=r"row 1 \(from 0\) has no number in column 'b'; every"):
        open_patterns(path, finite=True)
    pd.DataFrame({"u": [[1.0, 2.0]], "v": [[3.0, math.nan]]}).to_parquet(path)
    with pytest.raises(ValueError, match=r"row 0 \(from 0\) has no number in column 'v'; every"):
        open_patterns(path, columns=["u", "v"], finite=True)


def test_choices_that_cannot_be_met(tmp_path):
    path = tmp_path / "patterns.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"has no column 'c', 'd'; it has 'a', 'b'"):
        open_patterns(path, columns=["a", "c", "d"])
    with pytest.raises(ValueError, match="columns and drop: give one of them"):
        open_patterns(path, columns=["a"], drop=["b"])
    np.save(tmp_path / "patterns.npy", np.ones((2, 2)))
    with pytest.raises(ValueError, match=r"an array has no columns with names"):
        open_patterns(tmp_path / "patterns.npy", columns=["a"])


def test_lists_in_parquet(tmp_path):
    path = tmp_path / "patterns.parquet"
    rows = [[1.0, 2.0], [3.0, 4.0]]
    pd.DataFrame({"embedding": rows, "text": ["u", "w"]}).to_parquet(path)
    np.testing.assert_array_equal(open_patterns(path, columns=["embedding"]).numpy(), rows)
    refused(path, "not of numbers: 'text'")
    pd.DataFrame({"price": [5.0, 7.0], "embedding": rows}).to_parquet(path)
    refused(path, "beside lists it holds single numbers in 'price'; choose columns, or drop some")
    assert open_patterns(path, columns=["price", "embedding"]).tolist() == [[5, 1, 2], [7, 3, 4]]
    pd.DataFrame({"text": rows, "image": rows}).to_parquet(path)
    refused(path, "holds several columns of lists, 'text', 'image', which are joined only if columns are chosen")
    assert open_patterns(path, columns=["image"]).tolist() == rows
    assert open_patterns(path, columns=["text", "image"]).tolist() == [[1, 2, 1, 2], [3, 4, 3, 4]]
    pd.DataFrame({"embedding": [np.float32([1, 2]), np.float32([3, 4])]}).to_parquet(path)
    assert open_patterns(path).dtype == torch.float32
    pd.DataFrame({"embedding": [[1.0], [2.0, 3.0]]}).to_parquet(path)
    refused(path, "column 'embedding' holds lists of different lengths")
    pd.DataFrame({"embedding": [[[1.0], [2.0]], [[3.0], [4.0]]]}).to_parquet(path)
    refused(path, "column 'embedding' holds lists of different lengths, or not of numbers")
    pd.DataFrame({"embedding": [None, [2.0, 3.0]]}).to_parquet(path)
    refused(path, "row 0 (from 0) has no list in column 'embedding'")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"a,b,c\n1,x,y\n", "not of numbers: 'b', 'c' (such as 'x'); choose columns, or drop some"),
        (b"1,2,3\n1,2,y\n", "not of numbers: '2' (such as"),
        (b"a;b\n1,5;2\n", "not of numbers: 'a' (such as '1,5'); write numbers with a decimal point"),
        (b"a,2020,2021\nx,1,2\n", "first line mixes words ('a') and numbers"),
        (b"a,b\n1,2\n3,4,5\n", "cannot be read as .csv"),
        (b"a,b\n1,2,3\n", "2 columns in the first line, 3 in the next"),
        (b"a,b\n", "a line of names and no row below it"),
        (b"a,b\n\n,\n", "a line of names and no row below it"),
        (b"1,5;2,25\n3,5;1\n", "write numbers with a decimal point"),
        (b"1,5\t2\n", "write numbers with a decimal point"),
        (b"-1,5 2,5e-3\n", "write numbers with a decimal point"),
        (b"id,x\n7,1\n8,5\n9,1\n", "its column 'id' counts the rows (7, 8, ...), so it may be no coordinate"),
        (b"0.5,0\n0.1,1\n0.2,2\n", "its column '1' counts the rows (0, 1, ...)"),
        (
            b"t,x,y\n1007,1.5,2\n1001,2.5,0.1\n1003,1,0.5\n",
            "its column 't' holds another whole number in each row (1007, 1001",
        ),
        (b"0.5,2\n0.1,0\n0.2,1\n", "its column '1' holds another whole number in each row (2, 0, ...)"),
        (
            b"a,b\n" + b"".join(b"%d,%d\n" % (7 * k % 10, k % 3) for k in range(10)),
            "counts the rows in another order (0, 7",
        ),
        (b"x,label\n0.5,1\n0.25,1\n", "its column 'label' is called like a key or a label, so it may be no coordinate"),
        (b"image_id,x\n7,3\n9,3\n", "its column 'image_id' is called like"),
        (b"x,userId\n7,3\n9,3\n", "its column 'userId' is called like"),
        (b"\n\n", "blank lines only"),
        (b",a,b\n0,1,2\n", "first column has no name"),
        (b",0,1\n0,1,2\n", "first column has no name"),
        (b"\xff\xfe1,2", "save it as UTF-8"),
        (b"\xe9,b\n1,2\n", "save it as UTF-8"),
    ],
)
def test_bad_csv(tmp_path, text, said):
    path = tmp_path / "patterns.csv"
    path.write_bytes(text)
    refused(path, said)


def test_columns_of_parquet(tmp_path):
    path = tmp_path / "patterns.parquet"
    pd.DataFrame({"a": [1, 2], "b": ["x", "y"], "c": [None, "z"]}).to_parquet(path)
    refused(path, "not of numbers: 'b', 'c' (such as 'x')")
    frame = pd.DataFrame({"a": [1, 2], "b": [0.5, None], "c": [True, False]}, index=["p", "q"])
    frame["d"] = pd.array([3, None], dtype="Int64")
    frame.to_parquet(path)
    expected = [[1, 0.5, 1, 3], [2, math.nan, 0, math.nan]]
    np.testing.assert_array_equal(open_patterns(path).numpy(), expected)
    pd.DataFrame({"a": []}, dtype=float).to_parquet(path)
    refused(path, "no row")


@pytest.mark.parametrize("ending", [".npz", ".csv", ".parquet"])
def test_files_that_must_be_read_whole_and_do_not_fit(tmp_path, save, ending, monkeypatch):
    path = tmp_path / f"patterns{ending}"
    save(path, np.ones((100, 10)))
    monkeypatch.setattr(module, "_available_memory", lambda: 1000)
    refused(path, "GiB", "convert it to .npy or .safetensors")


@pytest.mark.parametrize("ending", [".npy", ".safetensors", ".pt"])
def test_mapped_files_need_memory_only_to_be_converted(tmp_path, save, ending, monkeypatch):
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


@pytest.mark.parametrize(
    ("known", "asked", "chosen", "expected"),
    [
        # by name: another order, more columns, a choice of the patterns' that the queries need not have
        ("x,y\n1,2\n", "y,z,x\n4,5,3\n", {}, [[3, 4]]),
        ("id,x,y\n7,1,2\n", "x,y\n3,4\n", {"drop": ["id"]}, [[3, 4]]),
        ("id,x,y\n7,1,2\n", "x,y,word\n3,4,a\n", {"columns": ["y", "x"]}, [[4, 3]]),
        ("1,2,3\n", "4,5,6\n", {"columns": ["2", "0"]}, [[6, 4]]),
        # by place, where one of the two has no names, or names are there twice
        ("x,y\n1,2\n", "3,4\n", {}, [[3, 4]]),
        ("1,2\n", "x,y\n3,4\n", {}, [[3, 4]]),
        ("x,x\n1,2\n", "x,x\n3,4\n", {}, [[3, 4]]),
        ("1,2,3\n", "4,5\n", {"drop": ["0"]}, [[4, 5]]),
    ],
)
def test_queries_of_a_table_are_read_by_the_names_of_the_patterns(tmp_path, known, asked, chosen, expected):
    for name, text in (("known.csv", known), ("asked.csv", asked)):
        (tmp_path / name).write_text(text)
    assert open_queries(tmp_path / "asked.csv", tmp_path / "known.csv", **chosen).tolist() == expected


@pytest.mark.parametrize(
    ("known", "asked", "said"),
    [
        ("x,y\n1,2\n", "x,z\n3,4\n", "has no column 'y', as the patterns have; it has 'x', 'z'; choose its own"),
        ("x,x\n1,2\n", "x,y\n3,4\n", "has columns of equal names; it has 'x', 'y'"),
    ],
)
def test_queries_of_other_names_are_not_guessed(tmp_path, known, asked, said):
    for name, text in (("known.csv", known), ("asked.csv", asked)):
        (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=re.escape(said)):
        open_queries(tmp_path / "asked.csv", tmp_path / "known.csv")


def test_queries_of_parquet_without_its_index(tmp_path):
    pd.DataFrame({"x": [1.0], "y": [2.0]}, index=["p"]).to_parquet(tmp_path / "known.parquet")
    pd.DataFrame({"y": [4.0], "x": [3.0], "text": ["a"]}).to_parquet(tmp_path / "asked.parquet")
    assert open_queries(tmp_path / "asked.parquet", tmp_path / "known.parquet").tolist() == [[3, 4]]


def test_queries_of_an_archive_have_the_array_of_that_name_or_their_own(tmp_path):
    rows = np.eye(2)
    np.savez(tmp_path / "known.npz", train=rows, test=2 * rows)
    np.savez(tmp_path / "same.npz", train=3 * rows, test=rows)
    np.savez(tmp_path / "other.npz", asked=4 * rows)
    np.save(tmp_path / "plain.npy", 5 * rows)
    (tmp_path / "table.csv").write_text("6,0\n0,6\n")
    for asked, factor in (("same.npz", 3), ("other.npz", 4), ("plain.npy", 5), ("table.csv", 6)):
        assert open_queries(tmp_path / asked, tmp_path / "known.npz", "train").tolist() == (factor * rows).tolist()
    np.savez(tmp_path / "several.npz", a=rows, b=rows)
    with pytest.raises(ValueError, match="name one of those it holds: 'a', 'b'"):
        open_queries(tmp_path / "several.npz", tmp_path / "known.npz", "train")
    with pytest.raises(FileNotFoundError):
        open_queries(tmp_path / "nothing.npz", tmp_path / "known.npz", "train")
