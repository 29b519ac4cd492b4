"""How a command line ends: its exit status, and one sentence on standard error for what went wrong.

`egret` and `python -m egret_training` share it. Nothing slow is imported here, so that Ctrl-C is a sentence
from the beginning on.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Callable, Sequence

from egret.errors import EgretError, RunError
from egret.text.printable import printable

FINE, BOARD_FAILED, WRONG_INPUT, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143
"""Exit statuses, for scripts. BOARD_FAILED: the board fails, differs from the reference model, or fails a
check of `verify`. WRONG_INPUT: usage, a file, an option, a model that does not fit, what is not there.
INTERRUPTED and TERMINATED: by Ctrl-C and SIGTERM, with shells' numbers."""

STATUSES = (
    f"Exit status: {FINE} fine; {BOARD_FAILED} the board fails, or differs from the reference model; "
    f"{WRONG_INPUT} wrong usage or input, or something is missing; {INTERRUPTED} interrupted; "
    f"{TERMINATED} terminated."
)


def process(main: Callable[[Sequence[str]], int]) -> None:
    """Run `main` on this process's arguments and exit with its status; SIGTERM leaves nothing behind."""

    def terminated(number: int, frame: object) -> None:
        sys.exit(TERMINATED)  # an exception: what is open is closed, and temporary folders go

    signal.signal(signal.SIGTERM, terminated)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # words that the terminal has no characters for
    sys.exit(main(sys.argv[1:]))


def status_of(program: str, command: Callable[[], int], interrupted: str = "interrupted.") -> int:
    """Run a command and return its exit status; what went wrong is a sentence of `program`'s.

    `interrupted`: what to say after Ctrl-C. A file's text in a sentence cannot control the terminal.
    """

    def say(sentence: str) -> None:
        if sys.stderr is not None:
            print(f"{program}: {printable(' '.join(sentence.splitlines()))}", file=sys.stderr)

    try:
        if sys.stdout is None:
            raise EgretError("the standard output is closed; redirect it to /dev/null instead.")
        status = command()
        sys.stdout.flush()
        return status
    except RunError as error:
        say(str(error))
        return BOARD_FAILED
    except EgretError as error:
        say(str(error))
        return WRONG_INPUT
    except MemoryError as error:
        say(f"this machine's memory does not suffice ({error}).")
        return WRONG_INPUT
    except OSError as error:  # files that cannot be read raise EgretError: what is left is our own output
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or it is tried again at exit
        if isinstance(error, BrokenPipeError):  # the reader (head, less) has seen enough
            return FINE
        say(f"the output cannot be written: {error.strerror or error}.")
        return WRONG_INPUT
    except KeyboardInterrupt:
        say(interrupted)
        return INTERRUPTED
