"""The cocotb tests of errors: each code provoked, no stray access, and a working kernel afterwards."""

from __future__ import annotations

import cocotb
import numpy as np
import numpy.typing as npt
from cocotbext.axi import AxiResp

from egret import contract
from egret.board.identity import words_of
from tb.kernel_bench import MEMORY_BASE
from tb.scene import CASE, Scene
from tb.wrong_headers import ENGINE_WORDS, HEADER_WORDS_PER_ENGINE, ignored_words, wrong_words

ERROR_RESPONSES = (AxiResp.SLVERR, AxiResp.DECERR)


def code(status: int) -> str:
    return contract.ERRORS[status & 0xFF][0]


def position(status: int) -> int:
    return status >> 8


async def begin(dut, load: bool = True) -> Scene:  # type: ignore[no-untyped-def]
    scene = Scene(dut)
    await scene.bench.reset()
    if load:
        await scene.bench.load(scene.image)
    return scene


async def works(scene: Scene) -> None:
    """Load the model again and run it: nothing of the error may be left."""
    scene.forget()
    await scene.bench.load(scene.image)
    tokens = scene.tokens(3)
    scene.check(await scene.bench.run(tokens, True), scene.reference.run(tokens, True))


@cocotb.test()
async def unknown_command(dut) -> None:  # type: ignore[no-untyped-def]
    """BAD_COMMAND, and the model stays loaded."""
    scene = await begin(dut)
    status, counters = await scene.bench.execute(max(contract.COMMAND_GENERATE, contract.COMMAND_RUN) + 5)
    assert code(status) == "BAD_COMMAND"
    assert counters.status == status
    tokens = scene.tokens(2)
    scene.check(await scene.bench.run(tokens), scene.reference.run(tokens))


@cocotb.test()
async def nothing_loaded(dut) -> None:  # type: ignore[no-untyped-def]
    """NOT_LOADED for RESET, RUN and GENERATE; QUERY answers."""
    scene = await begin(dut, load=False)
    for command in (contract.COMMAND_RESET, contract.COMMAND_RUN, contract.COMMAND_GENERATE):
        status, _ = await scene.bench.execute(command, token_count=1)
        assert code(status) == "NOT_LOADED"
    status, counters = await scene.bench.execute(contract.COMMAND_QUERY)
    assert status == 0
    for name, word in words_of(CASE.build).items():
        assert getattr(counters, name) == word, name
    await works(scene)


@cocotb.test()
async def misaligned_addresses(dut) -> None:  # type: ignore[no-untyped-def]
    """BAD_ADDRESS for each address a command uses, and only for those; nothing is written."""
    scene = await begin(dut)
    bench = scene.bench
    good = {
        "tokens": bench.place(np.zeros(64, np.uint8)),
        "results": bench.allocate(64),
        "logits": bench.allocate(1 << 14),
        "image": MEMORY_BASE,
    }
    for name in ("tokens", "results", "logits"):
        bench.memory.written_lines.clear()
        status, counters = await bench.execute(
            contract.COMMAND_RUN,
            token_count=1,
            flags=contract.FLAG_WRITE_LOGITS,
            **{**good, name: good[name] + 8},
        )
        assert code(status) == "BAD_ADDRESS", name
        assert len(bench.memory.written_lines) == contract.COUNTERS_BYTES // 64, (
            "only the counters may be written"
        )
    status, _ = await bench.execute(contract.COMMAND_LOAD, image=MEMORY_BASE + 4)
    assert code(status) == "BAD_ADDRESS"
    bench.memory.written_lines.clear()
    status, _ = await bench.execute(contract.COMMAND_RESET, counters=MEMORY_BASE + 32)
    assert code(status) == "BAD_ADDRESS"
    assert not bench.memory.written_lines
    # an address that the command does not use may be anything, and so may bits of `flags` without a meaning
    unknown = 0xFFFF_FFFF ^ contract.FLAG_WRITE_LOGITS
    status, _ = await bench.execute(
        contract.COMMAND_RUN, token_count=1, flags=unknown, **{**good, "logits": 3, "image": 5}
    )
    assert status == 0
    # addresses are checked first, and of a command that has nothing to do, too
    for command in (contract.COMMAND_RUN, 99):
        status, _ = await bench.execute(command, counters=MEMORY_BASE + 32, **{**good, "token_count": 0})
        assert code(status) == "BAD_ADDRESS"
    status, _ = await bench.execute(contract.COMMAND_RUN, **{**good, "token_count": 0})
    assert status == 0
    status, _ = await bench.execute(contract.COMMAND_RESET, counters=0)
    assert status == 0


def changed(scene: Scene, word: int, value: int) -> npt.NDArray[np.uint8]:
    data = scene.image.data.copy()
    data[: contract.HEADER_BYTES].view(np.uint32)[word] = value
    return data


@cocotb.test()
async def bad_images(dut) -> None:  # type: ignore[no-untyped-def]
    """BAD_IMAGE, WRONG_BUILD and LIMIT, one header word wrong at a time; no read outside the image."""
    scene = await begin(dut, load=False)
    bench, image = scene.bench, scene.image
    words = image.data[: contract.HEADER_BYTES].view(np.uint32)
    size = image.data.size
    for name, word, value in wrong_words(words, size, CASE.build, len(CASE.layers)):
        address = bench.place(changed(scene, word, value))
        bench.memory.read_lines.clear()
        status, counters = await bench.execute(contract.COMMAND_LOAD, image=address)
        assert code(status) == name, f"header word {word} = {value:#x}: {code(status)}, not {name}"
        assert counters.status == status
        assert min(bench.memory.read_lines) >= address and max(bench.memory.read_lines) < address + size
        bench.next_free = address  # the next one may take its place
    for tokens, name in ((MEMORY_BASE, "NOT_LOADED"), (MEMORY_BASE + 8, "BAD_ADDRESS")):
        status, _ = await bench.execute(contract.COMMAND_RUN, tokens=tokens, results=MEMORY_BASE)
        assert code(status) == name
    data = image.data.copy()
    for word in ignored_words(CASE.build, len(CASE.layers)):
        data[4 * word : 4 * word + 4] = 0xA5
    status, _ = await bench.execute(contract.COMMAND_LOAD, image=bench.place(data))
    assert status == 0
    await works(scene)


@cocotb.test()
async def token_outside_the_vocabulary(dut) -> None:  # type: ignore[no-untyped-def]
    """BAD_TOKEN with the position; results before it are there, but for tokens that were still under way."""
    scene = await begin(dut)
    tokens = scene.tokens(20)
    run = await scene.bench.run([*tokens, CASE.vocabulary, *tokens])
    assert code(run.status) == "BAD_TOKEN"
    assert position(run.status) == 20
    trace = scene.reference.run(tokens)
    complete = 20 - (len(CASE.layers) + 3)
    np.testing.assert_array_equal(run.argmax[:complete], trace.argmax[:complete])
    assert code((await scene.bench.run(tokens)).status) == "NOT_LOADED"
    await works(scene)
    run = await scene.bench.generate(0xFFFF_FFFF, 3)
    assert code(run.status) == "BAD_TOKEN" and position(run.status) == 0
    await works(scene)


@cocotb.test()
async def column_pointers_out_of_order(dut) -> None:  # type: ignore[no-untyped-def]
    """BAD_COLUMN where a pointer leads backwards or past the columns; nothing outside the image is read."""
    scene = await begin(dut, load=False)
    bench, size = scene.bench, scene.image.data.size
    words = scene.image.data[: contract.HEADER_BYTES].view(np.uint32)
    offset, pointers = int(words[ENGINE_WORDS]), int(words[ENGINE_WORDS + 1])
    for value in (0, 0xFFFF_FFFF, int(scene.image.data.size)):
        data = scene.image.data.copy()
        for index in range(1, pointers, 2 if value == 0 else 1):
            start = offset + index * CASE.build.bus_bytes
            data[start : start + 4].view(np.uint32)[0] = value
        address = bench.place(data)
        status, _ = await bench.execute(contract.COMMAND_LOAD, image=address)
        assert status == 0, "the loader does not read column pointers; the column fetcher does"
        bench.memory.read_lines.clear()
        tokens = bench.place(np.zeros(64, np.uint8))
        results = bench.allocate(20 * contract.RESULT_BYTES)
        status, _ = await bench.execute(contract.COMMAND_RUN, token_count=16, tokens=tokens, results=results)
        assert code(status) == "BAD_COLUMN"
        outside = {line for line in bench.memory.read_lines if not address <= line < address + size} - {
            tokens
        }
        assert not outside
    await works(scene)


@cocotb.test()
async def read_errors(dut) -> None:  # type: ignore[no-untyped-def]
    """READ_ERROR from the header, from each engine's sections, from the token table, and past the memory."""
    scene = await begin(dut, load=False)
    bench, memory = scene.bench, scene.bench.memory
    address = bench.place(scene.image.data)
    words = scene.image.data[: contract.HEADER_BYTES].view(np.uint32)
    sections = [
        int(words[ENGINE_WORDS + HEADER_WORDS_PER_ENGINE * engine + field])
        for engine in range(CASE.build.engines)
        for field in (0, 2, 3)
    ]
    for number, offset in enumerate((0, *sections)):
        memory.error_response = ERROR_RESPONSES[number % 2]
        memory.faulty = range(address + offset, address + offset + 8)
        status, _ = await bench.execute(contract.COMMAND_LOAD, image=address)
        assert code(status) == "READ_ERROR", f"offset {offset:#x}, {memory.error_response!r}"
    memory.faulty = None
    status, _ = await bench.execute(contract.COMMAND_LOAD, image=MEMORY_BASE + memory.size - 128)
    assert code(status) == "READ_ERROR"
    for engine in range(CASE.build.engines):  # the token table, in the middle of a run
        await bench.load(scene.image)
        image_address = bench.next_free
        status, _ = await bench.execute(contract.COMMAND_LOAD, image=bench.place(scene.image.data))
        table = image_address + int(words[ENGINE_WORDS + HEADER_WORDS_PER_ENGINE * engine + 4])
        row = scene.image.table_row_beats() * CASE.build.bus_bytes
        memory.error_response = ERROR_RESPONSES[engine % 2]
        memory.faulty = range(table + 3 * row, table + 4 * row)
        run = await bench.run([0, 1, 2, 3, 4])
        assert code(run.status) == "READ_ERROR"
        memory.faulty = None
        bench.next_free = image_address
    await works(scene)


@cocotb.test()
async def write_errors(dut) -> None:  # type: ignore[no-untyped-def]
    """WRITE_ERROR from results, logits and counters; its position is a token; no model is left."""
    scene = await begin(dut)
    bench, memory = scene.bench, scene.bench.memory
    for count, logits in ((1, False), (4, False), (4, True)):
        memory.error_response = ERROR_RESPONSES[int(logits)]
        await bench.load(scene.image)
        tokens = bench.place(np.zeros(64, np.uint8))
        target = bench.allocate(1 << 15)
        memory.faulty = range(target, target + 64)
        status, _ = await bench.execute(
            contract.COMMAND_RUN,
            token_count=count,
            tokens=tokens,
            results=bench.allocate(256) if logits else target,
            logits=target,
            flags=contract.FLAG_WRITE_LOGITS if logits else 0,
        )
        assert code(status) == "WRITE_ERROR" and position(status) < count
        memory.faulty = None
        assert code((await bench.execute(contract.COMMAND_RESET))[0]) == "NOT_LOADED"
    counters = bench.allocate(contract.COUNTERS_BYTES)
    arguments = {"counters": counters, "token_count": 3, "tokens": tokens, "results": bench.allocate(256)}
    for command in (contract.COMMAND_QUERY, contract.COMMAND_RUN):
        await bench.load(scene.image)
        memory.faulty = range(counters, counters + 64)
        status, _ = await bench.execute(command, **arguments)
        assert code(status) == "WRITE_ERROR" and position(status) == 0
        memory.faulty = None
        assert code((await bench.execute(contract.COMMAND_RESET))[0]) == "NOT_LOADED"
    await works(scene)
