"""Figures and tables of the study of trained models, whole and in part: made-up trainings of every cell."""

import math

import numpy as np
import pandas as pd
import pytest

from figures import models_bars, models_curves, models_table, style
from figures.results import Found, UnusableError
from simulations import models
from simulations._matched import at_loss

# loss at the beginning and the end, kurtosis at the end with softmax: text models grow outliers
ENDS = {"BERT": (8.0, 5.0, 400.0), "OPT": (8.0, 4.8, 20_000.0), "ViT": (2.3, 0.08, 3.4), "STanHop": (3.0, 1.4, 2.9)}
STUCK = {("OPT", "Gated_Attention", training) for training in range(3)} | {("BERT", "Clipped_Softmax", 2)}
KINDS = 9


def trained(cell, rng):
    first, last, kurtosis = ENDS[cell["model"]]
    stuck = (cell["model"], cell["method"], cell["training"]) in STUCK
    helped = 0.3 if "OutEff" in cell["method"] or "Gated" in cell["method"] else 1.0
    for share in np.linspace(0, 1, 11):
        fallen = (1 - math.exp(-4 * share)) * (0.1 if stuck else 1.0)
        row = {"step": int(share * cell["steps"]), "loss": first - fallen * (first - last) * rng.uniform(0.95, 1.0)}
        row |= {"kurtosis": 3.0 * (kurtosis / 3.0) ** (share * helped) * rng.uniform(0.9, 1.1)}
        row |= {"norm": 5.0 + 10.0 * share * helped * rng.uniform(0.8, 1.2), "stuck": stuck, "last": share == 1}
        row |= {"norm_layer": "embed" if cell["training"] == 1 else "head"}
        row |= {"kurtosis_published": 2.0 * row["kurtosis"] ** 1.1, "norm_published": 3.0}
        score = {"ViT": "accuracy", "STanHop": "mse"}.get(cell["model"], "perplexity")
        yield cell | row | {score: math.exp(row["loss"])} | ({f"{score}_w8a8": 9.0} if share == 1 else {})


@pytest.fixture(scope="module")
def whole():
    rng = np.random.default_rng(0)
    cells = models.cells("cpu")
    assert len(cells) == 4 * KINDS * 3 == 108
    return pd.DataFrame([row for cell in cells for row in trained(cell, rng)])


def drawn(figure, frame, page="icml"):
    found = {"models": Found(frame, "models", "cpu", 0, "0", 108, 108)}
    with style.applied():
        drawing = figure.draw(found, style.PAGES[page])
    return drawing.figure, " ".join(drawing.caption.split())


def table(text):
    _, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines())
    return {tuple(row[:3]): row[3:] for row in rows}


def shown(panel, kind):
    """The ratios of a panel by the names of their rows."""
    [container] = [each for each in panel.containers if each.get_label() == kind]
    return dict(zip(map(round, container.lines[0].get_ydata()), container.lines[0].get_xdata(), strict=True))


def published(panel):
    [line] = [line for line in panel.lines if line.get_label() == "Hu et al."]
    return line.get_xdata()


@pytest.fixture(scope="module")
def whole_figures(whole):
    return {figure: drawn(figure, whole, "neurips") for figure in (models_bars, models_curves)}


def test_the_whole_study_can_be_read(whole_figures, readable):
    for figure, _ in whole_figures.values():
        readable(figure)


def test_every_training_is_a_curve(whole_figures):
    figure, caption = whole_figures[models_curves]
    for column, model in enumerate(ENDS):
        lines = [line for line in figure.axes[column].lines if line.get_gid()]
        assert len(lines) == KINDS * 3
        assert sum("learnt" in line.get_gid() for line in lines) == 3 * 3
        for line in lines:
            stuck = ":" if (model, line.get_gid().split()[1]) in {(m, method) for m, method, _ in STUCK} else ""
            assert line.get_linestyle() in {stuck, "--" if "learnt" in line.get_gid() else "-"}
    assert sum(line.get_linestyle() == ":" for line in figure.axes[1].lines) == 3
    # kurtoses of 3 to 20 000 in one panel
    assert [panel.get_yscale() for panel in figure.axes[:4]] == ["log", "log", "linear", "linear"]
    assert "n = 1; dashed and an open mark: n learnt" in caption
    assert "Stuck trainings: 1 of 27 for BERT, 3 of 27 for OPT, 0 of 27 for ViT, 0 of 27 for STanHop." in caption


def test_bars_and_table_say_the_same(whole, whole_figures):
    figure, caption = whole_figures[models_bars]
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert names == [
        *("OutEff", "OutEff, n learnt", "clipped", "clipped OutEff", "clipped OutEff, n learnt"),
        *("gated", "gated OutEff", "gated OutEff, n learnt"),
    ]
    assert "(n = 1 or learnt), paired by training (2 to 3 each, with Student's 95% intervals from 3 on)" in caption
    text_models = whole[whole["model"].isin(["BERT", "OPT"])]
    rows = table(models_table.changes(text_models, "_published"))
    assert len(rows) == 2 * (KINDS - 1)
    for column, model in enumerate(("BERT", "OPT")):
        ratios = shown(figure.axes[column], "matched steps")
        own = ((key[1:], cells) for key, cells in rows.items() if key[0] == model)
        for row, ((method, n), (pairs, steps, *_)) in enumerate(own):
            stuck = sum((model, method, training) in STUCK for training in range(3))
            assert pairs == str(3 - stuck)
            assert ("[" in steps) == (stuck == 0)
            assert n == ("learnt" if "learnt" in names[row] else str(int("OutEff" in names[row])))
            if stuck == 3:
                assert (steps, math.isnan(ratios[row])) == ("–", True)
            else:
                # outliers that shrink a thousandfold are not 0.00
                assert float(steps.split()[0]) == pytest.approx(ratios[row], rel=0.06)


def test_the_paper_stands_beside(whole_figures):
    figure, caption = whole_figures[models_bars]
    nan = math.nan
    expected = [21.542, nan, 9731.11, 24127.332, nan, 90.321, 11.449, nan]
    np.testing.assert_allclose(published(figure.axes[1]), np.array(expected) / 23341.513)
    assert published(figure.axes[4])[0] == pytest.approx(33.618 / 255.859)
    assert "open squares: the ratios of the paper's Table 1" in caption


def test_bands_span_the_trainings_of_a_cell_at_one_loss(whole):
    rows = whole[(whole["model"] == "BERT") & (whole["method"] == "OutEffHop") & ~whole["learnt"]]
    losses, low, high = models_curves.band(rows, "kurtosis")
    assert len(losses) > 50
    assert (low < high).sum() > 50
    for loss, least, most in list(zip(losses, low, high, strict=True))[::20]:
        logs = [at_loss(each, "kurtosis", loss) for _, each in rows.groupby("training")]
        assert np.exp([min(logs), max(logs)]) == pytest.approx([least, most])
    assert [len(x) for x in models_curves.band(rows[rows["training"] == 0], "kurtosis")] == [0, 0, 0]


def test_the_table_of_the_whole_study(whole):
    rows = table(models_table.values(whole))
    assert len(rows) == 4 * KINDS
    assert rows["OPT", "Gated_Attention", "0"] == ["3", "3", *"––––––––"]
    assert rows["BERT", "Clipped_Softmax", "0"][:2] == ["3", "1"]
    assert rows["OPT", "softmax", "0"][3].isdigit()
    assert rows["OPT", "softmax", "0"][-2:] == ["9", "head"]
    timed = table(models_table.values(whole.assign(seconds=60.0 + whole["training"])))
    assert timed == {key: [*row, "61"] for key, row in rows.items()}


def test_a_study_that_is_cut_short(whole, readable):
    """The first trainings are those of softmax, then of OutEffHop; models begin together."""
    base = whole[whole["method"] == "softmax"]
    with pytest.raises(UnusableError, match="softmax alone"):
        drawn(models_bars, base)
    assert len(drawn(models_curves, base)[0].axes) == 8
    assert models_table.changes(base).count("\n") == 1
    some = whole[(whole["model"] == "BERT") & (whole["method"] == "OutEffHop") & ~whole["learnt"]]
    figure, caption = drawn(models_bars, pd.concat([whole[whole["model"] == "ViT"], some]))
    # a model without softmax, and 1 of 8 methods
    assert [text.get_text() for text in figure.axes[0].texts] == ["without softmax"]
    assert all(math.isnan(ratio) for ratio in shown(figure.axes[0], "matched steps").values())
    assert "3 each, with Student's 95% intervals)" in caption
    readable(figure)
    # scores of models that are not there are no columns
    alone = some.dropna(axis="columns", how="all").drop(columns="perplexity_w8a8")
    assert table(models_table.values(alone))["BERT", "OutEffHop", "1"][-2] == "–"


def test_one_training_per_cell(whole):
    one = whole[(whole["training"] == 0) & (whole["model"] == "BERT")]
    figure, caption = drawn(models_bars, one)
    assert "(1 each, too few for intervals)" in caption
    assert len(shown(figure.axes[0], "matched loss")) == KINDS - 1
    assert not any("[" in cell for row in table(models_table.changes(one)).values() for cell in row)


def test_all_of_a_model_stuck_or_beyond_numbers(whole):
    for loss, kurtosis in ((math.nan, math.inf), (math.inf, math.nan)):
        frame = whole[whole["model"] == "BERT"].assign(stuck=True)
        frame.loc[frame["step"] > 4000, ["loss", "kurtosis"]] = loss, kurtosis
        figure, caption = drawn(models_bars, frame)
        assert [text.get_text() for text in figure.axes[0].texts] == ["softmax is stuck"]
        assert "(no pair)" in caption
        assert "27 of 27 for BERT" in caption
        assert all(np.isfinite(drawn(models_curves, frame)[0].axes[0].get_xlim()))


def test_without_learnt_masses_nothing_is_said_of_them(whole):
    fixed = whole[~whole["learnt"] & (whole["model"] == "ViT")]
    for figure in (models_bars, models_curves):
        drawing, caption = drawn(figure, fixed)
        assert "learnt" not in caption
        texts = [text.get_text() for text in (*drawing.legends[0].get_texts(), *drawing.axes[0].get_yticklabels())]
        assert not any("learnt" in text for text in texts)
