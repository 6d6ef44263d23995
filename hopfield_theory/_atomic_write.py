"""Files written as a whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["atomic_write"]


def atomic_write(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a temporary file next to ``path``, then rename it: after a crash or an OSError ``path`` is unchanged.

    The OSError names ``path``.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "answer"
    >>> atomic_write(path, b"42")
    >>> path.read_bytes(), len(list(path.parent.iterdir()))
    (b'42', 1)
    """
    target = Path(path)
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(target)
    except OSError as error:
        # a full disk names no file by itself
        raise OSError(error.errno, error.strerror or str(error), os.fspath(path)) from error
    finally:
        partial.unlink(missing_ok=True)
