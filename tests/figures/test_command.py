"""The command: what is missing is one line, and values, formats and tables of one's choice."""

import hashlib
import importlib
import shutil
from pathlib import Path

import pytest
import typer

from figures import style, tables
from figures.__main__ import draw, main
from figures.results import UnusableError, load
from hopfield_theory.runs.store import Cell, Store
from tests.figures.stored import cells, rewrite


@pytest.fixture
def refused(capsys):
    """Return a way to run a command that has to fail with one line, and to get that line."""

    def run(command, *arguments, **options):
        with pytest.raises(typer.Exit) as stop:
            command(*arguments, **options)
        assert stop.value.exit_code == 2
        [line] = capsys.readouterr().err.splitlines()
        return line

    return run


def leave(_):
    pass


def damage(folder):
    path = folder / cells("basins")[0].name
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)


def lose_a_column(folder):
    for cell in cells("basins"):
        rewrite(folder, cell, drop=["rate_low"])


def be_of_another_version(folder):
    for path in folder.iterdir():
        path.unlink()
    Store(folder).write(Cell("basins", "quick", 0, {"x": 1}, "0.0.9"), [{"rate": 1.0}], 0.1, "cpu")


@pytest.mark.parametrize(
    ("name", "happens", "words"),
    [
        ("basins", shutil.rmtree, ("{0}: no such folder; `python -m simulations basins --out {0}` makes it",)),
        ("noise", leave, ("holds no results of noise; `python -m simulations noise --out {0}` makes them",)),
        ("speed", leave, ("`python -m benchmarks` makes them",)),
        ("basins", damage, ("3 of the 4 cells", "is left out: it is damaged", "python -m simulations basins")),
        ("basins", lose_a_column, ("have no rate_low: they are of an earlier state; move basins-*.parquet away",)),
        ("basins", be_of_another_version, ("of version 0.0.9 only; `python -m simulations basins",)),
    ],
)
def test_results_that_cannot_be_drawn(refused, filled, tmp_path, name, happens, words):
    folder = filled("basins")
    happens(folder)
    before = {path: path.read_bytes() for path in folder.glob("*")}
    line = refused(main, [name], results=folder, out=tmp_path / "out")
    assert line.startswith(f"figures: {name}: {folder}") or "results of basins, quick, in" in line
    for each in words:
        assert each.format(folder) in line
    assert {path: path.read_bytes() for path in folder.glob("*")} == before
    assert folder.exists() == bool(before)


def test_a_table_in_place_of_its_folder(tmp_path):
    table = tmp_path / "basins.csv"
    table.write_text("rate\n1\n")
    with pytest.raises(UnusableError, match=r"basins.csv is a file: it must be the folder of the results"):
        load(table, "basins")


def test_partial_results(refused, filled, tmp_path):
    folder = filled("basins", leave=1)
    line = refused(main, ["basins"], results=folder, out=tmp_path / "out")
    assert "holds 3 of the 4 cells of basins, quick; `python -m simulations basins" in line
    draw("basins", folder, tmp_path / "out", partial=True, formats=())
    assert "3 of 4 cells" in (tmp_path / "out" / "basins.md").read_text()


def test_nothing_of_what_is_drawn(filled, tmp_path):
    folder = filled("capacity", leave=3)
    with pytest.raises(UnusableError, match="have no 'all patterns' at λ = 1, n = 1"):
        draw("capacity_rates", folder, tmp_path / "out", partial=True)


def test_the_finest_finished_preset_is_drawn_or_what_there_is_of_the_finest(filled):
    folder = filled("basins")
    paper = importlib.import_module("simulations.basins").cells("paper")[0]
    Store(folder).write(Cell("basins", "paper", 0, paper), [{"rate": 1.0}], 0.1, "cpu")
    assert load(folder, "basins").preset == "quick"
    found = load(folder, "basins", partial=True)
    assert (found.preset, found.cells) == ("paper", 1)


def test_cells_of_an_earlier_grid_are_left_out(filled):
    folder = filled("basins")
    [first, *_] = cells("basins")
    earlier = Cell("basins", "quick", 0, {**first.parameters, "num_patterns": 31})
    rewrite(folder, earlier, source=first)
    found = load(folder, "basins")
    assert len(found.frame) == 12
    assert 31 not in set(found.frame["num_patterns"])


def test_the_others_are_drawn(refused, filled, tmp_path):
    folder = filled("basins")
    line = refused(main, ["noise", "basins"], results=folder, out=tmp_path / "out", format_="svg")
    assert line.startswith("figures: noise: ")
    assert (tmp_path / "out" / "basins.svg").exists()


@pytest.mark.parametrize(
    ("names", "options", "words"),
    [
        (["luck"], {}, "luck: no such figure; there are basins, capacity,"),
        (["style"], {}, "style: no such figure"),
        (["basins"], {"dpi": 3}, "dpi is 3: it must be from 10 to 1200"),
        (["basins"], {"page": "a4"}, "page is 'a4': it must be one of icml, neurips"),
        (["basins"], {"out": Path("/dev/null/here")}, "basins: "),
    ],
)
def test_bad_input_is_one_line(refused, made, tmp_path, names, options, words):
    assert words in refused(main, names, **{"results": made, "out": tmp_path} | options)


def test_tables_that_cannot_be_made_are_one_line(refused, made, filled, tmp_path):
    assert "python -m simulations capacity" in refused(tables.main, filled("basins"), tmp_path / "tables")
    assert "/dev/null/here" in refused(tables.main, made, Path("/dev/null/here"))


def test_a_table_has_the_hash_that_figures_carry(made, tmp_path):
    tables.main(made, tmp_path / "tables")
    for name in ("basins", "capacity", "speed"):
        content = (tmp_path / "tables" / f"{name}.csv").read_bytes()
        assert hashlib.sha256(content).hexdigest() == load(made, name).digest
    assert not (tmp_path / "tables" / "landscape.csv").exists()


def test_formats_and_a_style_of_one_s_own(made, tmp_path):
    sheet = tmp_path / "own.mplstyle"
    sheet.write_text("axes.facecolor: abcdef\n")
    draw("capacity_grid", made, tmp_path / "own", formats=["svg"], look=sheet)
    draw("capacity_grid", made, tmp_path / "again", formats=["svg"])
    assert sorted(path.name for path in (tmp_path / "own").iterdir()) == ["capacity_grid.md", "capacity_grid.svg"]
    assert "#abcdef" in (tmp_path / "own" / "capacity_grid.svg").read_text()
    assert "#abcdef" not in (tmp_path / "again" / "capacity_grid.svg").read_text()


@pytest.mark.parametrize(
    ("name", "only"),
    [("capacity_grid", {"lam": 0.5, "noop": 1.0}), ("basins", {"lam": 2.0}), ("metastable", {"noop": 1.0})],
)
def test_values_of_one_s_choice(made, tmp_path, name, only):
    with pytest.raises(typer.Exit) as ended:
        main([name], results=made, out=tmp_path, format_="svg", **only)
    assert ended.value.exit_code == 0
    written = "-".join([name, *(f"{key}{value:g}" for key, value in only.items())])
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{written}.md", f"{written}.svg"]
    module = importlib.import_module(f"figures.{name}")
    found = {each: load(made, each, columns).only(**only) for each, columns in module.NEEDS.items()}
    for key, value in only.items():
        assert all(set(each.frame[key]) == {value} for each in found.values())
    # what is drawn carries the hash of what was chosen
    assert all(each.digest[:16] in (tmp_path / f"{written}.md").read_text() for each in found.values())


def test_the_landscape_of_one_no_op_mass_has_one_map(made):
    module = importlib.import_module("figures.landscape")
    found = {"landscape": load(made, "landscape").only(noop=10.0)}
    with style.applied():
        figure = module.draw(found, style.PAGES["icml"]).figure
    assert [axes.get_title(loc="left") for axes in figure.axes[:1]] == ["(a) $n = 10$"]
    assert len(figure.axes) == 2


@pytest.mark.parametrize(
    ("name", "only", "said"),
    [
        ("capacity_grid", {"lam": 0.7}, "capacity, quick, have nothing at lam = 0.7; there are 0.5, 1"),
        ("capacity_grid", {"lam": 0.5, "noop": 7.0}, "have nothing at noop = 7; there are 0, 1"),
        ("metastable", {"lam": 1.0}, "metastable: draws no lam of your choice; only these do: basins, capacity_grid"),
        (
            "speed",
            {"lam": 1.0, "noop": 1.0},
            "speed: draws no lam or noop of your choice; only these do: capacity_grid",
        ),
    ],
)
def test_values_that_cannot_be_chosen(refused, made, tmp_path, name, only, said):
    assert said in refused(main, [name], results=made, out=tmp_path, **only)
