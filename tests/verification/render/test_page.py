"""The page of verdicts: what it says, and that its script runs in a real browser."""

import os
import re
import shutil
import sys

import pytest

import hopfield_theory as ht
from hopfield_theory.verification.render import table
from hopfield_theory.verification.render.page import page

PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a49444154789c6360000000020001e221bc330000"
    "000049454e44ae426082"
)


@pytest.fixture(scope="module")
def verdicts():
    return table.data(ht.verify(["T8", "T12", "P1", "P14", "C4"], instances=300))


@pytest.fixture(scope="module")
def text(verdicts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures")
    (folder / "basins.png").write_bytes(PICTURE)
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
        "patterns = [[1]]\nbeta = 1\nnoop = 1\nquery = [0]\nslack in [-0.35355",
        # a figure that is there, and one that is not
        'src="data:image/png;base64,iVBOR',
        "python -m figures closeness",
        # what is not on the page is no link
        "What holds: T10 Who is closer after one update, T11 When",
        "The whole proof: docs/bounds-proofs.md.",
    ],
)
def test_the_page_says(text, words):
    assert words in text


@pytest.mark.parametrize(
    "elsewhere", [r"""(?:src|href)=["'](?!#|data:)""", "@import", r"url\(", 'href="#T10"', "&amp;", "Undefined"]
)
def test_nothing_comes_from_elsewhere(text, elsewhere):
    assert not re.search(elsewhere, text.split("<script>")[0])


@pytest.mark.parametrize("module", ["jinja2", "latex2mathml.converter"])
def test_without_its_packages_the_extra_is_named(monkeypatch, verdicts, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=r"hopfield-theory\[report\]"):
        page(verdicts[:1], version="", level="quick", seed=0)


@pytest.mark.slow
def test_it_filters_and_sorts_in_a_browser(text, tmp_path):
    programme = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if programme is None:
        pytest.skip("no Chromium is installed")
    file = tmp_path / "verdicts.html"
    file.write_text(text, encoding="utf-8")
    arguments = ["--no-sandbox"] if os.name == "posix" and os.geteuid() == 0 else []
    with pytest.importorskip("playwright.sync_api").sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=programme, args=arguments)
        view = browser.new_page(viewport={"width": 360, "height": 800})
        problems = []
        view.on("console", lambda said: problems.append(said.text) if said.type in ("error", "warning") else None)
        view.on("pageerror", lambda error: problems.append(str(error)))
        view.on("request", lambda sent: problems.append(sent.url) if not sent.url.startswith(("file:", "data:")) else 0)
        view.goto(file.as_uri())

        def rows():
            return [row.inner_text().split()[0] for row in view.query_selector_all("tbody tr") if row.is_visible()]

        view.fill("#find", "energy")
        view.select_option("#verdict", "falsified")
        assert (rows(), view.inner_text("#shown"), view.is_visible("#T12")) == (["P14"], "1 of 5", False)
        view.fill("#find", "")
        view.select_option("#verdict", "")
        assert rows() == ["T8", "T12", "P1", "P14", "C4"]
        view.get_by_role("button", name="Smallest slack").click()
        by_slack = sorted(rows())
        assert rows()[0] in ("P1", "P14")
        view.get_by_role("button", name="Statement").click()
        assert rows() == ["T8", "T12", "P1", "P14", "C4"] != by_slack
        view.eval_on_selector_all("details", "all => all.forEach(d => d.open = true)")
        assert view.evaluate("document.documentElement.scrollWidth") <= 360
        assert problems == []
        browser.close()
