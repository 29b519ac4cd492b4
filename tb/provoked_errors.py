"""The errors of the regression: each provokes one, in the way that its name in random_scenarios.py says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import numpy as np

from egret import contract
from tb.wrong_headers import ENGINE_WORDS, HEADER_WORDS_PER_ENGINE, wrong_words

if TYPE_CHECKING:
    from tb.scenario_player import Player


def expect(status: int, name: str) -> None:
    """The status register holds this error."""
    assert contract.ERRORS[status & 0xFF][0] == name, f"{contract.ERRORS[status & 0xFF][0]} instead of {name}"


def header(player: Player) -> np.ndarray:
    """Return the header words of the loaded image, uint32 [128]."""
    return player.scene.image.data[: contract.HEADER_BYTES].view(np.uint32)


async def bad_command(player: Player) -> None:
    command = player.draw.choice((5, 6, 0x103, 1 << 31, player.draw.randint(5, (1 << 32) - 1)))
    status, counters = await player.bench.execute(command)
    expect(status, "BAD_COMMAND")
    assert counters.status == status


async def bad_address(player: Player) -> None:
    wrong = player.draw.choice(("tokens", "results", "logits", "image", "counters"))
    arguments = {name: player.bench.allocate(64) for name in ("tokens", "results", "logits")}
    arguments[wrong] = player.bench.allocate(64) + (1 << player.draw.randrange(6))
    command = contract.COMMAND_LOAD if wrong == "image" else contract.COMMAND_RUN
    player.bench.memory.written_lines.clear()
    status, _ = await player.bench.execute(
        command, token_count=1, flags=contract.FLAG_WRITE_LOGITS, **arguments
    )
    expect(status, "BAD_ADDRESS")
    lines = 0 if wrong == "counters" else contract.COUNTERS_BYTES // 64
    assert len(player.bench.memory.written_lines) == lines, "only the counters may be written"


async def not_loaded(player: Player) -> None:
    await player.bench.reset()
    await player.is_not_loaded()


async def wrong_header(player: Player, name: str) -> None:
    bench, data = player.bench, player.scene.image.data.copy()
    case = player.scene.case
    changes = wrong_words(header(player), data.size, case.build, len(case.layers))
    # Where these sections are short enough, the last 64 bytes of the image hold them, and nothing is wrong.
    decoder, table = ENGINE_WORDS + 3, ENGINE_WORDS + 4
    image, bus = player.scene.image, case.build.bus_bytes
    short = {
        decoder: image.decoder_layout.positions(case.vocabulary) * bus <= 64,
        table: case.vocabulary * image.table_row_beats() * bus <= 64,
    }
    _, word, value = player.draw.choice(
        [change for change in changes if change[0] == name and not short.get(change[1])]
    )
    data[: contract.HEADER_BYTES].view(np.uint32)[word] = value
    address = bench.place(data)
    bench.memory.read_lines.clear()
    status, counters = await bench.execute(contract.COMMAND_LOAD, image=address)
    expect(status, name)
    assert counters.status == status
    assert min(bench.memory.read_lines) >= address // 64 * 64
    assert max(bench.memory.read_lines) < address + data.size, "a read outside the image"
    await player.is_not_loaded()


async def bad_column(player: Player) -> None:
    """Pointers beyond the section in every engine: an error as soon as a neuron fires, if one does."""
    bench, data = player.bench, player.scene.image.data.copy()
    words, bus = header(player), player.bench.build.bus_bytes
    for engine in range(player.bench.build.engines):
        offset, count = words[ENGINE_WORDS + HEADER_WORDS_PER_ENGINE * engine :][:2].tolist()
        data[offset + bus : offset + bus * count].view(np.uint32)[:: bus // 4] = 0xFFFF_FFFF
    address = bench.place(data)
    status, _ = await bench.execute(contract.COMMAND_LOAD, image=address)
    assert status == 0, "the loader does not read column pointers; the column fetcher does"
    tokens = player.draw_tokens(16)
    bench.memory.read_lines.clear()
    run = await bench.run(tokens)
    fires = player.fresh_trace(tokens).event_counts().any()
    expect(run.status, "BAD_COLUMN" if fires else "OK")


async def bad_token(player: Player, command: str) -> None:
    words = player.scene.case.vocabulary
    wrong = player.draw.choice((words, words + 1, 1 << 16, (1 << 32) - 1))
    wrong = max(wrong, words)
    position = 0
    if command == "RUN":
        position = player.draw.randrange(20)
        tokens = player.draw_tokens(position)
        run = await player.bench.run([*tokens, wrong, *player.draw_tokens(3)])
        complete = max(position - len(player.scene.case.layers) - 3, 0)
        trace = player.scene.reference.run(np.array(tokens, dtype=np.uint32))
        np.testing.assert_array_equal(run.argmax[:complete], trace.argmax[:complete])
    else:
        run = await player.bench.generate(wrong, 3)
    expect(run.status, "BAD_TOKEN")
    assert run.status >> 8 == position, f"token {run.status >> 8}, not {position}"
    await player.is_not_loaded()


async def read_error(player: Player, command: str) -> None:
    bench, image = player.bench, player.scene.image
    engine = player.draw.randrange(bench.build.engines)
    words = header(player)[ENGINE_WORDS + HEADER_WORDS_PER_ENGINE * engine :].tolist()
    address = bench.place(image.data)
    bytes_of_beat = bench.build.bus_bytes
    if command == "LOAD":
        # a beat of the header, the column pointers, the neuron records or the decoder records
        beats = {0: words[1], 2: 2, 3: 2, None: contract.HEADER_BYTES // bytes_of_beat}
        section = player.draw.choice(tuple(beats))
        first = address + (0 if section is None else words[section])
        first += bytes_of_beat * player.draw.randrange(beats[section])
        bench.memory.faulty = range(first, first + bytes_of_beat)
        status, _ = await bench.execute(contract.COMMAND_LOAD, image=address)
    else:
        status, _ = await bench.execute(contract.COMMAND_LOAD, image=address)
        assert status == 0
        row = image.table_row_beats() * bytes_of_beat
        token = player.draw_tokens(1)[0]
        beat = address + words[4] + token * row
        beat += bytes_of_beat * player.draw.randrange(image.table_row_beats())
        bench.memory.faulty = range(beat, beat + bytes_of_beat)
        if command == "RUN":
            before = player.draw.randrange(4)
            run = await bench.run([token] * before + [token] + player.draw_tokens(2))
        else:
            run = await bench.generate(token, 3)
        status = run.status
    bench.memory.faulty = None
    expect(status, "READ_ERROR")
    await player.is_not_loaded()


async def write_error(player: Player, what: str) -> None:
    bench = player.bench
    if what == "counters":
        target = bench.allocate(contract.COUNTERS_BYTES)
        first = target + 64 * player.draw.randrange(contract.COUNTERS_BYTES // 64)
        bench.memory.faulty = range(first, first + 8)
        status, _ = await bench.execute(contract.COMMAND_QUERY, counters=target)
    else:
        tokens = bench.place(np.array(player.draw_tokens(4), dtype=np.uint32).view(np.uint8))
        results, logits = bench.allocate(4 * contract.RESULT_BYTES), bench.allocate(1 << 17)
        first = results + 32 * player.draw.randrange(4) if what == "results" else logits
        bench.memory.faulty = range(first, first + 8)
        status, _ = await bench.execute(
            contract.COMMAND_RUN,
            token_count=4,
            tokens=tokens,
            results=results,
            logits=logits,
            flags=contract.FLAG_WRITE_LOGITS,
        )
    bench.memory.faulty = None
    expect(status, "WRITE_ERROR")
    assert status >> 8 < 4, f"the error is at token {status >> 8} of 4"
    await player.is_not_loaded()


def _with(
    provoke: Callable[[Player, str], Awaitable[None]], argument: str
) -> Callable[[Player], Awaitable[None]]:
    return lambda player: provoke(player, argument)


PROVOKE: dict[str, Callable[[Player], Awaitable[None]]] = {
    "BAD_COMMAND": bad_command,
    "BAD_ADDRESS": bad_address,
    "NOT_LOADED": not_loaded,
    **{name: _with(wrong_header, name) for name in ("BAD_IMAGE", "WRONG_BUILD", "LIMIT")},
    "BAD_COLUMN": bad_column,
    **{f"BAD_TOKEN in {command}": _with(bad_token, command) for command in ("RUN", "GENERATE")},
    **{f"READ_ERROR in {command}": _with(read_error, command) for command in ("LOAD", "RUN", "GENERATE")},
    **{f"WRITE_ERROR of {what}": _with(write_error, what) for what in ("results", "logits", "counters")},
}
