"""A session: one model on one kernel.

A command costs some ten register accesses however many tokens it runs; all else (tokens, results, counters)
travels through DDR. The host sees DDR through its cache and the kernel does not, so each buffer is flushed
after the host wrote it and invalidated before the host reads it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from egret import contract
from egret.board.buffers import Buffers
from egret.board.driver import EgretKernel, KernelError
from egret.board.identity import build_of
from egret.board.results import RESULT_WORDS, Counters, Run, deal_logits_back, parse_results
from egret.errors import EgretError, RunError
from egret.image.layout import Layout
from egret.image.limits import DEFAULT_CHUNK, check_build
from egret.image.model_image import ModelImage
from egret.profiles import Board

DEFAULT_TIMEOUT_S = 120.0
"""How long one command may take."""

IDENTITY = contract.MAGIC << 32 | contract.KERNEL_VERSION
"""What a kernel of this version writes into the counters' identity word."""


@dataclass
class _Chunk:
    """Tokens that one start of the kernel runs."""

    command: int
    steps: int
    logits: bool
    arguments: dict[str, int]
    """Of the command."""
    last_argmax: int = 0
    """Of the last step, once it has run."""


class Session:
    """One model on one kernel: load, then run tokens; the network's state persists from run to run.

    A context manager; close() frees the DDR buffers. `build` is what the kernel reports, so that a model
    can be packed for it.
    """

    def __init__(
        self, kernel: EgretKernel, chunk: int = DEFAULT_CHUNK, timeout_s: float = DEFAULT_TIMEOUT_S
    ) -> None:
        """Ask the kernel for its build.

        `chunk` is how many tokens the kernel runs per start, `timeout_s` the seconds it may take for one
        command. Raises RunError where what answers is no Egret kernel of this version, and EgretError where
        memory is short.
        """
        if chunk < 1:
            raise EgretError(f"A chunk holds at least one token; {chunk} were asked for.")
        self.kernel, self.chunk, self.timeout_s = kernel, chunk, timeout_s
        self._buffers = Buffers(kernel.device, chunk)
        self._image: ModelImage | None = None
        try:
            self._counters = self._buffers.allocate("counters", (contract.COUNTERS_BYTES // 8,), np.uint64)
            self._tokens = self._buffers.allocate("tokens", (chunk,), np.uint32)
            self._results = self._buffers.allocate("results", (chunk, RESULT_WORDS), np.uint32)
            self.execute(contract.COMMAND_QUERY)
            self.build = build_of(self._counters)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the buffers, after the kernel has ended what it may still be doing; see settle().

        Where it does not end, the buffers stay allocated: it may still write to them.
        """
        self.settle()
        self._image = None
        self._buffers.free_all()

    def settle(self) -> None:
        """Wait for the end of a command that Ctrl-C or a cancelled task left running.

        After a time-out, load the bitstream anew instead, as recover() does; if that is not possible, give
        the kernel its time once more. Raises RunError if it does not end in time.
        """
        if self.kernel.timed_out and self.kernel.reloadable:
            self._image = None
            self.kernel.reload()
        if self.kernel.running:
            self.kernel.wait(self.timeout_s)

    def load(self, image: ModelImage) -> Counters:
        """Put a model image into DDR, have the kernel load it, and return what that cost.

        Raises EgretError where the image was packed for another build, its model is beyond a limit of the
        kernel or DDR is short of memory, and KernelError where the kernel refuses it. After any of them no
        model is loaded.
        """
        self._check_free()
        self._image = None
        check_build(image, self.build)
        self._buffers.free("image", "logits")
        self._buffers.allocate("image", (image.data.size,), np.uint8, content=image.data)
        counters = self.execute(contract.COMMAND_LOAD, image=self._buffers.addresses["image"])
        self._image = image
        return counters

    def recover(self) -> None:
        """After a time-out: load the bitstream anew, and see that the kernel answers; then load() a model.

        Raises KernelTimeout where it does not answer even then, and EgretError where the bitstream cannot be
        loaded (see EgretKernel.reload()).
        """
        self._image = None
        self.kernel.reload()
        self.execute(contract.COMMAND_QUERY)

    @property
    def board(self) -> Board:
        """The profile of the board; EgretError if open_kernel() did not open the kernel."""
        return self.kernel.board

    @property
    def image(self) -> ModelImage:
        """The model that is loaded; raises EgretError where none is, as after an error in a run."""
        if self._image is None:
            raise EgretError("No model is loaded; call load() first (after an error in a run, again).")
        return self._image

    @property
    def loaded(self) -> bool:
        """Whether a model is loaded, and its state what the last command left."""
        return self._image is not None

    @property
    def logit_bytes(self) -> int:
        """Bytes that the loaded model's logits take in DDR for each token, padding among them."""
        return 4 * self.build.engines * self._logit_block(self.image.header.words)

    def reset(self) -> Counters:
        """Set the network's state back to that after load()."""
        _ = self.image  # raises where no model is loaded
        return self.execute(contract.COMMAND_RESET)

    def run(self, tokens: npt.ArrayLike, logits: bool = False) -> Run:
        """Run the tokens, integers [T], teacher forced: each is the input of one step. See stream()."""
        return Run.join(list(self.stream(tokens, logits)))

    def generate(self, first_token: int, count: int, logits: bool = False) -> Run:
        """Run `count` steps, the first on `first_token`, each next one on the argmax before it."""
        return Run.join(list(self.stream_generate(first_token, count, logits)))

    def stream(self, tokens: npt.ArrayLike, logits: bool = False) -> Iterator[Run]:
        """As run(), yielding a Run for each chunk as it is done.

        Raises EgretError where a token is not in the vocabulary (before anything runs) and KernelError where
        the kernel stops; then the model must be loaded again.
        """
        return self._run_chunks(self._given_chunks(tokens, logits))

    def stream_generate(self, first_token: int, count: int, logits: bool = False) -> Iterator[Run]:
        """As generate(), yielding a Run for each chunk as it is done; raises as stream() does."""
        return self._run_chunks(self._generated_chunks(first_token, count, logits))

    def astream(self, tokens: npt.ArrayLike, logits: bool = False) -> AsyncIterator[Run]:
        """As stream(), for asyncio: the event loop runs while the kernel works."""
        return self._run_chunks_async(self._given_chunks(tokens, logits))

    def astream_generate(self, first_token: int, count: int, logits: bool = False) -> AsyncIterator[Run]:
        """As stream_generate(), for asyncio: the event loop runs while the kernel works."""
        return self._run_chunks_async(self._generated_chunks(first_token, count, logits))

    def checked(self, tokens: npt.ArrayLike) -> npt.NDArray[np.uint32]:
        """Return tokens, integers [T], as uint32 [T]; raise EgretError where the model cannot run them."""
        given = np.asarray(tokens)
        if given.ndim != 1 or given.size == 0 or given.dtype.kind not in "iu":
            shape = list(given.shape)
            raise EgretError(
                f"Tokens must be a list of one integer or more; got {given.dtype} of shape {shape}."
            )
        vocabulary = self.image.header.words
        outside = np.flatnonzero((given < 0) | (given >= vocabulary))
        if outside.size:
            raise EgretError(
                f"Token {int(given[outside[0]])} at position {int(outside[0])} is not in the "
                f"vocabulary; tokens are 0 to {vocabulary - 1}."
            )
        return given.astype(np.uint32)

    def _given_chunks(self, tokens: npt.ArrayLike, logits: bool) -> Iterator[_Chunk]:
        given = self.checked(tokens)
        return self._chunks(contract.COMMAND_RUN, given, int(given.size), logits)

    def _generated_chunks(self, first_token: int, count: int, logits: bool) -> Iterator[_Chunk]:
        if count < 1:
            raise EgretError(f"At least one word can be generated; {count} were asked for.")
        return self._chunks(contract.COMMAND_GENERATE, self.checked([first_token]), count, logits)

    def _chunks(
        self, command: int, tokens: npt.NDArray[np.uint32], count: int, logits: bool
    ) -> Iterator[_Chunk]:
        """Prepare one chunk after the other; each must have run before the next is asked for."""
        generating = command == contract.COMMAND_GENERATE
        for start in range(0, count, self.chunk):
            steps = min(self.chunk, count - start)
            part = tokens if generating else tokens[start : start + steps]
            chunk = _Chunk(command, steps, logits, self._prepare_chunk(part, steps, logits))
            yield chunk
            if generating:
                tokens = np.array([chunk.last_argmax], dtype=np.uint32)

    def _run_chunks(self, chunks: Iterator[_Chunk]) -> Iterator[Run]:
        for chunk in chunks:
            yield self._collect_chunk(chunk, self.execute(chunk.command, **chunk.arguments))

    async def _run_chunks_async(self, chunks: Iterator[_Chunk]) -> AsyncIterator[Run]:
        for chunk in chunks:
            yield self._collect_chunk(chunk, await self.execute_async(chunk.command, **chunk.arguments))

    def _prepare_chunk(self, tokens: npt.NDArray[np.uint32], steps: int, logits: bool) -> dict[str, int]:
        """Put tokens, uint32 [steps] or the first one alone, into DDR; return their command's arguments."""
        self._check_free()
        words = self.image.header.words
        self._tokens[: tokens.size] = tokens
        self._tokens.flush()
        arguments = {
            "token_count": steps,
            "tokens": self._buffers.addresses["tokens"],
            "results": self._buffers.addresses["results"],
            "flags": 0,
        }
        if logits:
            self._logit_buffer(words)
            arguments.update(flags=contract.FLAG_WRITE_LOGITS, logits=self._buffers.addresses["logits"])
        return arguments

    def _collect_chunk(self, chunk: _Chunk, counters: Counters) -> Run:
        """Return what a chunk that has run left in DDR, with the `counters` of its command."""
        image = self.image
        self._results.invalidate()
        dealt = None
        if chunk.logits:
            blocks = self._logit_buffer(image.header.words)
            blocks.invalidate()
            dealt = deal_logits_back(np.asarray(blocks[: chunk.steps]), image.header.words)
        records = np.asarray(self._results[: chunk.steps])
        run = parse_results(records, len(image.neurons), counters, dealt)
        chunk.last_argmax = int(run.argmax[-1])
        return run

    def execute(self, command: int, **arguments: int) -> Counters:
        """Run one command to its end and return its counters; `arguments` are values of argument registers.

        This is for commands made by hand, and checks nothing beforehand; the other methods run models. Raises
        KernelError if the command ends with an error; the session then holds no model, even where the kernel
        still does.
        """
        with self._command():
            self.kernel.start(command, counters=self._buffers.addresses["counters"], **arguments)
            self.kernel.wait(self.timeout_s)
            return self._outcome(command)

    async def execute_async(self, command: int, **arguments: int) -> Counters:
        """As execute(), but let the event loop run meanwhile. A task that is cancelled loses the state."""
        with self._command():
            self.kernel.start(command, counters=self._buffers.addresses["counters"], **arguments)
            await self.kernel.wait_async(self.timeout_s)
            return self._outcome(command)

    @contextmanager
    def _command(self) -> Iterator[None]:
        """Clear the counters for a command; if the body raises, no model is loaded any more."""
        self._check_free()
        # Zero means "not written": a block without the kernel's identity is not believed.
        self._counters[:] = 0
        self._counters.flush()
        try:
            yield
        except BaseException:
            self._image = None
            raise

    def _outcome(self, command: int) -> Counters:
        """Return the counters of a command that has ended; raise if it ended with an error."""
        self._counters.invalidate()
        identity = int(self._counters[contract.COUNTERS["identity"][0]])
        # Not from the counters block: what went wrong while that was written does not stand in it.
        status = self.kernel.read_status()
        if status & 0xFF:
            raise KernelError(command, status)
        if identity != IDENTITY:
            raise RunError(
                f"What answers at the kernel's address is no Egret kernel of version "
                f"{contract.KERNEL_VERSION}: its identity is {identity:#x}, not "
                f"{IDENTITY:#x}."
            )
        return Counters.parse(np.asarray(self._counters))

    def _check_free(self) -> None:
        """Raise RunError while the kernel works: it reads and writes the buffers that are to be filled."""
        if self.kernel.running:
            raise RunError("The kernel is still running; wait for it before starting another command.")

    def _logit_buffer(self, vocabulary: int) -> Any:
        block = self._logit_block(vocabulary)
        return self.buffer("logits", (self.chunk, self.build.engines, block), np.int32)

    def _logit_block(self, vocabulary: int) -> int:
        """Return the logits, padding among them, that an engine writes for a token."""
        positions = Layout.of_decoder(self.build).positions(vocabulary)
        per_line = contract.ALIGNMENT // 4
        return -(-positions // per_line) * per_line

    def buffer(self, name: str, shape: tuple[int, ...], dtype: Any) -> Any:
        """Return the DDR buffer `name`, a pynq buffer allocated and zeroed at first use and freed by close().

        Raises EgretError if there is no room. The caller flushes what it writes, invalidates what it reads.
        """
        return self._buffers.get(name, shape, dtype)
