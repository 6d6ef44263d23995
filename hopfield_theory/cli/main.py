"""The command line: certify, find-beta, retrieve, bounds, capacity, verify, replay.

Torch is imported by the commands, not for the help.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer

import hopfield_theory as ht
from hopfield_theory import _arguments
from hopfield_theory._atomic_write import atomic_write
from hopfield_theory._sentences import many
from hopfield_theory._version import version
from hopfield_theory.cli.shared import (
    Choice,
    check_folder,
    check_numbers,
    check_output,
    levels_of,
    load,
    load_queries,
    naming,
    one_line_errors,
    progress_bar,
    progress_words,
    random_memory,
    report,
)

app = typer.Typer(
    name="hopfield-theory",
    help="Will a memory retrieve its patterns, from how far away, and how sure is that?",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

Source = Annotated[
    str,
    typer.Argument(
        metavar="FILE|digits",
        help="Patterns, one per row (.npy .npz .csv .parquet .pt .safetensors), or scikit-learn's handwritten digits.",
        show_default=False,
    ),
]
Name = Annotated[str | None, typer.Option("--name", help="The array of a .npz, .pt or .safetensors file to read.")]
Columns = Annotated[str | None, typer.Option(metavar="NAME,…", help="Columns of a table to read.")]
Drop = Annotated[str | None, typer.Option(metavar="NAME,…", help="Columns of a table to leave out.")]
Beta = Annotated[float, typer.Option(help="Inverse temperature, above 0.")]
Noop = Annotated[float, typer.Option(help="No-op mass n: 0 is the dense model, 1 OutEffHop.")]
Centre = Annotated[
    bool, typer.Option("--centre", "--center", help="Subtract the mean of the patterns from patterns and queries.")
]
Normalise = Annotated[bool, typer.Option("--normalise", "--normalize", help="Scale patterns and queries to unit norm.")]
From = Annotated[
    str | None, typer.Option("--from", metavar="FILE.py", help="A Python file that defines claims of your own.")
]
Json = Annotated[
    str | None,
    typer.Option("--json", metavar="FILE|-", help="Write all numbers as JSON to a file, or to standard output."),
]


def _version(wanted: bool) -> None:
    if wanted:
        print(f"hopfield-theory {version()}")
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


@app.command()
def certify(
    source: Source,
    beta: Beta = 1.0,
    noop: Noop = 1.0,
    centre: Centre = False,
    normalise: Normalise = False,
    name: Name = None,
    columns: Columns = None,
    drop: Drop = None,
    json: Json = None,
) -> None:
    """Prove which patterns are stored, and from how far away each is reached.

    Exit status 0 if every pattern is proved stored, 1 if not, 2 for bad input.
    """
    with one_line_errors(source):
        from hopfield_theory.certificates.rejection import least_noop
        from hopfield_theory.cli import render
        from hopfield_theory.model.memory import Memory

        check_output(json, source)
        check_numbers(beta=beta, noop=noop)
        patterns = load(source, Choice(name, columns, drop))
        with naming(source):
            memory = Memory(patterns, beta, noop, centre=centre, normalise=normalise)
        with progress_bar("certifying") as progress:
            proof = ht.certify(memory, progress=progress)
        least = least_noop(memory)
        report(
            json,
            {
                "memory": render.memory_data(memory, source),
                "certificate": render.certificate_data(proof) | {"least_noop": least},
            },
            str(memory),
            *render.certificate_lines(memory, proof, least),
            render.certificate_table(proof),
        )
        all_stored = bool(proof.stored.all())
    raise typer.Exit(0 if all_stored else 1)


@app.command("find-beta")
def find_beta(
    source: Source,
    noop: Noop = 1.0,
    centre: Centre = False,
    normalise: Normalise = False,
    name: Name = None,
    columns: Columns = None,
    drop: Drop = None,
    betas: Annotated[
        str | None, typer.Option(metavar="β,β,…", help="Values of β to examine, in place of the default grid.")
    ] = None,
    drop_duplicates: Annotated[
        bool, typer.Option("--drop-duplicates", help="Leave out rows that equal an earlier one.")
    ] = False,
    json: Json = None,
) -> None:
    """Find the inverse temperature from which on the patterns are proved stored, and from which on retrieved.

    Exit status 0 if there is one for all, 1 if not (the blocking patterns are named), 2 for bad input, 130 if
    interrupted (what was found until then is printed).
    """
    with one_line_errors(source):
        from hopfield_theory.certificates.find_beta import SearchInterruptedError
        from hopfield_theory.cli import render

        check_output(json, source)
        check_numbers(noop=noop)
        try:
            grid = None if betas is None else [float(beta) for beta in betas.split(",")]
        except ValueError:
            raise ValueError(f"--betas is {betas!r}: it must be numbers with commas between them") from None
        patterns = load(source, Choice(name, columns, drop))
        interrupted = ""
        with naming(source), progress_bar("certifying at each β") as progress:
            options = {"centre": centre, "normalise": normalise, "betas": grid, "drop_duplicates": drop_duplicates}
            try:
                found = ht.find_beta(patterns, noop, **options, progress=progress)
            except SearchInterruptedError as error:
                found, interrupted = error.found, str(error)
        data = {
            "source": source,
            "noop": noop,
            "centre": centre,
            "normalise": normalise,
            "interrupted": bool(interrupted),
        }
        report(
            json,
            data | render.beta_search_data(found),
            *([interrupted] if interrupted else [*found.lines(), render.beta_search_table(found)]),
        )
        reached = found.stored_for() < float("inf")
    raise typer.Exit(130 if interrupted else 0 if reached else 1)


@app.command()
def retrieve(
    source: Source,
    query: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Queries, one per row. Of a table the columns that the patterns have are read, by their names; of "
            "other files the array of --name, if there is one.",
        ),
    ] = None,
    query_name: Annotated[
        str | None, typer.Option("--query-name", help="The array of the file of queries, in place of that.")
    ] = None,
    query_columns: Annotated[
        str | None, typer.Option(metavar="NAME,…", help="Columns of the file of queries, in place of that.")
    ] = None,
    query_drop: Annotated[
        str | None,
        typer.Option(metavar="NAME,…", help="Columns of the file of queries to leave out, in place of that."),
    ] = None,
    hide: Annotated[
        float | None,
        typer.Option(
            metavar="FRACTION",
            help="In place of --query: the patterns themselves, with the last FRACTION of their coordinates hidden "
            "(set to 0, or to the mean with --centre).",
        ),
    ] = None,
    noise: Annotated[
        str | None,
        typer.Option(metavar="LEVEL,…", help="Or: each pattern moved by LEVEL times its length, at random."),
    ] = None,
    mask: Annotated[
        str | None,
        typer.Option(metavar="LEVEL,…", help="Or: each pattern with this share of its coordinates hidden, at random."),
    ] = None,
    plot: Annotated[
        str | None, typer.Option(metavar="FILE", help="Draw the rates of success of --noise and --mask.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of --noise and --mask.")] = 0,
    beta: Beta = 1.0,
    noop: Noop = 1.0,
    centre: Centre = False,
    normalise: Normalise = False,
    name: Name = None,
    columns: Columns = None,
    drop: Drop = None,
    tol: Annotated[float, typer.Option(help="Length of the last step, above 0.")] = 1e-8,
    max_steps: Annotated[int, typer.Option(help="Largest number of updates per query.")] = 1000,
    accelerate: Annotated[bool, typer.Option("--accelerate", help="Fewer updates where convergence is slow.")] = False,
    json: Json = None,
) -> None:
    """Retrieve queries, and say which answers were guaranteed in advance.

    Exit status 0 if every query converged, 1 if not, 2 for bad input.
    """
    with one_line_errors(source):
        from hopfield_theory.certificates.certify import guaranteed, shared_with
        from hopfield_theory.cli import cues, render
        from hopfield_theory.data import corruption
        from hopfield_theory.model.memory import Memory

        check_output(json, source)
        check_numbers(beta=beta, noop=noop)
        if not 0 < tol < float("inf"):
            raise ValueError(f"--tol is {tol:g}: it must be a finite number above 0")
        if max_steps < 1:
            raise ValueError(f"--max-steps is {max_steps}: it must be at least 1")
        of_queries = Choice(query_name, query_columns, query_drop, "--query-")
        if query is not None:
            check_output(json, query)
        elif of_queries.is_given:
            raise ValueError("--query-name, --query-columns and --query-drop: they need --query")
        damages = [("noise", level) for level in levels_of("--noise", noise)]
        damages += [("mask", level) for level in levels_of("--mask", mask, 1.0)]
        if (query is not None) + (hide is not None) + bool(damages) != 1:
            raise ValueError("--query FILE or --hide FRACTION, or --noise and --mask with levels: give one of these")
        if plot is not None and not damages:
            raise ValueError(f"--plot is {plot}: it needs --noise or --mask")
        check_output(plot, source, option="--plot", other=json)
        if plot is not None and importlib.util.find_spec("matplotlib") is None:
            raise ImportError("--plot needs matplotlib: pip install 'hopfield-theory[figures]'")
        if damages:
            _arguments.integer("seed", seed, 0)
            if plot is not None:
                cues.check_plot(plot)
        patterns = load(source, Choice(name, columns, drop))
        with naming(source):
            memory = Memory(patterns, beta, noop, centre=centre, normalise=normalise)
        if damages:
            with naming(source), progress_bar("retrieving") as progress:
                levels = cues.measure(memory, patterns, damages, seed, tol, max_steps, accelerate, progress)
            if plot is not None:
                cues.plot(levels, plot)
            report(
                json,
                {"memory": render.memory_data(memory, source), "seed": seed, "levels": cues.data(levels)},
                str(memory),
                *cues.lines(levels),
                cues.table(levels),
                *([f"Written: {plot}"] if plot is not None else []),
            )
            raise typer.Exit(1 if any("not converged" in level.outcomes for level in levels) else 0)
        expected = None
        if query is not None:
            queries = load_queries(query, source, Choice(name, columns, drop), of_queries)
            if queries.shape[1] != memory.dim:
                raise ValueError(
                    f"--query {query} has {many(queries.shape[1], 'column')}: it must have {memory.dim}, as the "
                    "patterns do"
                )
        else:
            import torch

            assert hide is not None
            if not 0 <= hide < 1:
                raise ValueError(f"--hide is {hide}: it must be a fraction of at least 0 and below 1")
            mean = torch.zeros_like(memory.patterns[0]) if memory.shift is None else memory.shift
            raw = torch.as_tensor(patterns, dtype=memory.patterns.dtype)
            queries = corruption.mask_tail(raw - mean, hide) + mean
            expected = torch.arange(len(queries))
        with naming(f"--query {query}" if query is not None else f"--hide {hide}"):
            memory.prepare(queries)
        promised = guaranteed(memory, queries)
        with naming(source), progress_bar("retrieving") as progress:
            options = {"accelerate": accelerate, "energies": True}
            found = ht.retrieve(memory, queries, tol, max_steps, **options, progress=progress)
        answers, distances = memory.nearest(found.state)
        outcomes = (
            None if expected is None else render.outcomes(expected, answers, shared_with(memory, expected, found))
        )
        report(
            json,
            {
                "memory": render.memory_data(memory, source),
                "retrieval": render.retrieval_data(found, answers, distances, promised) | {"outcome": outcomes},
            },
            str(memory),
            *render.retrieval_lines(found, answers, promised, outcomes),
            render.retrieval_table(found, answers, distances, promised),
        )
        converged = bool(found.converged.all())
    raise typer.Exit(0 if converged else 1)


Dim = Annotated[int, typer.Option(help="Dimension d, at least 2.")]
RandomBeta = Annotated[float | None, typer.Option(help="Inverse temperature, above 0.", show_default=False)]
Scale = Annotated[
    float | None,
    typer.Option(help="K: the patterns have the norm K √(d − 1); 1 if nothing is given.", show_default=False),
]
Norm = Annotated[float | None, typer.Option(help="Norm m of the patterns, in place of --scale.", show_default=False)]
Kappa = Annotated[float | None, typer.Option(help="κ = β m², in place of --beta and a norm.", show_default=False)]


@app.command()
def bounds(
    dim: Dim,
    beta: RandomBeta = None,
    scale: Scale = None,
    norm: Norm = None,
    kappa: Kappa = None,
    noop: Noop = 1.0,
    failure_probability: Annotated[float, typer.Option(help="p, between 0 and 1.")] = 1e-3,
    json: Json = None,
) -> None:
    """Evaluate all bounds, from both sides, on the number of random patterns on a sphere that are stored.

    Above 100 000 dimensions those that need integrals are left out, by name.

    Exit status 0, or 2 for bad input.
    """
    with one_line_errors("bounds"):
        from hopfield_theory.bounds.table import capacity_table
        from hopfield_theory.cli import render

        check_output(json)
        memory, described, given = random_memory(dim, beta, scale, norm, kappa, noop)
        with progress_bar("evaluating") as progress:
            rows = capacity_table(memory, failure_probability, progress)
        report(
            json,
            {**given, "failure_probability": failure_probability, "bounds": [vars(row) for row in rows]},
            f"{described}; p = {failure_probability:g}.",
            *render.bounds_lines(rows, failure_probability),
            render.bounds_table(rows),
        )


@app.command("capacity")
def measure_capacity(
    dim: Dim,
    beta: RandomBeta = None,
    scale: Scale = None,
    norm: Norm = None,
    kappa: Kappa = None,
    noop: Noop = 1.0,
    rule: Annotated[
        str,
        typer.Option(
            metavar="stored|'stored alone'|'all patterns'|'one update'", help="What counts as success, at the rate ½."
        ),
    ] = "stored",
    seed: Annotated[int, typer.Option(help="One seed, one answer.")] = 0,
    precision: Annotated[float, typer.Option(help="Half width to aim at, of the interval for log M.")] = 0.05,
    json: Json = None,
) -> None:
    """Measure how many random patterns on a sphere are stored, with an interval from independent memories.

    Exit status 0, or 2 for bad input.
    """
    with one_line_errors("capacity"):
        from hopfield_theory.cli import render
        from hopfield_theory.measured.capacity import Rule, Setting, capacity

        check_output(json)
        memory, described, given = random_memory(dim, beta, scale, norm, kappa, noop)
        if rule not in ("stored", "stored alone", "all patterns", "one update"):
            raise ValueError(f"--rule is {rule!r}: it must be stored, 'stored alone', 'all patterns' or 'one update'")
        # of more numbers one memory takes seconds, and a search some hundred
        most = min(1e7, 1e8 / memory.dim)
        if most < 2.0:
            raise ValueError(f"--dim is {dim}: no memory of more than 1e8 numbers is drawn, which here is one pattern")
        with progress_words("measuring") as progress:
            found = capacity(
                Setting(memory, Rule(rule)), seed, precision=precision, most_patterns=most, progress=progress
            )
        report(
            json,
            {**given, "rule": rule, "seed": seed, "log_patterns": vars(found.log_patterns)},
            f"{described}.",
            *render.capacity_lines(found, rule),
        )


@app.command()
def verify(
    statements: Annotated[
        list[str] | None, typer.Argument(metavar="[T3 …]", help="Names of statements; all if none.", show_default=False)
    ] = None,
    level: Annotated[
        str, typer.Option(metavar="quick|full", help="quick within a minute, full within twenty, on two cores.")
    ] = "quick",
    seed: Annotated[int, typer.Option(help="Seed of all draws; one seed gives one table.")] = 0,
    budget: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Give up after this time, with exit status 2.")
    ] = None,
    own: From = None,
    tabulated: Annotated[bool, typer.Option("--table", help="Print a table of all verdicts first.")] = False,
    counterexamples: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Write each counterexample to a file that `replay` reads.")
    ] = None,
    html: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write the verdicts as one self-contained web page.")
    ] = None,
    figures: Annotated[str | None, typer.Option(metavar="FOLDER", help="Figures to embed in that page.")] = None,
    json: Json = None,
) -> None:
    """Check every theorem: on random instances, by attack, in experiments, by algebra and in ball arithmetic.

    Exit status 0 if every verdict is as expected (what is false is falsified, the rest is not), 1 if not, 2 for bad
    input. With --from and no names, the claims in the file are checked alone.
    """
    with one_line_errors("verify"):
        check_output(json)
        check_output(html, option="--html", other=json)
        if figures is not None and (html is None or not Path(figures).is_dir()):
            raise ValueError(f"--figures {figures}: it must be a folder, and needs --html")
        from hopfield_theory.runs.executors import Processes, Serial
        from hopfield_theory.verification.own import load
        from hopfield_theory.verification.render import table
        from hopfield_theory.verification.replay import write
        from hopfield_theory.verification.suite import digits

        if counterexamples is not None:
            check_folder(counterexamples)
        # other processes take seconds to start, too long for a few statements
        claims = [] if own is None else load(own)
        names = statements or (None if own is None else [])
        workers = Serial() if names is not None and level == "quick" else Processes()
        with progress_bar("verifying") as progress, workers:
            options = {"level": level, "seed": seed, "budget": budget}
            wanted = None if names is None else [*names, *claims]
            verdicts = ht.verify(wanted, **options, progress=progress, map_fn=workers.map)
        rows = table.data(verdicts)
        lines = verdicts.lines()
        if counterexamples is not None:
            found = [part.counterexample for v in verdicts for part in v.parts if part.counterexample is not None]
            lines += [f"Written: {write(counterexample, counterexamples)}" for counterexample in found]
        if html is not None:
            from hopfield_theory.verification.render.page import page

            folder = None if figures is None else Path(figures)
            atomic_write(html, page(rows, version=version(), level=level, seed=seed, figures=folder).encode())
            lines.append(f"Written: {html}")
        has_digits = digits() is not None
        if not has_digits:
            lines.append("The digits were not among the instances: scikit-learn (extra data) is not installed.")
        report(
            json,
            {"level": level, "seed": seed, "digits": has_digits, "verdicts": rows},
            *([table.table(rows)] if tabulated else []),
            *lines,
        )
        expected = all(verdict.as_expected for verdict in verdicts)
    raise typer.Exit(0 if expected else 1)


@app.command("replay")
def replay_file(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A counterexample that `verify` wrote.", show_default=False)
    ],
    own: From = None,
) -> None:
    """Decide a counterexample again, in ball arithmetic: whether all hypotheses are met and the conclusion fails.

    Exit status 0 if it is a counterexample, 1 if not, 2 if the file is malformed.
    """
    with one_line_errors("replay"):
        from hopfield_theory.statements.registry import STATEMENTS
        from hopfield_theory.verification.own import load
        from hopfield_theory.verification.replay import NoCounterexampleError, replay

        claims = [] if own is None else load(own)
        try:
            found = replay(file, claims)
        except NoCounterexampleError as error:
            print(f"hopfield-theory: {error}", file=sys.stderr)
            raise typer.Exit(1) from error
        known = STATEMENTS | {claim.name: claim for claim in claims}
        print(f"{found.statement} is false: {known[found.statement].claim}", *found.lines(), sep="\n")


def main() -> None:
    """Run the command line."""
    # before torch is loaded: threads that wait spin otherwise, and slow down whatever else the machine does
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("KMP_BLOCKTIME", "0")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # a terminal or pipe that lacks a character shows a question mark in place of an error
            stream.reconfigure(errors="replace")
    app()
