"""PYNQ.remote: pynq's own remote device, over gRPC, with a virtual board at the other end.

No real board has been reached in this way. What this shows: the driver uses nothing that the remote device
lacks, its buffers and registers suffice, and a start of the kernel takes few messages.
"""

from __future__ import annotations

import importlib.util
import json
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from egret.installation import CHECKOUT

pytest.importorskip("pynq", reason="pynq brings the remote device")
pytest.importorskip("pynq.remote", reason="PYNQ.remote comes with pynq 3.1")
pytest.importorskip("grpc", reason="PYNQ.remote speaks gRPC")
if importlib.util.find_spec("hls4ml") is None:
    pytest.skip("hls4ml brings the headers that the board is compiled with", allow_module_level=True)

import pynq

from egret.board.boards import open_board
from egret.profiles import BOARDS
from egret.reference.model import ReferenceModel
from host.tests.support.remote_server import RemoteBoard, serving
from host.tests.support.small_network import small_checkpoint

SEED = 97
WORDS = [f"w{i}" for i in range(60)]
TOKENS = np.random.default_rng(SEED).integers(0, len(WORDS), size=24, dtype=np.int64)

# Runs where pynq looks for remote boards; the variable is read when pynq is imported.
CLIENT = """
import json, sys
import pynq.pl_server.remote_device as remote
remote.RemoteDevice.gen_cache = lambda *_: None  # it would write into the installed package
remote.clear_global_state = lambda: None  # and delete from there
import egret
model, bitfile, tokens, board = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), sys.argv[4]
with egret.open(model, board, chunk=8, bitfile=bitfile) as net:
    run = net.run(tokens[:8])
    print("COUNT", flush=True)
    input()
    rest = [step.argmax for step in net.stream(tokens[8:16])]
    print("COUNT", flush=True)
    input()
    last = net.run(tokens[16:], logits=True)
    print(json.dumps({"argmax": [*run.argmax.tolist(), *rest, *last.argmax.tolist()],
        "logits": last.logits.tolist(), "clock": net.board.clock_mhz, "board": net.board.name,
        "device": type(net._session.kernel.device).__name__,
        "interrupt": net._session.kernel._interrupt.usable}))
"""


@pytest.fixture
def address() -> str:
    """An address of the loopback network for this process alone, since the port is pynq's."""
    return f"127.{os.getpid() >> 16 & 127}.{os.getpid() >> 8 & 255}.{os.getpid() & 255 or 1}"


@pytest.fixture
def board(address: str) -> Iterator[RemoteBoard]:
    with open_board("virtual:csim") as opened:
        pynq.Overlay(str(opened.bitfile), device=opened.device)
        remote = RemoteBoard(opened.device, "Pynq-Z2")
        with serving(remote, address):
            yield remote


@pytest.fixture
def bitfile(tmp_path: Path) -> Path:
    """A .bit file as Vivado begins it (pynq takes the header off), and the hardware handoff."""
    path = tmp_path / "egret.bit"
    fields = b"".join(
        bytes([tag]) + struct.pack(">H", len(text)) + text
        for tag, text in ((0x61, b"egret\0"), (0x62, b"7z020clg400\0"), (0x63, b"2026\0"), (0x64, b"0\0"))
    )
    data = bytes(range(64)) * 4
    path.write_bytes(
        struct.pack(">H", 9) + bytes(9) + b"\0\1" + fields + b"\x65" + struct.pack(">I", len(data)) + data
    )
    own = Path(sys.modules["egret"].__file__ or "").parent / "virtual_board" / "pynq-z2.hwh"
    path.with_suffix(".hwh").write_bytes(own.read_bytes())
    return path


def client(address: str, *arguments: str) -> subprocess.Popen[str]:
    path = os.pathsep.join(str(Path(folder).resolve()) for folder in sys.path if folder)
    return subprocess.Popen(
        [sys.executable, "-c", CLIENT, *arguments],
        env={**os.environ, "PYNQ_REMOTE_DEVICES": address, "PYTHONPATH": path, "BOARD": ""},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def until_count(process: subprocess.Popen[str]) -> None:
    assert process.stdin and process.stdout and process.stderr
    line = process.stdout.readline()
    assert line == "COUNT\n", process.stderr.read()


def go_on(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    process.stdin.write("\n")
    process.stdin.flush()


def test_a_network_runs_on_a_remote_board_with_few_messages(
    board: RemoteBoard, address: str, bitfile: Path, tmp_path: Path
) -> None:
    checkpoint = small_checkpoint(WORDS, BOARDS["pynq-z2"].build, SEED)
    checkpoint.save(tmp_path / "model.npz")
    process = client(address, str(tmp_path / "model.npz"), str(bitfile), json.dumps(TOKENS.tolist()), "auto")
    until_count(process)
    before = board.messages.copy()
    go_on(process)
    until_count(process)
    spent = board.messages - before
    go_on(process)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert errors == ""
    result: dict[str, Any] = json.loads(out)

    reference = ReferenceModel(checkpoint)
    trace = reference.run(TOKENS, logits=True)
    assert trace.logits is not None
    assert result["argmax"] == trace.argmax.tolist()
    assert result["logits"] == trace.logits[16:].tolist()
    assert (result["board"], result["device"], result["interrupt"]) == ("pynq-z2", "RemoteDevice", False)
    assert result["clock"] == BOARDS["pynq-z2"].clock_mhz
    # Of one start, whatever the number of its tokens: the start, one poll (this kernel is done at once), the
    # status.
    assert spent["register"] == 3
    assert spent["address"] == 0  # asking for a buffer's address is a message too; once is enough
    # Counters and tokens: write, flush. Counters and results: invalidate, read.
    assert spent["buffer"] == 8
    assert board.buffers == {}  # freed


def test_another_bitstream_of_the_same_name_replaces_the_first(
    board: RemoteBoard, address: str, bitfile: Path, tmp_path: Path
) -> None:
    small_checkpoint(WORDS, BOARDS["pynq-z2"].build, SEED).save(tmp_path / "model.npz")
    for _ in range(2):
        tokens = json.dumps(TOKENS.tolist())
        process = client(address, str(tmp_path / "model.npz"), str(bitfile), tokens, "auto")
        assert process.communicate("\n\n", timeout=60) and process.returncode == 0
        bitfile.write_bytes(bitfile.read_bytes()[:-1] + b"\0")
    assert len(board.loaded) == len(set(board.loaded)) == 2


@pytest.mark.parametrize(
    ("calls_itself", "name", "said"),
    [
        ("Ultra96", "pynq-z2", "This board is Ultra96, not pynq-z2: name ultra96-v2, or --board auto."),
        ("ZCU104", "auto", "This board calls itself 'ZCU104'; Egret knows pynq-z2, ultra96-v2, aup-zu3."),
    ],
)
def test_another_board_is_refused(
    board: RemoteBoard, address: str, bitfile: Path, tmp_path: Path, calls_itself: str, name: str, said: str
) -> None:
    board.files["/proc/device-tree/chosen/pynq_board"] = calls_itself.encode() + b"\0"
    small_checkpoint(WORDS, BOARDS["pynq-z2"].build, SEED).save(tmp_path / "model.npz")
    process = client(address, str(tmp_path / "model.npz"), str(bitfile), "[]", name)
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0 and said in errors
    assert board.loaded == []


def test_a_board_that_does_not_answer_is_a_sentence(address: str) -> None:
    environment = {**os.environ, "PYNQ_REMOTE_DEVICES": address}
    command = [sys.executable, "-m", "egret", "verify"]
    result = subprocess.run(
        command,
        env={**environment, "PYTHONPATH": str(CHECKOUT / "host")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == (
        f"egret: The board at {address} does not answer (Failed to connect to remote device)."
    )
