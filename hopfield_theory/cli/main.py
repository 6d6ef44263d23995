"""The command line: certify, find-beta, retrieve, bounds, capacity, verify, replay.

Torch is imported by the commands, not for the help.
"""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hopfield_theory import _arguments
from hopfield_theory._atomic_write import atomic_write

if TYPE_CHECKING:
    from torch import Tensor

    from hopfield_theory.bounds import RandomMemory


app = typer.Typer(
    name="hopfield-theory",
    help="Will a memory retrieve its patterns, from how far away, and how sure is that?",
    no_args_is_help=True,
    add_completion=False,
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
Beta = Annotated[float, typer.Option(help="Inverse temperature, above 0.")]
Noop = Annotated[float, typer.Option(help="No-op mass n: 0 is the dense model, 1 OutEffHop.")]
Centre = Annotated[bool, typer.Option("--centre", help="Subtract the mean of the patterns from patterns and queries.")]
Normalise = Annotated[bool, typer.Option("--normalise", help="Scale patterns and queries to unit norm.")]
From = Annotated[
    str | None, typer.Option("--from", metavar="FILE.py", help="A Python file that defines claims of your own.")
]
Json = Annotated[
    str | None,
    typer.Option("--json", metavar="FILE|-", help="Write all numbers as JSON to a file, or to standard output."),
]


def _version(wanted: bool) -> None:
    if wanted:
        print(f"hopfield-theory {importlib.metadata.version('hopfield-theory')}")
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
    json: Json = None,
) -> None:
    """Prove which patterns are stored, and from how far away each is reached.

    Exit status 0 if every pattern is proved stored, 1 if not, 2 for bad input.
    """
    with _one_line_errors(source):
        from hopfield_theory.certificates.certify import certify as run
        from hopfield_theory.cli import render
        from hopfield_theory.model.memory import Memory

        _check_output(json, source)
        _check_numbers(beta=beta, noop=noop)
        patterns = _load(source)
        with _naming(source):
            memory = Memory(patterns, beta, noop, centre=centre, normalise=normalise)
        with _progress("certifying") as progress:
            proof = run(memory, progress=progress)
        _report(
            json,
            {"memory": render.memory_data(memory, source), "certificate": render.certificate_data(proof)},
            [str(memory), *render.certificate_lines(memory, proof)],
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
    json: Json = None,
) -> None:
    """Find the inverse temperature from which on all patterns are proved stored, and from which on all are retrieved.

    Exit status 0 if there is one, 1 if not (the blocking patterns are named), 2 for bad input.
    """
    with _one_line_errors(source):
        from hopfield_theory.certificates.find_beta import find_beta as run
        from hopfield_theory.cli import render

        _check_output(json, source)
        _check_numbers(noop=noop)
        patterns = _load(source)
        with _naming(source), _progress("certifying at each β") as progress:
            found = run(patterns, noop, centre=centre, normalise=normalise, progress=progress)
        _report(
            json,
            {"source": source, "noop": noop, "centre": centre, "normalise": normalise} | render.beta_search_data(found),
            render.beta_search_lines(found),
            render.beta_search_table(found),
        )
        reached = found.certified_from < float("inf")
    raise typer.Exit(0 if reached else 1)


@app.command()
def retrieve(
    source: Source,
    query: Annotated[
        str | None, typer.Option(metavar="FILE", help="Queries, one per row, in a file of the same kind.")
    ] = None,
    hide: Annotated[
        float | None,
        typer.Option(
            metavar="FRACTION",
            help="In place of --query: the patterns themselves, with the last FRACTION of their coordinates hidden "
            "(set to 0, or to the mean with --centre).",
        ),
    ] = None,
    beta: Beta = 1.0,
    noop: Noop = 1.0,
    centre: Centre = False,
    normalise: Normalise = False,
    tol: Annotated[float, typer.Option(help="Length of the last step, above 0.")] = 1e-8,
    max_steps: Annotated[int, typer.Option(help="Largest number of updates per query.")] = 1000,
    accelerate: Annotated[bool, typer.Option("--accelerate", help="Fewer updates where convergence is slow.")] = False,
    json: Json = None,
) -> None:
    """Retrieve queries, and say which answers were guaranteed in advance.

    Exit status 0 if every query converged, 1 if not, 2 for bad input.
    """
    with _one_line_errors(source):
        from hopfield_theory.certificates.certify import guaranteed
        from hopfield_theory.cli import render
        from hopfield_theory.data import corruption
        from hopfield_theory.model.memory import Memory
        from hopfield_theory.model.retrieval import retrieve as run

        _check_output(json, source)
        _check_numbers(beta=beta, noop=noop)
        if not 0 < tol < float("inf"):
            raise ValueError(f"--tol is {tol:g}: it must be a finite number above 0")
        if max_steps < 1:
            raise ValueError(f"--max-steps is {max_steps}: it must be at least 1")
        if query is not None:
            _check_output(json, query)
        if (query is None) == (hide is None):
            raise ValueError("--query FILE or --hide FRACTION: give one of the two")
        patterns = _load(source)
        with _naming(source):
            memory = Memory(patterns, beta, noop, centre=centre, normalise=normalise)
        expected = None
        if query is not None:
            queries = _load(query)
            if queries.shape[1] != memory.dim:
                raise ValueError(
                    f"--query {query} has {queries.shape[1]} columns: it must have {memory.dim}, as the patterns do"
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
        with _naming(f"--query {query}" if query is not None else f"--hide {hide}"):
            memory.prepare(queries)
        promised, _ = guaranteed(memory, queries)
        with _naming(source), _progress("retrieving") as progress:
            found = run(memory, queries, tol, max_steps, accelerate=accelerate, energies=True, progress=progress)
        answers, distances = memory.nearest(found.state)
        _report(
            json,
            {
                "memory": render.memory_data(memory, source),
                "retrieval": render.retrieval_data(found, answers, distances, promised),
            },
            [str(memory), *render.retrieval_lines(found, answers, promised, expected)],
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

    Exit status 0, or 2 for bad input.
    """
    with _one_line_errors("bounds"):
        from hopfield_theory.bounds.table import capacity_table
        from hopfield_theory.cli import render

        _check_output(json)
        memory, described, given = _random_memory(dim, beta, scale, norm, kappa, noop)
        with _progress("evaluating") as progress:
            progress(0, 1)
            rows = capacity_table(memory, failure_probability)
        _report(
            json,
            {**given, "failure_probability": failure_probability, "bounds": [vars(row) for row in rows]},
            [f"{described}; p = {failure_probability:g}.", *render.bounds_lines(rows, failure_probability)],
            render.bounds_table(rows),
        )


@app.command()
def capacity(
    dim: Dim,
    beta: RandomBeta = None,
    scale: Scale = None,
    norm: Norm = None,
    kappa: Kappa = None,
    noop: Noop = 1.0,
    rule: Annotated[
        str, typer.Option(metavar="stored|'all patterns'|'one update'", help="What counts as success, at the rate ½.")
    ] = "stored",
    seed: Annotated[int, typer.Option(help="One seed, one answer.")] = 0,
    precision: Annotated[float, typer.Option(help="Half width to aim at, of the interval for log M.")] = 0.05,
    json: Json = None,
) -> None:
    """Measure how many random patterns on a sphere are stored, with an interval from independent memories.

    Exit status 0, or 2 for bad input.
    """
    with _one_line_errors("capacity"):
        from hopfield_theory.cli import render
        from hopfield_theory.measured.capacity import Rule, Setting
        from hopfield_theory.measured.capacity import capacity as measured

        _check_output(json)
        memory, described, given = _random_memory(dim, beta, scale, norm, kappa, noop)
        if rule not in ("stored", "all patterns", "one update"):
            raise ValueError(f"--rule is {rule!r}: it must be stored, 'all patterns' or 'one update'")
        with _progress("measuring") as progress:
            progress(0, 1)
            found = measured(Setting(memory, Rule(rule)), seed, precision=precision)
        _report(
            json,
            {**given, "rule": rule, "seed": seed, "log_patterns": vars(found.log_patterns)},
            [f"{described}.", *render.capacity_lines(found, rule)],
        )


@app.command()
def verify(
    statements: Annotated[
        list[str] | None, typer.Argument(metavar="[T3 …]", help="Names of statements; all if none.", show_default=False)
    ] = None,
    level: Annotated[
        str, typer.Option(metavar="quick|full", help="quick within a minute, full within ten, on two cores.")
    ] = "quick",
    seed: Annotated[int, typer.Option(help="Seed of all draws; one seed gives one table.")] = 0,
    budget: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Give up after this time, with exit status 2.")
    ] = None,
    own: From = None,
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
    with _one_line_errors("verify"):
        _check_output(json)
        _check_output(html, option="--html")
        if figures is not None and (html is None or not Path(figures).is_dir()):
            raise ValueError(f"--figures {figures}: it must be a folder, and needs --html")
        from hopfield_theory.runs.executors import Processes, Serial
        from hopfield_theory.verification import replay as files
        from hopfield_theory.verification.own import load
        from hopfield_theory.verification.render import table
        from hopfield_theory.verification.suite import digits
        from hopfield_theory.verification.suite import verify as run

        if counterexamples is not None:
            _check_folder(counterexamples)
        # other processes take seconds to start, too long for a few statements
        claims = [] if own is None else load(own)
        names = statements or (None if own is None else [])
        workers = Serial() if names is not None and level == "quick" else Processes()
        with _progress("verifying") as progress, workers:
            options = {"level": level, "seed": seed, "budget": budget}
            wanted = None if names is None else [*names, *claims]
            verdicts = run(wanted, **options, progress=progress, map_fn=workers.map)
        rows = table.data(verdicts)
        lines = table.lines(rows)
        if counterexamples is not None:
            found = [part.counterexample for v in verdicts for part in v.parts if part.counterexample is not None]
            lines += [f"Written: {files.write(counterexample, counterexamples)}" for counterexample in found]
        if html is not None:
            version = importlib.metadata.version("hopfield-theory")
            from hopfield_theory.verification.render.page import page

            folder = None if figures is None else Path(figures)
            atomic_write(html, page(rows, version=version, level=level, seed=seed, figures=folder).encode())
            lines.append(f"Written: {html}")
        has_digits = digits() is not None
        if not has_digits:
            lines.append("The digits were not among the instances: scikit-learn (extra data) is not installed.")
        _report(
            json,
            {"level": level, "seed": seed, "digits": has_digits, "verdicts": rows},
            lines,
            table.table(rows),
        )
        expected = all(verdict.as_expected for verdict in verdicts)
    raise typer.Exit(0 if expected else 1)


@app.command()
def replay(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A counterexample that `verify` wrote.", show_default=False)
    ],
    own: From = None,
) -> None:
    """Decide a counterexample again, in ball arithmetic: whether all hypotheses are met and the conclusion fails.

    Exit status 0 if it is a counterexample, 1 if not, 2 if the file is malformed.
    """
    with _one_line_errors("replay"):
        from hopfield_theory.statements.registry import STATEMENTS
        from hopfield_theory.verification.own import load
        from hopfield_theory.verification.replay import NoCounterexampleError
        from hopfield_theory.verification.replay import replay as run

        claims = [] if own is None else load(own)
        try:
            found = run(file, claims)
        except NoCounterexampleError as error:
            print(f"hopfield-theory: {error}", file=sys.stderr)
            raise typer.Exit(1) from error
        known = STATEMENTS | {claim.name: claim for claim in claims}
        print(f"{found.statement} is false: {known[found.statement].claim}", *found.lines(), sep="\n")


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # a terminal or pipe that lacks a character shows a question mark in place of an error
            stream.reconfigure(errors="replace")
    app()


# --- shared by the commands ---


@contextmanager
def _one_line_errors(source: str) -> Iterator[None]:
    """Turn bad input into one line on standard error and exit status 2."""
    try:
        yield
    except typer.Exit:
        raise
    except (ValueError, TypeError, OSError, ImportError, MemoryError, ArithmeticError) as error:
        message = str(error) or type(error).__name__
        if isinstance(error, MemoryError):
            message = f"{source}: too large for this machine's memory ({message}); use fewer patterns, or a mapped file"
    except RuntimeError as error:
        if "memory" not in str(error):
            raise
        message = f"{source}: too large for this machine's memory; use fewer patterns, or a mapped file"
    else:
        return
    print(f"hopfield-theory: {' '.join(message.split())}", file=sys.stderr)
    raise typer.Exit(2)


def _check_numbers(**numbers: float) -> None:
    for name, value in numbers.items():
        least = "above 0" if name == "beta" else "of at least 0"
        if not (value > 0 if name == "beta" else value >= 0) or value == float("inf"):
            raise ValueError(f"--{name} is {value:g}: it must be a finite number {least}")


def _random_memory(
    dim: int, beta: float | None, scale: float | None, norm: float | None, kappa: float | None, noop: float
) -> tuple[RandomMemory, str, dict[str, float | None]]:
    """Return the random memory that options describe, a sentence about it, and what was given."""
    from hopfield_theory.bounds import RandomMemory

    if kappa is not None and not beta is scale is norm is None:
        raise ValueError("--kappa stands in place of --beta, --scale and --norm: give it alone")
    if scale is not None and norm is not None:
        raise ValueError("--scale and --norm both give the norm of the patterns: give one of the two")
    length = ""
    if kappa is not None:
        memory = RandomMemory(dim, kappa, _arguments.log_noop(noop))
    elif beta is None:
        raise ValueError("--beta, with --norm or --scale, or --kappa: one of them is needed")
    elif norm is not None:
        memory, length = RandomMemory.of_norm(dim, beta, norm, noop), f"norm {norm:g}, β = {beta:g}, "
    else:
        scale = 1.0 if scale is None else scale
        memory = RandomMemory.of(dim, beta, scale, noop)
        length = f"norm {scale * (dim - 1) ** 0.5:.4g} (K = {scale:g} times √(d − 1)), β = {beta:g}, "
    described = (
        f"Random patterns in {dim} dimensions, {length}n = {noop:g}: κ = β m² = {memory.kappa:.4g}, "
        f"λ = κ/d = {memory.lam:.4g}"
    )
    return (
        memory,
        described,
        {"dim": dim, "beta": beta, "scale": scale, "norm": norm, "kappa": memory.kappa, "noop": noop},
    )


@contextmanager
def _naming(source: str) -> Iterator[None]:
    """Name the input in errors that the library raises about its values."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error


def _check_output(json: str | None, *inputs: str, option: str = "--json") -> None:
    """Check before the work that the result can be written after it."""
    if json is None or json == "-":
        return
    path = Path(json)
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise ValueError(f"{option} {json}: it must name a file in a folder that exists")
    if path.exists() and not path.is_file():
        raise ValueError(f"{option} {json}: it must name a regular file")
    if any(path.exists() and Path(name).exists() and path.samefile(name) for name in inputs):
        raise ValueError(f"{option} {json}: this is the input; name another file")
    try:
        atomic_write(path.with_name(f"{path.name}.trial"), b"")
        path.with_name(f"{path.name}.trial").unlink()
    except OSError as error:
        raise ValueError(f"{option} {json}: cannot be written ({error.strerror}); name another file") from error


def _check_folder(name: str) -> None:
    try:
        Path(name).mkdir(parents=True, exist_ok=True)
        atomic_write(Path(name) / "trial", b"")
        (Path(name) / "trial").unlink()
    except OSError as error:
        raise ValueError(f"{name}: no file can be written there ({error.strerror}); name another folder") from error


def _load(source: str) -> Tensor:
    from hopfield_theory.data import files

    if source == "digits" and not Path(source).exists():
        return files.digits()[0]
    return files.open_patterns(source)


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what)
        yield lambda done, whole: bar.update(task, completed=done, total=whole)


def _report(json: str | None, data: dict[str, Any], lines: list[str], table: Any = None) -> None:
    """Print sentences and a table; write JSON if asked for. With ``-`` standard output has only the JSON."""
    from rich.console import Console

    from hopfield_theory.cli import render

    data = {"version": importlib.metadata.version("hopfield-theory")} | data
    console = Console(stderr=json == "-", highlight=False, soft_wrap=False)
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)
    if table is not None:
        console.print(table)
    if json == "-":
        sys.stdout.write(render.json_text(data))
    elif json is not None:
        atomic_write(json, render.json_text(data).encode())
        console.print(f"Written: {json}", markup=False)
