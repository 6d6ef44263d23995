"""The typeset formulas, read and evaluated: their sides differ by what the slacks say, to rounding.

What a formula writes as a function of vectors, such as a norm or an energy, is computed here from its definition; all
constants, powers, logarithms and fractions around it are read from the formula.
"""

import math
import re

import numpy as np
import pytest
import torch

from hopfield_theory.statements.arithmetic import Floats
from hopfield_theory.statements.registry import STATEMENTS
from hopfield_theory.statements.statement import Instance

pytest.importorskip("antlr4")
from sympy.parsing.latex import parse_latex

RELATION = re.compile(r"\\le(?!ft)|\\ge|=|<|\\quad|;|\\;\\Long")


def drawn(seed):
    rng = np.random.default_rng(seed)
    v = {"patterns": rng.normal(size=(4, 3)), "beta": rng.uniform(0.3, 2), "noop": rng.uniform(0.1, 3)}
    # close to the first pattern, so that what is said near it applies
    v |= {"query": v["patterns"][0] + 0.1 * rng.normal(size=3), "other": rng.normal(size=3), "ball": 0.1}
    return v | {"outliers": 0.5 * rng.normal(size=(2, 3))}


def quantities(v):
    """What formulas call things, each computed from its definition."""
    patterns, beta, n, x, count = v["patterns"], v["beta"], v["noop"], v["query"], len(v["patterns"])
    m, first = np.linalg.norm(patterns, axis=1).max(), patterns[0]

    def masses(x):
        return np.exp(beta * patterns @ x)

    def update(x, n):
        return masses(x) @ patterns / (n + masses(x).sum())

    def energy(x, n):
        return x @ x / 2 - math.log(n + masses(x).sum()) / beta + m * m / 2 + math.log(n + count) / beta

    def weights(x):
        return np.append(masses(x), n) / (n + masses(x).sum())

    w, image = masses(x), update(x, n)
    p, after = weights(x), weights(image)
    gap = min((first - row) @ first for row in patterns[1:])
    rivals = max(beta * (row - first) @ x for row in patterns[1:])
    return {
        r"\frac1\beta\mathrm{KL}(p(x)\,\|\,p(Tx))": (p * np.log(p / after)).sum() / beta,
        r"\|T_n(x)-\xi_\mu\|": np.linalg.norm(image - first),
        r"\|T_n(x)-\xi\|": np.linalg.norm(image - first),
        r"\|T_0(x)-\xi_\mu\|": np.linalg.norm(update(x, 0) - first),
        r"\|T_0(x)-\xi\|": np.linalg.norm(update(x, 0) - first),
        r"\|T_n-\xi\|": np.linalg.norm(image - first),
        r"\|T_0-\xi\|": np.linalg.norm(update(x, 0) - first),
        r"\langle T_0,\xi\rangle": update(x, 0) @ first,
        r"\|T_0\|": np.linalg.norm(update(x, 0)),
        r"\|x-Tx\|": np.linalg.norm(x - image),
        r"\|x\|": np.linalg.norm(x),
        r"\sum_{\nu\ne\mu}p_\nu": p[1:-1].sum(),
        r"\bar z": beta * (patterns @ x).mean(),
        r"p_0": p[-1],
        "E_n(x)": energy(x, n),
        "E_0(x)": energy(x, 0),
        "E(Tx)": energy(image, n),
        "E(x)": energy(x, n),
        "S_{out}": np.exp(beta * v["outliers"] @ x).sum(),
        r"\Delta": gap,
        r"\beta": beta,
        "S": w.sum(),
        "A": (count - 1) * math.exp(rivals),
        "B": n * math.exp(-beta * first @ x),
        "M": count,
        "a": w[1:].sum(),
        "m": m,
        "n": n,
    }


def evaluated(side, known):
    """Read a side of a formula, in which every quantity is one symbol."""
    side = re.sub(r"\\[bB]igg?[lr]|\\,", "", side).replace(r"\tfrac", r"\frac")
    known = {written.replace(r"\,", ""): value for written, value in known.items()}
    names = {written: f"u_{{{index}}}" for index, written in enumerate(known)}
    longest = sorted(map(re.escape, names), key=len, reverse=True)
    # a letter in a command is no quantity
    side = re.sub(
        "|".join([*longest, r"\\[a-zA-Z]+"]),
        lambda found: f"{{{names[found[0]]}}}" if found[0] in names else found[0],
        side,
    )
    # digits after \frac are arguments, and a bracket after a factor multiplies
    side = re.sub(
        r"\\frac(\d)(\d)?", lambda found: rf"\frac{{{found[1]}}}" + (f"{{{found[2]}}}" if found[2] else ""), side
    )
    side = re.sub(r"(?<=[}\dA-Za-z])\(", r"\\cdot(", side)
    expression = parse_latex(side)
    values = {names[written]: value for written, value in known.items()} | {"e": math.e}
    unread = {symbol.name for symbol in expression.free_symbols} - set(values)
    assert not unread, (side, unread)
    return float(expression.subs({symbol: values[symbol.name] for symbol in expression.free_symbols}).evalf())


# sides between relation signs, counted from 0; by what the slack is divided; what names stand for in that paper
CASES = [
    ("T3", "identity", (0, 1), None, {}),
    ("T10", "identity", (0, 1), None, {}),
    ("T17", "identity", (0, 1), None, {}),
    ("T9", "error below weights", (0, 1), "length", {}),
    ("T9", "weights below separation", (1, 2), "length", {}),
    ("T9", "separation below exponentials", (2, 3), "length", {}),
    ("P1", "never farther", (0, 1), "length", {}),
    ("P4", "never larger", (0, 1), "length", {}),
    ("P5", "never larger", (0, 1), "length", {}),
    ("P6", "one update", (0, 1), "length", {"N": "M", "M": "m"}),
    ("P12", "one update", (0, 1), "length", {"N": "M", "M": "m"}),
    ("P14", "at most 2M²", (0, 1), "square", {"M": "m", "E(x)": "E_0(x)"}),
    ("P19", "with constants", (0, 1), "square", {}),
]


@pytest.mark.parametrize(("name", "part", "sides", "scale", "renamed"), CASES, ids=[f"{c[0]}: {c[1]}" for c in CASES])
def test_a_formula_says_what_its_slack_measures(name, part, sides, scale, renamed):
    statement = STATEMENTS[name]
    [implication] = [each for each in statement.parts if each.name == part]
    pieces = RELATION.split(statement.formula)
    for seed in range(5):
        v = drawn(seed)
        known = quantities(v)
        known |= {alias: known[meaning] for alias, meaning in renamed.items()}
        left, right = (evaluated(pieces[side], known) for side in sides)
        tensors = {key: torch.as_tensor(value, dtype=torch.float64) for key, value in v.items()}
        slack = implication.conclusion(Instance(**tensors, xp=Floats())).item()
        if scale is None:
            assert left == pytest.approx(right, rel=1e-12)
            assert slack == pytest.approx(0, abs=1e-13)
            continue
        m, x = known["m"], v["query"]
        size = m * m + 1 / v["beta"]
        size = size + x @ x if scale == "square" else math.sqrt(size)
        assert slack * size == pytest.approx(right - left, rel=1e-10, abs=1e-13)


def test_another_constant_would_be_seen():
    known = quantities(drawn(0))
    said = evaluated(r"m\frac{2A+B}{1+A+B}", known)
    assert said == pytest.approx(known["m"] * (2 * known["A"] + known["B"]) / (1 + known["A"] + known["B"]), rel=1e-12)
    assert said != pytest.approx(evaluated(r"m\frac{2A+B}{1+A+2B}", known), rel=1e-3)
    assert evaluated(r"\tfrac12\|x-Tx\|^2", known) == pytest.approx(known[r"\|x-Tx\|"] ** 2 / 2, rel=1e-12)
    with pytest.raises(AssertionError, match="Q"):
        evaluated(r"mQ", known)
