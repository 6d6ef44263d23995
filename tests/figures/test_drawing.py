"""What figures draw are the stored numbers."""

import math

import numpy as np
import pytest

from figures import sink_conditions, style
from figures.results import UnusableError, load
from hopfield_theory.bounds import RandomMemory, finite_size, mean_field
from simulations import sinks
from tests.figures.stored import cells, rewrite, unrendered


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
    (plane,), _ = drawn("closeness")
    x, s = curve(plane, r"$\frac{1}{2}(1 + s)$ (T10)")
    np.testing.assert_allclose(x, (1 + s) / 2)
    panels, frames = drawn("outliers")
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
