#!/usr/bin/env python3
"""Makes files of vectors for the C++ test bench (bench.cpp): commands, and what they must do to memory.

What is expected comes from the reference model, bit for bit: result records, logits, and the counters block,
in which what depends on time is zero (hls/src/counters.hpp).

python -m hls.csim.vectors CASE FILE [--seed N]    CASE is a name in tb/kernel_cases.py
"""

from __future__ import annotations

import argparse
import random
import struct
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

from egret import contract
from egret.account.fetched_beats import fetched_beats, fired_neurons
from egret.board.identity import words_of
from egret.reference.model import ReferenceModel, Trace
from tb.kernel_cases import CASES, Case, make_checkpoint
from tb.wrong_headers import ENGINE_WORDS, HEADER_WORDS_PER_ENGINE, ignored_words, wrong_words

MAGIC = 0x3130434556474745
STEP_END, STEP_PLACE, STEP_EXPECT, STEP_COMMAND = range(4)
ERROR_CODES = {name: code for code, (name, _) in contract.ERRORS.items()}

IMAGE_ADDRESS = 0x1000
MEMORY_BEATS = 131072
"""As in bench.cpp."""


class VectorFile:
    """Collects steps; addresses are handed out behind the image."""

    def __init__(self, memory_bytes: int, first_free: int) -> None:
        self.memory_bytes = memory_bytes
        self.first_free = self.next_free = first_free
        self.parts = [struct.pack("<Q", MAGIC)]

    def allocate(self, size: int) -> int:
        """Return a 64-byte aligned address with a gap behind its `size` bytes."""
        address = self.next_free
        self.next_free += -(-size // 64) * 64 + 64
        if self.next_free > self.memory_bytes:
            raise ValueError("the vectors need more memory than the bench has")
        return address

    def place(self, address: int, data: bytes) -> int:
        """The host writes `data` before the next command."""
        self.parts.append(struct.pack("<3Q", STEP_PLACE, address, len(data)) + data)
        return address

    def expect(self, address: int, data: bytes) -> None:
        """The next command must leave `data` at an address."""
        self.parts.append(struct.pack("<3Q", STEP_EXPECT, address, len(data)) + data)

    def command(self, command: int, status: int = 0, **arguments: int) -> None:
        """The kernel executes a command, writes what was expected and no more, and returns `status`."""
        names = ("flags", "token_count", "image", "tokens", "results", "logits", "counters")
        unknown = set(arguments) - set(names)
        if unknown:
            raise ValueError(f"the kernel has no argument {unknown}")
        values = [arguments.get(name, 0) for name in names]
        self.parts.append(struct.pack("<10Q", STEP_COMMAND, command, *values, status))

    def finish(self) -> bytes:
        """Return the file's contents."""
        return b"".join([*self.parts, struct.pack("<Q", STEP_END)])


class VectorMaker:
    """One case's network, its reference model, and the file."""

    def __init__(self, case: Case, seed: int) -> None:
        self.case, self.build = case, case.build
        self.checkpoint = make_checkpoint(case, seed)
        self.reference = ReferenceModel(self.checkpoint)
        self.image = case.pack(self.checkpoint)
        self.draw = random.Random(seed)
        self.last_fired: list[npt.NDArray[np.bool_]] | None = None
        size = int(self.image.data.size)
        self.file = VectorFile(MEMORY_BEATS * self.build.bus_bytes, IMAGE_ADDRESS + -(-size // 64) * 64 + 64)
        self.file.place(IMAGE_ADDRESS, self.image.data.tobytes())

    def tokens(self, count: int) -> list[int]:
        """Return random tokens of the vocabulary."""
        return [self.draw.randrange(self.case.vocabulary) for _ in range(count)]

    def forget(self) -> None:
        """The reference's state is that after LOAD or RESET."""
        self.reference.reset()
        self.last_fired = None

    # -- commands that work

    def load(self) -> None:
        self.forget()
        self.simple(contract.COMMAND_LOAD, image=IMAGE_ADDRESS)

    def reset(self) -> None:
        self.forget()
        self.simple(contract.COMMAND_RESET)

    def simple(self, command: int, error: str = "OK", **arguments: int) -> None:
        """A command that counts nothing, whether it ends well or not."""
        status = ERROR_CODES[error]
        counters = self.file.allocate(contract.COUNTERS_BYTES)
        self.file.expect(counters, self.counters(status))
        self.file.command(command, status, counters=counters, **arguments)

    def run(self, tokens: list[int], logits: bool = False) -> None:
        self._run(contract.COMMAND_RUN, tokens, self.reference.run(np.array(tokens, dtype=np.uint32), logits))

    def generate(self, first: int, count: int, logits: bool = False) -> None:
        self._run(contract.COMMAND_GENERATE, [first], self.reference.generate(first, count, logits))

    def _run(self, command: int, given: list[int], trace: Trace) -> None:
        count = int(trace.tokens.size)
        tokens = self.place_tokens(given)
        results = self.file.allocate(contract.RESULT_BYTES * count)
        self.file.expect(results, self.records(trace))
        arguments = {"token_count": count, "tokens": tokens, "results": results}
        if trace.logits is not None:
            blocks = self.logit_blocks(trace.logits)
            arguments["logits"] = self.file.allocate(len(blocks))
            arguments["flags"] = contract.FLAG_WRITE_LOGITS
            self.file.expect(arguments["logits"], blocks)
        counters = self.file.allocate(contract.COUNTERS_BYTES)
        self.file.expect(counters, self.counters(0, trace))
        self.file.command(command, 0, counters=counters, **arguments)

    def place_tokens(self, tokens: list[int]) -> int:
        data = np.array(tokens, dtype=np.uint32).tobytes()
        # All that the kernel may read ahead is there; what is no token of the run must not matter.
        data += b"\xff" * (-len(data) % 64)
        return self.file.place(self.file.allocate(len(data)), data)

    # -- what is expected

    def records(self, trace: Trace) -> bytes:
        """Return the result records of a trace; cycles are zero."""
        count = int(trace.tokens.size)
        words = np.zeros((count, contract.RESULT_BYTES // 4), dtype=np.uint32)
        words[:, 0], words[:, 1], words[:, 2] = trace.argmax, trace.logit.view(np.uint32), trace.tokens
        words.view(np.uint16)[:, 8 : 8 + len(self.case.layers)] = trace.event_counts().T
        return words.tobytes()

    def logit_blocks(self, logits: npt.NDArray[np.int32]) -> bytes:
        """Return logits, int32 [T, V], as the engines write them."""
        build, (count, words) = self.build, logits.shape
        positions = -(-words // build.decoder_slots) * build.decoder_lanes
        padded = np.zeros((count, positions * build.engines), dtype=np.int32)
        padded[:, :words] = logits
        blocks = np.zeros((count, build.engines, -(-4 * positions // 64) * 16), dtype=np.int32)
        blocks[:, :, :positions] = padded.reshape(count, positions, build.engines).transpose(0, 2, 1)
        return blocks.tobytes()

    def counters(self, status: int, trace: Trace | None = None) -> bytes:
        """Return the counters block of a command that ran a trace, or nothing."""
        build = self.build
        words = np.zeros(contract.COUNTERS_BYTES // 8, dtype=np.uint64)

        def put(name: str, *values: int) -> None:
            first = contract.COUNTERS[name][0]
            words[first : first + len(values)] = values

        put("identity", contract.MAGIC << 32 | contract.KERNEL_VERSION)
        for name, value in words_of(build).items():
            put(name, value)
        put("status", status)
        if trace is not None:
            put("macs", int(trace.macs.sum()))
            put("events", *(int(total) for total in trace.event_counts().sum(axis=1)))
            put("beats", *self.count_beats(trace))
        return words.tobytes()

    def count_beats(self, trace: Trace) -> list[int]:
        """Return the beats of each engine: a table row per token and the columns of every event."""
        fired = fired_neurons([trace], self.case.layers)
        beats = fetched_beats(self.image, fired, self.last_fired).sum(axis=(0, 2))
        self.last_fired = [layer[-1] for layer in fired]
        return [int(count) for count in beats]

    # -- commands that fail

    def refuse_commands(self) -> None:
        """NOT_LOADED, BAD_COMMAND, BAD_ADDRESS; to be called before anything is loaded."""
        self.simple(contract.COMMAND_QUERY)
        for command in (contract.COMMAND_RESET, contract.COMMAND_RUN, contract.COMMAND_GENERATE):
            self.simple(command, "NOT_LOADED", token_count=1)
        self.simple(contract.COMMAND_RUN, "BAD_ADDRESS", tokens=8)  # addresses come first
        self.simple(contract.COMMAND_GENERATE + 5, "BAD_COMMAND")
        self.file.command(contract.COMMAND_GENERATE + 5, ERROR_CODES["BAD_ADDRESS"], counters=64 + 16)
        self.load()
        aligned = {
            "tokens": self.place_tokens(self.tokens(1)),
            "results": self.file.allocate(64),
            "logits": self.file.allocate(1 << 12),
        }
        for name in aligned:
            for wrong in (4, 32):
                self.simple(
                    contract.COMMAND_RUN,
                    "BAD_ADDRESS",
                    token_count=1,
                    flags=contract.FLAG_WRITE_LOGITS,
                    **{**aligned, name: aligned[name] + wrong},
                )
        self.simple(contract.COMMAND_LOAD, "BAD_ADDRESS", image=IMAGE_ADDRESS + 8)
        self.file.command(contract.COMMAND_RESET, ERROR_CODES["BAD_ADDRESS"], counters=64 + 16)
        unused = {**aligned, "logits": 3, "flags": 0xFFFF_FFFF ^ contract.FLAG_WRITE_LOGITS}
        self.file.command(contract.COMMAND_RUN, ERROR_CODES["OK"], token_count=0, **unused)
        self.run(self.tokens(2))  # after all this the model is still there

    def refuse_images(self) -> None:
        """BAD_IMAGE, WRONG_BUILD and LIMIT, one header word wrong at a time."""
        header = self.image.data[: contract.HEADER_BYTES].view(np.uint32)
        for error, word, value in wrong_words(
            header, int(self.image.data.size), self.build, len(self.case.layers)
        ):
            changed = header.copy()
            changed[word] = value
            self.file.place(IMAGE_ADDRESS, changed.tobytes())
            self.simple(contract.COMMAND_LOAD, error, image=IMAGE_ADDRESS)
        self.simple(contract.COMMAND_RUN, "NOT_LOADED", token_count=1)
        changed = header.copy()
        changed[ignored_words(self.build, len(self.case.layers))] = 0xA5A5_A5A5
        self.file.place(IMAGE_ADDRESS, changed.tobytes())
        self.load()
        self.restore()

    def refuse_tokens(self) -> None:
        """BAD_TOKEN with its position; the records before it are there; then nothing is loaded."""
        good = self.tokens(5)
        trace = self.reference.run(np.array(good, dtype=np.uint32))
        tokens = self.place_tokens([*good, self.case.vocabulary, *good])
        results = self.file.allocate(contract.RESULT_BYTES * 11)
        self.file.expect(results, self.records(trace))
        status = ERROR_CODES["BAD_TOKEN"] | 5 << 8
        self.file.command(contract.COMMAND_RUN, status, token_count=11, tokens=tokens, results=results)
        self.simple(contract.COMMAND_RUN, "NOT_LOADED", token_count=1)
        self.load()
        self.file.command(
            contract.COMMAND_GENERATE,
            ERROR_CODES["BAD_TOKEN"],
            token_count=3,
            tokens=self.place_tokens([0xFFFF_FFFF]),
            results=results,
        )
        self.load()

    def refuse_columns(self) -> None:
        """BAD_COLUMN where the first layer's pointers are wrong: too large, and either column backwards."""
        header = self.image.data[: contract.HEADER_BYTES].view(np.uint32)
        neurons = self.case.layers[0]
        tokens = self.tokens(8)
        trace = self.reference.run(np.array(tokens, dtype=np.uint32))
        # not the last token, which asks for no recurrent column
        firing = next((t for t in range(7) if trace.events[0][t][0].size), None)
        if firing is None:
            return  # a silent network asks for no column
        # In the wave in which layer 0 is at this token, the decoder is at the one so many layers before.
        finished = max(0, firing - len(self.case.layers) + 1)
        entry = HEADER_WORDS_PER_ENGINE * (self.build.engines - 1) + ENGINE_WORDS
        offset, beats = int(header[entry]), int(header[entry + 6])
        for forward, recurrent in ((0, beats + 1), (0xFFFF_FFFF, 0xFFFF_FFFF), (1, 0), (0, min(1, beats))):
            data = self.image.data.copy()
            pointers = data[offset:].view(np.uint32)[:: self.build.bus_bytes // 4][: 2 * neurons + 1]
            pointers[0::2], pointers[1::2] = forward, recurrent
            self.file.place(IMAGE_ADDRESS, data.tobytes())
            self.load()
            if forward == recurrent == 0:
                continue  # no weights: these pointers are right
            results = self.file.allocate(contract.RESULT_BYTES * 8)
            if finished:
                first = self.reference.run(np.array(tokens[:finished], dtype=np.uint32))
                self.file.expect(results, self.records(first))
            self.file.command(
                contract.COMMAND_RUN,
                ERROR_CODES["BAD_COLUMN"] | finished << 8,
                token_count=8,
                tokens=self.place_tokens(tokens),
                results=results,
            )
            self.simple(contract.COMMAND_RESET, "NOT_LOADED")
        self.restore()

    def restore(self) -> None:
        """Put the good image back and load it."""
        self.file.place(IMAGE_ADDRESS, self.image.data.tobytes())
        self.load()


def make_vectors(case: Case, seed: int) -> bytes:
    """Return the file for a case: every command, state carried over and reset, then every error code."""
    maker = VectorMaker(case, seed)
    maker.refuse_commands()
    maker.reset()
    for count, logits in ((1, True), (20, True), (5, False), (17, False)):
        maker.run(maker.tokens(count), logits)
    maker.generate(maker.tokens(1)[0], 9, logits=True)
    maker.reset()
    maker.run(maker.tokens(6), logits=True)
    maker.generate(maker.tokens(1)[0], 4)
    maker.refuse_images()
    maker.run(maker.tokens(3), logits=True)
    maker.refuse_tokens()
    maker.run(maker.tokens(3))
    maker.load()
    maker.refuse_columns()
    maker.run(maker.tokens(3), logits=True)
    return maker.file.finish()


def main() -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("case", choices=[case.name for case in CASES])
    parser.add_argument("file", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    case = next(case for case in CASES if case.name == arguments.case)
    arguments.file.write_bytes(make_vectors(case, arguments.seed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
