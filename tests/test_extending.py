"""What docs/extending.md and failing property tests show is so."""

import re
from pathlib import Path

import pytest
import torch
from hypothesis import Phase, given, settings

import hopfield_theory as ht
from hopfield_theory.testing import memories

PAGE = (Path(__file__).parents[1] / "docs" / "extending.md").read_text(encoding="utf-8")


def test_the_ensemble_of_the_page_is_a_source_of_patterns():
    (text,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    names: dict = {}
    exec(text, names)
    patterns = ht.RandomPatterns(names["Sparse"](), 1000, 64, seed=0).tensor()
    assert len(patterns.unique()) == 2
    # a binomial number of 64 coordinates with p = ¼: mean norm² 1, standard deviation √(64·3/16)/16 of one row
    assert abs(float(patterns.square().sum(1).mean()) - 1.0) < 6 * 12**0.5 / 16 / 1000**0.5


def test_a_separation_with_the_three_methods_retrieves():
    class Own:
        def weights(self, scores):
            return torch.softmax(scores, -1)

        def conjugate(self, scores):
            return torch.logsumexp(scores, -1)

        def curvature(self, weights):
            return weights, torch.ones_like(weights[..., :1])

    patterns = torch.eye(3, dtype=torch.float64)
    own, dense = ht.Memory(patterns, 9.0, separation=Own()), ht.Memory(patterns, 9.0, 0.0)
    query = torch.tensor([0.9, 0.3, 0.0], dtype=torch.float64)
    torch.testing.assert_close(ht.retrieve(own, query).state, ht.retrieve(dense, query).state)
    with pytest.raises(TypeError, match="only SoftmaxN and Entmax have a certificate"):
        ht.certify(own)


@pytest.mark.slow
def test_failing_examples_print_their_patterns():
    @settings(phases=[Phase.generate])
    @given(memories(min_patterns=2))
    def fails(memory):
        assert memory.num_patterns < 2

    with pytest.raises(AssertionError) as caught:
        fails()
    assert any("patterns = [[" in line and "beta = " in line for line in caught.value.__notes__)
