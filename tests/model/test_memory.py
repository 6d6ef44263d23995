"""Memory: what is accepted, kept and returned; the literal no-op construction; saving and changing."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hopfield_theory.model.memory import Memory
from hopfield_theory.model.retrieval import retrieve
from hopfield_theory.model.separation import Entmax, SoftmaxN
from hopfield_theory.testing import memories, pattern_sets


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def literally(patterns, is_noop, size, collapse):
    """The paper's construction: a coordinate for outliers, all of them mapped to (0, …, 0, size), one copy kept."""
    augmented = torch.cat([patterns, is_noop.to(patterns.dtype)[:, None]], 1)
    augmented[is_noop] = torch.tensor([0.0] * patterns.shape[1] + [size], dtype=patterns.dtype)
    slots = augmented[is_noop]
    return torch.cat([augmented[~is_noop], slots[:1] if collapse else slots])


def literal_update(literal, query, beta):
    """A dense update on augmented patterns, projected back."""
    scores = beta * literal @ torch.cat([query, query.new_zeros(1)])
    return (torch.softmax(scores, 0) @ literal)[:-1]


@given(pattern_sets(min_patterns=2), st.data())
def test_the_literal_construction_is_softmax_n_over_many_steps(patterns, data):
    """Augment, classify, collapse, update with projection: the same trajectory as softmax_n on the real patterns."""
    flags = st.lists(st.booleans(), min_size=len(patterns), max_size=len(patterns)).filter(lambda f: not all(f))
    is_noop = torch.tensor(data.draw(flags))
    collapse = data.draw(st.booleans())
    beta, size = data.draw(st.sampled_from([0.1, 1.0])), data.draw(st.sampled_from([1.0, -3.0, 50.0]))
    literal = literally(patterns, is_noop, size, collapse)
    memory = Memory.classified(patterns, is_noop, beta, collapse=collapse)
    count = int(is_noop.sum())
    assert memory.noop == (min(count, 1) if collapse else count)
    assert torch.equal(memory.patterns, patterns[~is_noop])
    x = y = patterns[0] * 0.7 + 0.1
    for _ in range(25):
        x, y = memory.update(x), literal_update(literal, y, beta)
        torch.testing.assert_close(x, y, rtol=1e-11, atol=1e-12)


def test_without_the_projection_the_second_literal_step_is_wrong():
    patterns, is_noop = torch.tensor([[1.0, 0.0], [9.0, 9.0]], dtype=torch.float64), torch.tensor([False, True])
    literal = literally(patterns, is_noop, 2.0, collapse=True)
    memory = Memory.classified(patterns, is_noop, 1.0)
    x = torch.tensor([0.5, 0.2], dtype=torch.float64)
    augmented = torch.cat([x, x.new_zeros(1)])
    for _ in range(2):
        augmented = torch.softmax(literal @ augmented, 0) @ literal
    assert (augmented[:2] - memory.update(memory.update(x))).norm() > 0.1


def test_update_energy_and_derivatives_of_a_written_example():
    """Two patterns ±1 on a line, n = 2, β = 1: everything by hand."""
    memory = Memory(torch.tensor([[1.0], [-1.0]], dtype=torch.float64), 1.0, 2.0)
    x = torch.tensor([0.3], dtype=torch.float64)
    total = 2 + 2 * math.cosh(0.3)
    assert memory.update(x).item() == pytest.approx(2 * math.sinh(0.3) / total, rel=1e-14)
    assert memory.energy(x).item() == pytest.approx(0.045 - math.log(total) + 0.5 + math.log(4), rel=1e-13)
    assert memory.noop_weight(x).item() == pytest.approx(2 / total, rel=1e-14)
    variance = 2 * math.cosh(0.3) / total - (2 * math.sinh(0.3) / total) ** 2
    assert memory.jacobian(x).item() == pytest.approx(variance, rel=1e-13)


@given(memories(), st.integers(0, 3))
def test_leading_shapes_are_kept_and_rows_independent(memory, axes):
    shape = (2, 1, 3)[:axes]
    x = normal(*shape, memory.dim)
    together = memory.update(x), memory.energy(x), memory.weights(x), memory.noop_weight(x), memory.jacobian(x)
    flat = x.reshape(-1, memory.dim)
    for index, row in enumerate(flat):
        alone = memory.update(row), memory.energy(row), memory.weights(row), memory.noop_weight(row)
        for many, one in zip(together, (*alone, memory.jacobian(row)), strict=False):
            got = many.reshape(len(flat), *one.shape)[index]
            torch.testing.assert_close(got, one, rtol=1e-9, atol=1e-9 * (1 + memory.beta * memory.radius**2))
    assert together[1].shape == shape
    assert together[4].shape == (*shape, memory.dim, memory.dim)
    state, energy = memory.step(x)
    torch.testing.assert_close((state, energy), together[:2], rtol=0, atol=0)


def test_values_are_read_with_the_weights_of_the_keys():
    keys, values = normal(5, 3), normal(5, 7, seed=1)
    for separation in (SoftmaxN(1.0), Entmax(1.5)):
        memory = Memory(keys, 2.0, separation=separation, values=values)
        x = normal(4, 3, seed=2)
        torch.testing.assert_close(memory.read(x), memory.weights(x) @ values)
        torch.testing.assert_close(memory.update(x), memory.weights(x) @ keys)
        without = Memory(keys, 2.0, separation=separation)
        assert torch.equal(without.read(x), without.update(x))


@pytest.mark.parametrize(("centre", "normalise"), [(True, False), (False, True), (True, True)])
def test_normalisation_is_kept_and_applied_to_queries(centre, normalise):
    raw = normal(6, 4) + 3
    memory = Memory(raw, 30.0, centre=centre, normalise=normalise)
    expected = raw - raw.mean(0) if centre else raw
    expected = expected / expected.norm(dim=1, keepdim=True) if normalise else expected
    torch.testing.assert_close(memory.patterns, expected)
    torch.testing.assert_close(memory.prepare(raw), memory.patterns)
    plain = Memory(memory.patterns, 30.0)
    torch.testing.assert_close(retrieve(memory, raw).state, retrieve(plain, memory.patterns).state)
    more = normal(2, 4, seed=9) + 3
    larger = memory.with_patterns(more)
    torch.testing.assert_close(larger.patterns[6:], memory.prepare(more))
    assert torch.equal(larger.prepare(raw), memory.prepare(raw))
    assert torch.equal(larger.without([6, 7]).patterns, memory.patterns)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("separation", [SoftmaxN(0.0), SoftmaxN(2.5), Entmax(1.5)])
def test_save_and_load_give_the_same_bits(tmp_path, dtype, separation):
    path = tmp_path / "memory.safetensors"
    memory = Memory(
        normal(4, 3).to(dtype), 0.7, separation=separation, values=normal(4, 2), centre=True, normalise=True
    )
    memory.save(path)
    loaded = Memory.load(path)
    for name in ("patterns", "values", "shift"):
        assert torch.equal(getattr(loaded, name), getattr(memory, name))
    assert (loaded.beta, loaded.separation, loaded.normalise) == (memory.beta, memory.separation, memory.normalise)
    x = normal(2, 3, seed=3)
    assert torch.equal(loaded.energy(loaded.prepare(x)), memory.energy(memory.prepare(x)))
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_loading_refuses_what_is_no_memory(tmp_path):
    path = tmp_path / "memory.safetensors"
    with pytest.raises(FileNotFoundError, match="no such file"):
        Memory.load(path)
    path.write_bytes(b"something else")
    with pytest.raises(ValueError, match="not a whole safetensors file"):
        Memory.load(path)
    from safetensors.torch import save_file

    save_file({"patterns": torch.eye(2)}, str(path))
    with pytest.raises(ValueError, match="holds no memory"):
        Memory.load(path)
    Memory(torch.eye(2)).save(path)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(ValueError, match="not a whole safetensors file"):
        Memory.load(path)


def test_files_of_the_first_format_are_read(tmp_path):
    import json

    from safetensors.torch import save_file

    path = tmp_path / "memory.safetensors"
    patterns, shift = normal(3, 2), normal(2, seed=1)
    for choice, separation in (({"noop": 2.5}, SoftmaxN(2.5)), ({"alpha": 1.5}, Entmax(1.5))):
        about = {"format": "hopfield_theory.Memory/1", "beta": 0.5, "normalise": True, **choice}
        save_file({"patterns": patterns, "shift": shift}, str(path), metadata={"memory": json.dumps(about)})
        memory = Memory.load(path)
        assert (memory.beta, memory.separation, memory.normalise, memory.values) == (0.5, separation, True, None)
        assert torch.equal(memory.patterns, patterns)
        assert torch.equal(memory.shift, shift)


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    from pathlib import Path

    path = tmp_path / "memory.safetensors"
    Memory(torch.eye(2)).save(path)
    before = path.read_bytes()
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        Memory(torch.eye(3)).save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_without_and_with_patterns():
    memory = Memory(normal(5, 3), values=normal(5, 2, seed=1))
    smaller = memory.without(torch.tensor([3, 0, 3]))
    assert torch.equal(smaller.patterns, memory.patterns[[1, 2, 4]])
    assert torch.equal(smaller.values, memory.values[[1, 2, 4]])
    for wrong in ([5], [-1]):
        with pytest.raises(ValueError, match="indices reach"):
            memory.without(wrong)
    with pytest.raises(ValueError, match="every pattern"):
        memory.without(range(5))
    with pytest.raises(ValueError, match="integers"):
        memory.without([0.5])
    with pytest.raises(ValueError, match="values are missing"):
        memory.with_patterns(normal(1, 3))
    with pytest.raises(ValueError, match="values are given"):
        Memory(normal(2, 3)).with_patterns(normal(1, 3), normal(1, 2))
    larger = memory.with_patterns(normal(1, 3, seed=4), normal(1, 2, seed=5))
    assert (larger.num_patterns, len(larger.values)) == (6, 6)
    assert larger.radius == pytest.approx(larger.patterns.norm(dim=1).max().item())


def test_nearest_over_blocks(monkeypatch):
    from hopfield_theory.model import memory as module

    monkeypatch.setattr(module, "_BLOCK", {"cpu": 40})
    memory = Memory(normal(20, 3))
    x = normal(2, 5, 3, seed=1)
    index, distance = memory.nearest(x)
    all_distances = (x.unsqueeze(-2) - memory.patterns).norm(dim=-1)
    assert torch.equal(index, all_distances.argmin(-1))
    torch.testing.assert_close(distance, all_distances.amin(-1))
    assert memory.nearest(x[:0])[0].shape == (0, 5)
    sparse = Memory(normal(20, 3), separation=Entmax(2.0))
    torch.testing.assert_close(sparse.update(x), sparse.weights(x) @ sparse.patterns)


def test_a_memory_says_what_it_is():
    memory = Memory(normal(5, 3), 0.75)
    assert (memory.num_patterns, memory.dim, memory.noop, memory.beta) == (5, 3, 1.0, 0.75)
    assert repr(memory) == "Memory(5 patterns in 3 dimensions, beta=0.75, SoftmaxN(noop=1.0), float64 on cpu)"
    sparse = Memory(normal(5, 3).half(), separation=Entmax(1.5))
    assert sparse.noop is None
    assert repr(sparse) == "Memory(5 patterns in 3 dimensions, beta=1, Entmax(alpha=1.5), float16 on cpu)"
    assert Memory(normal(5, 3), noop=0).noop == 0


def test_the_dtype_follows_the_patterns():
    assert Memory([[1, 0], [0, 1]]).patterns.dtype == torch.float64
    assert Memory(np.eye(2, dtype=np.float32)).update([1, 0]).dtype == torch.float32
    half = Memory(torch.eye(2, dtype=torch.float16) * 200)
    assert half.radius == 200.0
    assert half.update([200.0, 0.0]).dtype == torch.float16
    assert half.energy([200.0, 0.0]).dtype == torch.float32
    assert half.to(torch.float64).energy([200.0, 0.0]).item() == pytest.approx(math.log(3), rel=1e-9)


NUMBERS = np.array([[3.0, 1.0], [0.0, 2.0]])


@pytest.mark.parametrize(
    "array",
    [
        pd.DataFrame(NUMBERS, columns=["width", "height"]),
        pd.DataFrame({"a": pd.array([3, 0], "Int64"), "b": [1.0, 2.0]}),
        pd.DataFrame({"a": np.array([3, 0], np.int8), "b": np.array([1, 2], np.float32)}),
        NUMBERS.astype(">f8"),
        np.ascontiguousarray(NUMBERS[::-1])[::-1],
        NUMBERS.astype(np.int16),
        tuple(map(tuple, NUMBERS.tolist())),
    ],
)
def test_array_likes_are_patterns_and_states(array):
    expected = Memory(torch.as_tensor(NUMBERS), centre=True)
    memory = Memory(array, centre=True)
    torch.testing.assert_close(memory.patterns.double(), expected.patterns)
    for method in ("prepare", "update", "energy", "weights", "nearest"):
        torch.testing.assert_close(getattr(expected, method)(array), getattr(expected, method)(NUMBERS))
    assert memory.with_patterns(array).num_patterns == 4


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"patterns": [1.0, 2.0]}, ValueError, r"patterns has shape \(2,\)"),
        ({"patterns": torch.zeros(0, 3)}, ValueError, r"patterns has shape \(0, 3\)"),
        ({"patterns": [[1.0], [math.nan]]}, ValueError, "patterns holds NaN or infinity, first in row 1"),
        ({"patterns": [[math.inf]]}, ValueError, "patterns holds NaN"),
        ({"patterns": [["a"]]}, TypeError, "patterns is list"),
        ({"patterns": np.array([["1"]])}, TypeError, "patterns is ndarray of <U1"),
        ({"patterns": np.array([[object()]])}, TypeError, "patterns is ndarray of object"),
        ({"patterns": np.array(["2020-01-01"], dtype="datetime64[D]")}, TypeError, "patterns is ndarray of datetime64"),
        ({"patterns": pd.DataFrame({"size": [1.0], "name": ["a"]})}, TypeError, r"^patterns has .* 'name' \(.*leave"),
        ({"patterns": pd.DataFrame({"a": pd.array([1, None], "Int64")})}, ValueError, "patterns holds NaN .* row 1"),
        ({"patterns": torch.zeros(1, 1, dtype=torch.complex64)}, TypeError, "must be real"),
        ({"beta": 0.0}, ValueError, "beta is 0.0"),
        ({"beta": math.nan}, ValueError, "beta is nan"),
        (
            {"patterns": np.array([[1e160]]), "beta": 1e-300},
            ValueError,
            "^patterns .* so that m² overflows torch.float64",
        ),
        ({"patterns": torch.full((1, 1), 1e30), "beta": 1e-50}, ValueError, "^patterns .* m² overflows torch.float32"),
        ({"beta": 1e-310}, ValueError, "^beta is 1e-310: it is too small for its inverse"),
        ({"beta": "1"}, TypeError, "beta is '1'"),
        ({"noop": -1.0}, ValueError, "noop is -1.0"),
        ({"noop": 1.0, "separation": Entmax(2.0)}, ValueError, "give one of the two"),
        ({"values": [[1.0]]}, ValueError, "^values have 1 row"),
        ({"values": [[1.0], [math.nan]]}, ValueError, "^values holds NaN or infinity, first in row 1"),
        ({"values": [1.0]}, ValueError, r"^values has shape \(1,\)"),
        ({"patterns": [[0.0, 0.0], [1.0, 0.0]], "normalise": True}, ValueError, "pattern 0 is zero"),
        ({"patterns": [[1.0], [1.0]], "centre": True, "normalise": True}, ValueError, "pattern 0 equals the mean"),
    ],
)
def test_bad_memories_are_refused_by_name(arguments, error, match):
    with pytest.raises(error, match=match):
        Memory(**({"patterns": [[1.0, 0.0], [0.0, 1.0]]} | arguments))


def test_a_query_that_cannot_be_normalised_is_named():
    memory = Memory([[1.0, 0.0], [0.0, 2.0]], normalise=True)
    with pytest.raises(ValueError, match=r"^query 1 is zero"):
        memory.prepare([[1.0, 1.0], [0.0, 0.0]])


@pytest.mark.parametrize(
    "method",
    [
        "update",
        "energy",
        "gradient",
        "jacobian",
        "weights",
        "noop_weight",
        "step",
        "scores",
        "read",
        "nearest",
        "prepare",
    ],
)
def test_bad_states_are_refused(method):
    memory, name = Memory(torch.eye(2)), "queries" if method == "prepare" else "x"
    with pytest.raises(ValueError, match=rf"^{name} has shape \(3,\): its last axis must be 2"):
        getattr(memory, method)([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=rf"^{name} has shape \(\): its last axis must be 2"):
        getattr(memory, method)(1.0)
    with pytest.raises(ValueError, match=f"^{name} holds NaN or infinity"):
        getattr(memory, method)([1.0, math.nan])
    with pytest.raises(ValueError, match=f"^{name} holds NaN or infinity, first in row 1, column 1 "):
        getattr(memory, method)([[1.0, 0.0], [1.0, math.nan]])


@pytest.mark.parametrize("separation", [SoftmaxN(1.0), Entmax(1.5)])
def test_no_states_have_results_of_the_usual_dtypes(separation):
    memory = Memory(torch.eye(2, dtype=torch.float16), separation=separation, values=torch.ones(2, 3))
    none = torch.zeros(0, 4, 2)
    for method, shape, dtype in (
        ("update", (0, 4, 2), torch.float16),
        ("read", (0, 4, 3), torch.float16),
        ("energy", (0, 4), torch.float32),
        ("weights", (0, 4, 2), torch.float32),
        ("noop_weight", (0, 4), torch.float16),
        ("jacobian", (0, 4, 2, 2), torch.float32),
    ):
        found = getattr(memory, method)(none)
        assert (found.shape, found.dtype) == (shape, dtype), method
    assert [(t.shape, t.dtype) for t in memory.nearest(none)] == [((0, 4), torch.int64), ((0, 4), torch.float16)]


def test_bad_patterns_that_are_added_are_named():
    memory = Memory(torch.eye(2), normalise=True)
    for more, match in (
        ([1.0, 2.0], r"more has shape \(2,\): it must be \(rows, columns\)"),
        ([[1.0, 2.0, 3.0]], r"more has shape \(1, 3\): its last axis must be 2"),
        ([[1.0, 2.0], [math.nan, 0.0]], "more holds NaN or infinity, first in row 1"),
        ([[0.0, 0.0]], "pattern 0 is zero"),
    ):
        with pytest.raises(ValueError, match=f"^{match}"):
            memory.with_patterns(more)
    with pytest.raises(ValueError, match=r"^values have 1 row"):
        Memory(torch.eye(2), values=torch.eye(2)).with_patterns(torch.eye(2), [[1.0, 0.0]])


def test_a_changed_memory_keeps_its_settings():
    for separation in (SoftmaxN(2.5), Entmax(1.5)):
        memory = Memory(normal(4, 3), 0.7, separation=separation, centre=True, normalise=True)
        for changed in (memory.with_patterns(normal(2, 3, seed=1)), memory.without([0]), memory.to(torch.float32)):
            assert (changed.separation, changed.beta, changed.normalise) == (separation, 0.7, True)
            assert torch.equal(changed.shift, memory.shift.to(changed.patterns))
    narrow = Memory(normal(4, 3), values=normal(4, 2, seed=1)).to(torch.float32)
    assert narrow.shift is None
    assert not narrow.normalise
    assert narrow.values.dtype == torch.float32


def test_classified_refuses_flags_that_do_not_fit():
    for flags in ([True], [0, 1], [[True, False]]):
        with pytest.raises(ValueError, match="is_noop"):
            Memory.classified([[1.0], [2.0]], flags)
    with pytest.raises(ValueError, match="at least one must remain"):
        Memory.classified([[1.0], [2.0]], [True, True])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("separation", [SoftmaxN(1.0), Entmax(1.5)])
def test_half_types_are_computed_in_float32(dtype, separation):
    wide = 16 * torch.eye(4)
    memory, reference = Memory(wide.to(dtype), 363.0, separation=separation), Memory(wide, 363.0, separation=separation)
    x = torch.tensor([[14.0, 3.0, 0.0, 0.0], [0.0, 0.0, 7.0, 9.0]])
    for method in ("weights", "jacobian", "energy"):
        got = getattr(memory, method)(x)
        assert got.dtype == torch.float32
        torch.testing.assert_close(got, getattr(reference, method)(x))
    torch.testing.assert_close(memory.update(x).float(), reference.update(x), rtol=0, atol=16 * torch.finfo(dtype).eps)
    assert memory.nearest(x)[0].tolist() == [0, 3]
    for fast in (False, True):
        assert memory.nearest(retrieve(memory, x, accelerate=fast).state)[0].tolist() == [0, 3]


@pytest.mark.parametrize(
    ("dtype", "scale"),
    [
        (torch.float16, 3e4),
        (torch.float32, 1e20),
        (torch.float32, 1e-23),
        (torch.float64, 1e160),
        (torch.float64, 1e-170),
    ],
)
def test_normalising_neither_overflows_nor_underflows(dtype, scale):
    memory = Memory((scale * torch.ones(1, 2, dtype=torch.float64)).to(dtype), normalise=True)
    half = torch.full((1, 2), 0.5**0.5, dtype=dtype)
    torch.testing.assert_close(memory.patterns, half, rtol=4 * torch.finfo(dtype).eps, atol=0)


def test_masked_numbers_are_not_read_as_if_they_were_not():
    rows = np.ma.masked_array(np.eye(2), mask=False)
    assert Memory(rows).num_patterns == 2
    rows[0, 1] = np.ma.masked
    for masked in (rows, list(rows), [[1.0, 1.0], *rows]):
        with pytest.raises(TypeError, match=r"^patterns has masked numbers: fill them"):
            Memory(masked)


@pytest.mark.parametrize(
    "patterns", [torch.eye(2).to_sparse(), torch.eye(2).to(torch.float8_e4m3fn), torch.eye(2, dtype=torch.complex64)]
)
def test_tensors_of_other_kinds_are_refused_by_name(patterns):
    with pytest.raises(TypeError, match=r"^patterns is torch\.[^\n]*: it must be"):
        Memory(patterns)
    with pytest.raises(TypeError, match=r"^queries is torch\.[^\n]*: it must be"):
        Memory(torch.eye(2)).prepare(patterns)


def test_bad_rows_are_numbered_over_blocks():
    patterns = torch.zeros(140_000, 1)
    patterns[133_000] = math.nan
    with pytest.raises(ValueError, match=r"^patterns holds NaN or infinity, first in row 133000, column 0 "):
        Memory(patterns)
    patterns[133_000] = 5.0
    assert Memory(patterns).radius == 5.0


def test_overflow_is_refused_not_stored():
    with pytest.raises(ValueError, match="less the mean overflows"):
        Memory(torch.tensor([[6e4], [-6e4], [-6e4], [-6e4]], dtype=torch.float16), centre=True)
    with pytest.raises(ValueError, match="values holds NaN"):
        Memory(torch.eye(1, dtype=torch.float16), values=[[1e6]])
    large = Memory([[1e5]], 1e-9, values=[[1.0]])
    for cast in (lambda m: m.at(dtype=torch.float16), lambda m: m.to(torch.float16)):
        with pytest.raises(ValueError, match="patterns holds NaN"):
            cast(large)
        with pytest.raises(ValueError, match="values holds NaN"):
            cast(Memory([[1.0]], values=[[1e5]]))


@pytest.mark.parametrize(
    "use", ["scores", "weights", "noop_weight", "update", "read", "energy", "gradient", "step", "jacobian"]
)
def test_states_whose_scores_overflow_are_refused(use):
    memory = Memory(torch.eye(2, dtype=torch.float64))
    with pytest.raises(ValueError, match=r"^x with coordinates up to 1e\+308: scores overflow torch.float64"):
        getattr(memory, use)([[0.0, 0.0], [1e308, -1e308]])
    assert memory.nearest([1e308, 0.0])[0] == 0


@pytest.mark.parametrize("dtype", ["float32", np.float32, 32])
def test_what_is_no_dtype_is_refused_by_name(dtype):
    with pytest.raises(TypeError, match=r"^dtype is .*: it must be a torch.dtype"):
        Memory([[1.0]]).at(dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.int32, torch.bool, torch.complex64])
def test_patterns_are_not_rounded_to_other_kinds_of_numbers(dtype):
    memory = Memory([[0.6, 0.8]])
    for cast in (lambda: memory.at(dtype=dtype), lambda: memory.to(dtype)):
        with pytest.raises(TypeError, match=f"^dtype is {dtype}: it must be a floating one"):
            cast()


def test_rows_are_named_by_arrays_of_any_stride():
    memory, order = Memory(np.arange(4.0)[:, None]), np.array([0, 2])[::-1]
    assert memory.without(order).patterns.flatten().tolist() == [1.0, 3.0]
    flags = np.array([True, False, False, True])[::-1]
    assert Memory.classified(memory.patterns, flags).patterns.flatten().tolist() == [1.0, 2.0]
    with pytest.raises(TypeError, match=r"^indices is set"):
        memory.without({1})


def test_nearest_of_patterns_that_share_a_large_part():
    patterns = 1000 + torch.randn(100, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(Memory(patterns).nearest(patterns)[0], torch.arange(100))


def test_values_may_be_the_patterns(tmp_path):
    x = torch.eye(2)
    Memory(x, values=x).save(tmp_path / "m.safetensors")
    assert torch.equal(Memory.load(tmp_path / "m.safetensors").values, x)


@given(pattern_sets(max_patterns=8, max_dim=3))
def test_duplicates_are_those_of_all_pairs(patterns):
    equal = (patterns.unsqueeze(0) == patterns.unsqueeze(1)).all(-1).sum(1) > 1
    assert Memory(patterns).duplicates().tolist() == equal.nonzero().flatten().tolist()


def test_duplicates_in_many_blocks_and_of_signed_zeros():
    patterns = torch.randn(40_000, 3, generator=torch.Generator().manual_seed(1))
    assert len(Memory(patterns).duplicates()) == 0
    patterns[39_999] = patterns[5]
    patterns[7], patterns[20_000] = torch.tensor([0.0, 1.0, 2.0]), torch.tensor([-0.0, 1.0, 2.0])
    assert Memory(patterns).duplicates().tolist() == [5, 7, 20_000, 39_999]
