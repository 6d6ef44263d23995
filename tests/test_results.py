"""docs/results.md is what the tables in results/ give; its sentences hold for them, and the figures are of them."""

import hashlib
import re
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from figures import models_table
from figures.__main__ import NAMES, draw
from figures.results import load
from figures.results_page import PAGE, ROOT, beside_law, caption, crossings, render, rows
from hopfield_theory.statements import table1
from simulations import landscape
from simulations._architectures import MODELS
from simulations._matched import change, mean

PICTURES = ROOT / "docs" / "figures"
OUTLIERS = (ROOT / "docs" / "outliers.md").read_text(encoding="utf-8")


def meet(one, other, slack=0.0):
    """Whether two intervals of log M have a number in common, up to a slack."""
    return (
        one["log_patterns_low"] - slack < other["log_patterns_high"]
        and other["log_patterns_low"] - slack < one["log_patterns_high"]
    )


def test_the_page_is_what_the_tables_give():
    assert PAGE.read_text() == render()


# --- sentences of the page that name no number of a table ---


def test_the_prediction_is_close_and_where_it_has_no_branch_nothing_is_retrieved():
    found = crossings("stored", lam=[0.5, 1]).query("dim >= 12")
    nothing = found["log_patterns"] == -np.inf
    assert 0 < nothing.sum() < len(found)
    assert (nothing == (found["predicted"] == -np.inf)).all()
    assert (nothing == (found["successes"] == 0)).all()
    misses = found["off"].abs()
    worst = found.loc[misses.idxmax()]
    assert (worst["dim"], worst["lam"]) == (12, 0.5)
    assert misses[found["dim"] > 12].max() < 0.06


def test_the_law_gives_the_shift_from_14_dimensions_on_and_most_of_it_where_folds_have_twenty_patterns():
    found = beside_law()
    beyond = found.dropna(subset=["fold", "law"])
    few = beyond[(beyond["dim"] == 12) & (beyond["lam"] == 0.5)]
    assert ((few["law"] - few["fold"]) / few["missed"]).between(0.55, 0.8).all()
    far = beyond[beyond["dim"] >= 14]
    assert len(far) > 40
    # two or three in 50 lie outside by chance
    assert (far["left"].abs() > far["half"]).sum() <= 5
    explicit = far[far["drawn"] == "explicit"]
    assert len(explicit) >= 35
    # halves of intervals are about two standard errors each
    assert (explicit["left"].abs() <= 2.0 * explicit["half"]).all()
    assert np.mean((explicit["left"] / explicit["half"]) ** 2) < 0.5
    assert np.mean((explicit["missed"] / explicit["half"]) ** 2) > 4.0
    near = found.query("dim < 14 and lam <= 1 and drawn == 'explicit'").dropna(subset="law")
    assert len(near) >= 12
    assert near["left"].abs().max() <= 0.2
    # without a fold it is low for λ above 1
    without = found[found["fold"].isna()].dropna(subset="law")
    assert (without[without["lam"] > 1.0]["left"] > 0.0).all()
    assert without["left"].abs().max() < 0.4


def test_beyond_the_law_capacities_lie_near_the_end_of_its_branch():
    found = beside_law().query("lam > 1 and drawn == 'explicit'")
    assert len(found) == 12
    missed = (found["log_patterns"] - found["branch"]).abs().groupby(found["lam"]).max()
    assert missed.to_dict() == pytest.approx({1.5: 0.2, 2.0: 0.03}, abs=0.07)


def test_without_a_fold_the_slot_makes_no_difference():
    for (lam, _), pair in crossings("stored", lam=[1.5, 2]).groupby(["lam", "dim"]):
        dense, slot = (pair[pair["noop"] == noop].iloc[0] for noop in (0, 1))
        assert meet(dense, slot)
        assert lam == 1.5 or dense["predicted"] == np.inf


def test_sampled_and_explicit_memories_agree():
    for dim in (16, 20):
        [(_, sampled)] = rows("exponents", kind="fixed point", lam=1, dim=dim).iterrows()
        explicit = crossings("stored", lam=1, dim=dim)
        assert len(explicit) == 4
        assert all(meet(cell, sampled, 0.02) for _, cell in explicit.iterrows())


def test_no_bound_is_violated_and_the_frequency_crosses_near_the_lower_one():
    for _, found in rows("capacity", kind="sandwich").groupby(["dim", "kappa"]):
        low, high = np.exp(found[["chernoff", "ceiling"]].iloc[0])
        counts = found["num_patterns"]
        assert (found.loc[counts <= low, "rate_high"] >= 0.9).all()
        assert (found.loc[counts >= high, "rate_low"] <= 0.9).all()
        within = found.loc[counts.between(low - 1, 2 * low + 1), "rate"]
        assert within.max() > 0.9 > within.min()


def test_detection_at_large_beta_rises_to_the_end():
    found = rows("rejection", data="digits", detector="norm", beta=64).set_index("log_noop").sort_index()
    assert found.index[-1] == 60
    assert found["auroc"].iloc[-1] == found["auroc"].max()


def test_no_promise_is_broken():
    assert (rows("basins")["broken_promises"] == 0).all()


def test_the_energy_falls_along_every_path():
    for cell in landscape.cells("quick"):
        steps = pd.DataFrame(landscape.measure(cell, 0, "cpu")).query("kind == 'path'")
        assert steps.groupby("path")["energy"].diff().max() < 1e-15


def test_sparse_models_make_no_error_under_a_mask():
    found = rows("noise", corruption="mask", strength=0.3, model=["sparsemax", "entmax-1.5"])
    assert len(found) == 2
    assert (found["error"] < 1e-6).all()


def test_every_query_is_on_the_side_where_t10_has_it():
    found = rows("closeness")
    left = found["overshoot"] < 0.5 * (1.0 + found["kept"])
    assert (left == (found["noop_error"] < found["dense_error"])).all()


def test_shuffled_pixels_end_in_nothing_with_the_largest_n():
    found = rows("digits", cue="unmatched", picture="answer")
    assert found.loc[found["noop"].idxmax(), "norm"] < 1e-12


# --- pictures ---


def test_the_figures_of_the_documents_are_drawn_from_these_tables():
    digests = {path.stem: hashlib.sha256(path.read_bytes()).hexdigest() for path in (ROOT / "results").glob("*.csv")}
    assert {path.stem for path in PICTURES.glob("*.svg")} == set(NAMES)
    for name in NAMES:
        root = ElementTree.parse(PICTURES / f"{name}.svg").getroot()
        names = re.findall(r"(?:^|; )(\w+) \(preset", root.findtext(".//{*}description"))
        carried = re.findall(r"sha256:(\w+)", " ".join(root.find(".//{*}subject").itertext()))
        assert len(names) == len(carried) > 0
        for experiment, digest in zip(names, carried, strict=True):
            assert experiment == "landscape" or digest == digests[experiment], f"{name} is of other results"


def test_a_table_is_read_back_to_the_last_bit():
    for path in (ROOT / "results").glob("*.csv"):
        assert load(path.parent, path.stem).table == path.read_text()


@pytest.mark.parametrize("name", [name for name in NAMES if name != "landscape"])
def test_the_captions_are_of_these_tables(name, tmp_path):
    draw(name, ROOT / "results", tmp_path, formats=())
    assert (PICTURES / f"{name}.md").read_text() == (tmp_path / f"{name}.md").read_text()


def test_the_page_of_outliers_has_the_captions_of_its_figures():
    shown = re.findall(r"!\[.*?\]\(figures/(\w+)\.svg\)\n\n((?:.+\n)+)", OUTLIERS)
    assert [name for name, _ in shown] == ["models_bars", "models_curves", "sinks", "sink_conditions"]
    for name, text in shown:
        assert " ".join(text.split()) == caption(name)


def test_the_page_of_outliers_has_the_tables_of_the_study():
    study = load(ROOT / "results", "models")
    for table in (*models_table.render(study.frame).strip().split("\n\n"), models_table.published()):
        assert table in OUTLIERS
    assert f"{study.cells} of {study.expected} cells" in OUTLIERS


VERDICTS = [
    ("OutEffHop lowers the kurtosis of STanHop-Net", "STanHop", "softmax", "OutEffHop"),
    ("clipping raises the kurtosis of STanHop-Net", "STanHop", "softmax", "Clipped_Softmax"),
    ("gates lower kurtosis and norm of STanHop-Net", "STanHop", "softmax", "Gated_Attention"),
    ("with clipping the slot lowers STanHop-Net's outliers", "STanHop", "Clipped_Softmax", "Clipped_OutEffHop"),
    ("with gates the slot lowers STanHop-Net's outliers", "STanHop", "Gated_Attention", "Gated_OutEffHop"),
    ("OutEffHop lowers kurtosis and norm of ViT", "ViT", "softmax", "OutEffHop"),
    ("clipping lowers kurtosis and norm of ViT", "ViT", "softmax", "Clipped_Softmax"),
    ("gates raise kurtosis and lower the norm of ViT", "ViT", "softmax", "Gated_Attention"),
    ("with clipping the slot lowers ViT's outliers", "ViT", "Clipped_Softmax", "Clipped_OutEffHop"),
    ("with gates the slot lowers ViT's outliers", "ViT", "Gated_Attention", "Gated_OutEffHop"),
    ("OutEffHop lowers kurtosis and norm of BERT", "BERT", "softmax", "OutEffHop"),
    ("OutEffHop lowers kurtosis and norm of OPT", "OPT", "softmax", "OutEffHop"),
    ("gates lower kurtosis and norm of OPT", "OPT", "softmax", "Gated_Attention"),
    ("clipping lowers kurtosis and norm of OPT", "OPT", "softmax", "Clipped_Softmax"),
    ("with clipping the slot raises OPT's outliers", "OPT", "Clipped_Softmax", "Clipped_OutEffHop"),
    ("with gates the slot lowers OPT's outliers", "OPT", "Gated_Attention", "Gated_OutEffHop"),
]


@pytest.mark.parametrize(("claim", "model", "base", "method"), VERDICTS)
def test_a_verdict_on_outliers_gives_the_changes_of_the_table(claim, model, base, method):
    frame = load(ROOT / "results", "models").frame
    frame = frame[(frame["model"] == model) & frame["method"].isin([base, method]) & ~frame["learnt"]]
    # any method may stand in the place of softmax
    frame = frame.assign(method=frame["method"].replace(base, "softmax"))
    [said] = re.findall(rf"^\| {re.escape(claim)}.*\|$", OUTLIERS, re.M)
    expected = [
        cell
        for definition in ("", "_published")
        for cell in models_table.changes(frame, definition).splitlines()[-1].strip("| ").split(" | ")[4:]
    ]
    if "norm" not in claim and "outliers" not in claim:
        expected = [cell for index, cell in enumerate(expected) if index % 4 < 2]
    assert re.findall(r"\d\.\d\d \[\d\.\d\d, \d\.\d\d\]", said)[: len(expected)] == expected


@pytest.mark.parametrize(("claim", "model", "base", "method"), VERDICTS)
def test_a_verdict_on_outliers_is_the_first_word_that_fits(claim, model, base, method):
    frame = load(ROOT / "results", "models").frame
    frame = frame[(frame["model"] == model) & frame["method"].isin([base, method]) & ~frame["learnt"]]
    frame = frame.assign(method=frame["method"].replace(base, "softmax"))
    table = {name: {row["method"]: row for row in table1.ROWS.values() if row["model"] == name} for name in MODELS}
    claimed, other, undecided = [], [], []
    for value in ["kurtosis", *["norm"] * ("norm" in claim or "outliers" in claim)]:
        published = np.log(float(table[model][method][value]) / float(table[model][base][value]))
        for definition in ("", "_published"):
            both = [mean(change(frame, method, value + definition, same_loss)) for same_loss in (False, True)]
            sides = [np.sign(each.low) * (each.low * each.high > 0) for each in both]
            claimed.append(all(side == np.sign(published) for side in sides))
            other.append(all(side == -np.sign(published) for side in sides))
            undecided.append(all(each.low <= published <= each.high and each.low <= 0 <= each.high for each in both))
    words = {"reproduced in part": claimed, "contradicted": other, "undecidable here": undecided}
    expected = next((word for word, found in words.items() if any(found)), "not reproduced")
    [verdict] = re.findall(rf"^\| {re.escape(claim)}.*?\| (.*) \|$", OUTLIERS, re.M)
    assert verdict.startswith(expected)


def test_the_headline_s_verdict_gives_the_changes_of_the_table():
    frame = load(ROOT / "results", "models").frame
    lists = []
    for value in ("kurtosis", "norm"):
        ratios = [np.exp(change(rows, "OutEffHop", value, False).mean()) for _, rows in frame.groupby("model")]
        # in the order of the text: BERT, OPT, ViT, STanHop-Net
        bert, opt, stanhop, vit = (f"{100 * (ratio - 1):+.0f}".replace("-", "−") for ratio in ratios)
        lists.append([bert, opt, vit, stanhop])
    [said] = re.findall(r"changes kurtosis by (.*?)% .*? and the norm by (.*?)%", OUTLIERS)
    written = [[each if each[0] in "+−" else f"+{each}" for each in re.split(", | and ", part)] for part in said]
    assert written == [[{"−0": "+0"}.get(each, each) for each in found] for found in lists]


def test_a_picture_stands_with_its_caption():
    shown = []
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        text = page.read_text(encoding="utf-8")
        for name in re.findall(r"!\[[^]]*\]\([\w/]*figures/(\w+)\.svg\)", text):
            assert " ".join(caption(name).split()) in " ".join(text.split()), f"{page.name}: {name}"
            shown.append(name)
    assert len(shown) > 15


def test_the_pictures_are_small():
    assert sum(path.stat().st_size for path in PICTURES.glob("*.svg")) < 3 * 2**20
