"""What models are trained on: text, images and series that installed packages ship, or the user's own files.

Every loader refuses a file that it cannot use in one line, with what the file must be.
"""

from __future__ import annotations

import ast
import csv
import functools
import hashlib
import importlib.util
import io
import itertools
import math
import os
import warnings
import zipfile
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from hopfield_theory._sentences import many
from simulations import _kept

__all__ = ["Images", "Series", "Text", "fingerprint", "images", "kept_text", "kind", "series", "text"]

# whose docstrings are read, in this order, where installed
_PACKAGES = ("numpy", "scipy", "sklearn", "pandas", "matplotlib", "sympy", "torch", "transformers", "networkx")
_SHORTEST = 200  # characters of a docstring: shorter ones are hardly prose
_HELD_OUT = 10  # one document, one image of so many is held out
_SPECIAL = ("[PAD]", "[MASK]", "[END]")
_ETT = (8640, 11520, 14400)  # rows for training, validation and test end here in the published split
_IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
# some of them are valid UTF-8, and yet no prose
_NO_TEXT = (*_IMAGES, ".csv", ".tsv", ".tab", ".npz", ".npy", ".parquet", ".xls", ".xlsx", ".zip", ".gz")
_CHANNELS = 4  # at most: red, green, blue, opacity


def _cross_entropy(train: Tensor, held_out: Tensor, kinds: int) -> float:
    counts = torch.bincount(train, minlength=kinds).double() + 1
    return -(counts / counts.sum()).log()[held_out].mean().item()


@dataclass(frozen=True)
class Text:
    """Tokens of documents, one after the other, each followed by an end mark."""

    train: Tensor
    held_out: Tensor
    vocabulary: int
    mask_token: int = 1

    @property
    def blind_loss(self) -> float:
        """Cross entropy on held-out tokens of the frequencies in the training tokens: no context is used."""
        return _cross_entropy(self.train, self.held_out, self.vocabulary)

    def above(self, length: int, name: str = "the text") -> Text:
        """Return the text, unless one of its parts has no more tokens than a length; the refusal names the text."""
        if min(len(self.train), len(self.held_out)) <= length:
            raise ValueError(
                f"{name} has {len(self.train)} tokens, {len(self.held_out)} held out: both must be above the length, "
                f"{length}"
            )
        return self


@dataclass(frozen=True)
class Images:
    """Images (N, channels, size, size), of mean 0 and deviation 1 over the training images, and their classes."""

    train: Tensor
    labels: Tensor
    held_out: Tensor
    held_out_labels: Tensor
    classes: int

    @property
    def blind_loss(self) -> float:
        """Cross entropy on held-out labels of the frequencies in the training labels."""
        return _cross_entropy(self.labels, self.held_out_labels, self.classes)


@dataclass(frozen=True)
class Series:
    """Series (steps, variates), z-scored by mean and population deviation of the training steps.

    ``held_out`` are the steps of the test, with those before it that its first window sees; validation is not used.
    """

    train: Tensor
    held_out: Tensor
    length: int
    horizon: int

    @property
    def blind_loss(self) -> float:
        """Mean square error of the forecast 0, the mean of the training steps."""
        return self.held_out[self.length :].square().mean().item()


def fingerprint(path: str | Path) -> str:
    """Return a digest of a file, or of all files of a folder with their names."""
    path, digest = Path(path), hashlib.sha256()
    for each in _files(path):
        digest.update(os.fsencode(f"{each.relative_to(path)}\0{each.stat().st_size}\0"))
        digest.update(each.read_bytes())
    return digest.hexdigest()[:16]


def kind(path: str | Path) -> str:
    """Return what a file or folder holds by the suffixes: ``"text"``, ``"images"`` or ``"series"``."""
    path, files = Path(path), _files(Path(path))
    suffix = "" if path.is_dir() else path.suffix.lower()
    if suffix in (".csv", ".npz"):
        return "series" if suffix == ".csv" else "images"
    pictures = [each for each in files if each.suffix.lower() in _IMAGES]
    others = [each for each in files if each.suffix.lower() not in _IMAGES]
    if path.is_dir() and pictures:
        if others:
            raise ValueError(
                f"{path} holds images ({pictures[0].name}) and other files ({others[0].name}): it must hold "
                "texts alone, or images alone, one folder per class"
            )
        return "images"
    for each in files:
        if each.suffix.lower() in _NO_TEXT:
            raise ValueError(
                f"{each} is no text: a series is one .csv file, images are an .npz file or a folder per class"
            )
    return "text"


def _files(path: Path) -> list[Path]:
    """List the file, or all files of the folder but those whose path begins with a dot somewhere: they are hidden."""
    if not path.exists():
        raise ValueError(f"{path}: there is no such file or folder")
    found = list(_inside(path)) if path.is_dir() else [path]
    if not found:
        raise ValueError(f"{path} holds no files (hidden ones are left out)")
    for each in found:
        if not each.is_file():
            raise ValueError(f"{each} is no file that can be read")
    return sorted(found)


def _inside(folder: Path) -> Iterator[Path]:
    # iterdir, unlike rglob, says what it may not read, and follows links
    for each in folder.iterdir():
        if not each.name.startswith("."):
            yield from _inside(each) if each.is_dir() else [each]


def _once(read: Callable[..., Any]) -> Callable[..., Any]:
    """Read the same content for the same sizes once per process."""
    cached = functools.lru_cache(maxsize=2)(lambda path, _, *sizes: read(path, *sizes))

    @functools.wraps(read)
    def found(path: str | None = None, *sizes: int) -> Any:
        return cached(path, path and fingerprint(path), *sizes)

    return found


# --- text ---


@_once
def text(path: str | None = None, characters: int = 300_000, vocabulary: int = 1000) -> Text:
    """Read text, train a byte-pair encoding on it, and encode it.

    Parameters
    ----------
    path : str, optional
        A text file, or a folder of them (UTF-8), hidden files left out. By default CPython's help topics, then
        docstrings of installed packages.
    characters : int
        How many are read at most.
    vocabulary : int
        Number of tokens at most.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    documents, left = [], characters
    for document in _prose() if path is None else _own_text(Path(path)):
        documents.append(document[:left])
        left -= len(documents[-1])
        if left <= 0:
            break
    if len(documents) < 2:
        # one document: its end is held out
        whole = "".join(documents)
        cut = len(whole) - len(whole) // _HELD_OUT
        documents = [whole[:cut], whole[cut:]]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(_SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    every = min(_HELD_OUT, len(documents))
    held_out = documents[every - 1 :: every]
    train = [document for index, document in enumerate(documents) if index % every != every - 1]
    tokenizer.train_from_iterator(train, trainer)

    def encoded(these: list[str]) -> Tensor:
        end = [_SPECIAL.index("[END]")]
        return torch.tensor(list(itertools.chain(*(each.ids + end for each in tokenizer.encode_batch(these)))))

    return Text(encoded(train), encoded(held_out), tokenizer.get_vocab_size())


def kept_text(folder: str | None, path: str | None, characters: int, vocabulary: int) -> Text:
    """Read text as :func:`text` does, once for all processes: the tokens are kept in a folder, if one is given."""
    if folder is None:
        return text(path, characters, vocabulary)
    name = f"{fingerprint(path) if path else 'packages'}-{characters}-{vocabulary}.tokens"
    kept = Path(folder) / name
    kept.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{kept}.lock"):
        state = _kept.read(kept)
        if state is None:
            state = vars(text(path, characters, vocabulary))
            _kept.write(kept, state)
    return Text(**state)


def _prose() -> Iterator[str]:
    from pydoc_data.topics import topics

    seen = set()
    yield from (topics[name] for name in sorted(topics))
    for package in _PACKAGES:
        found = importlib.util.find_spec(package)
        for folder in (found.submodule_search_locations or ()) if found else ():
            for path in sorted(Path(folder).rglob("*.py")):
                for docstring in _docstrings(path):
                    # inherited and generated docstrings are there many times
                    if len(docstring) >= _SHORTEST and docstring not in seen:
                        seen.add(docstring)
                        yield docstring


def _docstrings(path: Path) -> Iterator[str]:
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return
    # statements alone, in the order of ast.walk: most nodes are parts of expressions, which hold no docstring
    nodes: deque[ast.AST] = deque([tree])
    while nodes:
        node = nodes.popleft()
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""
        below = ast.iter_child_nodes(node)
        nodes.extend(each for each in below if isinstance(each, ast.stmt | ast.excepthandler | ast.match_case))


def _own_text(path: Path) -> Iterator[str]:
    found = 0
    for each in _files(path):
        try:
            document = each.read_text("utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(f"{each} is no UTF-8 text (byte {error.start}): give text files") from None
        if "\0" in document:
            raise ValueError(f"{each} is no UTF-8 text (character {document.index(chr(0))}): give text files")
        found += len(document)
        yield document
    if found < 10_000:
        raise ValueError(f"{path} holds {found} characters: it must hold at least 10000 for a model to learn from")


# --- images ---


@_once
def images(path: str | None = None, size: int = 8) -> Images:
    """Read images with classes.

    Parameters
    ----------
    path : str, optional
        A folder with one folder of images per class, read as red, green and blue; or an ``.npz`` file with ``images``
        (N, height, width) or (N, height, width, channels), and ``labels`` (N,) from 0 to classes − 1. By default
        scikit-learn's digits.
    size : int
        Images are resized to squares of it, whatever their shape.
    """
    if path is None:
        from sklearn.datasets import load_digits

        found = load_digits()
        pixels, labels = found.images, found.target
    else:
        pixels, labels = (_image_folder if Path(path).is_dir() else _image_arrays)(Path(path), size)
    pixels = pixels[..., None] if pixels.ndim == 3 else pixels
    _check_images(path, pixels, labels)
    with np.errstate(over="ignore"):
        pixels = np.ascontiguousarray(pixels, dtype=np.float32)
    if not np.isfinite(pixels).all():
        raise ValueError(f"{path} holds pixels that are not finite, or too large")
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    if x.shape[-2:] != (size, size):
        x = torch.nn.functional.interpolate(x, (size, size), mode="bilinear", antialias=True)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    x, y = x[order], torch.from_numpy(labels.astype(np.int64))[order]
    test = torch.arange(len(x)) % _HELD_OUT == 0
    if x[~test].min() == x[~test].max():
        raise ValueError(f"{path} holds pixels that are all the same")
    deviation = x[~test].std()
    x = (x - x[~test].mean()) / deviation
    _check_size(path, deviation, x)
    return Images(x[~test], y[~test], x[test], y[test], int(y.max()) + 1)


def _image_folder(path: Path, size: int) -> tuple[np.ndarray, np.ndarray]:
    from PIL import Image

    pixels, names = [], []
    files = _files(path)
    for each in files:
        if each.parent.parent != path:
            raise ValueError(f"{each} is not in a class's folder: images must be {path}/CLASS/IMAGE")
    kept = {each.parent for each in files}
    for each in sorted(path.iterdir()):
        if each.is_dir() and not each.name.startswith(".") and each not in kept:
            raise ValueError(f"{each} holds no images")
    for each in files:
        try:
            with Image.open(each) as image:
                # the first frame of a camera's MPO is the picture
                frames, mode = 1 if image.format == "MPO" else getattr(image, "n_frames", 1), image.mode
                pixels.append(np.asarray(image.convert("RGB").resize((size, size))))
        except Exception:  # a damaged image may raise anything
            raise ValueError(f"{each} cannot be read as an image: it is damaged, or of another format") from None
        if frames > 1 or mode[0] in "IF":
            held = f"{frames} frames" if frames > 1 else f"pixels of mode {mode}"
            raise ValueError(f"{each} has {held}: it must be one image of 8 bits; an .npz file holds any numbers")
        names.append(each.parent.name)
    return np.array(pixels), np.unique(names, return_inverse=True)[1]


def _image_arrays(path: Path, _: int) -> tuple[np.ndarray, np.ndarray]:
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            return np.asarray(file["images"]), np.asarray(file["labels"])
    except Exception as error:  # a damaged archive may raise anything
        # NumPy takes what is no archive for a program, and offers to run it
        why = " ".join(str(error).split()) if zipfile.is_zipfile(path) else "it is no archive"
        raise ValueError(
            f"{path} must be a folder per class, or an .npz file with the arrays images and labels ({why})"
        ) from None


def _check_images(path: str | None, pixels: np.ndarray, labels: np.ndarray) -> None:
    if pixels.ndim != 4 or 0 in pixels.shape or pixels.shape[3] > _CHANNELS or pixels.dtype.kind not in "buif":
        raise ValueError(
            f"{path} holds images {pixels.shape} ({pixels.dtype}): they must be real numbers, (N, height, width) or "
            f"(N, height, width, channels), channels last, at most {_CHANNELS}"
        )
    if labels.shape != pixels.shape[:1] or labels.dtype.kind not in "iu":
        raise ValueError(
            f"{path} holds {len(pixels)} images and labels {labels.shape} ({labels.dtype}): they must be N integers"
        )
    classes = np.unique(labels)
    if len(pixels) < 2 * _HELD_OUT or len(classes) < 2:
        raise ValueError(
            f"{path} holds images: {len(pixels)}, classes: {len(classes)}; at least {2 * _HELD_OUT} and 2 are needed"
        )
    if not np.array_equal(classes, np.arange(len(classes))):
        raise ValueError(
            f"{path} holds {len(classes)} different labels, from {classes[0]} to {classes[-1]}: they must be 0 to "
            f"{len(classes) - 1}"
        )


def _check_size(path: str | None, deviation: Tensor, scaled: Tensor) -> None:
    """Refuse numbers whose mean square overflows, before they are scaled or after."""
    if not (deviation.isfinite().all() and scaled.square().sum().isfinite()):
        raise ValueError(f"{path} holds numbers that are too large")


# --- series ---


@_once
def series(path: str | None = None, length: int = 168, horizon: int = 24) -> Series:
    """Read a multivariate series and split it in time.

    Parameters
    ----------
    path : str, optional
        A CSV file of the form of ETT: a header, a first column of dates in order, then numbers. Rows count as equal
        steps, whatever the dates say. With 14 400 rows or more the published split is used (training to row 8640,
        validation to 11 520, test to 14 400), else 60, 20 and 20%. By default a recording: the electroencephalogram
        that Matplotlib ships as ``eeg.dat``, 4 channels of 800 samples. Of the series that statsmodels ships the
        longest with several columns has 203 rows, fewer than the 320 that 168 steps in and 24 out need.
    length, horizon : int
        Steps that are seen, and forecast.
    """
    values, names = _recording() if path is None else _ett(Path(path))
    rows = len(values)
    ends = _split(rows)
    if not _suffice(ends, length, horizon):
        least = next(few for few in itertools.count(rows) if _suffice(_split(few), length, horizon))
        raise ValueError(
            f"{path or 'the series'} has {rows} rows: {length} steps in and {horizon} out need at least {least}"
        )
    train = values[: ends[0]]
    constant = train.min(0) == train.max(0)
    if constant.any():
        raise ValueError(f"{path}: column {names[np.argmax(constant)]} is constant over the training rows")
    with np.errstate(over="ignore", invalid="ignore"):
        deviation = train.std(0)
        scaled = torch.as_tensor((values - train.mean(0)) / deviation, dtype=torch.float32)
    _check_size(path, torch.as_tensor(deviation), scaled)
    return Series(scaled[: ends[0]], scaled[max(0, ends[1] - length) : ends[2]], length, horizon)


def _split(rows: int) -> tuple[int, int, int]:
    return _ETT if rows >= _ETT[-1] else (int(0.6 * rows), int(0.8 * rows), rows)


def _suffice(ends: tuple[int, int, int], length: int, horizon: int) -> bool:
    return ends[0] >= length + horizon and ends[2] - ends[1] >= horizon


def _recording() -> tuple[np.ndarray, list[str]]:
    from matplotlib import cbook

    with cbook.get_sample_data("eeg.dat") as file:
        return np.frombuffer(file.read(), dtype=np.float64).reshape(-1, 4), [f"channel {n}" for n in range(1, 5)]


def _ett(path: Path) -> tuple[np.ndarray, list[str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            lines = [(reader.line_num, line) for line in reader if line]
    except (OSError, ValueError, csv.Error) as error:
        raise ValueError(f"{path} cannot be read as CSV: {error}") from None
    names = lines[0][1] if lines else []
    if len(names) < 2:
        raise ValueError(f"{path} has {many(len(names), 'column')}: it must have dates, a comma, then the series")
    if not (math.isnan(_number(names[0])) and np.isnat(_dates(names[:1]))[0]):
        raise ValueError(f"{path} begins with {names[0]!r}: the first line must be a header")
    if len(set(names)) < len(names):
        raise ValueError(f"{path}: column {max(names, key=names.count)} is there twice")
    numbers, rows = [number for number, _ in lines[1:]], [row for _, row in lines[1:]]
    for number, row in zip(numbers, rows, strict=True):
        if len(row) != len(names):
            raise ValueError(f"{path}, line {number}, has {len(row)} columns, and the header {len(names)}")
    days = [row[0] for row in rows]
    dates = _dates(days)
    for index in np.flatnonzero(np.isnat(dates)):
        raise ValueError(
            f"{path}, line {numbers[index]}: {days[index]!r} is no date: the first column must hold dates, as "
            "2016-07-01 or 2016-07-01 00:00"
        )
    for index in np.flatnonzero(dates[1:] <= dates[:-1]) + 1:
        raise ValueError(f"{path}, line {numbers[index]}: {days[index]!r} is not after the date before it")
    values = np.array([[_number(value) for value in row[1:]] for row in rows]).reshape(len(rows), len(names) - 1)
    for index, column in np.argwhere(~np.isfinite(values)):
        value = f"{rows[index][column + 1]!r} is no finite number"
        raise ValueError(f"{path}, line {numbers[index]}, column {names[column + 1]}: {value}")
    return values, names[1:]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _dates(texts: list[str]) -> np.ndarray:
    """Read dates; what is none, or a plain number, is NaT."""
    import pandas as pd

    with warnings.catch_warnings():
        # of days first, or a format per row: whether the dates are in order is checked
        warnings.simplefilter("ignore")
        dates = pd.DatetimeIndex(pd.to_datetime(texts, utc=True, errors="coerce")).tz_localize(None)
    return np.where([math.isnan(_number(text)) for text in texts], dates, np.datetime64("NaT"))
