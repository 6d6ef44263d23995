"""``certify``: every format and setting, the library's numbers, and what it says of special patterns."""

import math
import re

import numpy as np
import pandas as pd
import pytest
import torch

import hopfield_theory as ht
from hopfield_theory.data import files
from tests.cli.running import one_line, run, sentences, strict


@pytest.mark.parametrize("ending", [".npy", ".npz", ".csv", ".parquet", ".pt", ".safetensors"])
def test_every_format_is_read(tmp_path, patterns, save, ending):
    path, out = tmp_path / f"patterns{ending}", tmp_path / "out.json"
    save(path, patterns.numpy())
    result = run("certify", path, "--beta", 20, "--noop", 0.5, "--json", out)
    proof = ht.certify(ht.Memory(patterns, 20.0, 0.5))
    stored = int(proof.stored.sum())
    assert 0 < stored < 30
    assert result.exit_code == 1
    assert f"{stored} of 30 patterns proved stored at β = 20" in result.stdout
    data = strict(out.read_text())
    assert data["certificate"]["radius"] == pytest.approx(proof.radius.tolist(), rel=1e-12)
    assert (data["memory"]["beta"], data["memory"]["noop"], data["memory"]["patterns"]) == (20.0, 0.5, 30)
    assert data["version"] == ht.__version__


def test_exit_status_zero_when_all_are_stored(source, patterns):
    result = run("certify", source, "--beta", 500)
    assert result.exit_code == 0
    assert "All 30 patterns proved stored at β = 500; 0 not stored, 0 undecided." in result.stdout
    weak = run("certify", source, "--beta", 5)
    assert weak.exit_code == 1
    assert "find-beta says from which β on all are stored." in weak.stdout


@pytest.mark.parametrize(
    ("rows", "said", "status", "expected"),
    [
        (
            [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]],
            "2 rows equal another row, and a pattern cannot be stored twice: patterns 0, 2.",
            1,
            {"status": ["not_stored", "stored", "not_stored"]},
        ),
        ([[1.0, 1.0], [0.0, 9.0]], "Constant, every coordinate the same: pattern 0.", 1, {}),
        ([[3.0, 4.0]], "The one pattern proved stored", 0, {"radius": [None]}),
    ],
)
def test_special_patterns_are_named_and_the_rest_is_decided(tmp_path, rows, said, status, expected):
    path, out = tmp_path / "p.npy", tmp_path / "out.json"
    np.save(path, np.array(rows))
    result = run("certify", path, "--beta", 50, "--noop", 0, "--json", out)
    assert said in sentences(result.stdout)
    assert expected.items() <= strict(out.read_text())["certificate"].items()
    assert result.exit_code == status


def test_the_digits_are_all_stored():
    result = run("certify", "digits", "--centre", "--normalise", "--beta", 363)
    assert "All 1797 patterns proved stored" in result.stdout
    assert result.exit_code == 0


@pytest.mark.parametrize(("beta", "options"), [(20, ["--noop", "0", "--centre", "--normalise"]), (20, [])])
def test_the_json_of_a_certificate_is_the_library_s(source, patterns, beta, options):
    result = run("certify", source, "--beta", beta, "--json", "-", *options)
    data, changed = strict(result.stdout), bool(options)
    memory = ht.Memory(patterns, beta, 0.0 if changed else 1.0, centre=changed, normalise=changed)
    proof = ht.certify(memory)
    assert 0 < int(proof.stored.sum()) < 30
    assert data["certificate"].pop("least_noop") == ht.least_noop(memory)
    assert set(data["certificate"]) == set(vars(proof)) - {"beta", "memory_radius"}
    assert data["certificate"].pop("rejects") is None
    assert data["certificate"].pop("status") == [ht.Storage(status).name.lower() for status in proof.status.tolist()]
    for name, values in data["certificate"].items():
        expected = getattr(proof, name).tolist()
        assert values == [None if math.isnan(number) else number for number in expected], name
    assert data["memory"] == {
        **{"source": source, "patterns": 30, "dim": 8, "beta": beta, "noop": memory.noop, "radius": memory.radius},
        **{"centre": changed, "normalise": changed, "dtype": "float64"},
    }
    assert "proved stored" in result.stderr
    assert result.exit_code == 1


def test_a_file_of_the_name_digits_comes_before_the_digits(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(files, "digits", lambda: (torch.eye(3, dtype=torch.float64), None))
    assert run("certify", "digits", "--beta", 20).exit_code == 0
    (tmp_path / "digits").write_text("1,2\n")
    assert "digits: unknown ending" in one_line(run("certify", "digits", "--beta", 20))


def test_names_of_every_alphabet_and_rich_markup(tmp_path, patterns):
    for name in ("muster größe β 模式.npy", "[red]x[bold].npy", "two  blanks.npy"):
        np.save(tmp_path / name, patterns.numpy())
        out = tmp_path / f"{name}.json"
        result = run("certify", tmp_path / name, "--beta", 500, "--json", out)
        assert result.exit_code == 0
        assert strict(out.read_text(encoding="utf-8"))["memory"]["source"] == str(tmp_path / name)
        assert f"Written: {out}".replace(" ", "") in "".join(result.stdout.split())


def test_both_spellings_are_taken(source):
    results = [
        run("certify", source, "--beta", 9, *options)
        for options in (["--centre", "--normalise"], ["--center", "--normalize"])
    ]
    assert results[0].stdout == results[1].stdout


@pytest.mark.parametrize(
    ("exponent", "dtype"),
    [(0, "f8"), (700, "f8"), (-700, "f8"), (-540, "f8"), (0, "f4"), (100, "f4"), (-100, "f4"), (-72, "f4")],
)
def test_normalising_removes_any_scale(tmp_path, patterns, exponent, dtype):
    np.save(tmp_path / "scaled.npy", (patterns.numpy() * 2.0**exponent).astype(dtype))
    result = run("certify", tmp_path / "scaled.npy", "--normalise", "--beta", 500, "--json", tmp_path / "o.json")
    proof = ht.certify(ht.Memory(patterns, 500.0, normalise=True))
    assert (result.exit_code, result.stderr) == (0, "")
    radius = strict((tmp_path / "o.json").read_text())["certificate"]["radius"]
    assert radius == pytest.approx(proof.radius.tolist(), rel=1e-4)


@pytest.mark.parametrize(("length", "dtype"), [(1e200, "f8"), (1e20, "f4"), (6e4, "f2")])
def test_no_pattern_is_lost_in_normalising(tmp_path, length, dtype):
    # the norm of the first row overflows in its dtype
    np.save(tmp_path / "long.npy", np.array([[length, length], [0, -1.0]]).astype(dtype))
    result = run("certify", tmp_path / "long.npy", "--normalise", "--beta", 50, "--json", "-")
    proof = ht.certify(ht.Memory([[0.5**0.5, 0.5**0.5], [0.0, -1.0]], 50.0))
    assert strict(result.stdout)["certificate"]["radius"] == pytest.approx(proof.radius.tolist(), rel=1e-2)
    assert result.exit_code == 0


@pytest.mark.parametrize("factor", [1e200, 1e154, 1e-155, 1e-160, 1e-200, 1e-310])
@pytest.mark.parametrize("command", ["certify", "find-beta"])
def test_patterns_of_extreme_size_are_not_called_what_they_are_not(tmp_path, patterns, command, factor):
    np.save(tmp_path / "extreme.npy", patterns.numpy() * factor)
    result = run(command, tmp_path / "extreme.npy")
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    # distinct, finite, not zero
    assert not re.search(r"duplicate|NaN or infinity|all zero|betas are", result.output)
    if result.exit_code == 2:
        assert "extreme.npy" in one_line(result)


@pytest.mark.parametrize(
    ("line", "statuses"),
    [
        *((f"certify --beta {beta}", (0, 1)) for beta in ("1e-300", "1e300")),
        *((f"retrieve --hide 0.5 --beta {beta}", (0, 1)) for beta in ("1e-300", "1e300")),
        *((f"certify --noop {noop}", (1,)) for noop in ("5e-324", "1e300", "1e308")),
        (f"retrieve --hide 0 --beta 300 --max-steps {10**20}", (0,)),
        (f"retrieve --hide 0 --beta 300 --max-steps {10**20} --accelerate", (0,)),
    ],
)
def test_extreme_settings_are_taken(tmp_path, source, line, statuses):
    command, *options = line.split()
    result = run(command, source, *options, "--json", tmp_path / "o.json")
    assert result.exit_code in statuses, repr(result.exception)
    assert (result.stderr, type(result.exception)) in (("", SystemExit), ("", type(None)))
    memory = strict((tmp_path / "o.json").read_text())["memory"]
    for name in {"--beta", "--noop"} & set(options):
        assert memory[name[2:]] == float(options[options.index(name) + 1])


@pytest.mark.parametrize(
    "rows", [np.array([[2.0]]), np.array([[2.0], [-3.0]]), np.array([[1, 0], [0, 1]]), np.eye(2) > 0]
)
def test_one_pattern_one_dimension_integers_and_booleans(tmp_path, rows):
    np.save(tmp_path / "p.npy", rows)
    assert run("certify", tmp_path / "p.npy", "--beta", 20).exit_code == 0
    assert run("find-beta", tmp_path / "p.npy").exit_code == 0
    result = run("retrieve", tmp_path / "p.npy", "--query", tmp_path / "p.npy", "--beta", 20, "--json", "-")
    assert strict(result.stdout)["retrieval"]["answer"] == list(range(len(rows)))


def test_one_array_of_several_and_some_columns_of_a_table(tmp_path, patterns):
    rows = patterns.numpy()
    np.savez(tmp_path / "several.npz", keys=rows, labels=np.arange(len(rows)))
    frame = pd.DataFrame(rows, columns=[f"x{k}" for k in range(rows.shape[1])])
    frame.insert(0, "word", "a")
    frame.to_csv(tmp_path / "table.csv", index=False)
    np.save(tmp_path / "plain.npy", rows)
    wanted = strict(run("certify", tmp_path / "plain.npy", "--beta", "20", "--json", "-").stdout)
    for source, options in [
        ("several.npz", ("--name", "keys")),
        ("table.csv", ("--drop", "word")),
        ("table.csv", ("--columns", ",".join(frame.columns[1:]))),
    ]:
        found = strict(run("certify", tmp_path / source, "--beta", "20", "--json", "-", *options).stdout)
        assert found["certificate"] == wanted["certificate"]
    assert "no array called 'patterns'" in one_line(run("certify", tmp_path / "several.npz"))
    assert "not of numbers: 'word'" in one_line(run("certify", tmp_path / "table.csv"))
    assert "--name, --columns and --drop are for files" in one_line(run("certify", "digits", "--name", "x"))


def test_a_missing_number_is_named_by_line_and_column(tmp_path):
    (tmp_path / "holes.csv").write_text("a,b\n1,2\n3,\n")
    said = one_line(run("certify", tmp_path / "holes.csv"))
    assert "line 3 has no number in column 'b'; every cell must be a number" in said
