"""Data of the study, the packages' and one's own: what is taken, and every refusal in one line."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

from simulations import _data as data


def test_series_are_scaled_by_their_training_part_and_tests_reach_back(series_file):
    found = data.series(series_file(100), 10, 5)
    torch.testing.assert_close(found.train.mean(0), torch.zeros(2), atol=1e-6, rtol=0)
    torch.testing.assert_close(found.train.std(0, unbiased=False), torch.ones(2))
    assert (len(found.train), len(found.held_out)) == (60, 30)
    # 70 to 99 of B, in units of the first 60
    steps = (torch.arange(70.0, 100.0) - 29.5) / torch.arange(60.0).std(unbiased=False)
    torch.testing.assert_close(found.held_out[:, 1], steps)


def test_the_published_split(series_file):
    found = data.series(series_file(14_500), 168, 24)
    assert (len(found.train), len(found.held_out)) == (8640, 14_400 - 11_520 + 168)


def test_what_packages_ship():
    assert tuple(data.images().train.shape) == (1617, 1, 8, 8)
    assert data.series(None, 24, 6).train.shape == (480, 4)
    found = data.text(None, 20_000, 300)
    assert found.vocabulary == 300
    assert 0 < found.blind_loss < math.log(300)


def test_text_is_read_once_for_all_processes(tmp_path, monkeypatch):
    first = data.kept_text(str(tmp_path), None, 20_000, 300)
    monkeypatch.setattr(data, "text", None)
    second = data.kept_text(str(tmp_path), None, 20_000, 300)
    assert torch.equal(first.train, second.train)
    assert torch.equal(first.held_out, second.held_out)
    assert (first.vocabulary, first.blind_loss) == (second.vocabulary, second.blind_loss)
    with pytest.raises(TypeError):
        data.kept_text(str(tmp_path), None, 20_000, 400)


def test_text_of_one_s_own(tmp_path):
    for index in range(3):
        (tmp_path / f"{index}.txt").write_text(f"Document {index} says: häuser. " * 300)
    found = data.text(str(tmp_path), 30_000, 300)
    assert (found.train == 2).sum() == 2  # two documents end
    assert (found.held_out == 2).sum() == 1


def test_images_of_one_s_own(tmp_path):
    folder = tmp_path / "images"
    for label, shade in (("black", 0), ("white", 255)):
        (folder / label).mkdir(parents=True)
        for index in range(12):
            Image.new("RGB", (9, 7), (shade,) * 3).save(folder / label / f"{index}.png")
    found = data.images(str(folder), 4)
    assert found.train.shape[1:] == (3, 4, 4)
    assert ((found.train.mean((1, 2, 3)) > 0).long() == found.labels).all()
    np.savez(tmp_path / "x.npz", images=np.random.default_rng(0).random((30, 5, 5)), labels=np.arange(30) % 3)
    assert data.images(str(tmp_path / "x.npz"), 8).classes == 3


def spoilt(column, value, row=3):
    def spoil(frame):
        return frame.assign(**{column: [value if i == row else v for i, v in enumerate(frame[column])]})

    return spoil


@pytest.mark.parametrize(
    ("spoil", "rows", "words"),
    [
        (spoilt("A", "x"), 100, "line 5, column A: 'x' is no finite number"),
        (spoilt("A", math.nan), 100, "line 5, column A: '' is no finite number"),
        (lambda frame: frame[["date"]], 100, "has 1 column: it must have dates"),
        (lambda frame: frame.assign(A=1.0), 100, "column A is constant"),
        (None, 20, "has 20 rows: 10 steps in and 5 out need at least 25"),
    ],
)
def test_a_bad_series(series_file, spoil, rows, words):
    path = series_file(rows, spoil)
    with pytest.raises(ValueError, match=words):
        data.series(path, 10, 5)


def test_bad_text_and_images(tmp_path):
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9 " * 5000)
    with pytest.raises(ValueError, match=r"latin.txt is no UTF-8 text \(byte 3\)"):
        data.text(str(tmp_path / "latin.txt"))
    (tmp_path / "short.txt").write_text("too short")
    with pytest.raises(ValueError, match="holds 9 characters: it must hold at least 10000"):
        data.text(str(tmp_path / "short.txt"))
    np.savez(tmp_path / "bad.npz", images=np.zeros((30, 5, 5)), labels=np.zeros(29, dtype=int))
    with pytest.raises(ValueError, match="N integers"):
        data.images(str(tmp_path / "bad.npz"))
    np.savez(tmp_path / "one.npz", images=np.zeros((30, 5, 5)), labels=np.zeros(30, dtype=int))
    with pytest.raises(ValueError, match="holds images: 30, classes: 1;"):
        data.images(str(tmp_path / "one.npz"))
    (tmp_path / "no.npz").write_bytes(b"no")
    with pytest.raises(ValueError, match="must be a folder per class, or an"):
        data.images(str(tmp_path / "no.npz"))
    (tmp_path / "f" / "a").mkdir(parents=True)
    (tmp_path / "f" / "a" / "x.png").write_bytes(b"no")
    with pytest.raises(ValueError, match="cannot be read as an image"):
        data.images(str(tmp_path / "f"))
    with pytest.raises(ValueError, match="there is no such file or folder"):
        data.fingerprint(tmp_path / "nowhere")
