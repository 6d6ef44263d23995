"""What is written, and where: help, JSON, figures, terminals, pipes and signals."""

import json
import os
import runpy
import signal
import stat
import subprocess
import sys
import sysconfig
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import pytest

import hopfield_theory as ht
from hopfield_theory.cli import render
from hopfield_theory.cli.main import main as cli
from tests.cli.running import one_line, run, sentences, strict


def test_no_arguments_give_the_usage_and_the_version_is_the_library_s():
    assert "Usage" in run().output
    assert run("--version").stdout == f"hopfield-theory {ht.__version__}\n"


@pytest.mark.slow
def test_an_interrupt_ends_with_130(tmp_path):
    rows = np.random.default_rng(0).normal(size=(60_000, 32)).astype(np.float32)
    np.save(tmp_path / "large.npy", rows)
    program = "import hopfield_theory.certificates.certify as c; import sys; b = c.certified_balls\n"
    program += "def balls(*a, **k):\n    print('begun', file=sys.stderr, flush=True)\n    return b(*a, **k)\n"
    program += "c.certified_balls = balls\nfrom hopfield_theory.cli.main import main; main()"
    command = [sys.executable, "-c", program, "certify", tmp_path / "large.npy", "--json", tmp_path / "o.json"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        while "begun" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert out == ""
    assert "Traceback" not in err
    assert os.listdir(tmp_path) == ["large.npy"]


@pytest.mark.parametrize("option", ["-h", "--help"])
@pytest.mark.parametrize("command", ["certify", "find-beta", "retrieve", "bounds"])
def test_every_command_has_help(command, option):
    result = run(command, option)
    assert result.exit_code == 0
    assert "--json" in result.stdout
    assert "Exit status 0" in sentences(result.stdout)


@pytest.mark.parametrize("command", ["certify", "find-beta", "retrieve", "verify"])
def test_json_paths_are_checked_before_the_patterns_are_read(tmp_path, command):
    for target in (tmp_path, tmp_path / "no" / "out.json", ""):
        line = one_line(run(command, tmp_path / "missing.npy", "--json", target))
        assert line.startswith(f"hopfield-theory: --json {target}:")


def test_the_json_file_is_replaced_whole_and_nothing_is_left_beside_it(tmp_path, source):
    out = tmp_path / "out.json"
    out.write_text("old " * 100_000)
    assert run("certify", source, "--beta", 500, "--json", out).exit_code == 0
    assert strict(out.read_text())["memory"]["beta"] == 500
    assert sorted(os.listdir(tmp_path)) == ["out.json", "patterns.npy"]


def test_a_json_file_that_cannot_be_written_leaves_the_old_one(tmp_path, source, monkeypatch):
    out = tmp_path / "out.json"
    out.write_text("old")

    def refuse(partial, *_, **__):
        raise PermissionError(13, "Permission denied", str(partial))

    monkeypatch.setattr(os, "replace", refuse)
    assert one_line(run("certify", source, "--json", out)).startswith(f"hopfield-theory: --json {out}:")
    assert out.read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["out.json", "patterns.npy"]


@pytest.mark.parametrize("which", ["FILE", "--query"])
def test_the_json_does_not_replace_its_own_input(tmp_path, source, which):
    victim = tmp_path / "victim.npy"
    victim.write_bytes(Path(source).read_bytes())
    kept = victim.read_bytes()
    arguments = ["certify", victim] if which == "FILE" else ["retrieve", source, "--query", victim]
    result = run(*arguments, "--json", victim)
    assert victim.read_bytes() == kept
    assert "--json" in one_line(result)


def test_a_json_path_that_is_no_regular_file_stays_what_it_is(tmp_path, source):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    try:
        run("certify", source, "--json", pipe)
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_name_that_is_no_unicode_can_be_written():
    text = render.json_text({"source": os.fsdecode(b"\xff.npy")})
    assert json.loads(text.encode())["source"] == os.fsdecode(b"\xff.npy")


def start(command, *arguments, **environment):
    environment = {key: value for key, value in os.environ.items() if key != "COLUMNS"} | environment
    return subprocess.run([*command, *map(str, arguments)], capture_output=True, check=False, env=environment)


def test_progress_goes_to_standard_error_beside_json(source, monkeypatch, capfd):
    monkeypatch.setattr(sys, "argv", ["hopfield-theory", "certify", source, "--beta", "2", "--json", "-"])
    # rich takes standard error for a terminal; the command itself sets the last two
    for variable in ("FORCE_COLOR=1", "TERM=xterm", "OMP_WAIT_POLICY=passive", "KMP_BLOCKTIME=0"):
        monkeypatch.setenv(*variable.split("="))
    with pytest.raises(SystemExit) as end:
        runpy.run_module("hopfield_theory", run_name="__main__")
    out, err = capfd.readouterr()
    assert strict(out)["memory"]["beta"] == 2
    assert "certifying" in err
    assert "proved stored" in err
    assert end.value.code == 1


@pytest.mark.slow
def test_the_console_script_loses_letters_to_a_narrow_encoding_and_no_column_to_a_pipe(tmp_path):
    (entry,) = entry_points(group="console_scripts", name="hopfield-theory")
    assert entry.load() is cli
    script = Path(sysconfig.get_path("scripts")) / "hopfield-theory"
    path = tmp_path / "wide.csv"
    path.write_text("a,b\n100000,2\n300000,4.5\n-70000,1e-3\n3,1\n")
    # as on Windows, where what is piped is cp1252
    result = start([script], "certify", path, PYTHONIOENCODING="cp1252")
    assert (result.returncode, result.stderr) == (1, b"")
    assert b"of 4 patterns proved stored at ? = 1" in result.stdout
    assert "…".encode("cp1252") not in result.stdout


@pytest.mark.parametrize("option", ["--json", "--plot"])
def test_a_full_disk_names_the_file(tmp_path, source, monkeypatch, option):
    out = tmp_path / "full.png"
    write = Path.write_bytes

    def full(path, content):
        if content:
            raise OSError(28, "No space left on device")
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    result = run("retrieve", source, "--noise", "0.1", option, out)
    assert result.exit_code == 2
    assert result.stderr == f"hopfield-theory: {out}: No space left on device\n"
    assert not out.exists()


def test_two_results_are_not_written_to_one_file(tmp_path, source):
    for line in (
        ("retrieve", source, "--noise", 0.1, "--plot", tmp_path / "a.png", "--json", f"{tmp_path}/./a.png"),
        ("verify", "T3", "--html", tmp_path / "a.html", "--json", tmp_path / "a.html"),
    ):
        assert "another result is written to this file" in one_line(run(*line))
    assert not list(tmp_path.glob("a.*"))
