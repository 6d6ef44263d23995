"""What docs/attention.md says runs, and prints what it says."""

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "attention.md").read_text()


def test_the_page_runs_and_prints_what_it_says(capsys):
    pytest.importorskip("transformers")
    names: dict = {}
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 5
    for block in blocks:
        # the first model of the page is of full size: a small one will do
        exec(
            block.replace("BertConfig()", "BertConfig(hidden_size=24, intermediate_size=24, num_hidden_layers=1)"),
            names,
        )
    printed = capsys.readouterr().out.strip()
    assert printed in PAGE
    assert printed.count("[False, True]") == 3
