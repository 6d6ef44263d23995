"""Run a command in this process, and read what it says."""

import json

import pytest
from typer.testing import CliRunner

from hopfield_theory.cli.main import app


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def strict(text):
    """JSON in which NaN and Infinity are errors."""
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def one_line(result):
    """The single line of a refusal."""
    assert result.exit_code == 2
    assert not result.stdout
    (line,) = result.stderr.splitlines()
    assert line.startswith("hopfield-theory: ")
    return line


def sentences(text):
    """Output as one line, since it is wrapped at the width of the terminal."""
    return " ".join(text.split())
