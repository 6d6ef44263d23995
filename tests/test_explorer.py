"""The explorer in a real browser: its mathematics beside the library's, its link, its keys and fingers."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from hopfield_theory import Entmax, Memory, retrieve
from hopfield_theory.certificates.ball_bound import certified_balls
from hopfield_theory.certificates.rejection import rejection

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]

PAGE = (Path(__file__).parents[1] / "docs" / "explorer.html").as_uri()
ALPHA = {"entmax15": 1.5, "sparsemax": 2.0}
SEPARATIONS = ("softmax", "softmax_n", *ALPHA)

EVALUATE = """cases => cases.map(given => {
  const memory = new mathematics.Memory(given), [x, y] = given.query, energy = memory.energy(x, y);
  const update = [memory.tx, memory.ty], weights = [...memory.weights], noop_weight = memory.noopWeight;
  const found = memory.retrieve(x, y), balls = given.patterns.map((_, i) => memory.ball(i));
  return {energy, update, weights, noop_weight, found, balls, rejection: memory.rejection(),
    closeness: memory.closeness(x, y, 0)};
})"""


def case(rng, separation):
    count = int(rng.integers(1, 13, 2).min())
    angles = rng.uniform(0, 2 * np.pi, count)
    # half of the memories are on a circle, where more patterns are certified
    lengths = 1.0 if rng.uniform() < 0.5 else rng.uniform(0.2, 1.5, count)
    return {
        "patterns": (lengths * np.stack([np.cos(angles), np.sin(angles)])).T.tolist(),
        "beta": 10 ** rng.uniform(-0.5, 2.5),
        "noop": 10 ** rng.uniform(-3, 8),
        "query": rng.uniform(-1.5, 1.5, 2).tolist(),
        "separation": separation,
    }


def memory_of(case):
    patterns = torch.tensor(case["patterns"], dtype=torch.float64)
    if case["separation"] in ALPHA:
        return Memory(patterns, case["beta"], separation=Entmax(ALPHA[case["separation"]]))
    return Memory(patterns, case["beta"], case["noop"] if case["separation"] == "softmax_n" else 0.0)


def close(value, right, atol=1e-12):
    torch.testing.assert_close(torch.as_tensor(value, dtype=torch.float64), right, rtol=1e-6, atol=atol)


@pytest.fixture(scope="module")
def asked(chromium):
    """What the browser computes of many memories, by separation."""
    view = chromium.new_page()
    view.goto(PAGE + BARE)
    cases = {
        name: [case(rng, name) for _ in range(60)]
        for name, rng in ((name, np.random.default_rng(index)) for index, name in enumerate(SEPARATIONS))
    }
    told = {name: view.evaluate(EVALUATE, given) for name, given in cases.items()}
    view.close()
    return {
        name: [(given, memory_of(given), answer) for given, answer in zip(cases[name], told[name], strict=True)]
        for name in SEPARATIONS
    }


@pytest.fixture
def compared(request, asked):
    """Return cases of one separation, their memories, and what the browser computes of them."""
    return asked[request.param]


each_separation = pytest.mark.parametrize("compared", SEPARATIONS, indirect=True)


@each_separation
def test_energy_update_and_weights_are_those_of_the_library(compared):
    for given, memory, told in compared:
        close(told["energy"], memory.energy(given["query"]))
        close(told["update"], memory.update(given["query"]))
        close(told["weights"], memory.weights(given["query"]))
        close(told["noop_weight"], memory.noop_weight(given["query"]))


@each_separation
def test_the_fixed_point_is_that_of_the_library(compared):
    settled = 0
    for given, memory, told in compared:
        found = retrieve(memory, given["query"], tol=1e-12, max_steps=2000)
        assert told["found"]["converged"] == bool(found.converged)
        if found.converged:
            settled += 1
            # both are within L/(1 − L) last steps of it (T13): 1e-8 allows L up to 0.9999
            close(told["found"]["state"], found.state, atol=1e-8)
            assert told["found"]["path"][:2] == given["query"]
            assert len(told["found"]["path"]) == 2 * told["found"]["steps"] + 2
    assert settled > 0.93 * len(compared)


def sums(given, index):
    """Return w and g of the terms of ε for a pattern, and how many of them are patterns."""
    patterns = np.array(given["patterns"])
    own, others = patterns[index], np.delete(patterns, index, 0)
    w, g = np.linalg.norm(others - own, axis=1), (own - others) @ own
    if given["separation"] == "softmax_n":
        w, g = np.append(w, np.linalg.norm(own)), np.append(g, own @ own - math.log(given["noop"]) / given["beta"])
    return w, g, len(others)


def inflated(given, index, R):
    r"""Return an upper bound on the ε of the library's first sweep.

    It keeps the slot and the nearest score, and replaces e^{β(R − R₀)w} of the others by its chord between the least
    and the largest w, R₀ = 1/(2βm). A chord of an exponential over an interval on which the exponent changes by t is at
    most Specht's ratio S(t) = (h − 1) h^{1/(h − 1)}/(e ln h), h = e^t, times the exponential.
    """
    w, g, others = sums(given, index)
    beta, m = given["beta"], np.linalg.norm(given["patterns"], axis=1).max()
    spread = np.ptp(w[:others]) if others > 2 else 0.0
    h = np.exp(np.maximum(beta * abs(R - 0.5 / (beta * m)) * spread, 1e-9))
    ratio = np.where(h > 1 + 1e-6, (h - 1) * h ** (1 / np.maximum(h - 1, 1e-6)) / (np.e * np.log(h)), 1.0)
    ratio = 1.0 if others <= 2 else np.maximum(ratio, 1.0)
    return ratio * (1 + 1e-9) * (w * np.exp(-beta * (g - R[:, None] * w))).sum(1)


@pytest.mark.parametrize("compared", ["softmax", "softmax_n"], indirect=True)
def test_certified_balls_are_those_of_the_library_up_to_its_margins(compared):
    """The library bounds the same sums from above, so its balls are no larger and its errors no smaller.

    Up to rounding margins, which move them by less than 1e-6, it has the page's own sums for up to two other patterns
    (its chord is exact at the least and the largest distance), and at most ``inflated`` for more: an R that passes with
    that is at most the library's radius and at least the limit of its error.
    """
    seen = {"ball": 0, "none": 0, "exact": 0}
    for given, memory, told in compared:
        proof = certified_balls(memory, torch.arange(len(memory.patterns)))
        for index, ball in enumerate(told["balls"]):
            radius, error = proof.radius[index].item(), proof.error[index].item()
            if ball is None:
                assert radius == 0
                seen["none"] += 1
                continue
            assert radius <= ball["radius"] * (1 + 1e-9)
            if ball["radius"] == math.inf:
                assert (radius, error) == (math.inf, 0)
                continue
            R = np.geomspace(max(ball["error"], 1e-12), ball["radius"], 1001)
            passing = R[inflated(given, index, R) <= R]
            if len(passing) == 0 or passing[0] >= 0.5 * ball["nearest"]:
                continue
            seen["ball"] += 1
            assert radius >= passing[-1]
            assert error >= ball["error"] * (1 - 1e-9)
            # the library iterates ε 30 times towards its least radius: enough where L is at most ½
            if ball["contraction"] <= 0.25 and proof.contraction[index] <= 0.5:
                assert error <= passing[0] * (1 + 1e-6)
            if len(memory.patterns) <= 3 and ball["contraction"] < 0.5:
                seen["exact"] += 1
                assert radius == pytest.approx(ball["radius"], rel=1e-6)
                assert error == pytest.approx(ball["error"], rel=1e-6, abs=1e-250)
    assert min(seen.values()) > 10, seen


@pytest.mark.parametrize("compared", list(ALPHA), indirect=True)
def test_sparse_balls_are_those_of_the_library(compared):
    """Both are min (g − margin)/w: the errors of its scores, below 1e-13 m², are divided by the least distance."""
    certified = 0
    for _, memory, told in compared:
        proof = certified_balls(memory, torch.arange(len(memory.patterns)))
        allowed = 1e-11 / proof.nearest_distance.clamp(1e-4, 1)
        radii = torch.tensor([0.0 if ball is None else ball["radius"] for ball in told["balls"]], dtype=torch.float64)
        certified += int((radii > 0).sum())
        unequal = radii != proof.radius
        assert bool(((radii - proof.radius).abs()[unequal] <= (1e-6 * radii + allowed)[unequal]).all())
        assert all(ball is None or ball["error"] == 0 for ball in told["balls"])
    assert certified > 60


@each_separation
def test_the_rejection_ball_is_that_of_the_library(compared):
    proved = 0
    for _, memory, told in compared:
        ball, proof = told["rejection"], rejection(memory)
        assert (ball is None) == (proof is None)
        if proof is not None and ball is not None:
            proved += 1
            assert ball["error"] == pytest.approx(proof.error, rel=1e-6, abs=1e-14)
            assert ball["radius"] == pytest.approx(proof.radius, rel=1e-6)
    assert (proved > 20) == (compared[0][0]["separation"] == "softmax_n")


@pytest.mark.parametrize("compared", ["softmax_n"], indirect=True)
def test_t10_is_that_of_the_library(compared):
    for given, memory, told in compared:
        query, first = given["query"], memory.patterns[0]
        dense, answer, p0 = memory.at(noop=0.0).update(query), memory.update(query), memory.noop_weight(query)
        close(told["closeness"]["dense"], dense)
        close(told["closeness"]["answer"], answer)
        close(told["closeness"]["noopWeight"], p0)
        close(told["closeness"]["bracket"], (2 - p0) * dense @ dense - 2 * dense @ first)
        gained = (dense - first) @ (dense - first) - (answer - first) @ (answer - first)
        close(p0 * told["closeness"]["bracket"], gained)


STATE = {
    "patterns": [[1, 0.2], [-0.3, 0.9], [-0.8, -0.75], [0.31, -1]],
    "query": [0.25, -0.1],
    "beta": 6,
    "noop": 3,
    "separation": "softmax_n",
    "target": 1,
    "background": "basins",
    "show": ["path", "boundary"],
}
LINK = (
    "#patterns=1,0.2;-0.3,0.9;-0.8,-0.75;0.31,-1&query=0.25,-0.1&beta=6&noop=3&separation=softmax_n&target=2"
    "&background=basins&show=path,boundary"
)
# with nothing to compute behind the points
BARE = LINK.partition("&background")[0] + "&background=none&show="


def finished(view):
    view.wait_for_function("explorer.isFinished")
    return view


def test_the_boundary_of_t10_and_the_basins_are_those_of_the_library(visit):
    """Each vertex of the boundary is on an edge of the grid at whose ends the library's answers differ in sign."""
    view = finished(visit(PAGE + LINK))
    memory, n, side = memory_of(STATE), 320, 1.6
    axis = (torch.arange(n, dtype=torch.float64) + 0.5) * (2 * side / n) - side
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="ij")[::-1], -1)
    answers, dense, target = memory.update(grid), memory.at(noop=0.0).update(grid), memory.patterns[1]
    closer = torch.linalg.vector_norm(answers - target, dim=-1) < torch.linalg.vector_norm(dense - target, dim=-1)
    edges = {(r, c, "x") for r, c in (closer[:, 1:] != closer[:, :-1]).nonzero().tolist()}
    edges |= {(r, c, "y") for r, c in (closer[1:] != closer[:-1]).nonzero().tolist()}
    drawn = set()
    vertices = np.reshape(view.evaluate("[...explorer.background.lines]"), (-1, 2))
    for x, y in vertices.tolist():
        column, row = ((value + side) * n / (2 * side) - 0.5 for value in (x, y))
        across = abs(row - round(row)) < 1e-9
        drawn.add((round(row), math.floor(column), "x") if across else (math.floor(row), round(column), "y"))
    assert len(edges) > 300
    assert drawn == edges

    cells = torch.from_numpy(np.random.default_rng(0).integers(0, n, (500, 2)))
    starts = grid[cells[:, 0], cells[:, 1]]
    ends = retrieve(memory, starts).state
    nearest, distance = memory.nearest(ends)
    expected = torch.where(torch.linalg.vector_norm(ends, dim=-1) < distance, -1, nearest)
    shown = torch.tensor(view.evaluate("[...explorer.background.finest]"), dtype=torch.int64).reshape(n, n)[
        cells[:, 0], cells[:, 1]
    ]
    # the page stops at shorter paths: a start on a boundary may be on its other side
    assert (shown != expected).sum() <= 2
    assert len(expected.unique()) > 2


def test_a_link_restores_the_whole_state(visit):
    view = visit(PAGE + LINK)
    assert view.evaluate("explorer.state") == STATE
    assert view.evaluate("explorer.link()") == LINK
    # what is changed by hand is in the address soon after
    view.select_option("#preset", "a close pair")
    view.locator("#beta").press("ArrowRight")
    view.locator("#balls").uncheck()
    view.wait_for_function("location.hash === explorer.link() && location.hash.includes('-1,0')")
    again = visit(view.url)
    assert again.evaluate("explorer.state") == view.evaluate("explorer.state")
    again.evaluate(f"location.hash = {LINK!r}")
    again.wait_for_function("explorer.state.patterns.length === 4")
    assert again.evaluate("explorer.state") == STATE


WRONG = {
    "#beta=0": "beta is 0: it must be a number from 0.1 to 1000",
    "#patterns=1,2,3": "a pattern is 1,2,3: it must be two numbers",
    "#patterns=1,": "a pattern is : it must be a number",
    "#separation=softest": "separation is softest: it must be one of softmax, softmax_n",
    "#patterns=0,1&target=2": "target is no pattern",
    "#colour=red": "a word of the link is colour",
}


def test_a_link_that_is_wrong_is_named(visit):
    """The first is opened, the others are written into its address."""
    view = visit(PAGE + next(iter(WRONG)))
    for fragment, complaint in WRONG.items():
        view.evaluate(f"location.hash = {fragment!r}")
        view.wait_for_function(f"document.getElementById('said').textContent.includes({complaint!r})")
        assert len(view.evaluate("explorer.state.patterns")) == 5


def test_points_are_moved_added_and_removed_with_keys(visit):
    view = visit(PAGE + BARE)
    view.keyboard.press("Tab")
    view.keyboard.press("Tab")
    view.keyboard.press("ArrowUp")
    view.keyboard.press("Shift+ArrowLeft")
    assert view.evaluate("explorer.state.query") == [0.248, -0.08]
    view.keyboard.press("Tab")
    view.keyboard.press("ArrowDown")
    assert view.evaluate("[explorer.state.patterns[0], explorer.state.target]") == [[1, 0.18], 0]
    view.keyboard.press("a")
    assert view.evaluate("[explorer.state.patterns[4], explorer.state.target]") == [[1.1, 0.28], 4]
    assert view.evaluate("document.activeElement.textContent") == "5"
    view.keyboard.press("Delete")
    view.keyboard.press("Backspace")
    assert view.evaluate("explorer.state.patterns.length") == 3
    assert view.evaluate("document.activeElement.textContent") == "3"
    view.keyboard.press("Backspace")
    view.keyboard.press("Backspace")
    view.keyboard.press("Backspace")
    assert view.evaluate("explorer.state.patterns") == [[1, 0.18]]
    # at the edge of the plane it stays there
    for _ in range(40):
        view.keyboard.press("ArrowRight")
    assert view.evaluate("explorer.state.patterns") == [[1.6, 0.18]]


def place(view, x, y):
    box = view.locator("#stage").bounding_box()
    return box["x"] + box["width"] * (1 + x / 1.6) / 2, box["y"] + box["height"] * (1 - y / 1.6) / 2


def test_points_are_dragged_with_the_mouse(visit):
    view = visit(PAGE + LINK)
    view.mouse.move(*place(view, 1, 0.2))
    view.mouse.down()
    view.mouse.move(*place(view, 0.5, 0.5), steps=5)
    view.mouse.up()
    assert view.evaluate("explorer.state.patterns[0]") == pytest.approx([0.5, 0.5], abs=0.01)
    view.mouse.click(*place(view, 0, 0.2))
    assert view.evaluate("explorer.state.query") == pytest.approx([0, 0.2], abs=0.01)
    view.mouse.dblclick(*place(view, -1, 0.5))
    assert view.evaluate("explorer.state.patterns[4]") == pytest.approx([-1, 0.5], abs=0.01)


def test_points_are_dragged_with_a_finger(visit):
    view = visit(PAGE + BARE, width=390, has_touch=True)
    finger = view.context.new_cdp_session(view)

    def touch(kind, *where):
        points = [{"x": x, "y": y} for x, y in where]
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", place(view, 1, 0.2))
    for x in (0.9, 0.8, 0.6):
        touch("touchMove", place(view, x, 0.5))
    touch("touchEnd")
    assert view.evaluate("explorer.state.patterns[0]") == pytest.approx([0.6, 0.5], abs=0.01)
    view.touchscreen.tap(*place(view, -0.5, 0.3))
    assert view.evaluate("explorer.state.query") == pytest.approx([-0.5, 0.3], abs=0.01)
