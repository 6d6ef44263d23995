"""Write ``docs/results.md`` from its template and the tables in ``results/``: ``python -m figures.results_page``."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import jinja2
import numpy as np
import pandas as pd
from scipy import stats

from hopfield_theory._atomic_write import atomic_write
from hopfield_theory.bounds import RandomMemory, finite_size, mean_field

# an estimate, and the ends of its interval
_SIDES = np.array([0.0, -1.0, 1.0])
ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "results.md"


def rows(name: str, **values: object) -> pd.DataFrame:
    """Return the rows of a table that have these values, or one of them where a list is given.

    Two columns are added to tables of capacities: ``off``, the relative error in log M of the prediction C5, and
    ``share``, log M as a share of α_1(λ) d.
    """
    found = pd.read_csv(ROOT / "results" / f"{name}.csv")
    found = found.rename(columns={"log_low": "log_patterns_low", "log_high": "log_patterns_high"})
    if "predicted" in found:
        found["off"] = found["log_patterns"] / found["predicted"] - 1
        found["share"] = found["log_patterns"] / (found["alpha"] * found["dim"])
    for column, value in values.items():
        found = found[found[column].isin(value if isinstance(value, list) else [value])]
    return found


def one(name: str, **values: object) -> pd.Series:
    """Return the only row of a table that has these values."""
    found = rows(name, **values)
    if len(found) != 1:
        raise ValueError(f"{name}: {len(found)} rows have {values}: it must be one")
    return found.iloc[0]


def crossings(rule: str, **values: object) -> pd.DataFrame:
    """Return the measured capacities of a rule, one row each, in the order of λ, d and n."""
    found = rows("capacity", kind="crossing", rule=rule, **values)
    return found.drop_duplicates(["lam", "dim", "noop"]).sort_values(["lam", "dim", "noop"])


@cache
def beside_law() -> pd.DataFrame:
    """Return the measured capacities with the law's: explicit ones, then sampled.

    ``fold`` is log M of C5 (NaN where it has no fold), ``law`` of C9 (NaN where it says nothing) and ``branch`` of the
    end of its branch alone; ``missed`` is log M less C5, with its interval, ``left`` log M less C9, and ``half`` half
    an interval.
    """
    explicit = crossings("stored").assign(drawn="explicit")
    sampled = rows("exponents", kind="fixed point").assign(noop=0.0, drawn="sampled")
    found = pd.concat([explicit, sampled], ignore_index=True)
    found = found[np.isfinite(found["log_patterns"])]
    memories = [RandomMemory.of_lambda(int(row.dim), row.lam, row.noop) for row in found.itertuples()]
    folds = [getattr(mean_field.fold(memory), "log_patterns", np.nan) for memory in memories]
    laws = [getattr(finite_size.law(memory), "log_patterns", np.nan) for memory in memories]
    ends = [getattr(finite_size.branch_end(memory), "log_patterns", np.nan) for memory in memories]
    columns = {f"missed{end}": found[f"log_patterns{end}"] - folds for end in ("", "_low", "_high")}
    half = 0.5 * (found["log_patterns_high"] - found["log_patterns_low"])
    return found.assign(**columns, fold=folds, law=laws, branch=ends, left=found["log_patterns"] - laws, half=half)


@cache
def transitions() -> pd.DataFrame:
    """Return the transitions about the law, one row each: a normal distribution function that fits their rates.

    ``log_patterns`` is where it is ½ and ``sigma`` its standard deviation, with 95% intervals, by weighted least
    squares of the normal quantiles of the rates; ``law`` and ``width`` are C9's, ``worst`` the largest difference of a
    rate from C9's.
    """
    found = []
    for (lam, noop, dim), cells in rows("capacity_law").groupby(["lam", "noop", "dim"]):
        tried, log_size = cells["trials"].to_numpy(), np.log(cells["num_patterns"].to_numpy())
        # off the ends, where quantiles are infinite
        rate = (cells["successes"].to_numpy() + 0.5) / (tried + 1.0)
        place = stats.norm.ppf(rate)
        weight = tried * stats.norm.pdf(place) ** 2 / (rate * (1.0 - rate))
        centre = np.average(log_size, weights=weight)
        spread = (weight * (log_size - centre) ** 2).sum()
        slope = (weight * (log_size - centre) * place).sum() / spread
        half = centre - np.average(place, weights=weight) / slope
        error = np.sqrt(1.0 / weight.sum() + (half - centre) ** 2 / spread) / abs(slope)
        steep = -slope + 1.96 / np.sqrt(spread) * np.array([0.0, 1.0, -1.0])
        found.append(
            {
                "lam": lam,
                "noop": noop,
                "dim": dim,
                **_named("log_patterns", half + 1.96 * error * _SIDES),
                **_named("sigma", 1.0 / steep),
                "law": cells["law"].iloc[0],
                "width": cells["width"].iloc[0],
                "worst": (cells["rate"] - cells["law_rate"]).abs().max(),
            }
        )
    return pd.DataFrame(found)


def _named(name: str, values: Iterable[float]) -> dict[str, float]:
    return dict(zip((name, f"{name}_low", f"{name}_high"), values, strict=True))


def fold_overlap(dim: int, lam: float) -> float:
    """Return the overlap of a state at the mean-field fold with the pattern."""
    fold = mean_field.fold(RandomMemory.of_lambda(dim, lam))
    assert fold is not None
    return fold.overlap


def law_from(dim: int, distance: float) -> float:
    """Return log M of C9 at λ = 1, n = 1, from queries at a distance in units of m."""
    law = finite_size.law(RandomMemory.of_lambda(dim, 1.0, 1.0), distance=distance)
    assert law is not None
    return law.log_patterns


def interval(row: pd.Series, name: str, digits: int) -> str:
    """Return a number with its 95% interval, all to so many digits."""
    return f"{row[name]:.{digits}f} [{row[f'{name}_low']:.{digits}f}, {row[f'{name}_high']:.{digits}f}]"


def caption(name: str) -> str:
    """Return what ``python -m figures`` wrote below a picture of the documents."""
    return (PAGE.parent / "figures" / f"{name}.md").read_text(encoding="utf-8").partition("\n\n")[0]


def render() -> str:
    """Return the page."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(PAGE.parent),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "rows": rows,
        "one": one,
        "crossings": crossings,
        "beside_law": beside_law,
        "fold_overlap": fold_overlap,
        "law": law_from,
        "transitions": transitions,
        "caption": caption,
    }
    environment.globals |= {"exp": np.exp, "log": np.log}
    environment.filters |= {
        "interval": interval,
        "fixed": lambda number, digits: f"{number:.{digits}f}",
        "finite": lambda number, digits: f"{number:.{digits}f}" if np.isfinite(number) else "–",
        "short": lambda number: f"{number:g}",
        "power": lambda number: f"{number:.1e}",
        "percent": lambda share, digits: f"{100 * share:.{digits}f}%",
        "thousands": lambda number: f"{number:,.0f}".replace(",", " "),
    }
    blocks = environment.get_template(f"{PAGE.name}.jinja").render().strip().split("\n\n")
    return "\n\n".join(block if block[0] in "#|!" else _wrapped(block) for block in blocks) + "\n"


def _wrapped(paragraph: str) -> str:
    return textwrap.fill(" ".join(paragraph.split()), 120, break_long_words=False, break_on_hyphens=False)


if __name__ == "__main__":
    atomic_write(PAGE, render().encode())
