"""Results say what they are: one line when printed, in full on demand and in a notebook, and alike everywhere."""

import dataclasses
import math
from html.parser import HTMLParser

import pytest
import torch

import hopfield_theory as ht
from hopfield_theory import _sentences
from hopfield_theory.certificates.find_beta import SearchInterruptedError
from hopfield_theory.cli import render
from hopfield_theory.verification.own import probed
from hopfield_theory.verification.verdicts import how_many_as_expected

PATTERNS = torch.tensor([[1.0, 0.1], [1.0, -0.1], [-1.0, 0.0], [-1.0, 0.0]], dtype=torch.float64)
BATCH = torch.randn(500, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
# a reading of a claim with every character that HTML must not see
CLAIM = ht.Statement(
    name="A<b>", title="a & b", claim='‖x‖ < "β" & n > 1', parts=(ht.Implication("never", lambda i: -i.beta),)
)


class Text(HTMLParser):
    """The words of a page, and whether every tag was closed by its own."""

    def __init__(self, page):
        super().__init__()
        self.words, self.open = [], []
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def results():
    memory = ht.Memory(PATTERNS, beta=8.0)
    verdicts = ht.verify(["T8", "P14"], instances=50)
    yield from (ht.certify(memory), ht.find_beta(PATTERNS), ht.retrieve(memory, BATCH, accelerate=True))
    yield from (ht.retrieve(memory, BATCH[0]), ht.retrieve(memory, BATCH[:0]), verdicts, *verdicts)


def test_printed_in_a_line_and_told_in_sentences():
    for result in results():
        name = type(result).__name__
        assert repr(result) == str(result)
        assert "tensor" not in repr(result)
        assert len(repr(result).splitlines()) == 1
        assert repr(result).startswith(f"<{name}: ")
        assert repr(result)[len(name) + 3 : -1] in result.lines(), name
        assert result.summary().splitlines() == result.lines(), name
        words = Text(result._repr_html_()).words
        assert [line for line in words if line in result.lines()] == result.lines(), name


def test_html_is_escaped():
    [claim] = probed([CLAIM])
    verdicts = ht.verify([claim], instances=50)
    for page in (verdicts._repr_html_(), verdicts[0]._repr_html_()):
        assert f"A<b> is false: {CLAIM.claim}" in Text(page).words


def test_the_command_line_says_no_other_words():
    memory = ht.Memory(PATTERNS, beta=8.0)
    proof, found = ht.certify(memory), ht.retrieve(memory, BATCH)
    said = render.certificate_lines(memory, proof, ht.least_noop(memory))
    assert said[: len(proof.lines()) - 1] == proof.lines()[:-1]
    assert said[len(proof.lines()) - 1].startswith(proof.lines()[-1].removesuffix("."))
    said = render.retrieval_lines(found, memory.nearest(found.state)[0], ht.guaranteed(memory, BATCH), None)
    assert [line for line in said if line in found.lines()] == found.lines()


def test_a_certificate_names_what_is_not_stored():
    proof = ht.certify(ht.Memory(PATTERNS, beta=8.0))
    assert (proof.beta, proof.memory_radius) == (8.0, pytest.approx(math.hypot(1, 0.1)))
    assert proof.lines()[0] == "0 of 4 patterns proved stored at β = 8; 4 not stored (of which 4 proved), 0 undecided."
    assert "Merged, ending at one fixed point with another, so not both stored: patterns 0 (with 1), 1 (with 0)." in (
        proof.summary()
    )
    assert "2 rows equal another row, and a pattern cannot be stored twice: patterns 2, 3." in proof.summary()


def test_an_interrupted_search_is_told_too():
    found = ht.find_beta(torch.eye(3, dtype=torch.float64), betas=[1.0, 16.0])
    assert str(SearchInterruptedError(found)) == (
        "Interrupted: All 3 patterns proved stored until now, at β = 16 at the latest."
    )
    none = ht.find_beta(PATTERNS[2:], betas=[1.0])
    assert str(SearchInterruptedError(none)) == "Interrupted: 0 of 2 patterns proved stored until now."


def test_long_lists_are_cut_and_counted():
    assert _sentences.listed(range(10)) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9"
    assert _sentences.listed(range(11)) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, … (11 in all)"
    counts = [_sentences.count(part, whole) for part, whole in ((5, 5), (1, 1), (2, 5), (0, 1), (0, 0))]
    assert counts == ["All 5 patterns", "The one pattern", "2 of 5 patterns", "0 of 1 pattern", "0 of 0 patterns"]


def test_queries_that_passed_a_saddle_are_counted():
    found = ht.retrieve(ht.Memory(PATTERNS, beta=8.0), BATCH)
    passed = dataclasses.replace(found, ambiguous=torch.ones_like(found.converged))
    said = f"{found.converged.numel()} passed a saddle: without acceleration they may end elsewhere."
    assert said in passed.lines()
    assert said not in found.lines()


def test_a_verdict_that_is_not_expected_says_why():
    [holds] = ht.verify(["T8"], instances=50)
    assert holds.summary().startswith("T8 holds on all ")
    assert not holds.findings()
    always = ht.Implication("a", lambda i: i.beta)
    wrong = ht.Statement(name="Q1", title="", claim="β < 0", proof="false", parts=(always,))
    [verdict] = ht.verify([wrong], instances=50)
    assert verdict.lines()[0].startswith("Q1: a counterexample was expected, and it is holds (a: ")


def test_one_is_not_called_many():
    one = ht.Memory([[1.0]], beta=2.0)
    assert repr(one).startswith("Memory(1 pattern in 1 dimension, ")
    alone = ht.certify(ht.Memory([[1.0, 0.0], [3.0, 0.0]], beta=1.0))
    assert "1 is certified at no β and lost at every large one, since another pattern overlaps it no less" in (
        alone.summary()
    )
    assert alone.summary().splitlines()[-2].endswith("(normalising removes this): pattern 0.")
    assert how_many_as_expected([True]) == "The one verdict is as expected."
    assert how_many_as_expected([]) == "0 of 0 as expected."
    assert _sentences.many(1) == "1 pattern"
    assert _sentences.many(0, "cell") == "0 cells"
    assert _sentences.rows_named([3]) == "pattern 3"
    assert _sentences.rows_named(range(12)).startswith("patterns 0, 1")
    assert " 1 patterns" not in ht.find_beta([[1.0, 0.5]], betas=[2.0]).summary()


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([[1.0, 0.1], [1.0, -0.1], [-1.0, 0.0]], "find-beta says from which β on all are stored."),
        ([[1.0, 0.1], [1.0, -0.1], [-1.0, 0.0], [-1.0, 0.0]], "find-beta says from which β on the others are stored."),
        ([[5.0, 0.0], [-5.0, 0.0], [-5.0, 0.0]], None),
        ([[1.0, 0.0], [9.0, 0.0]], None),
    ],
)
def test_no_beta_is_promised_where_there_is_none(rows, said):
    memory = ht.Memory(rows, beta=1.0)
    lines = render.certificate_lines(memory, ht.certify(memory), math.inf)
    assert [line for line in lines if line.startswith("find-beta")] == ([] if said is None else [said])
