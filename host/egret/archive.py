"""Reading what others wrote: the arrays of a .npz, and JSON, from files that may be damaged or hostile."""

from __future__ import annotations

import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

MOST_BYTES = 1 << 30
"""Of all arrays of a .npz together, as its directory declares them before anything is inflated: a few
megabytes of zeros deflated are gigabytes. The paper's network with all words of WikiText-2 has 88 million."""


def read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of the .npz at `path`, by name.

    Raises OSError where it cannot be read, and ValueError with a sentence where it is no .npz, declares more
    than MOST_BYTES, or has a member that is no array or text that is not Unicode.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            declared = sum(member.file_size for member in members)
            if declared > MOST_BYTES:
                raise ValueError(f"it would inflate to {declared:,} bytes; {MOST_BYTES:,} are read at most")
            return {member.filename.removesuffix(".npy"): _array(archive, member) for member in members}
    # What a damaged archive raises depends on where the damage is.
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"it is no intact zip archive ({error})") from error


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> npt.NDArray[Any]:
    name = member.filename.removesuffix(".npy")
    with archive.open(member) as stream:
        try:
            version = np.lib.format.read_magic(stream)
            if version not in ((1, 0), (2, 0)):
                raise ValueError("its version is unknown")
            header = np.lib.format.read_array_header_1_0 if version == (1, 0) else _header_2_0
            shape, fortran, dtype = header(stream)
            if dtype.hasobject:
                raise ValueError("it holds Python objects")
            if min(shape, default=0) < 0:
                raise ValueError("a length is negative")
            # Python's integers: a shape may claim any size.
            size = dtype.itemsize
            for length in shape:
                size *= length
            if size != member.file_size - stream.tell():
                raise ValueError("its shape is not that of its bytes")
            content = stream.read()
        # numpy has Python parse the header, and lets through whatever the parser raises.
        except Exception as error:
            raise ValueError(f"its member {name!r} is no array ({error})") from error
    array = np.frombuffer(bytearray(content), dtype=dtype).reshape(shape, order="F" if fortran else "C")
    if dtype.kind == "U":
        codes = array.reshape(-1).view(np.dtype(np.uint32).newbyteorder(dtype.byteorder))
        if ((codes > 0x10FFFF) | ((codes >= 0xD800) & (codes < 0xE000))).any():
            raise ValueError(f"its member {name!r} is no text: it has code points that Unicode has not")
    return array


_header_2_0 = np.lib.format.read_array_header_2_0


def parse_json(text: str) -> Any:
    """Parse a JSON text; raise ValueError if it is not JSON, or has text that is not Unicode."""
    try:
        value = json.loads(text)
        # "\ud800" is JSON, but half a character: it can be neither printed nor written.
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (RecursionError, UnicodeEncodeError) as error:
        raise ValueError(str(error)) from error
    return value
