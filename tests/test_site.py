"""The site: no warning, nothing from the network, mathematics that is mathematics; and the parts that make it."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import griffe
import pytest
from latex2mathml.converter import convert

from website import docstrings, mathematics

ROOT = Path(__file__).parents[1]


class Loads(HTMLParser):
    """Addresses that a page loads by itself: scripts, styles, fonts, images."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag == "link" and attributes.get("rel") in ("canonical", "prev", "next"):
            return
        if tag not in ("a", "math", "svg"):
            self.found += [attributes[name] for name in ("src", "href", "srcset", "data") if attributes.get(name)]


@pytest.mark.slow
@pytest.mark.xdist_group("browser")
def test_who_shares_the_site_shares_a_process(request):
    if not request.config.getoption("loadgroup", False):
        pytest.skip("tests are not distributed by groups")
    assert request.node.nodeid.endswith("@browser")


@pytest.mark.slow
@pytest.mark.xdist_group("browser")
def test_no_page_loads_anything_from_the_network(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 50
    for page in pages:
        reader = Loads()
        reader.feed(page.read_text(encoding="utf-8"))
        assert reader.found, page
        for address in reader.found:
            assert not re.match(r"(?:\w+:)?//", address), (page, address)
            target = page.parent / address.partition("#")[0].partition("?")[0]
            assert page.name == "404.html" or address.startswith("data:") or target.exists(), (page, address)
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(?:url\(|@import )[\"']?(?:\w+:)?//", sheet.read_text(encoding="utf-8")), sheet


@pytest.mark.slow
@pytest.mark.xdist_group("browser")
def test_the_pages_hold_mathematics_and_the_api(site):
    for name, least in (("statements", 58), ("bounds-proofs", 200), ("retrieval-proofs", 80), ("virtual", 40)):
        text = (site / f"{name}.html").read_text(encoding="utf-8")
        assert text.count("<math") >= least
        assert "```" not in re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    api = "".join(page.read_text(encoding="utf-8") for page in (site / "api").glob("*.html"))
    for name in ("certify", "retrieve", "find_beta", "softmax_n_attention", "capacity_table", "verify"):
        assert re.search(rf'id="hopfield_theory\.[\w.]+\.{name}"', api), name
    # the docstrings, not the sources below them
    api = re.sub(r"<details.*?</details>", "", api, flags=re.DOTALL)
    assert not re.search(r":(?:func|class|meth|mod|math):", api)
    assert ".. math::" not in api
    assert "array\u2011like, shape\u00a0(M, d)" in api
    assert "array - like" not in api


@pytest.mark.slow
@pytest.mark.xdist_group("browser")
def test_every_page_can_be_found(site):
    index = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    found = {entry["location"].partition("#")[0] for entry in index["docs"]}
    pages = {page.relative_to(site).as_posix() for page in site.rglob("*.html")}
    assert found - {""} <= pages
    # the explorer is a program, not a text
    texts = {page for page in pages if not page.startswith(("source/", "404"))}
    assert texts - found <= {"index.html", "explorer.html"}
    # of the API the docstrings, not the sources below them, which stand in the pages all the same
    assert not any("Source code in" in entry["text"] for entry in index["docs"])
    assert all("Source code in" in page.read_text(encoding="utf-8") for page in (site / "api").glob("*.html"))
    # and no numbers, which lunr takes for those of its nodes
    assert not any(re.search(r"(?<![\w#&])\d", re.sub("<[^>]*>", " ", entry["text"])) for entry in index["docs"])
    assert "1.03e12" in (site / "bounds-proofs.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "formula"),
    [
        ("p_ν = e^{β⟨ξ_ν,x⟩}", r"p_ν = e^{β\langle ξ_ν,x\rangle }"),
        ("w = √(2u) ≤ √d", r"w = \sqrt{2u}\le \sqrt{d}"),
        ("{c + a e : |a| ≤ h}", r"\{c + a e : |a|\le h\}"),
        ("[u_0, u_1)", "[u_0, u_1)"),
        ("s_(1)", "s_{(1)}"),
        ("β⁻¹ ξ_νᵀ (κ − 1)₊", r"β^{-1} ξ_ν^{\top} (κ - 1)_{+}"),
        ("A x̂", r"A \hat{x}"),
        ("P(A for all ν)", r"P(A \text{ for all } ν)"),
    ],
)
def test_formulas_in_plain_text_become_latex(text, formula):
    assert mathematics.latex(text) == formula
    assert convert(formula).startswith("<math")


@pytest.mark.parametrize("name", ["bounds-proofs", "certificates", "retrieval-proofs", "virtual"])
def test_every_formula_of_the_proofs_is_translated_with_its_brackets(name):
    text = mathematics.rewrite((ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8"))
    formulas = re.findall(r"`:::math (.*?)`", text) + re.findall(r"```math\n(.*?)\n```", text, re.DOTALL)
    assert len(formulas) > 5
    for formula in formulas:
        bare = formula.replace(r"\{", "").replace(r"\}", "")
        assert bare.count("{") == bare.count("}"), formula
        assert not re.search("[√≤≥Σ−½²₊ᵀ\u0302\u0304]", formula), formula
        assert "merror" not in convert(formula)
    headings = re.findall(r"^#+ .*$", text, re.MULTILINE)
    assert headings == re.findall(r"^#+ .*$", (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8"), re.MULTILINE)


def test_roles_become_links_and_directives_blocks():
    code = '''
class Known:
    """One."""

def f():
    """See :class:`Known`, :func:`~torch.add` and :math:`x^2`.

    .. math:: a
       + b
    """
'''
    with griffe.temporary_visited_module(code, module_name="mine") as module:
        text = docstrings.rewrite(module["f"].docstring.value, module["f"], module)
    assert "See [`Known`][mine.Known], `add` and `:::math x^2`." in text
    assert "```math\na + b\n```" in text
