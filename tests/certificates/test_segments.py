"""What a sweep keeps of a tile of overlaps: the plain reduction and the kernel, interpreted, against loops."""

import math

import pytest
import torch

from hopfield_theory.certificates import segments
from hopfield_theory.model.separation import SoftmaxN

BETWEEN = slice(128, 256)


def tile_of(seed):
    """Overlaps of five patterns, of which two lie in the tile, with the 128 others from 128 on."""
    patterns = torch.randn(300, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    own = torch.tensor([3, 130, 200, 255, 299])
    squares = patterns.square().sum(1)
    tilt = torch.linspace(0.1, 0.3, 5, dtype=torch.float64)
    other = patterns[BETWEEN]
    return patterns, own, (patterns[own] @ other.mT, squares[BETWEEN], squares[own], tilt.unsqueeze(1), own, BETWEEN)


@pytest.mark.parametrize("kernel", [False, True])
@pytest.mark.parametrize("size", [32, 64])
def test_the_extremes_and_moments_of_each_segment(monkeypatch, kernel, size):
    if kernel:
        pytest.importorskip("hopfield_theory.fused.kernels.ball_sums", reason="Triton is not installed")
        if torch.cuda.is_available():
            pytest.skip("kernels run on the card here: tests/gpu")
        monkeypatch.setattr(segments, "_in_kernel", lambda overlap, tile: True)
    patterns, own, given = tile_of(size)
    error = 1e-3
    found = segments.reduced(*given, size, error, SoftmaxN(0.0), 0.0)
    assert found.nearest.dtype == found.rival.dtype == torch.int64
    for row, me in enumerate(own.tolist()):
        for column, start in enumerate(range(128, 256, size)):
            others = [i for i in range(start, start + size) if i != me]
            x, y = patterns[me], patterns[others]
            overlap, square = y @ x, (y - x).square().sum(1)
            rival, near = int(overlap.argmax()), int(square.argmin())
            w = (square + error).sqrt()
            assert found.rival[row, column] == others[rival]
            assert found.nearest[row, column] == others[near]
            seen = [f[row, column] for f in (found.top, found.least, found.exact_w)]
            torch.testing.assert_close(torch.stack(seen), torch.stack([overlap[rival], square[near], w[rival]]))
            # the pattern itself counts as one at no distance
            most = max(float(square.max()), 0.0 if me in range(start, start + size) else -math.inf)
            assert float(found.most[row, column]) == pytest.approx(most, rel=1e-12)
            rest = [k for k in range(len(others)) if k != rival]
            terms = torch.exp(overlap[rest] + given[3][row] * w[rest] - x @ x)
            moments = torch.stack([(terms * w[rest] ** order).sum() for order in (1, 2, 3)])
            torch.testing.assert_close(found.moments[:, row, column], moments)
