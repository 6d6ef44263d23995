"""Figures: what is drawn are the stored numbers, all are there, twice the same bytes; what is missing is one line."""

import hashlib
import importlib
import math
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
import typer
from PIL import Image

from figures import style, tables
from figures.__main__ import NAMES, draw, main
from figures.results import UnusableError, load
from hopfield_theory import __version__
from hopfield_theory.bounds import mean_field
from hopfield_theory.runs.store import Cell, Store

SET = ["landscape", "convergence_descent", "capacity_rates", "capacity", "exponents", "noise", "basins", "closeness"]
SET += ["rejection", "digits", "metastable", "convergence_slowing", "speed"]


def drawn(name, folder, page="icml"):
    """The figure's axes, in the order in which they were made, with the results it was drawn from."""
    module = importlib.import_module(f"figures.{name}")
    found = {experiment: load(folder, experiment, columns) for experiment, columns in module.NEEDS.items()}
    with style.applied():
        figure = module.draw(found, style.PAGES[page]).figure
    return figure.axes, {experiment: each.frame for experiment, each in found.items()}


def points(axes, label):
    """What measured values of a name are drawn: x, y, low and high, read from the artists."""
    [container] = [each for each in axes.containers if each.get_label() == label]
    line, _, [bars] = container.lines
    ends = np.array([segment[:, 1] for segment in bars.get_segments()])
    return line.get_xdata(), line.get_ydata(), ends[:, 0], ends[:, 1]


def curve(axes, label):
    [line] = [each for each in axes.lines if each.get_label() == label]
    return line.get_xdata(), line.get_ydata()


def same(seen, rows, x, y, scale=lambda values: values):
    columns = (y, f"{y}_low", f"{y}_high")
    for axis, column in zip(seen, (x, *columns), strict=True):
        np.testing.assert_allclose(axis, scale(rows[column]) if column != x else rows[column], rtol=1e-12)


def words(figure):
    """Every text that is seen in a figure."""
    texts = [text for legend in figure.legends for text in [*legend.get_texts(), legend.get_title()]]
    for axes in figure.axes:
        legend = axes.get_legend()
        texts += [*legend.get_texts(), legend.get_title()] if legend else []
        texts += [*axes.texts, axes.title, axes._left_title]
        if axes.axison:
            for axis in (axes.xaxis, axes.yaxis):
                low, high = sorted(axis.get_view_interval())
                ticks = axis.get_major_ticks() + axis.get_minor_ticks()
                texts += [
                    each for tick in ticks if low <= tick.get_loc() <= high for each in (tick.label1, tick.label2)
                ]
                texts.append(axis.label)
    return [text for text in texts if text.get_visible() and text.get_text().strip()]


def marked(axes):
    return {line.get_gid(): line.get_xdata()[0] for line in axes.lines if line.get_gid()}


# --- what is drawn are the stored numbers ---


def test_landscape(made):
    axes, frames = drawn("landscape", made)
    rows = frames["landscape"]
    for panel, noop in zip(axes, (0.0, 1.0, 10.0), strict=False):
        chosen = rows[rows["noop"] == noop]
        stars = chosen[chosen["kind"] == "pattern"]
        np.testing.assert_array_equal(curve(panel, "patterns"), (stars["x"], stars["y"]))
        path = chosen[(chosen["kind"] == "path") & (chosen["path"] == 3)].sort_values("step")
        np.testing.assert_array_equal(curve(panel, "path 3"), (path["x"], path["y"]))


def test_descent(made):
    (steps, energies, errors), frames = drawn("convergence_descent", made)
    rows = frames["convergence"]
    rows = rows[(rows["kind"] == "residual") & (rows["share"] == 0.8) & ~rows["accelerate"].astype(bool)]
    np.testing.assert_array_equal(curve(steps, "0.8"), (rows["step"], rows["median"]))
    np.testing.assert_array_equal(curve(steps, "T5 0.8"), (rows["step"], rows["allowed"]))
    np.testing.assert_array_equal(curve(energies, "0.8"), (rows["drop_needed"], rows["drop"]))
    np.testing.assert_array_equal(curve(errors, "0.8"), (rows["step"], rows["error"]))
    np.testing.assert_array_equal(curve(errors, "T13 0.8"), (rows["step"], rows["posterior"]))


def test_rates(made):
    (one, whole, small), frames = drawn("capacity_rates", made)
    rows = frames["capacity"]
    for panel, rule, dim in ((one, "stored", 12), (whole, "all patterns", 12)):
        chosen = rows[(rows["rule"] == rule) & (rows["dim"] == dim) & (rows["lam"] == 1.0) & (rows["noop"] == 1.0)]
        x, *rest = points(panel, str(dim))
        np.testing.assert_allclose(np.exp(x), chosen["num_patterns"])
        same((chosen["num_patterns"], *rest), chosen, "num_patterns", "rate")
        about, marks = chosen.iloc[0], marked(panel)
        assert marks["C3"] == about["chernoff"]
        if panel is one:
            assert marks["C7"] == about["ceiling"]
            assert marks["C5"] == about["predicted"]
            assert marks[r"$\alpha_1 d$"] == about["alpha"] * dim
    assert marked(small) == {"C2": 1.0, "C3": 2.0, "C6": 4.0}


def test_a_finite_published_bound_is_marked(filled):
    folder = filled("capacity")
    store, [cell] = Store(folder), [c for c in cells("capacity") if c.parameters.get("rule") == "stored"][-1:]
    store.write(cell, store.read(cell).assign(published=1.5), 0.1, "cpu")
    (one, *_), _ = drawn("capacity_rates", folder)
    assert marked(one)["C1"] == 1.5


def test_capacity(made):
    [axes], frames = drawn("capacity", made)
    rows = frames["capacity"].query("kind == 'crossing' and lam == 1.0 and noop == 1.0")
    for rule, label in (("stored", "typical, measured"), ("all patterns", "all, measured")):
        chosen = rows[rows["rule"] == rule].drop_duplicates("dim").sort_values("dim")
        x, y, low, high = points(axes, label)
        np.testing.assert_array_equal(x, chosen["dim"])
        np.testing.assert_allclose(np.log([y, low, high]), chosen[["log_patterns", "log_low", "log_high"]].T)
    theory = frames["exponents"].query("kind == 'bounds'").sort_values("dim")
    for column, label in (("chernoff", "all stored (C3)"), ("ceiling", "ceiling (C6, C7)")):
        x, y = curve(axes, label)
        np.testing.assert_array_equal(x, theory["dim"])
        np.testing.assert_allclose(np.log(y), theory[column])
    [band] = [each for each in axes.collections if each.get_label() == "between C3 and C6, C7"]
    corners = band.get_paths()[0].vertices
    assert corners[:, 1].min() == pytest.approx(math.exp(theory["chernoff"].min()))
    assert corners[:, 1].max() == pytest.approx(math.exp(theory["ceiling"].max()))


def test_exponents(made):
    (above, middle, below), frames = drawn("exponents", made)
    rows = frames["exponents"].query("kind == 'update' and dim == 400").sort_values("lam")
    x, y, low, high = points(above, "one update, $d = 400$")
    np.testing.assert_array_equal(x, rows["lam"])
    np.testing.assert_allclose([y * 400, low * 400, high * 400], rows[["log_patterns", "log_low", "log_high"]].T)
    lams, alphas = curve(above, r"$\alpha_1(\lambda)$ (C4)")
    np.testing.assert_allclose(alphas, mean_field.threshold(lams))
    rows = frames["exponents"].query("kind == 'update' and lam == 0.5").sort_values("dim")
    _, gap, low, high = points(middle, r"$\lambda = 0.5$")
    np.testing.assert_allclose(gap, 1 - rows["log_patterns"] / (0.6 * rows["dim"]))
    assert (low < gap).all()
    assert (gap < high).all()
    rows = frames["exponents"].query("kind == 'fixed point' and lam == 0.5").sort_values("dim")
    x, gap, *_ = points(below, r"$\lambda = 0.5$, sampled")
    np.testing.assert_array_equal(x, rows["dim"])
    np.testing.assert_allclose(gap, 1 - rows["log_patterns"] / rows["predicted"])
    rows = frames["capacity"].query("rule == 'stored' and lam == 1.0 and noop == 1.0").drop_duplicates("dim")
    x, gap, *_ = points(below, r"$\lambda = 1$, explicit")
    np.testing.assert_array_equal(x, rows["dim"])
    np.testing.assert_allclose(gap, 1 - rows["log_patterns"] / rows["predicted"])


def test_noise(made):
    axes, frames = drawn("noise", made)
    for place, kind in enumerate(("noise", "mask", "flips")):
        for model, label in (("dense", "dense"), ("OutEffHop", "OutEff"), ("entmax-1.5", "entmax-1.5")):
            rows = frames["noise"]
            rows = rows[(rows["model"] == model) & (rows["corruption"] == kind)]
            for panel, value in ((axes[place], "rate"), (axes[3 + place], "error")):
                x, *rest = points(panel, label)
                np.testing.assert_allclose(x, rows["strength"], atol=0.02 * rows["strength"].max())
                same((rows["strength"], *rest), rows, "strength", value)
    colours = {line.get_color() for panel in axes for line in panel.lines if line.get_label() == "_nolegend_"}
    assert colours <= {look.colour for look in style.MODELS.values()}


def test_basins(made):
    axes, frames = drawn("basins", made)
    rows = frames["basins"].query("lam == 2.0 and num_patterns == 300")
    x, *rest = points(axes[1], "$M = 300$")
    np.testing.assert_allclose(x, rows["distance"], atol=0.02)
    same((rows["distance"], *rest), rows, "distance", "rate")
    assert curve(axes[1], "certified, $M = 300$")[0][0] == rows["radius_median"].iloc[0]
    assert curve(axes[1], "half-way, $M = 300$")[0][0] == rows["half_distance"].iloc[0]


def test_closeness(made):
    (plane, *panels), frames = drawn("closeness", made)
    rows = frames["closeness"]
    closer = rows[rows["noop_error"] < rows["dense_error"]]
    np.testing.assert_array_equal(curve(plane, "OutEff closer"), (closer["overshoot"], closer["kept"]))
    assert len(curve(plane, "dense closer")[0]) == len(rows) - len(closer)
    x, s = curve(plane, r"$\frac{1}{2}(1 + s)$ (T10)")
    np.testing.assert_allclose(x, (1 + s) / 2)
    rows = frames["outliers"].query("norm == 1.0 and overlap == 0.3")
    same((rows["outliers"], *points(panels[1], "0.3")[1:]), rows, "outliers", "closer")
    for overlap in ("0", "0.3", "0.6"):
        np.testing.assert_allclose(points(panels[1], overlap)[0], rows["outliers"], rtol=0.12)
    np.testing.assert_array_equal(curve(panels[1], "T11 0.3")[1], rows["condition"])


def test_rejection(made):
    (norms, areas, roc), frames = drawn("rejection", made)
    rows = frames["rejection"].query("data == 'digits' and beta == 64.0")
    chosen = rows[rows["detector"] == "norm"]
    same(points(norms, "matched"), chosen, "log_noop", "matched_norm")
    same(points(norms, "unmatched"), chosen, "log_noop", "unmatched_norm")
    np.testing.assert_array_equal(curve(norms, "bound (T14)")[1], chosen["unmatched_bound"])
    same(points(areas, r"$\kappa = 64$"), chosen, "log_noop", "auroc")
    same(points(roc, r"$\log n = 0$"), rows.query("detector == 'roc' and log_noop == 0"), "false_alarms", "detected")


def test_digits(made):
    axes, frames = drawn("digits", made)
    rows = frames["digits"]
    shown = [panel for panel in axes if panel.images]
    assert len(shown) == 2 * (1 + 3 * 3)
    dense = rows[(rows["picture"] == "answer") & (rows["noop"] == 0.0) & (rows["cue"] == "matched")].iloc[0]
    np.testing.assert_array_equal(shown[3].images[0].get_array().ravel(), dense["image"])
    assert shown[3].texts[0].get_text() == f"{dense['norm']:.2f}"
    chosen = rows[rows["picture"].isna()].query("preparation == 'raw' and noop == 1.0").sort_values("kappa")
    raw = next(panel for panel in axes if panel.containers)
    for cue in ("whole", "half hidden"):
        x, *rest = points(raw, f"OutEff, {cue}")
        rows = chosen[chosen["cue"] == cue]
        np.testing.assert_allclose(x, rows["kappa"], rtol=0.08)
        same((rows["kappa"], *rest), rows, "kappa", "rate")
    np.testing.assert_array_equal(curve(raw, "OutEff, proved stored")[1], chosen[chosen["cue"] == "whole"]["proved"])


def test_metastable(made):
    (left, right), frames = drawn("metastable", made)
    rows = frames["metastable"].query("noop == 100.0").sort_values("beta")
    for panel, value in ((left, "mixed"), (right, "norm")):
        x, *rest = points(panel, "100")
        np.testing.assert_allclose(x, rows["beta"], rtol=0.07)
        same((rows["beta"], *rest), rows, "beta", value)


def test_slowing(made):
    (above, below), frames = drawn("convergence_slowing", made)
    rows = frames["convergence"].query("kind == 'updates'").sort_values("share")
    fast = rows["accelerate"].astype(bool)
    same(points(above, "plain"), rows[~fast], "share", "median")
    same(points(above, "accelerated"), rows[fast], "share", "median")
    same(points(below, "contraction"), rows[~fast], "share", "contraction")


def test_speed(made):
    [axes], _ = drawn("speed", made)
    line, _, [bars] = axes.containers[0].lines
    np.testing.assert_array_equal(line.get_xdata(), [5.0, 20.0])
    np.testing.assert_array_equal(bars.get_segments()[0][:, 0], [4.0, 6.0])
    assert [text.get_text() for text in axes.get_yticklabels()] == ["update: plain / update", "update: loop / update"]


# --- files ---


@pytest.fixture(scope="module")
def written(made, tmp_path_factory):
    """All figures, as the command writes them in a process of its own."""
    out = tmp_path_factory.mktemp("figures")
    line = [sys.executable, "-m", "figures", "--results", str(made), "--out", str(out)]
    result = subprocess.run(line, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert not result.stderr
    return out


def test_the_set_is_there(written):
    assert sorted(SET) == NAMES
    assert sorted(path.name for path in written.iterdir()) == sorted(
        f"{n}.{e}" for n in SET for e in ("pdf", "png", "md")
    )


@pytest.mark.parametrize("name", SET)
def test_files_name_their_results(name, made, written):
    module = importlib.import_module(f"figures.{name}")
    pdf, caption = (written / f"{name}.pdf").read_bytes(), (written / f"{name}.md").read_text()
    with Image.open(written / f"{name}.png") as image:
        text, width = image.text, image.width / 300
    for experiment, columns in module.NEEDS.items():
        found = load(made, experiment, columns)
        assert f"sha256:{found.digest}" in text["Comment"]
        assert found.digest.encode() in pdf
        assert found.digest[:16] in caption
        assert f"seed 0, version {__version__}" in text["Description"]
    assert b"/Type3" not in pdf
    assert b"/FontFile2" in pdf
    assert b"CreationDate" not in pdf
    assert width == pytest.approx(3.25, abs=0.01) or width == pytest.approx(6.75, abs=0.01)
    assert "nan" not in caption.lower().split()


def test_the_same_results_give_the_same_bytes(made, written, tmp_path):
    # another process, another second, other settings of the user's
    mpl.rcParams["font.size"] = 20
    try:
        for name in SET:
            for path in draw(name, made, tmp_path):
                assert path.read_bytes() == (written / path.name).read_bytes(), path.name
    finally:
        mpl.rcdefaults()


def test_other_results_give_another_digest(filled):
    folder = filled("basins")
    before = load(folder, "basins").digest
    store, cell = Store(folder), cells("basins")[0]
    rows = store.read(cell)
    store.write(cell, rows, 99.0, "cuda")
    assert load(folder, "basins").digest == before
    store.write(cell, rows.assign(rate=0.5), 0.1, "cpu")
    assert load(folder, "basins").digest != before


def test_another_page(made, tmp_path):
    draw("speed", made, tmp_path, "neurips", dpi=100)
    with Image.open(tmp_path / "speed.png") as image:
        assert image.width / 100 == pytest.approx(5.5, abs=0.01)


@pytest.mark.parametrize("page", style.PAGES)
@pytest.mark.parametrize("name", SET)
def test_every_text_can_be_read(name, page, made):
    module = importlib.import_module(f"figures.{name}")
    found = {experiment: load(made, experiment, columns) for experiment, columns in module.NEEDS.items()}
    with style.applied():
        figure = module.draw(found, style.PAGES[page]).figure
        figure.draw_without_rendering()
        seen = [(text.get_text(), text.get_window_extent()) for text in words(figure)]
        assert min(text.get_fontsize() for text in words(figure)) >= 7
    for index, (text, box) in enumerate(seen):
        assert figure.bbox.x0 <= box.x0, text
        assert figure.bbox.y0 <= box.y0, text
        assert box.x1 <= figure.bbox.x1, text
        assert box.y1 <= figure.bbox.y1, text
        for other, its in seen[index + 1 :]:
            # boxes are of whole lines, letters are not
            width = min(box.x1, its.x1) - max(box.x0, its.x0)
            height = min(box.y1, its.y1) - max(box.y0, its.y0)
            assert min(width, height) <= 1.0, f"{text!r} lies on {other!r}"


def test_models_are_told_apart_in_grey():
    looks = list(style.MODELS.values())
    assert len({look.marker for look in looks}) == len({look.colour for look in looks}) == 4
    linear = [((np.array(mpl.colors.to_rgb(look.colour)) + 0.055) / 1.055) ** 2.4 for look in looks]
    lightness = sorted(116 * np.cbrt(max(rgb @ [0.2126, 0.7152, 0.0722], 0.0089)) - 16 for rgb in linear)
    assert np.diff(lightness).min() > 15


# --- what is missing ---


def cells(name):
    return [Cell(name, "quick", 0, p) for p in importlib.import_module(f"simulations.{name}").cells("quick")]


def refused(capsys, *names, **options):
    """Run the command, which has to fail with one line, and return that line."""
    with pytest.raises(typer.Exit) as stop:
        main(list(names), **options)
    assert stop.value.exit_code == 2
    [line] = capsys.readouterr().err.splitlines()
    return line


def test_no_folder(capsys, tmp_path):
    folder = tmp_path / "none"
    line = refused(capsys, "basins", results=folder, out=tmp_path / "out")
    assert line == (
        f"figures: basins: {folder}: no such folder; `python -m simulations basins --out {folder}` makes it"
    )
    assert not folder.exists()


def test_no_results(capsys, filled, tmp_path):
    folder = filled("basins")
    line = refused(capsys, "noise", results=folder, out=tmp_path / "out")
    assert line.endswith(f"holds no results of noise; `python -m simulations noise --out {folder}` makes them")
    line = refused(capsys, "speed", results=folder, out=tmp_path / "out")
    assert line.endswith("`python -m benchmarks` makes them")


def test_partial_results(capsys, filled, tmp_path):
    folder = filled("basins", leave=1)
    line = refused(capsys, "basins", results=folder, out=tmp_path / "out")
    assert "holds 3 of the 4 cells of basins, quick; `python -m simulations basins" in line
    draw("basins", folder, tmp_path / "out", partial=True)
    assert "3 of 4 cells" in (tmp_path / "out" / "basins.md").read_text()


def test_nothing_of_what_is_drawn(capsys, filled, tmp_path):
    folder = filled("capacity", leave=3)
    with pytest.raises(UnusableError, match="have no 'all patterns' at λ = 1, n = 1"):
        draw("capacity_rates", folder, tmp_path / "out", partial=True)


def test_damaged_results(capsys, filled, tmp_path):
    folder = filled("basins")
    path = folder / cells("basins")[0].name
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    line = refused(capsys, "basins", results=folder, out=tmp_path / "out")
    assert "3 of the 4 cells" in line
    assert f"{path} is left out: it is damaged" in line
    assert "python -m simulations basins" in line
    assert path.read_bytes() == content


def test_results_of_an_earlier_state(capsys, filled, tmp_path):
    folder = filled("basins")
    store = Store(folder)
    for cell in cells("basins"):
        store.write(cell, store.read(cell).drop(columns="rate_low"), 0.1, "cpu")
    line = refused(capsys, "basins", results=folder, out=tmp_path / "out")
    assert "have no rate_low: they are of an earlier state; move basins-*.parquet away" in line


def test_results_of_another_version(capsys, tmp_path):
    folder = tmp_path / "results"
    Store(folder).write(Cell("basins", "quick", 0, {"x": 1}, "0.0.9"), [{"rate": 1.0}], 0.1, "cpu")
    line = refused(capsys, "basins", results=folder, out=tmp_path / "out")
    assert "holds results of basins of version 0.0.9 only; `python -m simulations basins" in line


def test_the_finest_finished_preset_is_drawn(filled):
    folder = filled("basins")
    paper = importlib.import_module("simulations.basins").cells("paper")[0]
    Store(folder).write(Cell("basins", "paper", 0, paper), [{"rate": 1.0}], 0.1, "cpu")
    assert load(folder, "basins").preset == "quick"
    assert load(folder, "basins", partial=True).preset == "quick"


def test_cells_of_an_earlier_grid_are_left_out(filled):
    folder = filled("basins")
    [first, *_] = cells("basins")
    earlier = Cell("basins", "quick", 0, {**first.parameters, "num_patterns": 31})
    Store(folder).write(earlier, Store(folder).read(first), 0.1, "cpu")
    found = load(folder, "basins")
    assert len(found.frame) == 12
    assert 31 not in set(found.frame["num_patterns"])


def test_the_others_are_drawn(capsys, filled, tmp_path):
    folder = filled("basins")
    line = refused(capsys, "noise", "basins", results=folder, out=tmp_path / "out")
    assert line.startswith("figures: noise: ")
    assert (tmp_path / "out" / "basins.pdf").exists()


@pytest.mark.parametrize(
    ("names", "options", "words"),
    [
        (["luck"], {}, "luck: no such figure; there are basins, capacity,"),
        (["style"], {}, "style: no such figure"),
        (["basins"], {"dpi": 3}, "dpi is 3: it must be from 10 to 1200"),
        (["basins"], {"page": "a4"}, "page is 'a4': it must be one of icml, neurips"),
    ],
)
def test_bad_input_is_one_line(capsys, made, tmp_path, names, options, words):
    assert words in refused(capsys, *names, results=made, out=tmp_path, **options)


def test_an_unwritable_folder_is_one_line(capsys, made):
    from pathlib import Path

    assert "basins: " in refused(capsys, "basins", results=made, out=Path("/dev/null/here"))


def test_a_table_has_the_hash_that_figures_carry(made, tmp_path):
    tables.main(made, tmp_path / "tables")
    for name in ("basins", "capacity", "speed"):
        content = (tmp_path / "tables" / f"{name}.csv").read_bytes()
        assert hashlib.sha256(content).hexdigest() == load(made, name).digest
    assert not (tmp_path / "tables" / "landscape.csv").exists()


def test_tables_of_missing_results_are_one_line(filled, tmp_path, capsys):
    with pytest.raises(typer.Exit) as stopped:
        tables.main(filled("basins"), tmp_path / "tables")
    assert stopped.value.exit_code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "capacity" in line
    assert "python -m simulations capacity" in line


def test_tables_that_cannot_be_written_are_one_line(made, capsys):
    with pytest.raises(typer.Exit) as stopped:
        tables.main(made, Path("/dev/null/here"))
    assert stopped.value.exit_code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "/dev/null/here" in line
