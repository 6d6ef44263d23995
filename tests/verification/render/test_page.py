"""The page of verdicts: what it says, and that its script runs in a real browser."""

import dataclasses
import re
import sys
from pathlib import Path

import pytest

import hopfield_theory as ht
from hopfield_theory.statements.registry import STATEMENTS
from hopfield_theory.verification.check import check
from hopfield_theory.verification.instances import Draws
from hopfield_theory.verification.render import table, typeset
from hopfield_theory.verification.render.page import citation, page
from hopfield_theory.verification.render.typeset import beside, proof

PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a49444154789c6360000000020001e221bc330000"
    "000049454e44ae426082"
)


@pytest.fixture(scope="module")
def verdicts():
    # of the trends of C4 only the cheapest
    c4 = dataclasses.replace(STATEMENTS["C4"], parts=STATEMENTS["C4"].parts[:1])
    return table.data([*ht.verify(["T8", "T12", "P1", "P14"], instances=50), *check([c4], Draws(0, 50), 0)])


@pytest.fixture(scope="module")
def text(verdicts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures")
    (folder / "basins.png").write_bytes(PICTURE)
    (folder / "basins.md").write_text("Basins of five patterns.\n")
    return page(verdicts, version="1.2<3", level="quick", seed=0, figures=folder)


@pytest.mark.parametrize("name", ["T8", "T12", "P1", "P14", "C4"])
def test_a_verdict_is_told_in_a_row_and_an_article(text, verdicts, name):
    verdict = next(v for v in verdicts if v["statement"] == name)
    row = re.search(rf'<tr[^>]*>\s*<th scope="row"><a href="#{name}">.*?</tr>', text, re.DOTALL)[0]
    assert f'data-verdict="{verdict["verdict"]}"' in row
    assert f'data-value="{verdict["instances"]}"' in row
    assert verdict["title"].lower() in row
    article = re.search(rf'<article id="{name}".*?</article>', text, re.DOTALL)[0]
    assert "<math" in article
    assert verdict["verdict"] in article
    assert f"hopfield-theory verify {name} --level quick --seed 0" in article
    for part in verdict["parts"]:
        assert f"<strong>{part['name']}</strong>: {part['verdict']}; {part['by']}" in article
    assert ("Why it fails" if name.startswith("P") else "Proof") in article


@pytest.mark.parametrize(
    "words",
    [
        "All 5 verdicts are as expected.",
        "1.2&lt;3",
        "patterns = [[1]]\nbeta = 1\nnoop = 1\nquery = [0]\nslack in [−0.35355",
        # a figure that is there, and one that is not
        'src="data:image/png;base64,iVBOR',
        "python -m figures closeness",
        # what is not on the page is no link
        "What holds: T10 Who is closer after one update, T11 When",
        # the first words of the proof of C4
        '<p>Let <span class="symbols">λ = κ/d</span>',
        '<details id="setting"><summary>Setting of the proofs</summary>',
        '<a href="https://arxiv.org/abs/2008.02217">arXiv:2008.02217</a>',
        "<figcaption>Basins of five patterns.",
    ],
)
def test_the_page_says(text, words):
    assert words in text


LINK = r"""(?:src|href)=["'](?!#|data:|https://arxiv\.org/abs/\d{4}\.\d{4,5}")"""


@pytest.mark.parametrize("elsewhere", [LINK, "@import", r"url\(", 'href="#T10"', "&amp;", "Undefined"])
def test_nothing_comes_from_elsewhere(text, elsewhere):
    assert not re.search(elsewhere, text.split("<script>")[0])


@pytest.mark.parametrize("module", ["jinja2", "latex2mathml.converter"])
def test_without_its_packages_the_extra_is_named(monkeypatch, verdicts, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=r"hopfield-theory\[report\]"):
        page(verdicts[:1], version="", level="quick", seed=0)


@pytest.mark.parametrize("statement", STATEMENTS.values(), ids=str)
def test_only_what_the_formula_says_is_left_out_of_a_claim(statement):
    left_out = {"T2", "T3", "T5", "T8", "T9", "T10", "T15", "T17", "P1", "P7", "P27", "P28"}
    assert (beside(statement.claim) != statement.claim) == (statement.name in left_out)


@pytest.mark.parametrize("statement", [s for s in STATEMENTS.values() if s.proved_in], ids=str)
def test_every_long_proof_is_found(statement):
    assert len(proof(statement.proved_in)) > 100


def test_a_proof_that_is_not_there_is_named(monkeypatch, verdicts, tmp_path):
    monkeypatch.setattr(typeset, "_ROOTS", (tmp_path,))
    [c4] = [v for v in verdicts if v["statement"] == "C4"]
    assert "The whole proof: docs/bounds-proofs.md." in page([c4], version="", level="quick", seed=0)
    assert proof("docs/bounds-proofs.md#nowhere") is None


def test_each_figure_is_shown_once(verdicts, tmp_path):
    for figure in ("basins", "closeness"):
        (tmp_path / f"{figure}.png").write_bytes(PICTURE)
    text = page([{**v, "figure": "basins"} for v in verdicts], version="", level="quick", seed=0, figures=tmp_path)
    assert text.count("<img") == 1
    assert "<figcaption" not in text
    assert text.count('Its figure: <a href="#figure-basins">basins, at T8</a>') == len(verdicts) - 1


def test_kinds_of_claims_are_counted(text):
    rows = re.findall(r'<tr><th scope="row">([^<]*)</th>(.*?)</tr>', text)
    counted = {kind: re.findall(r'data-name="(\w+)">(\d+)', cells) for kind, cells in rows}
    assert counted == {
        "Our readings of such sentences": [("falsified", "2"), ("all", "2")],
        "Statements of this library": [("consistent", "1"), ("holds", "2"), ("all", "3")],
    }


def test_numbers_have_true_minus_signs(verdicts):
    row = {**verdicts[0], "smallest_slack": -1.25e-7}
    assert '<td class="number" data-name="Smallest slack" data-value="-1.25e-07">−1.2·10<sup>−7</sup></td>' in page(
        [row], version="", level="quick", seed=0
    )


def test_citations_are_those_of_the_project(verdicts):
    said = (Path(__file__).parents[3] / "CITATION.cff").read_text(encoding="utf-8")
    library = citation("0.1.0")
    for family in re.findall(r"family-names: (\w+)", said.partition('title: "Hopfield Networks')[0]):
        assert f"{family}, " in library
    [title] = re.findall(r'title: "(Outlier-.*)"', said)
    assert title in library
    [t12] = [v for v in verdicts if v["statement"] == "T12"]
    entry = citation("1.2", t12)
    assert "title = {{T12: Well-separated patterns are stored}}" in entry
    assert r"howpublished = {{hopfield\_theory}, version 1.2, statement T12}" in entry
    assert "eprint = {2008.02217}" in entry
    assert entry.count("{") == entry.count("}")


@pytest.mark.xdist_group("browser")
@pytest.mark.slow
@pytest.mark.parametrize(
    ("clipboard", "said"), [("window.put = text", "Copied."), ("throw new Error('no')", "The browser does not")]
)
def test_a_citation_is_copied_or_selected(text, tmp_path, visit, clipboard, said):
    file = tmp_path / "verdicts.html"
    file.write_text(text, encoding="utf-8")
    view = visit(file.as_uri())
    view.evaluate(f"() => {{ navigator.clipboard.writeText = async text => {{ {clipboard}; }} }}")
    view.get_by_role("button", name="Cite T12", exact=True).click()
    shown = view.input_value("#bibtex")
    assert shown.startswith("@misc{hopfield_theory-T12,\n")
    view.wait_for_function(f"document.getElementById('copied').textContent.startsWith({said!r})")
    selected = "bibtex.value.slice(bibtex.selectionStart, bibtex.selectionEnd)"
    assert view.evaluate(f"window.put ?? {selected}") == shown
    view.keyboard.press("Escape")
    assert not view.is_visible("#cite")


@pytest.mark.xdist_group("browser")
@pytest.mark.slow
def test_a_link_unfolds_what_it_points_to(text, tmp_path, visit):
    file = tmp_path / "verdicts.html"
    file.write_text(text, encoding="utf-8")
    view = visit(file.as_uri())
    view.select_option("#kind", "reading")
    assert not view.is_visible("#C4")
    view.evaluate("location.hash = 'proof-C4'")
    view.wait_for_function("document.getElementById('proof-C4').checkVisibility()")
    assert view.inner_text("#shown") == "5 of 5"
    view.locator("#C4").get_by_text("To the top").click()
    view.wait_for_function("scrollY === 0")


@pytest.mark.xdist_group("browser")
@pytest.mark.slow
def test_it_filters_and_sorts_in_a_browser(text, tmp_path, visit):
    file = tmp_path / "verdicts.html"
    file.write_text(text, encoding="utf-8")
    view = visit(file.as_uri(), width=390)

    def rows():
        return [
            row.inner_text().split()[0] for row in view.query_selector_all("#statements tbody tr") if row.is_visible()
        ]

    view.fill("#find", "energy")
    view.select_option("#verdict", "falsified")
    assert (rows(), view.inner_text("#shown"), view.is_visible("#T12")) == (["P14"], "1 of 5", False)
    view.fill("#find", "")
    view.select_option("#verdict", "")
    view.select_option("#kind", "reading")
    assert (rows(), view.inner_text("#shown")) == (["P1", "P14"], "2 of 5")
    view.select_option("#kind", "")
    assert rows() == ["T8", "T12", "P1", "P14", "C4"]
    view.get_by_role("button", name="Smallest slack").click()
    by_slack = sorted(rows())
    assert rows()[0] in ("P1", "P14")
    view.get_by_role("button", name="Statement").click()
    assert rows() == ["T8", "T12", "P1", "P14", "C4"] != by_slack
    view.eval_on_selector_all("details", "all => all.forEach(d => d.open = true)")
    assert view.evaluate("document.documentElement.scrollWidth") <= 390
