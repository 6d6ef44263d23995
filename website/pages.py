"""Blocks of a page: what it shows as code and as output, for the tests and for the notebooks."""

from __future__ import annotations

import contextlib
import io
import itertools
import re
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["Step", "blocks", "executed", "prose", "session", "steps", "with_outputs"]

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Step(NamedTuple):
    """A Python block, and the output that the page shows below it (empty for none)."""

    code: str
    shown: str


def blocks(page: str) -> list[tuple[str, str]]:
    r"""Return the language and the text of every fenced block.

    Examples
    --------
    >>> blocks("```python\nprint(1)\n```\n\n```text\n1\n```\n")
    [('python', 'print(1)\n'), ('text', '1\n')]
    """
    return _BLOCK.findall(page)


def prose(page: str) -> str:
    """Return a page without its fenced blocks, in one line."""
    return " ".join(_BLOCK.sub("", page).split())


def session(console: str) -> list[tuple[str, str]]:
    """Return the commands of a console block, each with the output below it."""
    return re.findall(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", console, re.MULTILINE)


def steps(page: str) -> list[Step]:
    """Return the Python blocks of a page, each with the text block that follows it."""
    every = [*blocks(page), ("", "")]
    return [
        Step(text, below if language_below == "text" else "")
        for (language, text), (language_below, below) in itertools.pairwise(every)
        if language == "python"
    ]


def executed(page: str) -> Iterator[tuple[Step, str]]:
    """Run the Python blocks of a page one after another, in one namespace; yield each with what it printed."""
    names: dict[str, object] = {"__name__": "page"}
    for step in steps(page):
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(step.code, names)
        yield step, printed.getvalue()


def with_outputs(page: str, printed: list[str]) -> str:
    """Return a page with new outputs; a block that prints nothing must show nothing, and conversely."""
    fresh = iter(printed)
    awaited = ""

    def replaced(match: re.Match[str]) -> str:
        nonlocal awaited
        language, _ = match.groups()
        if language == "python":
            awaited = next(fresh)
        elif language == "text":
            return f"```text\n{awaited}```"
        return match[0]

    return _BLOCK.sub(replaced, page)
