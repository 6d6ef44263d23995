"""What README.md shows is so now: its commands, code blocks, table of bounds, options and links."""

import ast
import inspect
import math
import re
import shlex
from collections import Counter
from pathlib import Path

import pytest
import torch
import typer
from typer.testing import CliRunner

import hopfield_theory as ht
import simulations.__main__
from hopfield_theory.bounds import table
from hopfield_theory.certificates import find_beta
from hopfield_theory.cli.main import app
from hopfield_theory.statements.registry import STATEMENTS

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")

BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
TEN, MODELS, CAPACITY, CLUSTER = (text for language, text in BLOCKS if language == "python")
CONSOLES = [text for language, text in BLOCKS if language == "console"]
PROSE = " ".join(re.sub(r"^```\w+\n.*?^```$", "", PAGE, flags=re.MULTILINE | re.DOTALL).split())
BOUNDS_ROW = re.compile(r"^\| (\d+), (\d+), (\d+) \| (.+) \|$", re.MULTILINE)
COMMANDS_IN_PROSE = re.findall(r"`hopfield-theory ([^`]+)`", PROSE)


def shown(text):
    """Lines as they look on the page."""
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines()).rstrip()


def run(*arguments):
    """Run the command in this process, on a terminal of the usual width."""
    result = CliRunner(env={"COLUMNS": "80"}).invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return result.stdout


def simulate(*arguments):
    experiments = typer.Typer()
    experiments.command()(simulations.__main__.main)
    result = CliRunner().invoke(experiments, list(arguments))
    assert result.exit_code == 0, result.output
    return result.stdout


def session(console):
    """Pairs of a command and what the README shows below it."""
    return re.findall(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", console, re.MULTILINE)


@pytest.mark.parametrize("console", CONSOLES, ids=lambda console: console.splitlines()[0].removeprefix("$ ")[:40])
def test_console_blocks_print_what_stands_there(console, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for command, output in session(console):
        match shlex.split(command, comments=True):
            case ["make", target]:
                assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE)
            case ["hopfield-theory", "find-beta", *arguments]:
                assert find_beta_at_the_rows_of(output, arguments, monkeypatch) == shown(output)
            case ["hopfield-theory", *arguments]:
                # a table follows the sentences that are shown
                assert shown(run(*arguments)).startswith(shown(output))
            case ["python", "-m", "simulations"]:
                assert [line.split()[0] for line in simulate().splitlines()] == simulations.__main__.NAMES
            case ["python", "-m", "simulations", name, *options]:
                # hours of work: what there would be to do
                address = ["tcp://host:8786" if "…" in option else option for option in options]
                rest = [option for option in address if option != "--dry-run"]
                planned = simulate(name, *rest, "--dry-run", "--out", "here")
                assert re.search(r"\d+ cells, 0 finished, \d+ left: about .* of work, up to .* per cell\n", planned)
            case words:
                pytest.fail(f"no check for {words}")


def find_beta_at_the_rows_of(output, arguments, monkeypatch):
    """Run find-beta on the part of its grid that the README shows; the rest takes half a minute."""
    grid = find_beta.beta_grid(1.0)
    rows = re.findall(r"^ +(\S+) +\d+ +\d+$", output, re.MULTILINE)
    kept = [beta for beta in grid.tolist() if f"{beta:.4g}" in rows]
    assert [f"{beta:.4g}" for beta in kept] == rows
    # the search stops before the first
    kept.insert(0, grid[0].item())
    with monkeypatch.context() as patched:
        patched.setattr(find_beta, "beta_grid", lambda radius: torch.tensor(kept, dtype=torch.float64) / radius**2)
        printed = shown(run("find-beta", *arguments))
    return printed.replace(f"grid of {len(kept)} values", f"grid of {len(grid)} values")


def test_make_reproduce_runs_what_the_readme_runs():
    recipe = re.search(r"^reproduce:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)[1]
    commands = [command for console in CONSOLES for command, _ in session(console)]
    for start in ("hopfield-theory find-beta", "hopfield-theory certify", "hopfield-theory retrieve"):
        assert f"$(BIN)/{next(command for command in commands if command.startswith(start))}" in recipe
    assert f"$(BIN)/hopfield-theory {next(it for it in COMMANDS_IN_PROSE if it.startswith('bounds'))}" in recipe


def test_the_ten_lines_print_what_stands_below_them(capsys):
    assert len([line for line in TEN.splitlines() if line.strip()]) == 10
    exec(TEN, {})
    assert capsys.readouterr().out == BLOCKS[BLOCKS.index(("python", TEN)) + 1][1]


def test_the_models_run():
    names: dict = {}
    exec(MODELS, names)
    mixed = names["softmax_n_attention"](names["query"], names["key"], names["value"], is_causal=True, n=1.0)
    assert mixed.shape == names["query"].shape


def test_the_capacity_lines_run_on_fewer_patterns():
    assert CAPACITY.count("100_000_000") == 1
    names: dict = {"ht": ht}
    # what stands alone in a line is what a reader looks at
    values = []
    for step in ast.parse(CAPACITY.replace("100_000_000", "100_000")).body:
        if isinstance(step, ast.Expr):
            values.append(eval(ast.unparse(step), names))
        else:
            exec(ast.unparse(step), names)
    middle, updated, error, ends = values
    assert middle.low < middle.estimate < middle.high
    assert updated.shape == (64, 32)
    assert bool(torch.isfinite(updated).all())
    assert len(error) == 1000
    assert ends.max() < 0.5


@pytest.mark.slow
def test_the_cluster_block_asks_slurm_for_what_it_says(capsys, monkeypatch):
    """No scheduler is started: the arguments go to a job of the same class, and its script is read."""
    jobqueue = pytest.importorskip("dask_jobqueue")
    real = jobqueue.SLURMCluster
    scripts = []

    class StandIn:
        scheduler_address = "tcp://host:8786"

        def __init__(self, **arguments):
            inspect.signature(real).bind(**arguments)
            job = real.job_cls(scheduler=self.scheduler_address, name="worker", **arguments)
            scripts.append(job.job_script())

        def scale(self, *arguments, **options):
            inspect.signature(real.scale).bind(self, *arguments, **options)

    monkeypatch.setattr(jobqueue, "SLURMCluster", StandIn)
    exec(CLUSTER, {})
    assert capsys.readouterr().out == "tcp://host:8786\n"
    assert "#SBATCH -t 04:00:00\n" in scripts[0]
    assert "#SBATCH --mem=8G\n" in scripts[0]
    assert "--nthreads 1 " in scripts[0]


def entry(log_patterns, column):
    """As the README writes it: the published bound to two places, a few patterns counted, many to three digits."""
    value = math.exp(log_patterns)
    if column == 0:
        return f"{value:.2f}"
    if value < 1e4:
        return f"{math.floor(value):,}".replace(",", " ")
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{mantissa}e{int(exponent)}"


@pytest.mark.parametrize("row", BOUNDS_ROW.findall(PAGE), ids=lambda row: row[2])
def test_the_table_of_bounds(row):
    beta, scale, dim = map(int, row[:3])
    logs = {it.statement: it.log_patterns for it in table.capacity_table(ht.RandomMemory.of(dim, beta, scale), 1e-3)}
    logs["C6"] = min(logs["C6"], logs["C7"])
    names = ("C1", "C2", "C3", "C6", "C3 typical", "C7")
    assert [entry(logs[name], k) for k, name in enumerate(names)] == row[3].split(" | ")


def test_the_whole_table_of_bounds_is_confirmed_in_ball_arithmetic_by_the_full_verification():
    from hopfield_theory.verification.suite import TABLE

    rows = [tuple(map(int, row[:3])) for row in BOUNDS_ROW.findall(PAGE)]
    assert [(beta, scale, dim) for dim, beta, scale in TABLE] == rows


def test_commands_options_and_numbers_of_statements_in_the_prose():
    commands = typer.main.get_command(app).commands
    options = {name: {option for it in command.params for option in it.opts} for name, command in commands.items()}
    for command in COMMANDS_IN_PROSE:
        name, *rest = command.split()
        assert {word for word in rest if word.startswith("--")} <= options[name], command
    assert set(re.findall(r"`(--[\w-]+)", PROSE)) <= set().union(*options.values())
    assert {name for name, those in options.items() if "--json" not in those} == {"replay"}
    assert f"all {len(STATEMENTS)} statements" in PROSE
    false, whole = (Counter(s.said_as for s in STATEMENTS.values() if s.is_false or every) for every in (False, True))
    assert false["printed theorem"] == 0
    assert f"all {whole['printed theorem']} that were printed as theorems hold" in PROSE
    literal = [sum(count[kind] for kind in ("sentence", "reading")) for count in (false, whole)]
    assert f"read literally ({literal[0]} of {literal[1]}, " in PROSE
    assert f"without a source ({false['folklore']} of {whole['folklore']})" in PROSE


def test_links_and_folders_exist():
    links = [link for link in re.findall(r"\]\(([^)]+)\)", PROSE) if not link.startswith("https://")]
    folders = [name for row in re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE) for name in re.findall(r"`(.+?)`", row)]
    assert len(links) > 10
    assert len(folders) > 15
    for path in (*links, *folders):
        assert (ROOT / path).exists(), path
