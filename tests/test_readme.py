"""What README.md says of bounds, claims, speed and folders is so; its commands are in test_pages.py."""

import re
from collections import Counter
from pathlib import Path

import pytest
import yaml

from hopfield_theory import __version__
from hopfield_theory.statements.registry import STATEMENTS
from website import pages

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
PROSE = pages.prose(PAGE)


def test_the_ten_lines_print_what_stands_below_them():
    [(step, printed)] = pages.executed(PAGE)
    assert len([line for line in step.code.splitlines() if line.strip()]) == 10
    assert printed == step.shown


def test_the_digits_and_the_table_are_those_of_the_page_of_commands():
    assert (
        f"all are proved stored from β = {re.search(r'Proved stored: .* all from β = (.*) on', COMMANDS)[1]} on"
        in PROSE
    )
    assert f"in fact from β = {re.search(r'Retrieved in fact: .* all from β = (.*) on', COMMANDS)[1]} on" in PROSE
    rows = re.findall(r"^\| β, K, d \|.*\n(?:\|.*\n)+", PAGE, re.MULTILINE)
    assert len(rows) == 1
    assert rows[0] in COMMANDS


@pytest.mark.parametrize("prose", [PROSE, pages.prose(COMMANDS)], ids=["README", "command-line"])
def test_numbers_of_statements(prose):
    assert f"all {len(STATEMENTS)} statements" in prose
    false, whole = (Counter(s.said_as for s in STATEMENTS.values() if s.is_false or every) for every in (False, True))
    assert false["printed theorem"] == 0
    assert f"the {whole['printed theorem']} theorems that were read hold" in prose
    recalled = whole["recalled wording"]
    assert f"{recalled - false['recalled wording']} of {recalled} that are only recalled" in prose
    literal = [sum(count[kind] for kind in ("sentence", "reading")) for count in (false, whole)]
    assert f"read literally ({literal[0]} of {literal[1]}, " in prose
    assert f"without a source ({false['folklore']} of {whole['folklore']})" in re.sub(r"such memories ", "", prose)


def test_the_speed_is_that_of_the_table():
    table = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    rows = re.findall(r"\| (?:none|causal|boolean) \| ([\d.]+) \(.*?\) \| ([\d.]+) \| [\d.]+ \|", table)
    assert len(rows) == 11
    dense, plain = (sorted(column, key=float) for column in zip(*rows, strict=True))
    assert f"{dense[0]} to {dense[-1]} times as long as PyTorch's own attention" in PROSE
    assert f"formula {plain[0]} to {plain[-1]} times as long as ours" in PROSE


def test_links_and_folders_exist():
    links = [link for link in re.findall(r"\]\(([^)]+)\)", PROSE) if not link.startswith("https://")]
    folders = [name for row in re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE) for name in re.findall(r"`(.+?)`", row)]
    assert len(links) > 10
    assert len(folders) > 15
    for path in (*links, *folders):
        assert (ROOT / path).exists(), path


def test_the_citation_is_of_this_version_and_these_authors():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    [author] = citation["authors"]
    [bibtex] = [text for language, text in pages.blocks(PAGE) if language == "bibtex"]
    plain = bibtex.replace("\\", "").replace("{", "").replace("}", "")
    assert citation["version"] == __version__
    assert f"version = {__version__}," in plain
    assert f"author  = {author['name']}," in plain
