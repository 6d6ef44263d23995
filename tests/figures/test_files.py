"""All figures are there, twice the same bytes, and every text in them can be read."""

import importlib
import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from figures import style
from figures.__main__ import NAMES, draw
from figures.results import load
from hopfield_theory import __version__
from tests.figures.stored import cells, rewrite, unrendered

SOME = NAMES[::9]


@pytest.fixture(scope="module")
def written(made, tmp_path_factory):
    """Some figures, as the command writes them in a process of its own."""
    out = tmp_path_factory.mktemp("figures")
    line = [sys.executable, "-m", "figures", *SOME, "--results", str(made), "--out", str(out), "--dpi", "60"]
    result = subprocess.run(line, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert not result.stderr
    return out


@pytest.mark.slow
@pytest.mark.xdist_group("figures")
def test_all_are_there(written):
    endings = ("pdf", "png", "md")
    assert {path.name for path in written.iterdir()} == {f"{name}.{ending}" for name in SOME for ending in endings}


def test_a_figure_is_named_after_what_it_is_drawn_from():
    for name in NAMES:
        needs = importlib.import_module(f"figures.{name}").NEEDS
        assert any(name == first or name.startswith(f"{first}_") for first in needs), name


@pytest.mark.slow
@pytest.mark.xdist_group("figures")
@pytest.mark.parametrize("name", SOME)
def test_files_name_their_results(name, made, written):
    module = importlib.import_module(f"figures.{name}")
    pdf, caption = (written / f"{name}.pdf").read_bytes(), (written / f"{name}.md").read_text()
    with Image.open(written / f"{name}.png") as image:
        text, width = image.text, image.width / 60
    for experiment, columns in module.NEEDS.items():
        found = load(made, experiment, columns)
        assert f"sha256:{found.digest}" in text["Comment"]
        assert found.digest.encode() in pdf
        assert found.digest[:16] in caption
        assert f"seed 0, version {__version__}" in text["Description"]
    assert b"/Type3" not in pdf
    assert b"/FontFile2" in pdf
    assert b"CreationDate" not in pdf
    assert width == pytest.approx(3.25, abs=0.02) or width == pytest.approx(6.75, abs=0.02)
    assert "nan" not in caption.lower().split()


@pytest.mark.slow
@pytest.mark.xdist_group("figures")
def test_the_same_results_give_the_same_bytes(made, written, tmp_path):
    # another process, another second, other settings of the user's
    mpl.rcParams["font.size"] = 20
    try:
        for name in SOME:
            for path in draw(name, made, tmp_path, dpi=60):
                assert path.read_bytes() == (written / path.name).read_bytes(), path.name
    finally:
        mpl.rcdefaults()


def test_other_results_give_another_digest(filled):
    folder, cell = filled("basins"), cells("basins")[0]
    before = load(folder, "basins").digest
    rewrite(folder, cell, seconds=99.0, device="cuda")
    assert load(folder, "basins").digest == before
    rewrite(folder, cell, rate=0.5)
    assert load(folder, "basins").digest != before


def test_another_page(made, tmp_path):
    draw("speed", made, tmp_path, "neurips", dpi=100)
    with Image.open(tmp_path / "speed.png") as image:
        assert image.width / 100 == pytest.approx(5.5, abs=0.01)


@pytest.mark.parametrize(
    ("name", "page"), [*((name, "icml") for name in NAMES), ("exponents", "neurips"), ("landscape", "neurips")]
)
def test_every_text_can_be_read(name, page, made, drawn, readable):
    readable(drawn(name)[0][0].get_figure(root=True) if page == "icml" else unrendered(name, made, page)[0])


def test_models_are_told_apart_in_grey():
    looks = list(style.MODELS.values())
    assert len({look.marker for look in looks}) == len({look.colour for look in looks}) == 4
    linear = [((np.array(mpl.colors.to_rgb(look.colour)) + 0.055) / 1.055) ** 2.4 for look in looks]
    lightness = sorted(116 * np.cbrt(max(rgb @ [0.2126, 0.7152, 0.0722], 0.0089)) - 16 for rgb in linear)
    assert np.diff(lightness).min() > 15
