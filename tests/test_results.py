"""What docs/results.md says was measured is what results/ holds, and no number stands there that nothing holds."""

import hashlib
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from figures.__main__ import NAMES
from hopfield_theory.bounds import RandomMemory, mean_field
from simulations import landscape

ROOT = Path(__file__).parent.parent
DOCUMENT, TABLES, PICTURES = ROOT / "docs" / "results.md", ROOT / "results", ROOT / "docs" / "figures"


def table(name):
    return pd.read_csv(TABLES / f"{name}.csv")


def one(rows, **values):
    for name, value in values.items():
        rows = rows[np.isclose(rows[name], value)] if isinstance(value, float) else rows[rows[name] == value]
    assert len(rows) == 1, f"{len(rows)} rows of {values}"
    return rows.iloc[0]


def between(row, name, digits, low=None, high=None):
    ends = row[low or f"{name}_low"], row[high or f"{name}_high"]
    return f"{row[name]:.{digits}f} [{ends[0]:.{digits}f}, {ends[1]:.{digits}f}]"


def crossings(rule, lam, noop):
    rows = table("capacity").query("kind == 'crossing' and rule == @rule and lam == @lam and noop == @noop")
    return rows.drop_duplicates("dim").set_index("dim").sort_index()


def log_patterns(row):
    return between(row, "log_patterns", 3, "log_low", "log_high")


def thousands(number):
    return f"{number:,.0f}".replace(",", " ")


# --- one function for each section: the phrases that it must hold ---


def capacities():
    worst = {}
    for lam in (0.5, 1.0):
        columns = [crossings("stored", lam, noop) for noop in (0.0, 1.0, 10.0, 100.0)]
        for dim in (12, 14, 16, 18, 20, 22):
            cells = []
            for rows in columns:
                row = rows.loc[dim]
                if math.isinf(row["log_patterns"]):
                    assert row["predicted"] == -math.inf
                    assert row["successes"] == 0
                    cells.append("none; none")
                    continue
                off = row["log_patterns"] / row["predicted"] - 1
                worst[lam, dim] = max(worst.get((lam, dim), 0.0), abs(off))
                cells.append(f"{log_patterns(row)}; {row['predicted']:.3f} ({100 * off:+.1f}%)")
            yield f"| {lam:g} | {dim} | {' | '.join(cells)} |"
    assert max(worst.values()) == worst[0.5, 12]
    yield f"C5 is off by at most {100 * worst[0.5, 12]:.1f}% in log M, at d = 12 and λ = ½"
    assert max(miss for (_, dim), miss in worst.items() if dim > 12) < 0.06
    yield f"at d = 22 within {100 * max(worst[0.5, 22], worst[1.0, 22]):.1f}%"


def crossover():
    dense, outlier = (crossings("stored", 2.0, noop) for noop in (0.0, 1.0))
    for dim in (8, 10, 12):
        assert dense.loc[dim, "log_low"] < outlier.loc[dim, "log_high"]
        assert outlier.loc[dim, "log_low"] < dense.loc[dim, "log_high"]
        assert dense.loc[dim, "predicted"] == math.inf
        share = dense.loc[dim, "log_patterns"] / (dense.loc[dim, "alpha"] * dim)
        yield f"| {dim} | {log_patterns(dense.loc[dim])} | {log_patterns(outlier.loc[dim])} | {share:.3f} |"
    for row in table("exponents").query("kind == 'fixed point' and lam == 2.0").sort_values("dim").to_dict("records"):
        share = row["log_patterns"] / (row["alpha"] * row["dim"])
        yield f"| {row['dim']} (sampled) | {log_patterns(row)} | – | {share:.3f} |"


def rules():
    columns = [crossings(rule, 1.0, 1.0) for rule in ("stored", "all patterns", "from noise", "one update")]
    for dim in (12, 14, 16):
        yield f"| {dim} | {' | '.join(log_patterns(rows.loc[dim]) for rows in columns)} |"
    shares = [columns[1].loc[dim, "log_patterns"] / columns[0].loc[dim, "log_patterns"] for dim in (12, 14, 16)]
    yield f"ends at {min(shares):.2f} to {max(shares):.2f} of the log M of a typical one"
    row = columns[0].loc[16]
    yield f"up to log M = {row['log_patterns']:.2f}, while C7 excludes one within 0.0625 m from {row['ceiling']:.2f} on"
    fold = mean_field.fold(RandomMemory.of_lambda(16, 1.0))
    assert fold is not None
    yield f"the fold lies at {1 - fold.overlap:.2f} m"


def sandwich():
    rows = table("capacity").query("kind == 'sandwich'")
    for (dim, kappa), found in rows.groupby(["dim", "kappa"]):
        low, high = math.exp(found["chernoff"].iloc[0]), math.exp(found["ceiling"].iloc[0])
        rates = "; ".join(f"{row.num_patterns}: {between(row._asdict(), 'rate', 3)}" for row in found.itertuples())
        yield f"| {dim}, {kappa:g} | {low:.1f} | {high:.1f} | {rates} |"
        assert (found.loc[found["num_patterns"] <= low, "rate_high"] >= 0.9).all()
        assert (found.loc[found["num_patterns"] >= high, "rate_low"] <= 0.9).all()
        within = found[(found["num_patterns"] >= low - 1) & (found["num_patterns"] <= 2 * low + 1)]
        assert within["rate"].max() > 0.9 > within["rate"].min()


def far_fixed_points():
    rows = table("exponents").query("kind == 'fixed point' and lam <= 1.0").set_index(["lam", "dim"]).sort_index()
    for dim in sorted(rows.index.get_level_values("dim").unique()):
        cells = [rows.loc[lam, dim] for lam in (0.5, 1.0)]
        measured = (between(cell, "log_patterns", 4, "log_low", "log_high") for cell in cells)
        said = (
            f"{interval}; {cell['predicted']:.4f}; {cell['fluctuation']:.1e}".replace("0.0e+00", "0")
            for interval, cell in zip(measured, cells, strict=True)
        )
        yield f"| {dim} | {' | '.join(said)} |"
    beyond = rows[rows.index.get_level_values("dim") >= 32]
    yield f"falls to {max(row['fluctuation'] for _, row in rows.xs(64, level='dim').iterrows()):.1e}"
    yield f"From d = 32 on C5 is within {100 * (beyond['log_patterns'] / beyond['predicted'] - 1).abs().max():.3f}%"
    last = rows.xs(rows.index.get_level_values("dim").max(), level="dim")
    for lam in (0.5, 1.0):
        share = last.loc[lam, "log_patterns"] / (last.loc[lam, "alpha"] * rows.index[-1][1])
        yield f"{share:.3f} of α_1 d at λ = {lam:g}"
    ends = [crossings("stored", 1.0, noop).loc[22] for noop in (0.0, 1.0, 10.0, 100.0)]
    lacking = [100 * (1 - end["log_patterns"] / end["predicted"]) for end in ends]
    yield f"lack {min(lacking):.2f} to {max(lacking):.2f}% at d = 22, λ = 1"
    for noop in (0.0, 1.0, 10.0, 100.0):
        explicit = crossings("stored", 1.0, noop)
        for dim in (16, 20):
            assert explicit.loc[dim, "log_low"] - 0.02 < rows.loc[1.0, dim]["log_high"]
            assert rows.loc[1.0, dim]["log_low"] - 0.02 < explicit.loc[dim, "log_high"]


def slowing():
    rows = table("convergence").query("kind == 'updates'")
    for share in (0.5, 0.8, 0.9, 0.95, 1.0, 1.05):
        plain, fast = (one(rows, share=share, accelerate=it) for it in (False, True))
        medians = []
        for row in (plain, fast):
            ends = (
                "" if row["median_low"] == row["median_high"] else f" [{row['median_low']:g}, {row['median_high']:g}]"
            )
            medians.append(f"{row['median']:g}{ends}")
        yield (
            f"| {share:g} | {thousands(plain['num_patterns'])} | {medians[0]} | {thousands(plain['most'])} "
            f"| {medians[1]} | {plain['contraction']:.2f} | {plain['retrieved']:.2g} |"
        )
    residuals = table("convergence").query("kind == 'residual'")
    yield f"was never above {residuals['worst'].max():.3f} of what T5 allows"
    yield f"demands is {residuals['drop_least'].min():.3f}"


def rejection():
    rows = table("rejection").query("data == 'digits'")
    norms = rows[rows["detector"] == "norm"]
    at_16 = norms[norms["beta"] == 16.0]
    yield f"{between(one(at_16, log_noop=0.0), 'auroc', 3)} for n = 1"
    best = at_16.loc[at_16["auroc"].idxmax()]
    yield f"best, {between(best, 'auroc', 3)}, at log n = {best['log_noop']:g}"
    at_64 = norms[norms["beta"] == 64.0]
    assert at_64.sort_values("log_noop")["auroc"].iloc[-1] == at_64["auroc"].max()
    last = one(at_64, log_noop=60.0)
    yield f"from {between(one(at_64, log_noop=0.0), 'auroc', 3)} to {last['auroc']:.3f} at log n = 60"
    yield f"({last['matched_norm']:.2f} of the norm is then left"
    half = one(at_64, log_noop=48.0)
    yield f"{half['matched_norm']:.3f} are left, and the AUROC is {between(half, 'auroc', 3)}"
    dense = rows[rows["detector"] == "energy"]
    yield f"reaches {between(one(dense, beta=16.0), 'auroc', 3)} and {one(dense, beta=64.0)['auroc']:.3f}"
    roc = rows[(rows["detector"] == "roc") & (rows["beta"] == 64.0) & np.isclose(rows["false_alarms"], 0.02)]
    yield f"{between(one(roc, log_noop=48.0), 'detected', 3)} of the matched ones are at log n = 48"
    yield f"{between(one(roc, log_noop=0.0), 'detected', 3)} at n = 1"


def basins():
    rows = table("basins")
    assert (rows["broken_promises"] == 0).all()
    rows = rows[(rows["lam"] == 1.0) & (rows["num_patterns"] == 300)]
    yield f"the median certified radius is {rows['radius_median'].iloc[0]:.3f} m"
    near, far = (between(one(rows, distance=distance), "rate", 2) for distance in (0.7, 1.0))
    yield f"with rate {near}, at 1.0 m with {far}"
    sure = rows[rows["rate_low"] > 0.9]["distance"].max()
    yield f"with a rate above 0.9 for sure from {sure:g} m"


def descents():
    paths = [
        path["energy"].diff().max()
        for cell in landscape.cells("quick")
        for _, path in pd.DataFrame(landscape.measure(cell, 0, "cpu")).query("kind == 'path'").groupby("path")
    ]
    assert max(paths) < 1e-15
    return ()


def bounds_in_figures():
    rates = crossings("stored", 1.0, 1.0).loc[20]
    yield (
        f"falls at log M = {rates['log_patterns']:.2f} [{rates['log_low']:.2f}, {rates['log_high']:.2f}], "
        f"at the mean-field prediction {rates['predicted']:.2f}; C3 proves it up to {rates['chernoff']:.2f}"
    )
    last = one(table("exponents").query("kind == 'bounds'"), dim=64)
    yield (
        f"promises e^{last['published']:.1f} patterns and the union bound C2 e^{last['pairwise']:.1f}, where C3 proves "
        f"e^{last['chernoff']:.1f} and the ceiling is e^{last['ceiling']:.1f}"
    )
    updates = table("exponents").query("kind == 'update'")
    updates = updates[updates["dim"] == updates["dim"].max()]
    gap = (1 - updates["log_patterns"] / (updates["alpha"] * updates["dim"])).abs().max()
    yield f"one update comes within {gap:.1e} of α_1 at d = {updates['dim'].iloc[0]}"


def one_update():
    rows = table("exponents").query("kind == 'update'")
    last = rows[rows["dim"] == rows["dim"].max()]
    gap = (1 - last["log_patterns"] / (last["alpha"] * last["dim"])).abs()
    yield f"at d = {last['dim'].iloc[0]} it is within {gap.max():.1e} of α_1(λ) d"


def cues():
    rows = table("noise")
    flips = rows[(rows["corruption"] == "flips") & np.isclose(rows["strength"], 0.25)].set_index("model")
    yield f"sparsemax ({between(flips.loc['sparsemax'], 'rate', 2)})"
    yield f"entmax-1.5 ({between(flips.loc['entmax-1.5'], 'rate', 2)})"
    yield f"the dense model ({between(flips.loc['dense'], 'rate', 2)})"
    yield f"OutEff ({between(flips.loc['OutEffHop'], 'rate', 2)})"
    masks = rows[(rows["corruption"] == "mask") & np.isclose(rows["strength"], 0.3)].set_index("model")
    assert (masks.loc[["sparsemax", "entmax-1.5"], "error"] < 1e-6).all()
    yield f"one of {between(masks.loc['dense'], 'error', 5)}"


def comparisons():
    same = table("closeness")
    left = same["overshoot"] < 0.5 * (1.0 + same["kept"])
    assert (left == (same["noop_error"] < same["dense_error"])).all()
    yield f"all {len(same)} queries"
    row = one(table("outliers"), norm=2.0, overlap=0.0, outliers=1)
    yield f"for {row['condition']:.2f} of the queries, and {between(row, 'closer', 2)} come closer"


def mixing():
    rows = table("metastable").query("beta == 12.0")
    few, many = rows[rows["noop"] <= 100.0], one(rows, noop=1e4)
    mixed = f"{few['mixed'].min():.2f} to {few['mixed'].max():.2f}"
    yield f"mix {mixed} patterns for n up to 100 and all {many['mixed']:.0f} for n = 10⁴"
    yield f"whose norm is then {many['norm']:.3f}"


def pictures():
    shown = table("digits")
    row = shown[(shown["cue"] == "unmatched") & (shown["picture"] == "answer")].sort_values("noop").iloc[-1]
    assert row["norm"] < 1e-12
    yield f"n = e^{math.log(row['noop']):.0f}"


def speed():
    rows = table("speed").query("benchmark == 'update'")
    products = rows[rows["below"] == "two bare products"].iloc[0]
    spread = f"({products['least']:.2f} to {products['largest']:.2f})"
    yield f"an update takes {products['median']:.2f} {spread} of two bare products"
    plain = rows[rows["above"] == "plain formula"].iloc[0]
    yield f"the plain formula {plain['median']:.1f} ({plain['least']:.1f} to {plain['largest']:.1f}) times an update"
    attention = table("speed").query("benchmark == 'attention'")
    dense = attention[attention["below"].str.contains("dense")]
    yield f"{dense['median'].min():.2f} to {dense['median'].max():.2f} of dense attention"


FINDINGS = [
    capacities, crossover, rules, sandwich, far_fixed_points, slowing, rejection, basins, descents, bounds_in_figures,
    one_update, cues, comparisons, mixing, pictures, speed,
]  # fmt: skip

# numbers of settings, which no table holds
SETTINGS = {
    "0.0625",  # 1/κ
    "10⁴",
    "100",
    "1 000",
    "300",
    "0.7",
    "1.0",
    "0.9",
    "0.1",
    "0.5",
    "95%",
    "2%",
    "30%",
    "700",
    "0.4",
    "256",
    "1e-8",
}


def flat(text):
    return " ".join(text.split())


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda finding: finding.__name__)
def test_the_document_says_what_was_measured(finding):
    document = flat(DOCUMENT.read_text())
    missing = [phrase for phrase in finding() if flat(phrase) not in document]
    assert not missing


def test_no_number_of_the_document_is_without_a_measurement():
    document = flat(DOCUMENT.read_text())
    for phrase in sorted((flat(phrase) for finding in FINDINGS for phrase in finding()), key=len, reverse=True):
        document = document.replace(phrase, "")
    document = re.sub(r"`[^`]*`|\([^)]*\)\]|\]\([^)]*\)", "", document)
    numbers = re.findall(r"\d[\d.]*(?: \d{3})*(?:e-?\d+)?%?", document)
    numbers = {number.rstrip(".") for number in numbers}
    left = {number for number in numbers if "." in number or "e" in number or len(number) > 2}
    assert left <= SETTINGS


def test_the_figures_of_the_documents_are_drawn_from_these_tables():
    digests = {path.stem: hashlib.sha256(path.read_bytes()).hexdigest() for path in TABLES.glob("*.csv")}
    assert {path.stem for path in PICTURES.glob("*.png")} == set(NAMES)
    for name in NAMES:
        with Image.open(PICTURES / f"{name}.png") as picture:
            about = picture.info
        names = re.findall(r"(?:^|; )(\w+) \(preset", about["Description"])
        carried = [digest.removeprefix("sha256:") for digest in about["Comment"].split()]
        assert len(names) == len(carried) > 0
        for experiment, digest in zip(names, carried, strict=True):
            assert experiment == "landscape" or digest == digests[experiment], f"{name} is of other results"


def test_the_pictures_are_small():
    assert sum(path.stat().st_size for path in PICTURES.glob("*.png")) < 2 * 2**20
