"""A PYNQ.remote server on this machine, with a virtual board behind it: what pynq's RemoteDevice talks to.

It answers the messages of pynq's protocol files as the server on a board does, and counts them. The client is
pynq's own, unmodified.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import Any

import grpc
import numpy as np
from pynq.remote import (
    buffer_pb2,
    buffer_pb2_grpc,
    mmio_pb2,
    mmio_pb2_grpc,
    remote_device_pb2,
    remote_device_pb2_grpc,
)

PORT = 7967  # pynq's; the client takes no other
FIRMWARE = "/sys/class/fpga_manager/fpga0/firmware"
PIECE = 1 << 20


class RemoteBoard:
    """The files, registers and buffers of a board: `device` is a virtual one with its logic loaded."""

    def __init__(self, device: Any, name: str) -> None:
        self.device = device
        self.files = {
            "/proc/device-tree/chosen/pynq_board": name.encode() + b"\0",
            "/proc/version": b"Linux version 5.15.19-xilinx (armv7l)",
            "/sys/class/fpga_manager/fpga0/state": b"operating\n",
            "/sys/class/fpga_manager/fpga0/flags": b"0\n",
        }
        self.messages: Counter[str] = Counter()
        self.windows: list[tuple[int, int]] = []
        self.buffers: dict[str, tuple[tuple[int, int], Any]] = {}
        self.loaded: list[str] = []

    def count(self, what: str) -> None:
        self.messages[what] += 1


class Registers(mmio_pb2_grpc.MmioServicer):
    def __init__(self, board: RemoteBoard) -> None:
        self.board = board

    def get_mmio(self, request: Any, context: Any) -> Any:
        self.board.windows.append((request.base_addr, request.length))
        return mmio_pb2.GetMmioResponse(mmio_id=str(len(self.board.windows) - 1))

    def read(self, request: Any, context: Any) -> Any:
        self.board.count("register")
        base, size = self.board.windows[int(request.mmio_id)]
        assert request.length == 4 and request.offset < size
        data = self.board.device.read_registers(base + request.offset, 4)
        return mmio_pb2.ReadResponse(data=int.from_bytes(data, "little"))

    def write(self, request: Any, context: Any) -> Any:
        self.board.count("register")
        base, size = self.board.windows[int(request.mmio_id)]
        assert request.offset < size
        self.board.device.write_registers(base + request.offset, request.data)
        return mmio_pb2.WriteResponse()


class Buffers(buffer_pb2_grpc.RemoteBufferServicer):
    """Write and read reach the processor's copy, flush and invalidate move it to and from the DDR."""

    def __init__(self, board: RemoteBoard) -> None:
        self.board = board
        self.given = 0

    def allocate(self, request: Any, context: Any) -> Any:
        pointer = self.board.device.memory.take(request.size)
        self.given += 1
        self.board.buffers[str(self.given)] = (pointer, np.full(request.size, 0xA5, dtype=np.uint8))
        return buffer_pb2.AllocateResponse(buffer_id=str(self.given))

    def write(self, request_iterator: Any, context: Any) -> Any:
        self.board.count("buffer")
        at = 0
        for request in request_iterator:
            _, host = self.board.buffers[request.buffer_id]
            host[at : at + len(request.data)] = np.frombuffer(request.data, dtype=np.uint8)
            at += len(request.data)
        return buffer_pb2.BufferWriteResponse()

    def read(self, request: Any, context: Any) -> Iterator[Any]:
        self.board.count("buffer")
        _, host = self.board.buffers[request.buffer_id]
        for at in range(0, host.size, PIECE):
            yield buffer_pb2.BufferReadResponse(data=host[at : at + PIECE].tobytes())

    def freebuffer(self, request: Any, context: Any) -> Any:
        pointer, _ = self.board.buffers.pop(request.buffer_id)
        self.board.device.memory.return_pointer(pointer)
        return buffer_pb2.FreeBufferResponse()

    def flush(self, request: Any, context: Any) -> Any:
        self.board.count("buffer")
        (address, _), host = self.board.buffers[request.buffer_id]
        self.board.device.memory.view(address, host.size)[:] = host
        return buffer_pb2.FlushResponse()

    def invalidate(self, request: Any, context: Any) -> Any:
        self.board.count("buffer")
        (address, _), host = self.board.buffers[request.buffer_id]
        host[:] = self.board.device.memory.view(address, host.size)
        return buffer_pb2.InvalidateResponse()

    def physical_address(self, request: Any, context: Any) -> Any:
        self.board.count("address")
        return buffer_pb2.AddressResponse(address=self.board.buffers[request.buffer_id][0][0])


class Files(remote_device_pb2_grpc.RemoteDeviceServicer):
    def __init__(self, board: RemoteBoard) -> None:
        self.board = board

    def existsfile(self, request: Any, context: Any) -> Any:
        return remote_device_pb2.ExistsFileResponse(exists=request.file_path in self.board.files)

    def readfile(self, request: Any, context: Any) -> Iterator[Any]:
        yield remote_device_pb2.ReadFileResponse(data=self.board.files[request.file_path])

    def writefile(self, request_iterator: Any, context: Any) -> Any:
        requests = list(request_iterator)
        path, data = requests[0].file_path, b"".join(request.data for request in requests)
        if path == FIRMWARE:
            assert f"/lib/firmware/{data.decode()}" in self.board.files, "no such file on the board"
            self.board.loaded.append(data.decode())
        else:
            self.board.files[path] = data
        return remote_device_pb2.WriteFileResponse()

    def set_bitstream_attrs(self, request: Any, context: Any) -> Any:
        return remote_device_pb2.SetBitstreamAttrsResponse(status=True)


@contextmanager
def serving(board: RemoteBoard, address: str) -> Iterator[None]:
    """Serve the board at an address of this machine's loopback network until the context ends."""
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=1))
    mmio_pb2_grpc.add_MmioServicer_to_server(Registers(board), server)
    buffer_pb2_grpc.add_RemoteBufferServicer_to_server(Buffers(board), server)
    remote_device_pb2_grpc.add_RemoteDeviceServicer_to_server(Files(board), server)
    assert server.add_insecure_port(f"{address}:{PORT}")
    server.start()
    try:
        yield
    finally:
        server.stop(None).wait()
