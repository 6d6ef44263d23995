"""Methods are compared at the same steps and at the same loss, pair by pair."""

import math

import numpy as np
import pandas as pd
import pytest

from figures import models_table
from simulations._matched import at_loss, change, common_loss, mean


def made_up(stuck=()):
    """Trainings whose log kurtosis is (4 − loss) times a slope of the method, with noise of the training."""
    rows = []
    for training in range(3):
        for method, slope, pace in (("softmax", 2.0, 1.0), ("OutEffHop", 0.5, 0.5)):
            for step in range(5):
                loss = 4.0 - pace * step * 0.5
                row = {"training": training, "method": method, "learnt": False, "step": step, "loss": loss}
                row |= {
                    "kurtosis": math.exp((slope + 0.1 * training) * (4 - loss)),
                    "stuck": (training, method) in stuck,
                }
                rows.append(row)
    return pd.DataFrame(rows)


def test_matched_loss_is_not_matched_steps():
    frame = made_up()
    # at loss 3 both have fallen by 1: the slopes; at step 4 softmax by 2 and the other by 1
    assert common_loss(frame) == 3.0
    assert change(frame, "OutEffHop", "kurtosis", same_loss=True) == pytest.approx([-1.5] * 3)
    assert change(frame, "OutEffHop", "kurtosis") == pytest.approx([-3.5, -3.6, -3.7])
    assert change(made_up({(1, "OutEffHop")}), "OutEffHop", "kurtosis", same_loss=True) == pytest.approx([-1.5] * 2)
    # of the pair alone, whatever a third method reaches
    third = frame[frame["method"] == "OutEffHop"].assign(method="Gated_Attention", loss=3.9)
    assert change(pd.concat([frame, third]), "OutEffHop", "kurtosis", same_loss=True) == pytest.approx([-1.5] * 3)
    # a loss that the other never reaches, or above where it begins, is no match
    assert np.isnan(at_loss(frame[frame["training"] == 0].query("method == 'OutEffHop'"), "kurtosis", 2.5))
    assert np.isnan(at_loss(frame[frame["training"] == 0].query("method == 'softmax'"), "kurtosis", 4.5))


def test_intervals_need_three_trainings():
    assert mean(np.array([1.0, 2.0, math.nan])) is None
    found = mean(np.array([1.0, 2.0, 3.0]))
    # Student's 97.5% quantile with two degrees of freedom is 4.3027
    assert found.high == pytest.approx(2 + 4.3027 / math.sqrt(3), abs=1e-4)


def test_the_tables_leave_out_what_is_stuck_and_pair_by_training():
    frame = made_up({(1, "OutEffHop")}).assign(model="BERT", norm=1.0, perplexity=2.0, perplexity_w8a8=3.0)
    frame = frame.assign(kurtosis_published=4.0, norm_published=5.0, norm_layer="head", last=frame["step"] == 4)
    softmax, outeff = models_table.values(frame).splitlines()[2:]
    # softmax ends at loss 2 with e^(2 + 0.1 t) squared, the other at loss 3 in the trainings 0 and 2
    kurtosis = np.exp([4.0, 4.2, 4.4]).mean()
    assert softmax == f"| BERT | softmax | 0 | 3 | 0 | 2 | {kurtosis:.4g} | 1 | 4 | 5 | 2 | 3 | head |"
    kurtosis = np.exp([0.5, 0.7]).mean()
    assert outeff == f"| BERT | OutEffHop | 1 | 3 | 1 | 3 | {kurtosis:.4g} | 1 | 4 | 5 | 2 | 3 | head |"
    [row] = models_table.changes(frame).splitlines()[2:]
    steps, loss = np.exp([-3.6, -1.5])
    assert row == f"| BERT | OutEffHop | 1 | 2 | {steps:.3f} | {loss:.2f} | 1.00 | 1.00 |"
    [row] = models_table.changes(frame.assign(stuck=False)).splitlines()[2:]
    assert "[" in row
