"""Data of one's own: whatever is wrong with a file is said in one line that names it, and nothing is taken silently."""

import os
import zipfile

import numpy as np
import pandas as pd
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from simulations import _data as data
from simulations import models
from simulations.__main__ import main

WORDS = "A sentence of some words, number 12. "


def refusal(path):
    """What the command says of a file: the loaders' ValueError, in one line."""
    with pytest.raises(ValueError, match=r".") as found:
        models.own_cells("quick", str(path))
    message = str(found.value)
    assert "\n" not in message
    assert path.name in message
    return message


def kinds(path):
    return {cell["model"] for cell in models.own_cells("quick", str(path))}


# --- images as arrays ---

PIXELS, LABELS = np.random.default_rng(0).random((60, 8, 8)), np.arange(60) % 3


def arrays(tmp_path, images=PIXELS, labels=LABELS, **others):
    path = tmp_path / "own.npz"
    np.savez(path, images=images, labels=labels, **others)
    return path


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (np.full((60, 8, 8), "a"), "must be real numbers"),
        (PIXELS + 1j, "must be real numbers"),
        (PIXELS.astype("M8[s]"), "must be real numbers"),
        (PIXELS[:, :0], "must be real numbers"),
        (PIXELS[:0], "must be real numbers"),
        (PIXELS[0], "must be real numbers"),
        (PIXELS[:, None], "channels last, at most 4"),
        (np.stack([PIXELS] * 3, 1), "channels last, at most 4"),
        (PIXELS.astype(object), "must be a folder per class, or an .npz file"),
        (np.where(PIXELS < 0.01, np.nan, PIXELS), "not finite"),
        (np.zeros((60, 8, 8)), "all the same"),
        (np.full((60, 8, 8), 0.1), "all the same"),
        (PIXELS * 1e300, "too large"),
        (PIXELS * 3e38, "too large"),
        (PIXELS.astype(np.longdouble) * 1e300, "too large"),
    ],
)
def test_arrays_that_are_no_images(tmp_path, images, words):
    assert words in refusal(arrays(tmp_path, images))


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (LABELS * 2_000_000_000, "from 0 to 4000000000: they must be 0 to 2"),
        (LABELS - 1, "from -1 to 1: they must be 0 to 2"),
        (LABELS + 1, "from 1 to 3: they must be 0 to 2"),
        (LABELS * 2, "from 0 to 4: they must be 0 to 2"),
        (LABELS * 0, "images: 60, classes: 1;"),
        (LABELS[:-1], "N integers"),
        (LABELS[:, None], "N integers"),
        (LABELS.astype(float), "N integers"),
        (LABELS.astype(str), "N integers"),
        (LABELS > 0, "N integers"),
    ],
)
def test_labels_that_are_no_classes(tmp_path, labels, words):
    assert words in refusal(arrays(tmp_path, labels=labels))


@pytest.mark.parametrize("kind", [">f4", "f2", "u2", "?", "g", "i8"])
def test_real_pixels_of_any_kind(tmp_path, kind):
    pixels = (255 * PIXELS).astype(int) // (200 if kind == "?" else 1)
    found = data.images(str(arrays(tmp_path, pixels.astype(kind), LABELS.astype(">u8"))), 8)
    wanted = data.images(str(arrays(tmp_path, pixels)), 8)
    assert found.train.equal(wanted.train)
    assert found.labels.equal(wanted.labels)


def test_archives_that_cannot_be_read(tmp_path):
    path = arrays(tmp_path)
    whole = path.read_bytes()
    at = whole.index(PIXELS.tobytes()[:64])
    bare = tmp_path / "bare.npy"
    np.save(bare, PIXELS)
    for content in (
        whole[: len(whole) // 2],
        whole[:at] + b"abcd" + whole[at + 4 :],
        b"",
        b"no",
        bare.read_bytes(),
        WORDS.encode() * 500,
    ):
        path.write_bytes(content)
        said = refusal(path)
        assert "must be a folder per class, or an .npz file" in said
        assert "pickle" not in said
    np.savez(path, pixels=PIXELS, labels=LABELS)
    assert "images" in refusal(path)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("images.npy", b"no array")
        file.writestr("labels.npy", b"no array")
    refusal(path)
    assert ".npz" in refusal(bare)


# --- images in folders ---


def pictures(path, count=12, mode="RGB", classes=("a", "b"), suffix="png", shade=60):
    for label, name in enumerate(classes):
        (path / name).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            # sizes may differ
            color = shade * label if mode != "RGB" else (shade * label,) * 3
            Image.new(mode, (8 + index, 9), color).save(path / name / f"{index}.{suffix}")
    return path


def test_folders_of_images(tmp_path):
    path = pictures(tmp_path / "own")
    (path / ".git").mkdir()
    (path / ".git" / "HEAD").write_text("ref")
    (path / "a" / ".DS_Store").write_bytes(b"\0\xff")
    digest = data.fingerprint(path)
    assert kinds(path) == {"ViT"}
    (path / ".DS_Store").write_bytes(b"\0\xff")
    assert data.fingerprint(path) == digest


def test_folders_of_images_that_are_refused(tmp_path):
    path = pictures(tmp_path / "loose")
    Image.new("RGB", (8, 8)).save(path / "cover.png")
    assert "cover.png is not in a class's folder" in refusal(path)
    path = pictures(tmp_path / "deep")
    (path / "a" / "more").mkdir()
    (path / "a" / "0.png").rename(path / "a" / "more" / "0.png")
    assert "0.png is not in a class's folder" in refusal(path)
    path = pictures(tmp_path / "mixed")
    (path / "a" / "readme.txt").write_text("no image")
    assert "images (0.png) and other files (readme.txt)" in refusal(path)
    path = pictures(tmp_path / "damaged")
    (path / "b" / "0.png").write_bytes((path / "b" / "0.png").read_bytes()[:-30])
    assert "0.png cannot be read as an image" in refusal(path)
    assert "all the same" in refusal(pictures(tmp_path / "same", shade=0))
    (pictures(tmp_path / "empty") / "c").mkdir()
    assert "c holds no images" in refusal(tmp_path / "empty")
    assert "images: 24, classes: 1;" in refusal(pictures(tmp_path / "one", 24, classes=("a",)))
    assert "images: 10, classes: 2;" in refusal(pictures(tmp_path / "few", 5))
    # more than 8 bits, and more than one picture, would be lost
    assert "0.png has pixels of mode I;16" in refusal(pictures(tmp_path / "deep-grey", mode="I;16"))
    moving = pictures(tmp_path / "moving", mode="L", suffix="gif")
    frames = [Image.new("L", (8, 8), shade) for shade in (0, 99)]
    frames[0].save(moving / "a" / "0.gif", save_all=True, append_images=frames[1:])
    assert "0.gif has 2 frames" in refusal(moving)


# --- text ---


def texts(path, names=("a.txt", "b.md", "c"), words=WORDS * 300):
    for name in names:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(words)
    return path


def test_folders_of_texts_are_texts_whatever_lies_in_them(tmp_path):
    path = texts(tmp_path / "own", ("a.txt", "more/b.txt", "more/c/d.py", "v1.csv/e.rst"))
    (path / ".git").mkdir()
    (path / ".git" / "index").write_bytes(b"\0\xff")
    (path / ".DS_Store").write_bytes(b"\0\xff")
    assert kinds(path) == {"BERT", "OPT"}
    found = data.text(str(path), 100_000, 300)
    assert (found.train == 2).sum() + (found.held_out == 2).sum() == 4
    assert kinds(texts(tmp_path / "own.csv")) == {"BERT", "OPT"}


@pytest.mark.parametrize("name", ["own.tsv", "own.npy", "own.png", "own.parquet", "own.xlsx", "own.csv.gz"])
def test_what_is_no_text_by_its_name(tmp_path, name):
    texts(tmp_path, (name,))
    assert f"{name} is no text" in refusal(tmp_path / name)
    texts(tmp_path / "folder", ("a.txt", name))
    if not name.endswith("png"):
        with pytest.raises(ValueError, match=f"{name} is no text"):
            models.own_cells("quick", str(tmp_path / "folder"))


def test_what_is_no_text_by_its_bytes(tmp_path):
    path = tmp_path / "own.txt"
    for content in ((WORDS * 300).encode("utf-16-le"), b"\xff" * 20_000, b"ab\0" * 5000):
        path.write_bytes(content)
        assert "is no UTF-8 text" in refusal(path)
    for content in (b"", b"short"):
        path.write_bytes(content)
        assert "characters: it must hold at least 10000" in refusal(path)
    # all of it is one word, and few tokens
    path.write_text("a" * 20_000)
    assert "tokens" in refusal(path)
    (tmp_path / "nothing").mkdir()
    assert "nothing holds no files" in refusal(tmp_path / "nothing")


def test_what_is_no_file(tmp_path):
    assert "no such file or folder" in refusal(tmp_path / "nowhere")
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    assert "no such file or folder" in refusal(tmp_path / "broken")
    folder = texts(tmp_path / "own")
    (folder / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="link is no file"):
        models.own_cells("quick", str(folder))
    (folder / "link").unlink()
    (folder / "loop").symlink_to(folder)
    with pytest.raises(ValueError, match="loop is no file"):
        models.own_cells("quick", str(folder))
    with pytest.raises(ValueError, match="it must be a file or a folder"):
        models.own_cells("quick", "")
    # reading it would wait for ever
    os.mkfifo(tmp_path / "pipe")
    assert "pipe is no file" in refusal(tmp_path / "pipe")


def test_folders_that_may_not_be_read(tmp_path, monkeypatch):
    folder, read = texts(tmp_path / "own", ("a.txt", "secret/b.txt")), os.listdir

    # the tests may run as root, who may read everything
    def forbidden(path):
        if str(path).endswith("secret"):
            raise PermissionError(13, "Permission denied", str(path))
        return read(path)

    monkeypatch.setattr(os, "listdir", forbidden)
    with pytest.raises(PermissionError, match="secret"):
        models.own_cells("quick", str(folder))


# --- series ---


def table(rows=400):
    dates = pd.date_range("2020-01-01", periods=rows, freq="h").astype(str)
    return pd.DataFrame({"date": dates, "A": np.sin(np.arange(rows)), "B": np.arange(rows, dtype=float)})


def csv(tmp_path, frame, **options):
    path = tmp_path / "own.csv"
    frame.to_csv(path, index=False, **options)
    return path


def with_value(column, row, value):
    frame = table().astype(object)
    frame.loc[row, column] = value
    return frame


@pytest.mark.parametrize(
    ("frame", "options", "words"),
    [
        (table()[["A", "B"]], {}, "line 2: '0.0' is no date"),
        (table(), {"header": False}, "begins with '2020-01-01 00:00:00': the first line must be a header"),
        (table()[["A", "B"]], {"header": False}, "begins with '0.0': the first line must be a header"),
        (table()[["date"]], {}, "has 1 column"),
        (table(), {"sep": ";"}, "has 1 column"),
        (table(0), {}, "has 0 rows"),
        (table(100), {}, "has 100 rows"),
        (with_value("A", 3, 1e300), {}, "too large"),
        (with_value("A", 399, 1e300), {}, "too large"),
        (with_value("A", 399, 1e30), {}, "too large"),
        (with_value("A", 3, "1e400"), {}, "line 5, column A: '1e400' is no finite number"),
        (with_value("A", 3, "x"), {}, "line 5, column A: 'x' is no finite number"),
        (with_value("A", 3, "1,5"), {}, "line 5, column A: '1,5' is no finite number"),
        (with_value("B", 3, ""), {}, "line 5, column B: '' is no finite number"),
        (with_value("B", 3, "0x1F"), {}, "line 5, column B: '0x1F' is no finite number"),
        (with_value("B", 3, "True"), {}, "line 5, column B: 'True' is no finite number"),
        (with_value("date", 3, "x"), {}, "line 5: 'x' is no date"),
        (with_value("date", 3, ""), {}, "line 5: '' is no date"),
        (with_value("date", 3, "2020-01-01 02:00:00"), {}, "line 5: '2020-01-01 02:00:00' is not after"),
        (table()[::-1], {}, "line 3: '2020-01-17 14:00:00' is not after"),
        (table().assign(B=0.1), {}, "column B is constant"),
        (table().rename(columns={"B": "A"}), {}, "column A is there twice"),
        (table(), {"encoding": "utf-16"}, "cannot be read as CSV"),
    ],
)
def test_tables_that_are_no_series(tmp_path, frame, options, words):
    assert words in refusal(csv(tmp_path, frame, **options))


def test_lines_of_other_lengths(tmp_path):
    path = csv(tmp_path, table())
    lines = path.read_text().splitlines()
    # each with one number more than the header has names: the dates were taken for an index
    path.write_text("\n".join([lines[0], *(f"{line},1" for line in lines[1:])]))
    assert "line 2, has 4 columns, and the header 3" in refusal(path)
    path.write_text("\n".join([*lines[:9], f"{lines[9]},1", *lines[10:]]))
    assert "line 10, has 4 columns, and the header 3" in refusal(path)
    # blank lines count
    path.write_text("\n".join(["", *lines[:9], "", lines[9].rsplit(",", 1)[0], *lines[10:]]))
    assert "line 12, has 2 columns, and the header 3" in refusal(path)
    path.write_text("\n".join([*lines[:9], '"', *lines[9:]]))
    assert "cannot be read as CSV" in refusal(path)
    path.write_bytes(b"")
    assert "has 0 columns" in refusal(path)


@pytest.mark.parametrize("form", ["%Y-%m-%d %H:%M:%S", "%Y/%m/%d %H:%M", "%Y-%m-%dT%H:%M:%SZ", "%b %d %Y %H:%M"])
def test_a_series_is_what_its_file_says(tmp_path, form):
    frame = table()
    frame["date"] = pd.to_datetime(frame["date"]).dt.strftime(form)
    # numbers may be names
    frame.columns = ["date", "0", "OT"]
    # with a mark of its encoding, as spreadsheets write it
    path = csv(tmp_path, frame, encoding="utf-8-sig")
    assert kinds(path) == {"STanHop"}
    np.testing.assert_array_equal(data._ett(path)[0], frame[["0", "OT"]].to_numpy())


# --- the command ---


def test_the_command_refuses_in_one_line(tmp_path):
    experiments = typer.Typer()
    experiments.command()(main)
    path = arrays(tmp_path)
    path.write_bytes(path.read_bytes()[:999])
    found = CliRunner().invoke(
        experiments, ["models", "--data", str(path), "--out", str(tmp_path / "out"), "--dry-run"]
    )
    assert found.exit_code == 2
    assert len(found.stderr.splitlines()) == 1
    assert found.stderr.startswith(f"simulations: {path} must be")
    path = arrays(tmp_path)
    found = CliRunner().invoke(experiments, ["models", "--data", str(path), "--model", "BERT", "--dry-run"])
    assert f"model is 'BERT': it must be one of ViT, which learn from {path}" in found.stderr
