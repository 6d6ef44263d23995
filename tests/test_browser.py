"""The pages in a real browser: at every width, in both themes, by keyboard alone, and to assistive technology."""

import dataclasses
from pathlib import Path

import pytest

import hopfield_theory as ht
from hopfield_theory.statements.registry import STATEMENTS
from hopfield_theory.verification import capacity_enclosures
from hopfield_theory.verification.capacity_enclosures import Enclosure
from hopfield_theory.verification.check import check
from hopfield_theory.verification.instances import Draws
from hopfield_theory.verification.render import table
from hopfield_theory.verification.render.page import page

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]

EXPLORER = Path(__file__).parents[1] / "docs" / "explorer.html"
SCREENS = [(390, "light"), (390, "dark"), (1280, "dark"), (1920, "light")]
FOCUSABLE = ":is(a[href], button, input, select, textarea, summary, [tabindex='0']):not(:disabled)"


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    """The address of a page of statements of every kind, with bounds that balls have confirmed."""
    confirmed = [Enclosure("C2", "all", 1.0, -8.0, -7.0, -6.9, True)]
    # of the trends of C4 those that do not search for bounds in many dimensions
    c4 = dataclasses.replace(STATEMENTS["C4"], parts=STATEMENTS["C4"].parts[:3] + STATEMENTS["C4"].parts[-2:])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(capacity_enclosures, "sandwich", lambda *_: confirmed)
        found = table.data([*ht.verify(["T8", "T12", "P1", "P14", "C2"], instances=50), *check([c4], Draws(0, 50), 0)])
    file = tmp_path_factory.mktemp("page") / "verdicts.html"
    file.write_text(page(found, version="0", level="quick", seed=0), encoding="utf-8")
    return file.as_uri()


@pytest.fixture(params=["explorer", "verdicts"])
def address(request):
    return EXPLORER.as_uri() if request.param == "explorer" else request.getfixturevalue("verdicts")


@pytest.fixture
def unfolded(address, visit):
    """Open the page with everything unfolded."""

    def opened(*args, **settings):
        view = visit(address, *args, **settings)
        view.eval_on_selector_all("details", "all => all.forEach(d => d.open = true)")
        return view

    return opened


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_it_fits_and_is_accessible(unfolded, width, scheme):
    fits_and_is_accessible(unfolded(width, color_scheme=scheme), width)


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_the_site_fits_and_is_accessible(site, visit, width, scheme):
    fits_and_is_accessible(visit((site / "index.html").as_uri(), width, color_scheme=scheme), width)


def fits_and_is_accessible(view, width):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    assert view.evaluate("document.documentElement.scrollWidth") <= width
    # nothing is cut off at the side either, unless it can be scrolled
    cut = f"""all => all.filter(e => e.checkVisibility() && e.getBoundingClientRect().right > {width} &&
        !e.closest('.wide, .formula, .scroll, .skip, .md-sidebar, #stage')).map(e => e.outerHTML.slice(0, 80))"""
    assert view.eval_on_selector_all("main *", cut) == []
    # preloading would fetch the sheets of the site, which a browser refuses for files
    found = axe.run(view, options={"preload": False, "resultTypes": ["violations"]}).response["violations"]
    assert [f"{v['id']}: {v['nodes'][0]['html']}" for v in found if v["impact"] in ("serious", "critical")] == []


def test_the_site_by_keyboard_alone(site, visit):
    view = visit((site / "index.html").as_uri())
    expected = view.eval_on_selector_all(":is(.md-tabs, .md-content) a[href]", "all => all.map(e => e.href)")
    reached = []
    while (view.keyboard.press("Tab") or view.evaluate("document.activeElement.tagName")) != "BODY":
        # the switch of the theme is drawn by its label
        focus = "(e => e.matches('.md-option') ? e.nextElementSibling : e)(document.activeElement)"
        assert view.evaluate(f"getComputedStyle({focus}).outlineStyle") in ("solid", "auto")
        if view.evaluate("document.activeElement.matches(':is(.md-tabs, .md-content) a')"):
            reached.append(view.evaluate("document.activeElement.href"))
    assert reached == expected
    assert len(expected) > 15


@pytest.mark.parametrize("width", [390, 1280])
def test_the_keyboard_reaches_every_control_in_the_order_of_the_page(unfolded, width):
    view = unfolded(width)
    view.evaluate(f"""() => {{
        const shown = e => e.checkVisibility({{visibilityProperty: true}});
        window.all = [...document.querySelectorAll("{FOCUSABLE}")].filter(shown);
        window.reached = [];
        addEventListener("focusin", event => reached.push(all.indexOf(event.target)));
    }}""")
    expected = list(range(view.evaluate("all.length")))
    for _ in expected:
        view.keyboard.press("Tab")
        # where the focus is can be seen
        assert view.evaluate("getComputedStyle(document.activeElement).outlineStyle") in ("solid", "auto")
    assert view.evaluate("reached") == expected
    assert len(expected) > 15


def test_the_site_is_searched_as_one_types(site, visit):
    view = visit((site / "index.html").as_uri())
    view.get_by_placeholder("Search").fill("finite-size law")
    found = view.locator("a.md-search-result__link").filter(has_text="C9")
    found.first.wait_for()
    found.first.click()
    view.wait_for_load_state()
    assert "statements.html" in view.url
    assert view.locator("#c9-finite-size-law-of-storage").is_visible()
