"""Files of others: what is no array, no text or a bomb is one sentence, whichever command reads it."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from egret.archive import MOST_BYTES, parse_json, read_arrays
from egret.checkpoint import FORMAT, Checkpoint
from egret.cli import main
from egret.errors import EgretError
from egret.synthetic.calibrated import random_checkpoint


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def with_header(text: str, content: bytes = b"") -> bytes:
    header = text.encode("latin1")
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + content


def bad_code_points(codes: list[int]) -> bytes:
    # numpy's str is four bytes a character, whatever they hold.
    header = f"{{'descr': '<U{len(codes)}', 'fortran_order': False, 'shape': ()}}\n"
    return with_header(header, np.array(codes, dtype="<u4").tobytes())


SHAPE = "{{'descr': '|i1', 'fortran_order': False, 'shape': {}}}\n"
MEMBERS = {
    "text": (b"no array", "is no array"),
    "empty": (b"", "is no array"),
    "version": (b"\x93NUMPY\x09\x00" + bytes(80), "its version is unknown"),
    "header": (with_header("{'descr': \n"), "is no array"),
    "brackets": (with_header("(" * 9000), "is no array"),
    "absurd shape": (with_header(SHAPE.format((1 << 62, 1 << 62))), "is not that of its bytes"),
    "negative shape": (with_header(SHAPE.format((-1, -4)), b"abcd"), "is no array"),
    "short": (npy(np.zeros(9, np.int8))[:-1], "is not that of its bytes"),
    "objects": (with_header(SHAPE.format("()").replace("i1", "O"), b"."), "Python objects"),
    "code point": (bad_code_points([65, 0x110000]), "Unicode has not"),
    "surrogate": (bad_code_points([65, 0xD800]), "Unicode has not"),
}


def archive(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return path


@pytest.mark.parametrize("case", MEMBERS)
def test_a_member_that_is_no_array_is_named(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content, said = MEMBERS[case]
    path = archive(tmp_path / "file.npz", good=npy(np.arange(3)), wrong=content)
    with pytest.raises(ValueError, match=f"'wrong'.*{said}"):
        read_arrays(path)
    for command in ("inspect", "report"):
        assert main([command, str(path)]) == 2
        error = capsys.readouterr().err
        assert error.startswith(f"egret: {path} is no") and error.count("\n") == 1
    assert [each.name for each in tmp_path.iterdir()] == ["file.npz"]


def test_arrays_come_back_as_they_were_written(tmp_path: Path) -> None:
    arrays = {
        "c": np.arange(12, dtype="<i4").reshape(3, 4),
        "fortran": np.asfortranarray(np.arange(12, dtype=">u2").reshape(3, 4)),
        "none": np.zeros((0, 5), np.int8),
        "scalar": np.array(7, np.uint8),
        "words": np.array(["naïve", "漢字", "\U0001f426"]),
        "word": np.array("one", dtype=">U3"),
    }
    np.savez_compressed(tmp_path / "file.npz", **arrays)
    found = read_arrays(tmp_path / "file.npz")
    assert set(found) == set(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype and found[name].flags.writeable
        np.testing.assert_array_equal(found[name], array)


def test_a_bomb_is_refused_before_it_is_inflated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The directory says how large a member is: of this one only that is read, since nothing is in it."""
    path = archive(tmp_path / "bomb.npz", wrong=b"few bytes")
    data = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        place = data.index(mark) + offset
        data[place : place + 4] = (MOST_BYTES + 1).to_bytes(4, "little")
    path.write_bytes(data)
    for command in ("inspect", "report"):
        assert main([command, str(path)]) == 2
        assert f"would inflate to {MOST_BYTES + 1:,} bytes; {MOST_BYTES:,} are read at most" in (
            capsys.readouterr().err
        )


def test_half_characters_in_metadata_are_refused(tmp_path: Path) -> None:
    assert parse_json('{"a": "\\ud83d\\udc26"}') == {"a": "\U0001f426"}
    for text in ('{"a": "\\ud800"}', '{"\\udc00": 1}', "[" * 100_000, "{"):
        with pytest.raises(ValueError):
            parse_json(text)
    checkpoint = random_checkpoint([3], 2, 4, seed=1)
    path = tmp_path / "model.npz"
    checkpoint.save(path)
    arrays = {**read_arrays(path), "metadata": np.array(json.dumps({"a": "\ud800"}))}
    np.savez(path, **arrays)
    assert str(arrays["format"]) == FORMAT
    with pytest.raises(EgretError, match="metadata is not JSON"):
        Checkpoint.load(path)
    half = "\ud800"
    for key, value in {"name": half, "metadata": {"a": half}, "vocabulary": ["a", "b", "c", half]}.items():
        changed = random_checkpoint([3], 2, 4, seed=1)
        setattr(changed, key, value)
        with pytest.raises(EgretError):
            changed.save(tmp_path / "new.npz")
    assert not (tmp_path / "new.npz").exists()
