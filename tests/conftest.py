"""Settings of the whole suite."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import Phase, settings
from safetensors.torch import save_file

# without a GPU, kernels run in Triton's interpreter, which reads this when a kernel is defined
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

# the same examples on every run and no limit on the time of one: a red test means a changed program
settings.register_profile("deterministic", derandomize=True, deadline=None, print_blob=True, max_examples=50)
settings.load_profile("deterministic")
# for runs that only ask whether a test fails, not on which smallest example
settings.register_profile(
    "unshrunk", parent=settings.get_profile("deterministic"), phases=[Phase.explicit, Phase.generate]
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Begin with the slow tests; one process runs all quick ones of a file, which share what is computed once."""
    if getattr(config.option, "loadgroup", False):
        items.sort(key=lambda item: item.get_closest_marker("slow") is None)
        for item in items:
            if item.get_closest_marker("slow") is None and item.get_closest_marker("xdist_group") is None:
                path = item.path.relative_to(config.rootpath)
                # examples of the bounds search for the witnesses that the tests of bounds search for
                group = "witnesses" if path.is_relative_to("hopfield_theory/bounds") else path.as_posix()
                item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def save():
    """Return a way to write an array in the format of a path's ending, as users do."""

    def write(path, array):
        match path.suffix:
            case ".npy":
                np.save(path, array)
            case ".npz":
                np.savez_compressed(path, patterns=array)
            case ".csv":
                pd.DataFrame(array).to_csv(path, index=False, header=False)
            case ".parquet":
                pd.DataFrame(array, columns=[f"x{i}" for i in range(array.shape[1])]).to_parquet(path)
            case ".pt":
                torch.save(torch.from_numpy(array), path)
            case ".safetensors":
                save_file({"patterns": torch.from_numpy(array)}, path)

    return write


@pytest.fixture(scope="module")
def chromium():
    """A headless Chromium; the test is skipped where there is none."""
    programme = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if programme is None:
        pytest.skip("no Chromium is installed")
    arguments = ["--no-sandbox"] if os.name == "posix" and os.geteuid() == 0 else []
    with pytest.importorskip("playwright.sync_api").sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=programme, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium):
    """Open a page; at the end of the test none has complained or asked a network for anything."""
    views, problems = [], []

    def opened(address, width=1280, **settings):
        view = chromium.new_page(viewport={"width": width, "height": 800}, **settings)
        views.append(view)
        view.on("console", lambda said: problems.append(said.text) if said.type in ("error", "warning") else None)
        view.on("pageerror", lambda error: problems.append(str(error)))
        view.on("request", lambda sent: problems.append(sent.url) if not sent.url.startswith(("file:", "data:")) else 0)
        view.goto(address)
        return view

    yield opened
    for view in views:
        view.close()
    assert problems == []


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The site, built without a warning."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder]
    built = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    assert "WARNING -" not in built.stderr
    return folder
