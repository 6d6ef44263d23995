"""What the pages of the documents show as code runs now, and prints what stands below it."""

import ast
import inspect
import math
import re
import shlex
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
import typer
from PIL import Image
from typer.testing import CliRunner

import hopfield_theory as ht
import simulations.__main__
from hopfield_theory.bounds import chernoff, crowding, union
from hopfield_theory.certificates import find_beta
from hopfield_theory.cli.main import app
from website import pages, tutorials

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", *(DOCS / f"{name}.md" for name in ("command-line", "experiments", "clusters")))
}
CONSOLES = [
    (name, text) for name, page in PAGES.items() for language, text in pages.blocks(page) if language == "console"
]
MARKED = [
    pytest.param(*each, marks=[pytest.mark.slow] * ("theory verify" in each[1] or "theory find-beta" in each[1]))
    for each in CONSOLES
]
COMMANDS = PAGES["docs/command-line.md"]
BOUNDS_ROW = re.compile(r"^\| (\d+), (\d+), (\d+) \| (.+) \|$", re.MULTILINE)


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


@pytest.mark.parametrize(
    ("name", "console"), MARKED, ids=lambda text: text.splitlines()[0].removeprefix("$ ")[:40].replace("/", "-")
)
def test_console_blocks_print_what_stands_there(name, console, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for command, output in pages.session(console):
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
    """Run find-beta on the part of its grid that the page shows; the rest takes half a minute."""
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


def test_make_reproduce_runs_what_the_page_of_commands_runs():
    recipe = re.search(r"^reproduce:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)[1]
    commands = [command for _, console in CONSOLES for command, _ in pages.session(console)]
    for start in ("hopfield-theory find-beta", "hopfield-theory certify", "hopfield-theory retrieve"):
        assert f"$(BIN)/{next(command for command in commands if command.startswith(start))}" in recipe
    bounds = next(it for it in re.findall(r"`(hopfield-theory [^`]+)`", COMMANDS) if "bounds" in it)
    assert f"$(BIN)/{bounds}" in recipe


# --- Python blocks ---


@pytest.mark.parametrize("name", ["gpus"])
def test_short_pages_print_what_stands_there(name):
    for step, printed in pages.executed((DOCS / f"{name}.md").read_text(encoding="utf-8")):
        assert printed == step.shown


@pytest.mark.slow
def test_the_capacity_lines_run_on_fewer_patterns():
    [step] = pages.steps(PAGES["docs/experiments.md"])
    assert step.code.count("100_000_000") == 1
    names: dict = {}
    # what stands alone in a line is what a reader looks at
    values = []
    for statement in ast.parse(step.code.replace("100_000_000", "10_000")).body:
        if isinstance(statement, ast.Expr):
            values.append(eval(ast.unparse(statement), names))
        else:
            exec(ast.unparse(statement), names)
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
    [step] = pages.steps(PAGES["docs/clusters.md"])
    exec(step.code, {})
    assert capsys.readouterr().out == "tcp://host:8786\n"
    assert "#SBATCH -t 04:00:00\n" in scripts[0]
    assert "#SBATCH --mem=8G\n" in scripts[0]
    assert "--nthreads 1 " in scripts[0]


# --- tutorials ---

# beside the tests that load transformers too
TRAINED = pytest.mark.xdist_group("trained")


def tutorial(name):
    return (tutorials.FOLDER / f"{name}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", tutorials.NAMES)
def test_the_notebook_is_made_of_the_page(name):
    file = tutorials.FOLDER / f"{name}.ipynb"
    assert file.read_text(encoding="utf-8") == tutorials.notebook_text(tutorial(name))
    notebook = nbformat.read(file, as_version=4)
    nbformat.validate(notebook)
    assert [cell.source for cell in notebook.cells if cell.cell_type == "code"] == [
        step.code.rstrip() for step in pages.steps(tutorial(name))
    ]


def outputs(name, page):
    """What the cells of a page print: one page in a notebook's own process, the others here."""
    if name != "embeddings":
        return [printed for _, printed in pages.executed(page)]
    notebook = tutorials.notebook(page)
    pytest.importorskip("nbclient").execute(notebook, cwd=Path.cwd(), timeout=300)
    return [
        "".join(output.text for output in cell.outputs if output.get("name") == "stdout")
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param(n, marks=[TRAINED] * (n == "transformer")) for n in tutorials.NAMES])
def test_a_tutorial_prints_and_draws_what_its_page_shows(name, tmp_path, monkeypatch):
    # python -m website.tutorials
    monkeypatch.chdir(tmp_path)
    page = tutorial(name)
    assert outputs(name, page) == [step.shown for step in pages.steps(page)]
    pictures = re.findall(r"!\[[^]]*\]\((\S+)\)", page)
    assert {path.name for path in tmp_path.glob("*.png")} == set(pictures)
    for picture in pictures:
        drawn, committed = (np.asarray(Image.open(folder / picture)) for folder in (tmp_path, tutorials.FOLDER))
        assert drawn.shape == committed.shape
        # another version of FreeType moves a few edges of letters
        assert np.mean(drawn != committed) < 0.02


# --- the page of commands ---


def entry(log_patterns, column):
    """As the page writes it: the published bound to two places, a few patterns counted, many to three digits."""
    value = math.exp(log_patterns)
    if column == 0:
        return f"{value:.2f}"
    if value < 1e4:
        return f"{math.floor(value):,}".replace(",", " ")
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{mantissa}e{int(exponent)}"


@pytest.mark.slow
@pytest.mark.xdist_group("witnesses")
@pytest.mark.parametrize("row", BOUNDS_ROW.findall(COMMANDS), ids=lambda row: row[2])
def test_the_table_of_bounds(row):
    beta, scale, dim = map(int, row[:3])
    memory = ht.RandomMemory.of(dim, beta, scale)
    stored, typical = (chernoff.chernoff(memory, 1e-3, quantifier) for quantifier in ("all", "typical"))
    too_many, lost = (crowding.ceiling(memory, 1e-3, quantifier) for quantifier in ("all", "typical"))
    logs = [union.published(memory, 1e-3), union.pairwise(memory, 1e-3), stored, too_many, typical, lost]
    assert [entry(log, column) for column, log in enumerate(logs)] == row[3].split(" | ")
    assert logs[0] < logs[1] < stored < min(too_many, typical)
    assert typical < lost < union.packing(memory)


def test_the_whole_table_of_bounds_is_confirmed_in_ball_arithmetic_by_the_full_verification():
    from hopfield_theory.verification.suite import TABLE

    rows = [tuple(map(int, row[:3])) for row in BOUNDS_ROW.findall(COMMANDS)]
    assert [(beta, scale, dim) for dim, beta, scale in TABLE] == rows


def test_commands_and_options_in_the_prose():
    commands = typer.main.get_command(app).commands
    options = {name: {option for it in command.params for option in it.opts} for name, command in commands.items()}
    said = " ".join(pages.prose(page) for page in PAGES.values())
    for command in re.findall(r"`hopfield-theory ([a-z][^`]+)`", said):
        name, *rest = command.split()
        assert {word for word in rest if word.startswith("--")} <= options[name], command
    assert set(re.findall(r"`(--[\w-]+)", pages.prose(COMMANDS))) <= set().union(*options.values())
    assert {name for name, those in options.items() if "--json" not in those} == {"replay"}


# --- ceilings of C7 with patterns inside the ball ---

CEILINGS = re.findall(
    r"^\| (½|1) \| (\d+) \| (\S+) \| (\S+) \| (\S+) \| \S+ \|$",
    (DOCS / "bounds-proofs.md").read_text(encoding="utf-8"),
    re.MULTILINE,
)


def test_the_results_quote_the_ceilings_of_the_proof():
    rows = re.findall(
        r"^\| (½|1) \| (\d+) \| [\d.]+ \| (\S+) \| (\S+) \|$", (DOCS / "results.md").read_text("utf-8"), re.MULTILINE
    )
    assert len(rows) == 6
    assert {(lam, dim, wide, half) for lam, dim, _, wide, half in CEILINGS} >= set(rows)
