"""Figures: what is drawn are the stored numbers, all are there, twice the same bytes; what is missing is one line."""

import functools
import hashlib
import importlib
import math
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
import typer
from PIL import Image

from figures import sink_conditions, style, tables
from figures.__main__ import NAMES, draw, main
from figures.results import UnusableError, load
from hopfield_theory import __version__
from hopfield_theory.bounds import RandomMemory, finite_size, mean_field
from hopfield_theory.runs.store import Cell, Store
from simulations import sinks


@pytest.fixture(scope="module")
def drawn(made):
    """Return a way to draw a figure: its axes, in the order in which they were made, and the results, by experiment."""

    @functools.cache
    def draw_once(name):
        figure, found = unrendered(name, made)
        return figure.axes, {experiment: each.frame for experiment, each in found.items()}

    return draw_once


def unrendered(name, folder, page="icml"):
    module = importlib.import_module(f"figures.{name}")
    found = {experiment: load(folder, experiment, columns) for experiment, columns in module.NEEDS.items()}
    with style.applied():
        return module.draw(found, style.PAGES[page]).figure, found


def points(axes, label):
    """What measured values of a name are drawn: x, y, low and high, read from the artists."""
    [container] = [each for each in axes.containers if each.get_label() == label]
    line, _, [bars] = container.lines
    ends = np.array([segment[:, 1] for segment in bars.get_segments()])
    return line.get_xdata(), line.get_ydata(), ends[:, 0], ends[:, 1]


def curve(axes, label):
    [line] = [each for each in axes.lines if each.get_label() == label]
    return line.get_xdata(), line.get_ydata()


def marked(axes):
    return {line.get_gid(): line.get_xdata()[0] for line in axes.lines if line.get_gid()}


def cells(name):
    return [Cell(name, "quick", 0, p) for p in importlib.import_module(f"simulations.{name}").cells("quick")]


def rewrite(folder, cell, drop=(), seconds=0.1, device="cpu", source=None, **changes):
    """Write a cell again with some results changed or dropped, or with those of another cell."""
    store = Store(folder)
    about = ["experiment", "preset", "seed", "version", *cell.parameters, "device", "seconds", *drop]
    store.write(cell, store.read(source or cell).drop(columns=about).assign(**changes), seconds, device)


# --- what is drawn are the stored numbers ---

FIELDS = ("name", "panel", "query", "label", "x", "y")
PLAIN, FAST, RAW = "accelerate == False", "accelerate == True", "preparation == 'raw' and noop == 1"
RESIDUALS, UPDATES = f"kind == 'residual' and share == 0.8 and {PLAIN}", "kind == 'updates'"
DIGITS = "data == 'digits' and beta == 64"
NORM, ROC = f"{DIGITS} and detector == 'norm'", f"{DIGITS} and detector == 'roc' and log_noop == 0"
MEASURED = [
    *(
        ("noise", panel + 3 * low, f"model == '{model}' and corruption == '{kind}'", label, "strength", value)
        for panel, kind in enumerate(("noise", "mask", "flips"))
        for model, label in (("dense", "dense"), ("OutEffHop", "OutEff"), ("entmax-1.5", "entmax-1.5"))
        for low, value in enumerate(("rate", "error"))
    ),
    ("basins", 1, "lam == 2 and num_patterns == 300", "$M = 300$", "distance", "rate"),
    ("rejection", 0, NORM, "matched", "log_noop", "matched_norm"),
    ("rejection", 0, NORM, "unmatched", "log_noop", "unmatched_norm"),
    ("rejection", 1, NORM, r"$\kappa = 64$", "log_noop", "auroc"),
    ("rejection", 2, ROC, r"$\log n = 0$", "false_alarms", "detected"),
    ("metastable", 0, "noop == 100", "100", "beta", "mixed"),
    ("metastable", 1, "noop == 100", "100", "beta", "norm"),
    ("convergence_slowing", 0, f"{UPDATES} and {PLAIN}", "plain", "share", "median"),
    ("convergence_slowing", 0, f"{UPDATES} and {FAST}", "accelerated", "share", "median"),
    ("convergence_slowing", 1, f"{UPDATES} and {PLAIN}", "contraction", "share", "contraction"),
    ("digits", -3, f"{RAW} and cue == 'whole'", "OutEff, whole", "kappa", "rate"),
    ("digits", -3, f"{RAW} and cue == 'half hidden'", "OutEff, half hidden", "kappa", "rate"),
]
CURVES = [
    *(
        ("landscape", panel, f"noop == {noop} and {rows}", label, "x", "y")
        for panel, noop in enumerate((0, 1, 10))
        for rows, label in (("kind == 'pattern'", "patterns"), ("kind == 'path' and path == 3", "path 3"))
    ),
    ("convergence_descent", 0, RESIDUALS, "0.8", "step", "median"),
    ("convergence_descent", 0, RESIDUALS, "T5 0.8", "step", "allowed"),
    ("convergence_descent", 1, RESIDUALS, "0.8", "drop_needed", "drop"),
    ("convergence_descent", 2, RESIDUALS, "0.8", "step", "error"),
    ("convergence_descent", 2, RESIDUALS, "T13 0.8", "step", "posterior"),
    ("closeness", 0, "noop_error < dense_error", "OutEff closer", "overshoot", "kept"),
    ("closeness", 0, "noop_error >= dense_error", "dense closer", "overshoot", "kept"),
    ("rejection", 0, NORM, "bound (T14)", "log_noop", "unmatched_bound"),
]
# series that would cover each other are moved apart along x
MOVED = {"noise", "basins", "metastable", "digits"}


def chosen(frames, name, query):
    return frames[name.partition("_")[0]].query(query)


def compare(seen, rows, x, y, moved):
    np.testing.assert_allclose(seen[0], rows[x], *((0.12, 0.02) if moved else (1e-12,)))
    np.testing.assert_allclose(seen[1:], rows[[y, f"{y}_low", f"{y}_high"]].T, rtol=1e-12)


@pytest.mark.parametrize(FIELDS, MEASURED)
def test_measured_points(drawn, name, panel, query, label, x, y):
    axes, frames = drawn(name)
    compare(points(axes[panel], label), chosen(frames, name, query).sort_values(x), x, y, name in MOVED)


@pytest.mark.parametrize(FIELDS, CURVES)
def test_curves(drawn, name, panel, query, label, x, y):
    axes, frames = drawn(name)
    np.testing.assert_array_equal(curve(axes[panel], label), chosen(frames, name, query)[[x, y]].T)


def test_closed_forms_marks_and_colours(drawn):
    (plane, *panels), frames = drawn("closeness")
    x, s = curve(plane, r"$\frac{1}{2}(1 + s)$ (T10)")
    np.testing.assert_allclose(x, (1 + s) / 2)
    for overlap in (0, 0.3, 0.6):
        rows = frames["outliers"].query(f"norm == 1 and overlap == {overlap}")
        compare(points(panels[1], f"{overlap}"), rows, "outliers", "closer", True)
        np.testing.assert_array_equal(curve(panels[1], f"T11 {overlap}")[1], rows["condition"])
    axes, _ = drawn("noise")
    colours = {line.get_color() for panel in axes for line in panel.lines if line.get_label() == "_nolegend_"}
    assert colours <= {look.colour for look in style.MODELS.values()}
    axes, frames = drawn("basins")
    row = frames["basins"].query("lam == 2.0 and num_patterns == 300").iloc[0]
    assert curve(axes[3], "certified, $M = 300$")[0][0] == row["radius_median"]
    assert curve(axes[3], "half-way, $M = 300$")[0][0] == row["half_distance"]


def test_rates(drawn):
    (one, whole, small), frames = drawn("capacity_rates")
    rows = frames["capacity"]
    for panel, rule, dim in ((one, "stored", 12), (whole, "all patterns", 12)):
        chosen = rows[(rows["rule"] == rule) & (rows["dim"] == dim) & (rows["lam"] == 1.0) & (rows["noop"] == 1.0)]
        x, *rest = points(panel, str(dim))
        np.testing.assert_allclose(np.exp(x), chosen["num_patterns"])
        np.testing.assert_allclose(rest, chosen[["rate", "rate_low", "rate_high"]].T)
        about, marks = chosen.iloc[0], marked(panel)
        assert marks["C3"] == about["chernoff"]
        if panel is one:
            # C7 is about another event
            assert "C7" not in marks
            assert marks["C5"] == about["predicted"]
            assert marks[r"$\alpha_1 d$"] == about["alpha"] * dim
    assert marked(small) == {"C2": 1.0, "C3": 2.0, "C6": 4.0}


def test_a_finite_published_bound_is_marked(filled):
    folder = filled("capacity")
    cell = [cell for cell in cells("capacity") if cell.parameters.get("rule") == "stored"][-1]
    rewrite(folder, cell, published=1.5)
    figure, _ = unrendered("capacity_rates", folder)
    assert marked(figure.axes[0])["C1"] == 1.5


def test_capacity(drawn):
    (typical, whole, near), frames = drawn("capacity")
    rows = frames["capacity"].query("kind == 'crossing' and lam == 1.0 and noop == 1.0")
    for rule, panel in (("stored", typical), ("all patterns", whole)):
        chosen = rows[rows["rule"] == rule].drop_duplicates("dim").sort_values("dim")
        x, y, low, high = points(panel, "measured")
        np.testing.assert_array_equal(x, chosen["dim"])
        np.testing.assert_allclose(np.log([y, low, high]), chosen[["log_patterns", "log_low", "log_high"]].T)
    dims, predicted = curve(typical, "predicted (C5)")
    expected = [mean_field.predicted(RandomMemory.of_lambda(int(dim), 1.0)) for dim in dims]
    np.testing.assert_allclose(np.log(predicted), expected)
    theory = frames["exponents"].query("kind == 'bounds'").sort_values("dim")
    better = np.maximum(theory["chernoff_typical"], theory["directional"])
    assert len({better.eq(theory[name]).all() for name in ("chernoff_typical", "directional")}) == 1
    for panel, column, label in (
        (typical, better, "proved below (C3, C10)"),
        (typical, theory["ceiling_half"], "refuted above (C7)"),
        (whole, theory["chernoff"], "proved below (C3)"),
        (near, theory["chernoff_typical"], "proved below (C3)"),
        (near, theory["ceiling"], "refuted above (C7)"),
    ):
        x, y = curve(panel, label)
        np.testing.assert_array_equal(x, theory["dim"])
        np.testing.assert_allclose(np.log(y), column)
    # C7 is about a typical pattern
    assert not any("C7" in text for text in whole.get_legend_handles_labels()[1])


def test_law(drawn):
    """C5 within m/2 above, C9 below."""
    (curves, _, laws, _), frames = drawn("capacity_law")
    rows = frames["capacity"].query("rule == 'stored' and lam == 0.5 and dim == 12").drop_duplicates("noop")
    assert rows["noop"].tolist() == [0.0, 1.0]
    for place, row in enumerate(rows.to_dict("records")):
        known = finite_size.law(RandomMemory.of_lambda(12, 0.5, row["noop"]))
        curve = mean_field.predicted(RandomMemory.of_lambda(12, 0.5, row["noop"]))
        for panel, prediction in ((curves, curve), (laws, known.log_patterns)):
            x, *seen = points(panel, f"n = {row['noop']:g}")
            assert x[-1] == pytest.approx(12, abs=0.2)
            assert (x[-1] > 12) == (place == 1)
            measured = np.array([row[name] for name in ("log_patterns", "log_low", "log_high")])
            np.testing.assert_allclose([values[-1] for values in seen], measured - prediction, rtol=1e-9)


def test_no_end_no_law(filled):
    folder = filled("capacity")
    for cell in cells("capacity"):
        if cell.parameters["kind"] == "crossing":
            rewrite(folder, cell, log_patterns=-math.inf)
    with pytest.raises(UnusableError, match="capacity, quick, have no memory that C5 or C9 predicts"):
        unrendered("capacity_law", folder)


def test_exponents(drawn):
    (above, middle, below), frames = drawn("exponents")
    rows = frames["exponents"].query("kind == 'update' and dim == 400").sort_values("lam")
    x, *seen = points(above, "one update, $d = 400$")
    np.testing.assert_array_equal(x, rows["lam"])
    np.testing.assert_allclose(np.array(seen) * 400, rows[["log_patterns", "log_low", "log_high"]].T)
    lams, alphas = curve(above, r"$\alpha_1(\lambda)$ (C4)")
    np.testing.assert_allclose(alphas, mean_field.threshold(lams))
    updates = frames["exponents"].query("kind == 'update' and lam == 0.5").assign(of=lambda rows: 0.6 * rows["dim"])
    sampled = frames["exponents"].query("kind == 'fixed point' and lam == 0.5")
    explicit = frames["capacity"].query("rule == 'stored' and lam == 1.0 and noop == 1.0").drop_duplicates("dim")
    for panel, label, rows, of in (
        (middle, r"$\lambda = 0.5$", updates, "of"),
        (below, r"$\lambda = 0.5$, dense, sampled", sampled, "predicted"),
        (below, r"$\lambda = 1$, OutEff, all drawn", explicit, "predicted"),
    ):
        rows = rows.sort_values("dim")
        x, gap, low, high = points(panel, label)
        np.testing.assert_array_equal(x, rows["dim"])
        np.testing.assert_allclose(gap, 1 - rows["log_patterns"] / rows[of])
        assert ((low < gap) & (gap < high)).all()


def test_digits(drawn):
    axes, frames = drawn("digits")
    rows = frames["digits"]
    shown = [panel for panel in axes if panel.images]
    assert len(shown) == 2 * (1 + 3 * 3)
    dense = rows[(rows["picture"] == "answer") & (rows["noop"] == 0.0) & (rows["cue"] == "matched")].iloc[0]
    np.testing.assert_array_equal(shown[3].images[0].get_array().ravel(), dense["image"])
    assert shown[3].texts[0].get_text() == f"{dense['norm']:.2f}"
    proved = rows.query(f"{RAW} and cue == 'whole'").sort_values("kappa")["proved"]
    np.testing.assert_array_equal(curve(axes[-3], "OutEff, proved stored")[1], proved)


def test_models_and_sinks(drawn):
    axes, frames = drawn("models_curves")
    for panel, value in ((axes[0], "kurtosis"), (axes[4], "norm")):
        rows = frames["models"].query("model == 'BERT' and method == 'Gated_Attention'").sort_values("step")
        [line] = [each for each in panel.lines if each.get_gid() == "BERT Gated_Attention"]
        np.testing.assert_array_equal([line.get_xdata(), line.get_ydata()], rows[["loss", value]].T)
        assert line.get_linestyle() == ":"  # stuck
    axes, frames = drawn("models_bars")
    rows = frames["models"].query("model == 'OPT' and step == 20").set_index("method")["kurtosis_published"]
    [container] = [each for each in axes[1].containers if each.get_label() == "matched steps"]
    shown = dict(zip(container.lines[0].get_ydata(), container.lines[0].get_xdata(), strict=True))
    assert shown[-0.2] == pytest.approx(rows["OutEffHop"] / rows["softmax"])
    assert math.isnan(shown[2.8])  # gated attention is stuck
    axes, frames = drawn("sinks")
    for column, (task, layers) in enumerate(sinks.MODELS):
        rows = frames["sinks"].query(f"task == '{task}' and layers == {layers} and noop == 4")
        for row, value in enumerate(("slot_idle", "first_idle")):
            mean = rows.groupby("step")[value].mean()
            [line] = [each for each in axes[3 * row + column].lines if each.get_label() == "4"]
            np.testing.assert_allclose([line.get_xdata(), line.get_ydata()], [mean.index, mean])


def test_conditions_of_sinks(drawn):
    axes, frames = drawn("sink_conditions")
    rows = frames["sink_conditions"].query("task == 'averaging' and noop == 4").set_index(["key_bias", "length"])
    for row, value in enumerate(("slot_idle", "first_idle")):
        short, long, bare = (rows.loc[each, value].item() for each in ((True, 12), (True, 24), (False, 24)))
        assert np.transpose(curve(axes[4 * row + 2], "4")).tolist() == [[12, short], [24, long]]
        assert np.transpose(curve(axes[4 * row + 3], "4")).tolist() == [[0, long], [1, bare]]
        assert np.transpose(curve(axes[4 * row], "4")).tolist() != [[12, short], [24, long]]
    assert [text.get_text() for text in axes[7].get_xticklabels()] == ["with", "without"]


def test_part_of_the_conditions_of_sinks(filled):
    """The first cells are of one length, with a key bias; then those without; then another length."""
    for leave, said in ((20, None), (10, "at 24 without: Backcopy"), (1, "averaging, n = 4")):
        folder = filled("sink_conditions", leave=leave)
        found = {"sink_conditions": load(folder, "sink_conditions", partial=True)}
        with style.applied():
            if said is None:
                with pytest.raises(UnusableError, match="have no layer without a key bias"):
                    sink_conditions.draw(found, style.PAGES["icml"])
            else:
                assert said in sink_conditions.draw(found, style.PAGES["icml"]).caption


def test_speed(drawn):
    [axes], _ = drawn("speed")
    line, _, [bars] = axes.containers[0].lines
    np.testing.assert_array_equal(line.get_xdata(), [5.0, 20.0])
    np.testing.assert_array_equal(bars.get_segments()[0][:, 0], [4.0, 6.0])
    assert [text.get_text() for text in axes.get_yticklabels()] == ["plain / update", "loop / update"]


# --- files ---


SOME = NAMES[::9]


@pytest.fixture(scope="module")
def written(made, tmp_path_factory):
    """Some figures, as the command writes them in a process of its own."""
    out = tmp_path_factory.mktemp("figures")
    line = [sys.executable, "-m", "figures", *SOME, "--results", str(made), "--out", str(out), "--dpi", "60"]
    result = subprocess.run(line, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert not result.stderr
    return out


@pytest.mark.slow
@pytest.mark.xdist_group("figures")
def test_all_are_there(written):
    endings = ("pdf", "png", "md")
    assert {path.name for path in written.iterdir()} == {f"{name}.{ending}" for name in SOME for ending in endings}


def test_a_figure_is_named_after_what_it_is_drawn_from():
    for name in NAMES:
        needs = importlib.import_module(f"figures.{name}").NEEDS
        assert any(name == first or name.startswith(f"{first}_") for first in needs), name


@pytest.mark.slow
@pytest.mark.xdist_group("figures")
@pytest.mark.parametrize("name", SOME)
def test_files_name_their_results(name, made, written):
    module = importlib.import_module(f"figures.{name}")
    pdf, caption = (written / f"{name}.pdf").read_bytes(), (written / f"{name}.md").read_text()
    with Image.open(written / f"{name}.png") as image:
        text, width = image.text, image.width / 60
    for experiment, columns in module.NEEDS.items():
        found = load(made, experiment, columns)
        assert f"sha256:{found.digest}" in text["Comment"]
        assert found.digest.encode() in pdf
        assert found.digest[:16] in caption
        assert f"seed 0, version {__version__}" in text["Description"]
    assert b"/Type3" not in pdf
    assert b"/FontFile2" in pdf
    assert b"CreationDate" not in pdf
    assert width == pytest.approx(3.25, abs=0.02) or width == pytest.approx(6.75, abs=0.02)
    assert "nan" not in caption.lower().split()


@pytest.mark.slow
@pytest.mark.xdist_group("figures")
def test_the_same_results_give_the_same_bytes(made, written, tmp_path):
    # another process, another second, other settings of the user's
    mpl.rcParams["font.size"] = 20
    try:
        for name in SOME:
            for path in draw(name, made, tmp_path, dpi=60):
                assert path.read_bytes() == (written / path.name).read_bytes(), path.name
    finally:
        mpl.rcdefaults()


def test_other_results_give_another_digest(filled):
    folder, cell = filled("basins"), cells("basins")[0]
    before = load(folder, "basins").digest
    rewrite(folder, cell, seconds=99.0, device="cuda")
    assert load(folder, "basins").digest == before
    rewrite(folder, cell, rate=0.5)
    assert load(folder, "basins").digest != before


def test_another_page(made, tmp_path):
    draw("speed", made, tmp_path, "neurips", dpi=100)
    with Image.open(tmp_path / "speed.png") as image:
        assert image.width / 100 == pytest.approx(5.5, abs=0.01)


@pytest.mark.parametrize(
    ("name", "page"), [*((name, "icml") for name in NAMES), ("exponents", "neurips"), ("landscape", "neurips")]
)
def test_every_text_can_be_read(name, page, made, drawn, readable):
    readable(drawn(name)[0][0].get_figure(root=True) if page == "icml" else unrendered(name, made, page)[0])


def test_models_are_told_apart_in_grey():
    looks = list(style.MODELS.values())
    assert len({look.marker for look in looks}) == len({look.colour for look in looks}) == 4
    linear = [((np.array(mpl.colors.to_rgb(look.colour)) + 0.055) / 1.055) ** 2.4 for look in looks]
    lightness = sorted(116 * np.cbrt(max(rgb @ [0.2126, 0.7152, 0.0722], 0.0089)) - 16 for rgb in linear)
    assert np.diff(lightness).min() > 15


# --- what is missing ---


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
