"""Frames of the explorer while a point is dragged among 50 patterns, in a headless Chromium that draws on the CPU.

``python -m benchmarks.explorer``. A point is moved in every frame for four seconds; the gaps are those between frames.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

PAGE = (Path(__file__).parents[1] / "docs" / "explorer.html").as_uri()
DRAG = """async index => {
  const node = document.querySelectorAll(".point")[index], stage = document.getElementById("stage");
  const box = node.getBoundingClientRect(), x = box.x + box.width / 2, y = box.y + box.height / 2;
  const fire = (type, dx, dy) => node.dispatchEvent(new PointerEvent(type, {bubbles: true, cancelable: true,
    clientX: x + dx, clientY: y + dy, pointerId: 1, pointerType: "mouse", button: 0}));
  stage.setPointerCapture = () => {};  // only a real pointer can be captured
  fire("pointerdown", 0, 0);
  const gaps = [], spent = [];
  let before = null;
  for (let k = 0; k < 240; k++) {
    fire("pointermove", 60 * Math.sin(k / 20), 40 * Math.sin(k / 13));
    const now = await new Promise(done => requestAnimationFrame(() => done(performance.now())));
    if (before !== null) gaps.push(now - before);
    before = now;
    spent.push(explorer.spent);
  }
  fire("pointerup", 0, 0);
  const at = (values, share) => values.sort((a, b) => a - b)[Math.floor(share * (values.length - 1))];
  return [1000 * gaps.length / gaps.reduce((a, b) => a + b), ...[gaps, spent].flatMap(v => [at(v, 0.5), at(v, 0.95)])];
}"""


def main() -> int:
    programme = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if programme is None:
        print("benchmarks: no Chromium is installed", file=sys.stderr)
        return 2
    arguments = ["--no-sandbox"] if os.name == "posix" and os.geteuid() == 0 else []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=programme, args=arguments)
        view = browser.new_page(viewport={"width": 1280, "height": 800})
        view.goto(PAGE)
        loaded = view.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
        print(f"{os.path.getsize(PAGE.removeprefix('file://')):,} bytes, loaded after {loaded:.0f} ms")
        print("background  separation  dragged   frames/s   gap 50%  95%   script 50%  95% (ms)")
        for background in ("energy", "basins"):
            for separation in ("softmax_n", "entmax15"):
                view.select_option("#preset", "50 scattered patterns")
                view.select_option("#background", background)
                view.select_option("#separation", separation)
                for index, dragged in ((0, "query"), (3, "pattern")):
                    view.wait_for_function("explorer.isFinished")
                    frames, *times = view.evaluate(DRAG, index)
                    numbers = "  ".join(f"{time:6.1f}" for time in times)
                    print(f"{background:10}  {separation:10}  {dragged:8}  {frames:8.1f}    {numbers}")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
