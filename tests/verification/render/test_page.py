"""The page of verdicts: what it says, and what it does in a real browser."""

import os
import re
import shutil
import xml.etree.ElementTree as ET

import pytest

import hopfield_theory as ht
from hopfield_theory.statements.formulas import FORMULAS
from hopfield_theory.statements.proofs import PROOFS
from hopfield_theory.statements.registry import STATEMENTS
from hopfield_theory.verification.render.page import FIGURES, page

PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a49444154789c6360000000020001e221bc330000"
    "000049454e44ae426082"
)


@pytest.fixture(scope="module")
def verdicts():
    return ht.verify(["T8", "T12", "P1", "P14", "C4"], instances=300)


@pytest.fixture(scope="module")
def text(verdicts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures")
    (folder / "basins.png").write_bytes(PICTURE)
    return page(verdicts, version="1.2<3", level="quick", seed=0, figures=folder)


def test_every_statement_has_a_formula_and_a_proof():
    from latex2mathml.converter import convert

    assert list(FORMULAS) == list(PROOFS) == list(STATEMENTS)
    for formula in FORMULAS.values():
        said = "".join(ET.fromstring(convert(formula)).itertext())
        assert "\\" not in said, formula
    names = [name for about in FIGURES.values() for name in about]
    assert set(names) <= set(STATEMENTS)
    assert len(names) == len(set(names))


def test_the_page_says_what_was_found(text, verdicts):
    assert "All 5 verdicts are as expected." in text
    assert "1.2&lt;3" in text
    for verdict in verdicts:
        name = verdict.statement.name
        article = re.search(rf'<article id="{name}".*?</article>', text, re.DOTALL)[0]
        assert "<math" in article
        assert verdict.outcome.value in article
        assert f"hopfield-theory verify {name} --level quick --seed 0" in article
    assert "patterns = [[1]]\nbeta = 1\nnoop = 1\nquery = [0]" in text
    # a figure that is there, and one that is not
    assert 'src="data:image/png;base64,iVBOR' in text
    assert "python -m figures closeness" in text
    # what is not on the page is no link
    assert 'href="#T10"' not in text
    assert "T10 Who is closer after one update" in text


def test_nothing_comes_from_elsewhere(text):
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:)[^"']*""", text)
    assert "@import" not in text
    assert "url(" not in text


def test_without_the_converter_the_extra_is_named(monkeypatch, verdicts):
    monkeypatch.setitem(__import__("sys").modules, "latex2mathml.converter", None)
    with pytest.raises(ImportError, match=r"hopfield-theory\[report\]"):
        page(verdicts[:1], version="", level="quick", seed=0)


# --- in a browser ---


@pytest.fixture(scope="module")
def browser():
    programme = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if programme is None:
        pytest.skip("no Chromium is installed")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        arguments = ["--no-sandbox"] if os.name == "posix" and os.geteuid() == 0 else []
        opened = driver.chromium.launch(executable_path=programme, args=arguments)
        yield opened
        opened.close()


@pytest.fixture
def shown(browser, text, tmp_path):
    file = tmp_path / "verdicts.html"
    file.write_text(text, encoding="utf-8")
    view = browser.new_page(viewport={"width": 1200, "height": 800})
    problems, requests = [], []
    view.on("console", lambda message: problems.append(message.text) if message.type in ("error", "warning") else None)
    view.on("pageerror", lambda error: problems.append(str(error)))
    view.on("request", lambda request: requests.append(request.url))
    view.goto(file.as_uri())
    yield view
    assert problems == []
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    view.close()


def rows(view):
    return [row.inner_text().split()[0] for row in view.query_selector_all("tbody tr") if row.is_visible()]


def test_the_filter_hides_rows_and_articles(shown):
    assert rows(shown) == ["T8", "T12", "P1", "P14", "C4"]
    shown.fill("#find", "gate identity")
    assert rows(shown) == ["T8"]
    assert not shown.is_visible("#T12")
    assert shown.inner_text("#shown") == "1 of 5"
    shown.fill("#find", "")
    shown.select_option("#verdict", "falsified")
    assert rows(shown) == ["P1", "P14"]
    shown.fill("#find", "energy")
    assert rows(shown) == ["P14"]
    shown.select_option("#verdict", "")
    shown.fill("#find", "no such words")
    assert rows(shown) == []
    assert shown.inner_text("#shown") == "0 of 5"


def test_headings_sort_both_ways(shown, verdicts):
    by_instances = [v.statement.name for v in sorted(verdicts, key=lambda v: v.instances)]
    heading = shown.get_by_role("button", name="Instances")
    heading.click()
    assert rows(shown) == by_instances
    assert heading.locator("..").get_attribute("aria-sort") == "ascending"
    heading.click()
    assert rows(shown) == by_instances[::-1]
    shown.get_by_role("button", name="Statement").click()
    assert rows(shown) == ["T8", "T12", "P1", "P14", "C4"]
    assert heading.locator("..").get_attribute("aria-sort") == "none"
    shown.get_by_role("button", name="Smallest slack").click()
    assert rows(shown)[0] == min(verdicts, key=lambda v: v.worst.smallest_slack).statement.name


def test_it_works_by_keyboard_alone(shown):
    shown.keyboard.press("Tab")
    assert shown.evaluate("document.activeElement.id") == "find"
    shown.keyboard.type("falsified?no")
    shown.keyboard.press("ControlOrMeta+a")
    shown.keyboard.type("T12")
    assert rows(shown) == ["T12"]
    fold = shown.locator("#T12 details").first
    assert fold.get_attribute("open") is None
    fold.locator("summary").focus()
    shown.keyboard.press("Enter")
    assert fold.get_attribute("open") is not None
    assert "Banach" in fold.inner_text()
    shown.keyboard.press("Enter")
    assert fold.get_attribute("open") is None


@pytest.mark.parametrize("width", [360, 800, 1600])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_every_width_in_light_and_dark(shown, width, scheme):
    shown.emulate_media(color_scheme=scheme)
    shown.set_viewport_size({"width": width, "height": 800})
    shown.eval_on_selector_all("details", "all => all.forEach(d => d.open = true)")
    assert shown.evaluate("document.documentElement.scrollWidth") <= width
    ink, paper = shown.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    )
    brightness = [sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in (ink, paper)]
    assert (brightness[0] > brightness[1]) == (scheme == "dark")
    # WCAG asks for 4.5
    assert contrast(ink, paper) >= 7
    for kind in ("holds", "falsified"):
        colour = shown.evaluate(f"getComputedStyle(document.querySelector('td .{kind}')).color")
        assert contrast(colour, paper) >= 4.5, kind


def contrast(one, other):
    def luminance(colour):
        channels = [int(x) / 255 for x in re.findall(r"\d+", colour)[:3]]
        linear = [x / 12.92 if x <= 0.03928 else ((x + 0.055) / 1.055) ** 2.4 for x in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_mathematics_is_set_and_pictures_are_there(shown):
    assert shown.locator("math").count() == 5
    assert shown.locator("#T12 math").bounding_box()["height"] > 10
    assert (
        shown.evaluate("document.querySelector('#T12 img').complete && document.querySelector('#T12 img').naturalWidth")
        == 1
    )
