"""What models are trained on: text, images and series that installed packages ship, or the user's own files.

Every loader refuses a file that it cannot use in one line, with what the file must be.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import itertools
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from simulations import _kept

__all__ = ["Images", "Series", "Text", "fingerprint", "images", "kept_text", "series", "text"]

# whose docstrings are read, in this order, where installed
_PACKAGES = ("numpy", "scipy", "sklearn", "pandas", "matplotlib", "sympy", "torch", "transformers", "networkx")
_SHORTEST = 200  # characters of a docstring: shorter ones are hardly prose
_HELD_OUT = 10  # one document, one image of so many is held out
_SPECIAL = ("[PAD]", "[MASK]", "[END]")
_ETT = (8640, 11520, 14400)  # rows for training, validation and test end here in the published split
_IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")


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
    if not path.exists():
        raise ValueError(f"{path}: there is no such file or folder")
    for each in _files(path):
        digest.update(f"{each.relative_to(path)}\0{each.stat().st_size}\0".encode())
        digest.update(each.read_bytes())
    return digest.hexdigest()[:16]


def _files(path: Path) -> list[Path]:
    return sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]


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
        A text file, or a folder of them (UTF-8). By default CPython's help topics, then docstrings
        of installed packages.
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
        A folder with one folder of images per class, or an ``.npz`` file with ``images`` (N, height, width) or
        (N, height, width, channels) and ``labels`` (N,). By default scikit-learn's digits.
    size : int
        Images are resized to it.
    """
    if path is None:
        from sklearn.datasets import load_digits

        found = load_digits()
        pixels, labels = found.images[..., None], found.target
    elif Path(path).is_dir():
        pixels, labels = _image_folder(Path(path), size)
    else:
        pixels, labels = _image_arrays(Path(path))
    x = torch.as_tensor(np.ascontiguousarray(pixels), dtype=torch.float32).permute(0, 3, 1, 2)
    if x.shape[-2:] != (size, size):
        x = torch.nn.functional.interpolate(x, (size, size), mode="bilinear", antialias=True)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    x, y = x[order], torch.as_tensor(labels, dtype=torch.int64)[order]
    test = torch.arange(len(x)) % _HELD_OUT == 0
    x = (x - x[~test].mean()) / x[~test].std()
    return Images(x[~test], y[~test], x[test], y[test], int(y.max()) + 1)


def _image_folder(path: Path, size: int) -> tuple[np.ndarray, list[int]]:
    from PIL import Image, UnidentifiedImageError

    classes = sorted(each for each in path.iterdir() if each.is_dir())
    pixels, labels = [], []
    for label, folder in enumerate(classes):
        for each in sorted(folder.iterdir()):
            if each.suffix.lower() not in _IMAGES:
                raise ValueError(f"{each} is no image ({', '.join(_IMAGES)}): a class's folder must hold images alone")
            try:
                with Image.open(each) as image:
                    pixels.append(np.asarray(image.convert("RGB").resize((size, size))))
            except (UnidentifiedImageError, OSError):
                raise ValueError(f"{each} cannot be read as an image: it is damaged, or of another format") from None
            labels.append(label)
    _check_labels(path, len(pixels), np.array(labels, dtype=int))
    return np.stack(pixels), labels


def _image_arrays(path: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            pixels, labels = file["images"], file["labels"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(
            f"{path} must be a folder per class, or an .npz file with the arrays images and labels"
        ) from None
    pixels = pixels[..., None] if pixels.ndim == 3 else pixels
    if pixels.ndim != 4 or labels.shape != pixels.shape[:1] or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"{path} holds images {pixels.shape} and labels {labels.shape} ({labels.dtype}): they must be (N, height, "
            "width[, channels]) and N integers"
        )
    if not np.isfinite(pixels).all():
        raise ValueError(f"{path} holds pixels that are not finite")
    _check_labels(path, len(pixels), labels)
    return pixels, labels


def _check_labels(path: Path, count: int, labels: np.ndarray) -> None:
    if count < 2 * _HELD_OUT or len(np.unique(labels)) < 2 or labels.min() < 0:
        classes = len(np.unique(labels))
        raise ValueError(f"{path} holds {count} images of {classes} classes: at least {2 * _HELD_OUT} of 2 are needed")


# --- series ---


@_once
def series(path: str | None = None, length: int = 168, horizon: int = 24) -> Series:
    """Read a multivariate series and split it in time.

    Parameters
    ----------
    path : str, optional
        A CSV file of the form of ETT: a header, a first column of dates, then numbers. With 14 400 rows or more the
        published split is used (training to row 8640, validation to 11 520, test to 14 400), else 60, 20 and 20%.
        By default a recording: the electroencephalogram that Matplotlib ships as ``eeg.dat``, 4 channels of 800
        samples. Of the series that statsmodels ships the longest with several columns has 203 rows, fewer than the
        321 that 168 steps in and 24 out need.
    length, horizon : int
        Steps that are seen, and forecast.
    """
    values = _recording() if path is None else _ett(Path(path))
    rows = len(values)
    ends = _ETT if rows >= _ETT[-1] else (int(0.6 * rows), int(0.8 * rows), rows)
    needed = length + horizon
    if ends[0] < needed or ends[2] - ends[1] < horizon:
        raise ValueError(
            f"{path or 'the series'} has {rows} rows: {length} steps in and {horizon} out need at least "
            f"{max(int(needed / 0.6), 5 * horizon) + 1}"
        )
    train = values[: ends[0]]
    deviation = train.std(0)
    if (deviation == 0).any():
        raise ValueError(f"{path}: column {int(np.argmin(deviation)) + 2} is constant over the training rows")
    scaled = torch.as_tensor((values - train.mean(0)) / deviation, dtype=torch.float32)
    return Series(scaled[: ends[0]], scaled[max(0, ends[1] - length) : ends[2]], length, horizon)


def _recording() -> np.ndarray:
    from matplotlib import cbook

    with cbook.get_sample_data("eeg.dat") as file:
        return np.frombuffer(file.read(), dtype=np.float64).reshape(-1, 4)


def _ett(path: Path) -> np.ndarray:
    import pandas as pd

    try:
        frame = pd.read_csv(path)
    except (OSError, ValueError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read as CSV: {' '.join(str(error).split())}") from None
    if frame.shape[1] < 2:
        raise ValueError(f"{path} has {frame.shape[1]} column: it must have dates first, then one column per series")
    numbers = frame.iloc[:, 1:]
    for name in numbers:
        if not pd.api.types.is_numeric_dtype(numbers[name]):
            raise ValueError(f"{path}: column {name} holds what is no number")
        if not np.isfinite(numbers[name]).all():
            row = int(np.argmin(np.isfinite(numbers[name].to_numpy(dtype=float)))) + 2
            raise ValueError(f"{path}: column {name}, line {row}, is empty or not finite")
    return numbers.to_numpy(dtype=float)
