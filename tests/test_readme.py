"""What README.md says is so now: each of its commands, code blocks and numbers against what the library computes."""

import ast
import inspect
import json
import math
import re
import shlex
import tomllib
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import typer
from typer.testing import CliRunner

import figures.__main__
import figures.style
import hopfield_theory as ht
import simulations.__main__
from hopfield_theory.bounds import RandomMemory, chernoff, crowding, union
from hopfield_theory.certificates import find_beta
from hopfield_theory.cli.main import main as cli
from hopfield_theory.data import files
from hopfield_theory.statements.registry import STATEMENTS

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"

PAGE = README.read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
TEN, MODELS, CAPACITY, CLUSTER = (text for language, text in BLOCKS if language == "python")
CONSOLES = [text for language, text in BLOCKS if language == "console"]
COMMENTS = [
    comment
    for language, text in BLOCKS
    if language in ("python", "console")
    for comment in re.findall(r"  # (.+)$", text, re.MULTILINE)
]
# one line, whatever the width that the prose is wrapped at; what is printed in blocks is compared on its own
SAID = " ".join(" ".join([re.sub(r"^```\w+\n.*?^```$", "", PAGE, flags=re.MULTILINE | re.DOTALL), *COMMENTS]).split())

# Every sentence with a number that is computed, with {} for what is. No other number may stand in the prose.
PHRASES = {
    "python": "Python {} or later and `make` are all that is needed.",
    "digits": "{} images of {} × {} pixels",
    "rows": "the lowest {} rows of pixels are lost",
    "steps": "The grid has steps of a factor √{}, so each threshold is known to that factor.",
    "raw": "Without `--normalise` no β will do: of the raw digits {} overlap another digit no less than themselves, so "
    "that no β certifies them. The command names the first ten, and all of them with `--json`.",
    "certify": "proves all {} stored: every query closer to a pattern than its radius ({} for the weakest, {} in the "
    "median, where the patterns have norm {}) ends at that pattern's fixed point, at most {} from the pattern.",
    "half": "With the lower half of every digit hidden (and the three options above), all {} queries converge ({} "
    "updates in the median), {} of them to the digit that they were made from; none of that was guaranteed in advance, "
    "since half a digit is farther from it than any certified radius.",
    "last row": "With only the last row of pixels hidden, `--hide {}`, {} were guaranteed.",
    "hide": "`--hide {}` to hide half of each pattern",
    "defaults": "With `p = {}`, n = {} and patterns uniform on the sphere of radius `K √(d − 1)`",
    "verify": "checks all {} statements (T1 to T{} about one memory, C1 to C{} about capacity, P1 to P{} claims of the "
    "literature)",
    "full": "`--level full` draws {} times as many instances",
    "false": "{} of {} are false as they are read.",
    "statuses": "Exit status: {} all proved, found, converged or as expected; {} not; {} bad input, with one line that "
    "says what to mend; {} interrupted.",
    "convert": "`hopfield_theory.attention.transformers.convert(model, noop={})`",
    "figures": "`make figures` runs the quick experiments and draws all {} figures.",
    "streamed": "10{} patterns, none of them kept",
    "virtual": "one update of e^{} patterns",
    "limits": "the fixed points, of e^{} patterns",
    "years": "(Hu et al., ICML 2024, [arXiv:2404.03828](https://arxiv.org/abs/2404.03828))",
    "definition": "(the definition of Ramsauer et al. 2021)",
    "citing": "that of Hu et al. 2024; the dense case is that of Ramsauer et al. 2021 "
    "([arXiv:2008.02217](https://arxiv.org/abs/2008.02217))",
}
# what stands in the place of {}: a number, with thousands set apart or without
NUMBER = r"[\d⁸.]+(?: \d{3})*|two|ten"

BOUNDS_ROW = re.compile(r"^\| (\d+), (\d+), (\d+) \| (.+) \|$", re.MULTILINE)
COMMANDS_IN_PROSE = re.findall(r"`(hopfield-theory [^`]+|python -m [^`]+)`", SAID)


def holds(name, *values):
    """The README says this sentence, once, with these values in it."""
    sentence = PHRASES[name].format(*values)
    assert SAID.count(sentence) == 1, sentence


def spaced(count):
    return f"{count:,}".replace(",", " ")


def rounded_down(value, places):
    return f"{math.floor(value * 10**places) / 10**places:.{places}f}"


def rounded_up(value, places):
    return f"{math.ceil(value * 10**places) / 10**places:.{places}f}"


def shown(text):
    """Lines as they look on the page."""
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines()).rstrip()


def run(*arguments, status=0):
    """The command in this process, on a terminal of the usual width."""
    result = CliRunner(env={"COLUMNS": "80"}).invoke(cli.app, list(arguments))
    assert result.exit_code == status, result.output
    return result.stdout


def numbers(*arguments, **options):
    return json.loads(run(*arguments, "--json", "-", **options))


def simulate(*arguments):
    app = typer.Typer()
    app.command()(simulations.__main__.main)
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return result.stdout


def arguments_of(start):
    """The arguments of the one command in the prose that begins so."""
    (command,) = (command for command in COMMANDS_IN_PROSE if command.startswith(start))
    return shlex.split(command)[1:]


def session(console):
    """Pairs of a command and what the README shows below it."""
    return [
        (command, shown(output))
        for command, output in re.findall(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", console, re.MULTILINE)
    ]


# --- console blocks ---


def test_every_line_of_a_console_block_is_a_command_or_below_one():
    lines = [
        line for console in CONSOLES for pair in session(console) for line in (f"$ {pair[0]}", *pair[1].splitlines())
    ]
    assert [line for console in CONSOLES for line in shown(console).splitlines()] == lines
    assert len(session(CONSOLES[0])) == 2
    assert "## Two commands\n\n```console\n" + CONSOLES[0] in PAGE


@pytest.mark.parametrize("console", CONSOLES, ids=lambda console: console.splitlines()[0].removeprefix("$ ")[:40])
def test_console_blocks_print_what_stands_there(console, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for command, output in session(console):
        match shlex.split(command, comments=True):
            case ["make", target]:
                assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE)
                assert not output
            case ["hopfield-theory", "find-beta", *arguments]:
                assert find_beta_at_the_rows_of(output, arguments, monkeypatch) == output
            case ["hopfield-theory", "verify", *arguments]:
                sentences, table = re.split(r"^Verdicts *$", run("verify", *arguments), flags=re.MULTILINE)
                assert all(name in table for name in arguments if name in STATEMENTS)
                assert shown(sentences) == output or not output
            case ["hopfield-theory", *arguments]:
                printed = run(*arguments)
                assert not output or shown(printed) == output
            case ["python", "-m", "simulations"]:
                assert [line.split()[0] for line in simulate().splitlines()] == simulations.__main__.NAMES
                assert not output
            case ["python", "-m", "simulations", name, *options]:
                # hours of work: what there would be to do
                address = ["tcp://host:8786" if "…" in option else option for option in options]
                rest = [option for option in address if option != "--dry-run"]
                planned = simulate(name, *rest, "--dry-run", "--out", "here")
                preset = rest[rest.index("--preset") + 1] if "--preset" in rest else "quick"
                assert re.fullmatch(
                    rf"{name}, {preset}: \d+ cells, 0 finished, \d+ left: about .* of work, up to .* a cell\n", planned
                )
                assert not output
            case words:
                pytest.fail(f"no check for {words}")


def find_beta_at_the_rows_of(output, arguments, monkeypatch):
    """What find-beta prints on the part of its grid that the README shows; the rest takes half a minute.

    The points that are left out lie between rows with the same counts. Below, where nothing is stored, a few patterns
    are retrieved; above, a ball smaller than the patterns' norm that certifies one certifies it at every larger β.
    """
    grid = find_beta.beta_grid(1.0)
    rows = re.findall(r"^ +(\S+) +\d+ +\d+ +\d+$", output, re.MULTILINE)
    kept = [beta for beta in grid.tolist() if f"{beta:.4g}" in rows]
    assert [f"{beta:.4g}" for beta in kept] == rows
    patterns, _ = ht.digits()
    for beta in grid.tolist():
        if beta in kept:
            continue
        memory = ht.Memory(patterns, beta, centre=True, normalise=True)
        if beta < kept[1]:
            few = memory.patterns[::100]
            apart = torch.cdist(few, memory.patterns).sort(1).values[:, 1]
            assert bool(
                ((ht.retrieve(ht.Memory(memory.patterns, beta), few).state - few).norm(dim=1) > apart / 2).all()
            )
        else:
            assert beta > kept[-2]
    last = ht.certify(ht.Memory(patterns, kept[-2], centre=True, normalise=True))
    assert bool(last.stored.all())
    assert 0 < float(last.radius.max()) < 1
    np.testing.assert_allclose(grid[1:] / grid[:-1], math.sqrt(2), rtol=1e-12)
    holds("steps", 2)
    with monkeypatch.context() as patched:
        patched.setattr(find_beta, "beta_grid", lambda radius: torch.tensor(kept, dtype=torch.float64) / radius**2)
        printed = shown(run("find-beta", *arguments))
    assert printed.count(f"grid of {len(kept)} values") == 1
    return printed.replace(f"grid of {len(kept)} values", f"grid of {len(grid)} values")


def test_make_reproduce_runs_what_the_readme_runs():
    recipe = re.search(r"^reproduce:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)[1]
    for command in (
        "hopfield-theory find-beta digits --centre --normalise",
        next(command for command in COMMANDS_IN_PROSE if "certify" in command),
        "hopfield-theory retrieve digits --centre --normalise --beta 363 --hide 0.5",
        next(command for command in COMMANDS_IN_PROSE if "bounds" in command),
        "hopfield-theory verify",
        "python -m simulations capacity",
    ):
        assert f"$(BIN)/{command}" in recipe, command


# --- python blocks ---


def test_the_ten_lines_print_what_stands_below_them(capsys):
    assert len([line for line in TEN.splitlines() if line.strip()]) == 10
    names: dict = {}
    exec(TEN, names)
    language, below = BLOCKS[BLOCKS.index(("python", TEN)) + 1]
    assert language == "text"
    assert capsys.readouterr().out == below
    count, pixels = names["patterns"].shape
    side = math.isqrt(pixels)
    holds("digits", spaced(count), side, side)
    lost = names["patterns"][7] != names["cue"]
    assert bool(names["patterns"][7, ~lost].equal(names["cue"][~lost]))
    assert bool((names["cue"][-2 * side :] == 0).all())
    assert int(lost.nonzero()[0]) >= pixels - 2 * side
    holds("rows", "two")


def test_the_models_run():
    names: dict = {}
    exec(MODELS, names)
    mixed = names["softmax_n_attention"](names["query"], names["key"], names["value"], is_causal=True, n=1.0)
    assert mixed.shape == names["query"].shape


def test_the_capacity_lines_run_on_fewer_patterns():
    assert CAPACITY.count("100_000_000") == 1
    assert CAPACITY.count("log_patterns=600.0") == 1
    holds("streamed", "⁸")
    holds("virtual", 600)
    assert CAPACITY.count("log_patterns=36.0") == 1
    holds("limits", 36)
    names: dict = {"ht": ht}
    # what stands alone in a line is what a reader looks at
    values = []
    for step in ast.parse(CAPACITY.replace("100_000_000", "100_000")).body:
        if isinstance(step, ast.Expr):
            values.append(eval(ast.unparse(step), names))
        else:
            exec(ast.unparse(step), names)
    middle, updated, error, ends = values
    assert names["source"].num_patterns == 100_000
    assert middle.low < middle.estimate < middle.high
    assert updated.shape == (64, 32)
    assert bool(torch.isfinite(updated).all())
    assert len(error) == 1000
    assert ends.max() < 0.5


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

    assert hasattr(real, "scheduler_address")
    monkeypatch.setattr(jobqueue, "SLURMCluster", StandIn)
    exec(CLUSTER, {})
    assert capsys.readouterr().out == "tcp://host:8786\n"
    (script,) = scripts
    assert "#SBATCH -t 04:00:00\n" in script
    assert "#SBATCH --mem=8G\n" in script
    assert "--nthreads 1 " in script
    assert "--nworkers" not in script


# --- numbers in the prose ---


def test_no_beta_certifies_the_raw_digits():
    patterns, _ = ht.digits()
    memory = ht.Memory(patterns, 1.0)
    blocked = int((ht.certify(memory, max_steps=1).gap <= 0).sum())
    overlaps = patterns @ patterns.T
    own = overlaps.diagonal().clone()
    overlaps.fill_diagonal_(-math.inf)
    assert blocked == int((overlaps.max(1).values >= own).sum())
    holds("raw", spaced(blocked))
    # the command, on its largest β alone
    found = find_beta.find_beta(patterns, betas=[float(find_beta.beta_grid(memory.radius)[-1])])
    from hopfield_theory.cli import render

    lines = render.beta_search_lines(found)
    assert sum(": its overlap with pattern" in line for text in lines for line in text.splitlines()) == 10
    assert len(render.beta_search_data(found)["blocking"]) == blocked


def test_the_certificate_of_the_digits():
    arguments = arguments_of("hopfield-theory certify")
    proof = numbers(*arguments)["certificate"]
    patterns, _ = ht.digits()
    norms = ht.Memory(patterns, 363.0, centre=True, normalise=True).patterns.norm(dim=1)
    np.testing.assert_allclose(norms, 1, rtol=1e-12)
    assert proof["status"] == ["stored"] * len(patterns)
    weakest, median, error = min(proof["radius"]), float(np.median(proof["radius"])), max(proof["error"])
    # what is promised is rounded to the safe side
    holds("certify", spaced(len(patterns)), rounded_down(weakest, 3), f"{median:.3f}", 1, rounded_up(error, 4))


def test_digits_of_which_a_part_is_hidden(tmp_path):
    options = arguments_of("hopfield-theory certify")[1:]
    assert options == ["digits", "--centre", "--normalise", "--beta", "363"]
    holds("hide", 0.5)
    found = numbers("retrieve", *options, "--hide", "0.5")["retrieval"]
    right = sum(answer == index for index, answer in enumerate(found["answer"]))
    assert set(found["status"]) == {"converged"}
    assert not any(found["guaranteed"])
    holds("half", spaced(len(found["answer"])), int(np.median(found["steps"])), spaced(right))
    patterns, _ = ht.digits()
    memory = ht.Memory(patterns, 363.0, centre=True, normalise=True)
    cues = ht.corruption.mask_tail(patterns - patterns.mean(0), 0.5) + patterns.mean(0)
    distances = (memory.prepare(cues) - memory.patterns).norm(dim=1)
    assert float(distances.min()) > float(ht.certify(memory).radius.max())
    row = numbers("retrieve", *options, "--hide", "0.125")["retrieval"]
    assert 0.125 * patterns.shape[1] == math.isqrt(patterns.shape[1])
    holds("last row", 0.125, sum(row["guaranteed"]))
    np.save(tmp_path / "FILE.npy", patterns[:5].numpy())
    files = [f"{tmp_path}/{word}.npy" if word == "FILE" else word for word in arguments_of("hopfield-theory retrieve")]
    assert files[-1] == "CUES"
    run(*files[:-1], f"{tmp_path}/FILE.npy")


def table_entry(log_patterns, column):
    """As the README writes it: the published bound to two places, a few patterns counted, many to three digits."""
    value = math.exp(log_patterns)
    if column == 0:
        return f"{value:.2f}"
    if value < 1e4:
        return spaced(math.floor(value))
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def test_the_command_of_the_bounds_table_is_its_first_row():
    beta, scale, dim = BOUNDS_ROW.findall(PAGE)[0][:3]
    arguments = arguments_of("hopfield-theory bounds")
    assert arguments == ["bounds", "--dim", dim, "--beta", beta, "--scale", scale]
    data = numbers(*arguments)
    holds("defaults", data["failure_probability"], int(data["noop"]))
    logs = {row["statement"]: row["log_patterns"] for row in data["bounds"]}
    names = ("C1", "C2", "C3", "C6", "C3 typical", "C7")
    assert [table_entry(logs[name], k) for k, name in enumerate(names)] == BOUNDS_ROW.findall(PAGE)[0][3].split(" | ")
    header = (
        "published (C1) | union bound (C2) | all stored (C3) | too many for all (C6, C7) | one stored (C3) | too many"
    )
    assert PAGE.count(f"| β, K, d | {header} for one (C7) |\n") == 1


@pytest.mark.parametrize("row", BOUNDS_ROW.findall(PAGE)[1:], ids=lambda row: row[2])
def test_the_other_rows_of_the_bounds_table(row, monkeypatch):
    # the ceiling of all patterns asks for that of one, and it takes seconds
    monkeypatch.setattr(crowding, "typical_witness", cache(crowding.typical_witness))
    beta, scale, dim = map(int, row[:3])
    case = (RandomMemory.of(dim, beta, scale), 1e-3)
    both = [(chernoff.chernoff(*case, which), crowding.ceiling(*case, which)) for which in ("all", "typical")]
    logs = [union.published(*case), union.pairwise(*case), *both[0], *both[1]]
    assert [table_entry(log, k) for k, log in enumerate(logs)] == row[3].split(" | ")
    # C7 is the better ceiling for "all" in the second row alone
    assert (logs[3] == logs[5]) == (row == BOUNDS_ROW.findall(PAGE)[1])


def test_the_whole_bounds_table_is_confirmed_in_ball_arithmetic_by_the_full_verification():
    from hopfield_theory.verification.suite import TABLE

    rows = [tuple(map(int, row[:3])) for row in BOUNDS_ROW.findall(PAGE)]
    assert [(beta, scale, dim) for dim, beta, scale in TABLE] == rows


def test_the_statements_are_as_many_as_it_says():
    from hopfield_theory.verification.suite import INSTANCES

    kinds = {kind: [name for name in STATEMENTS if name[0] == kind] for kind in "TCP"}
    for kind, names in kinds.items():
        assert names == [f"{kind}{k + 1}" for k in range(len(names))]
    holds("verify", len(STATEMENTS), *(len(names) for names in kinds.values()))
    false = [name for name in STATEMENTS if STATEMENTS[name].is_false]
    assert set(false) <= set(kinds["P"])
    holds("false", len(false), len(kinds["P"]))
    claims = (ROOT / "docs" / "claims.md").read_text(encoding="utf-8")
    assert re.findall(r"^### (P\d+) ", claims.split("\n## ")[1], re.MULTILINE) == false
    assert len(re.findall(r"^### P\d+ ", claims, re.MULTILINE)) == len(kinds["P"])
    holds("full", {10: "ten"}[INSTANCES["full"] // INSTANCES["quick"]])


def test_the_claim_beside_the_counterexample_is_the_one_it_says():
    (comment,) = re.findall(r"verify P25 .* # (.+)", PAGE)
    assert comment == "success is not monotone in β"
    assert (STATEMENTS["P25"].title, STATEMENTS["P25"].is_false) == ("Success is monotone in β", True)


def test_exit_statuses(tmp_path, monkeypatch):
    source = tmp_path / "patterns.npy"
    np.save(source, np.eye(4))
    run("certify", str(source), "--beta", "50", status=0)
    run("certify", str(source), "--beta", "0.1", status=1)
    bad = CliRunner().invoke(cli.app, ["certify", str(tmp_path / "missing.npy")])
    assert len(bad.stderr.splitlines()) == 1

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("hopfield_theory.certificates.certify.certify", interrupt)
    interrupted = CliRunner().invoke(cli.app, ["certify", str(source)])
    holds("statuses", 0, 1, bad.exit_code, interrupted.exit_code)


def test_versions_and_extras_are_those_of_the_project():
    holds("python", PROJECT["requires-python"].removeprefix(">="))
    extras = re.findall(r"pip install '\.\[(\w+)\]'", SAID)
    assert set(extras) == {"data", "transformers", "cluster"}
    assert set(extras) <= set(PROJECT["optional-dependencies"])
    needed = " ".join(PROJECT["optional-dependencies"]["data"])
    assert all(package in needed for package in ("pandas", "pyarrow", "scikit-learn"))


def test_experiments_and_figures_are_those_it_names():
    names = figures.__main__.NAMES
    holds("figures", len(names))
    assert sorted(path.stem for path in (ROOT / "docs" / "figures").glob("*.png")) == names
    assert re.search(r"^EXPERIMENTS := (.*)$", MAKEFILE, re.MULTILINE)[1].split() == simulations.__main__.NAMES
    assert "for the columns of ICML or NeurIPS pages" in SAID
    assert set(figures.style.PAGES) == {"icml", "neurips"}
    (presets, executors) = re.search(r"--preset ([\w|]+), --executor ([\w|]+)", PAGE).groups()
    assert set(presets.split("|")) == set(import_module("simulations._shared").PRESETS)
    options = (inspect.get_annotations(simulations.__main__.main, eval_str=True)[key] for key in ("preset", "with_"))
    assert [option.__metadata__[0].metavar for option in options] == [presets, executors]


# --- names ---


def options_of(command):
    return {option for parameter in command.params for option in parameter.opts}


def test_commands_and_options_in_the_prose_exist():
    commands = typer.main.get_command(cli.app).commands
    every = set().union(*map(options_of, commands.values()))
    for command in COMMANDS_IN_PROSE:
        if command.startswith("hopfield-theory "):
            _, name, *rest = command.split()
            assert {word for word in rest if word.startswith("--")} <= options_of(commands[name]), command
    for option in re.findall(r"`(--[\w-]+)", SAID):
        assert option in every, option
    assert {"--level", "--html", "--figures"} <= options_of(commands["verify"])
    assert "Every command but `replay` takes `--json FILE` (or `-`)" in SAID
    assert {name for name, command in commands.items() if "--json" not in options_of(command)} == {"replay"}
    # each is run by a test above, but for the two that take minutes
    assert {" ".join(command.split()[:2]) for command in COMMANDS_IN_PROSE} == {
        "hopfield-theory certify",
        "hopfield-theory retrieve",
        "hopfield-theory bounds",
        "hopfield-theory verify",
        "python -m",
    }


def test_the_kinds_of_file_are_those_it_lists():
    (listed,) = re.findall(r"Files: (.*), one pattern a row\.", SAID)
    assert re.findall(r"`(\.\w+)`", listed) == list(files._OPENERS)


def test_calls_in_the_prose_fit_what_they_call(tmp_path, monkeypatch):
    from hopfield_theory.model.stream import Stream
    from hopfield_theory.runs.executors import Dask
    from hopfield_theory.runs.store import Cell, Store

    assert "`Stream(source, beta, over=Dask(address).map)`" in SAID
    inspect.signature(Stream).bind("source", "beta", over=Dask.map)
    inspect.signature(Dask).bind("address")
    assert "`retrieve(..., accelerate=True)`" in SAID
    assert inspect.signature(ht.retrieve).parameters["accelerate"].default is False
    assert "`ambiguous`" in SAID
    assert "ambiguous" in ht.Retrieval.__dataclass_fields__

    (gathering,) = re.findall(r"`(hopfield_theory\.engine\.store\.Store\(.*?\)\.gather\(.*?\))`", SAID)
    monkeypatch.chdir(tmp_path)
    Store(simulations.__main__.RESULTS).write(Cell("capacity", "quick", 0, {"dim": 4}), [{"rate": 0.5}], 0.1, "cpu")
    frame = eval(gathering, {"hopfield_theory": import_module("hopfield_theory")})
    assert isinstance(frame, pd.DataFrame)
    assert frame["rate"].tolist() == [0.5]
    assert f"(in `{simulations.__main__.RESULTS}`)" in SAID

    # read, for importing it takes transformers and seconds
    module = (ROOT / "hopfield_theory" / "attention" / "transformers.py").read_text(encoding="utf-8")
    (convert,) = (node for node in ast.parse(module).body if getattr(node, "name", "") == "convert")
    defaults = dict(zip([a.arg for a in convert.args.kwonlyargs], convert.args.kw_defaults, strict=True))
    holds("convert", ast.literal_eval(defaults["noop"]))
    assert '`attn_implementation="outeffhop"`' in SAID
    assert '"outeffhop"' in module


def test_modules_of_the_table_have_what_it_says_they_have():
    (table,) = re.findall(r"^\| module \| what it does \|\n\| --- \| --- \|\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    for row in table.splitlines():
        _, modules, what, _ = re.split(r"(?<!\\)\|", row)
        modules = re.findall(r"`(\w+)`", modules)
        assert modules
        for module in modules:
            assert find_spec(f"hopfield_theory.{module}") is not None, module
        for name in re.findall(r"`(\w+)`", what):
            # what is in a part of a package is named by the library as a whole
            assert name in ht.__all__ or any(
                find_spec(f"hopfield_theory.{module}.{name}")
                if (ROOT / "hopfield_theory" / module).is_dir()
                else hasattr(import_module(f"hopfield_theory.{module}"), name)
                for module in modules
            ), (modules, name)


def test_links_lead_to_files():
    links = [link for link in re.findall(r"\]\(([^)]+)\)", SAID) if not link.startswith("https://")]
    assert len(links) > 10
    for link in links:
        assert (ROOT / link).is_file(), link


# --- nothing else ---


def test_every_phrase_is_held_by_a_test():
    tests = Path(__file__).read_text(encoding="utf-8")
    for name, phrase in PHRASES.items():
        assert f'holds("{name}"' in tests or "{}" not in phrase, name
        if "{}" not in phrase:
            holds(name)


def test_no_number_is_left_that_no_test_holds():
    left = BOUNDS_ROW.sub("", PAGE)
    left = re.sub(r"^```\w+\n.*?^```$", "", left, flags=re.MULTILINE | re.DOTALL)
    left = " ".join(" ".join([left, *COMMENTS]).split())
    for phrase in PHRASES.values():
        left, found = re.subn(re.escape(phrase).replace(r"\{\}", f"(?:{NUMBER})"), "…", left)
        assert found == 1, phrase
    # their parameters are those that a test runs
    for command in COMMANDS_IN_PROSE:
        left = left.replace(f"`{command}`", "…")
    assert re.findall(r".{0,30}(?:\d\.\d|\d\d\d|\d \d\d\d|\de\d).{0,30}", left) == []
