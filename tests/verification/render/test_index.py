"""docs/statements.md: written from the statements, and every link of it leads somewhere."""

import re
from pathlib import Path

import pytest

from hopfield_theory.statements.registry import STATEMENTS
from hopfield_theory.verification.render.index import anchor, page

DOCS = Path(__file__).parents[3] / "docs"


def test_the_committed_page_is_the_one_that_is_written():
    # make statements
    assert (DOCS / "statements.md").read_text(encoding="utf-8") == page()


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)]+)\)", page()))))
def test_every_link_leads_somewhere(target):
    file, _, fragment = target.partition("#")
    path = DOCS / file if file else DOCS / "statements.md"
    assert path.is_file()
    text = path.read_text(encoding="utf-8") if fragment else ""
    if path.suffix == ".py" and fragment:
        assert text.splitlines()[int(fragment.removeprefix("L")) - 1].strip() == "Statement("
    elif fragment:
        assert fragment in {anchor(heading) for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}


def test_every_statement_has_a_row_and_a_section():
    rows, sections = (re.findall(rf"^{start}(\w+)", page(), re.MULTILINE) for start in (r"\| \[", "## "))
    assert rows == sections == list(STATEMENTS)
