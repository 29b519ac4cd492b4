"""Writing a file whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from egret.errors import EgretError


def write_atomically(path: str | os.PathLike[str], data: bytes | npt.NDArray[np.uint8]) -> None:
    """Write `data` (bytes, or a contiguous uint8 array) to `path` so that no reader ever sees half of it.

    The bytes go to a temporary file beside `path`, which then takes its name. Raises EgretError where
    the folder or the file cannot be written; the temporary file is gone then, and an older file at
    `path` is as it was.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        try:
            with open(temporary, "wb") as stream:
                stream.write(data if isinstance(data, bytes) else data.data)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise EgretError(f"{target} cannot be written: {error.strerror or error}.") from error
