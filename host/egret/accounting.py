"""MACs on paper against cycles on the machine: does what sparsity saves in the one arrive in the other?

Definitions, for a run of T tokens (docs/formats.md, sections 1 and 5):

- *dense*: one multiply-accumulate for every weight of every matrix at every token.
- *sparse, in theory*: for each matrix, the product rule: non-zero weights x mean activity of the neurons that
  feed it. The embedding of a token is dense (activity 1).
- *folded*: the part of that which the token table replaces, the first layer's input product. The kernel does
  not do it; it fetches a row.
- *done*: what the kernel counted, non-zero weights multiplied by events. It differs from the
  theoretical number less the folded part only as far as neurons with fuller columns fire more or less often.
- *roofline*: cycles in which the beats that were fetched can cross the ports (one beat a cycle each) and the
  DDR (at its peak bandwidth), whichever is longer. *Utilisation* is roofline / cycles.
- *dense machine*: the cycles an ideal dense machine on the same ports and DDR needs: every weight once a
  token, in the build's weight bits, without gaps, at the roofline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from egret.errors import EgretError
from egret.image import ModelImage
from egret.kernel import Board
from egret.layout import Layout
from egret.measurement import Run


@dataclass(frozen=True)
class MatrixAccount:
    """One weight matrix of the network."""

    name: str
    weights: int
    """All weights, pruned ones counted: dense MACs a token."""
    nonzeros: int
    activity: float
    """Mean part of the columns that are used at a token, 0 to 1."""

    @property
    def sparse_macs(self) -> float:
        """Theoretical sparse MACs a token."""
        return self.nonzeros * self.activity


@dataclass(frozen=True)
class Account:
    """A run's MACs, cycles and beats; all counts are totals over its tokens."""

    tokens: int
    matrices: tuple[MatrixAccount, ...]
    """Named as in the checkpoint; the first is the folded one."""
    layer_activity: tuple[float, ...]
    macs: int
    cycles: int
    update_cycles: int
    beats: tuple[int, ...]
    """Of each engine of the build."""
    wait_cycles: tuple[int, ...]
    table_beats: int
    """Those beats of all engines that carried rows of the token table."""
    layout: Layout
    board: Board

    @property
    def dense_macs(self) -> int:
        """Theoretical dense MACs."""
        return self.tokens * sum(matrix.weights for matrix in self.matrices)

    @property
    def sparse_macs(self) -> float:
        """Theoretical sparse MACs, the folded ones counted."""
        return self.tokens * sum(matrix.sparse_macs for matrix in self.matrices)

    @property
    def folded_macs(self) -> float:
        """Theoretical sparse MACs that the token table replaces."""
        return self.tokens * self.matrices[0].sparse_macs

    @property
    def timed(self) -> bool:
        """Whether cycles were counted: not by the kernel made from C++, which knows no clock."""
        return self.cycles > 0

    @property
    def macs_per_cycle(self) -> float:
        """MACs done in a cycle, of layout.slots possible; infinite where no cycles were counted."""
        return self._by_cycles(self.macs)

    @property
    def slots_filled(self) -> float:
        """Part of the fetched column entries that held a non-zero weight; 0 if none was fetched."""
        entries = (sum(self.beats) - self.table_beats) * self.layout.lanes
        return self.macs / entries if entries else 0.0

    @property
    def roofline_cycles(self) -> float:
        """Cycles that the beats take at the best of ports and DDR."""
        return max(
            float(max(self.beats)), sum(self.beats) * self.layout.bus_bytes / self.board.bytes_per_cycle
        )

    @property
    def utilisation(self) -> float:
        """roofline_cycles / cycles; infinite where no cycles were counted."""
        return self._by_cycles(self.roofline_cycles)

    @property
    def dense_machine_cycles(self) -> float:
        """Cycles of the ideal dense machine on the same ports and DDR."""
        weight_bytes = self.dense_macs * self.layout.weight_bits / 8
        per_cycle = min(float(self.layout.engines * self.layout.bus_bytes), self.board.bytes_per_cycle)
        return weight_bytes / per_cycle

    @property
    def saved_on_paper(self) -> float:
        """Dense MACs / theoretical sparse MACs; infinite where nothing at all is left to do."""
        return self.dense_macs / self.sparse_macs if self.sparse_macs else float("inf")

    @property
    def saved_by_done(self) -> float:
        """Dense MACs / MACs done, the folded ones being saved too; infinite where none was done."""
        return self.dense_macs / self.macs if self.macs else float("inf")

    @property
    def saved_in_cycles(self) -> float:
        """The dense machine's cycles / measured cycles; infinite where none were counted."""
        return self._by_cycles(self.dense_machine_cycles)

    @property
    def tokens_per_second(self) -> float:
        """At the board's clock; infinite where no cycles were counted."""
        return self._by_cycles(self.board.clock_mhz * 1e6 * self.tokens)

    def _by_cycles(self, amount: float) -> float:
        return amount / self.cycles if self.timed else float("inf")

    def as_dict(self) -> dict[str, Any]:
        """Return every figure under its name, for JSON; None for a ratio that is infinite."""
        names = (
            "tokens",
            "dense_macs",
            "sparse_macs",
            "folded_macs",
            "macs",
            "cycles",
            "macs_per_cycle",
            "slots_filled",
            "beats",
            "table_beats",
            "wait_cycles",
            "update_cycles",
            "roofline_cycles",
            "utilisation",
            "dense_machine_cycles",
            "saved_on_paper",
            "saved_by_done",
            "saved_in_cycles",
            "tokens_per_second",
            "layer_activity",
        )
        values = {name: getattr(self, name) for name in names}
        result: dict[str, Any] = {
            name: None if value == float("inf") else value for name, value in values.items()
        }
        result["matrices"] = [
            {
                "name": matrix.name,
                "weights": matrix.weights,
                "nonzeros": matrix.nonzeros,
                "activity": matrix.activity,
                "sparse_macs": matrix.sparse_macs,
            }
            for matrix in self.matrices
        ]
        result.update(
            board=self.board.name,
            clock_mhz=self.board.clock_mhz,
            engines=self.layout.engines,
            lanes=self.layout.lanes,
        )
        return result

    def table(self) -> str:
        """Return the figures as text: the matrices, then the run per token and in total."""
        matrices = [("matrix", "weights", "non-zero", "kept", "activity", "sparse MACs/token")]
        matrices += [
            (
                matrix.name,
                f"{matrix.weights:,}",
                f"{matrix.nonzeros:,}",
                f"{matrix.nonzeros / matrix.weights:.1%}",
                f"{matrix.activity:.1%}",
                f"{matrix.sparse_macs:,.0f}",
            )
            for matrix in self.matrices
        ]
        timed = [
            ("cycles", self.cycles),
            ("  roofline", self.roofline_cycles),
            ("  update that hides behind no fetch", self.update_cycles),
        ]
        waits = [
            (f"cycles engine {engine} waited for data", cycles)
            for engine, cycles in enumerate(self.wait_cycles)
        ]
        counts: list[tuple[str, float]] = [
            ("theoretical dense MACs", self.dense_macs),
            ("theoretical sparse MACs", self.sparse_macs),
            ("  of these folded into the token table", self.folded_macs),
            ("MACs done", self.macs),
            *(timed if self.timed else [("cycles of the roofline", self.roofline_cycles)]),
            *((f"beats of engine {engine}", beats) for engine, beats in enumerate(self.beats)),
            *(waits if self.timed else []),
            ("cycles of an ideal dense machine", self.dense_machine_cycles),
        ]
        run = [(f"run of {self.tokens} tokens on {self.board.name}", "per token", "total")]
        run += [(name, f"{total / self.tokens:,.0f}", f"{total:,.0f}") for name, total in counts]
        layout = self.layout
        ratios = [
            ("MACs per cycle", f"{self.macs_per_cycle:.2f} of {layout.slots}", True),
            ("entries fetched that held a weight", f"{self.slots_filled:.1%}", False),
            ("utilisation (roofline / cycles)", f"{self.utilisation:.1%}", True),
            ("speed-up over dense: MACs on paper", f"{self.saved_on_paper:.1f} x", False),
            ("speed-up over dense: MACs done", f"{self.saved_by_done:.1f} x", False),
            ("speed-up over dense: cycles", f"{self.saved_in_cycles:.1f} x", True),
            (
                f"tokens per second at {self.board.clock_mhz} MHz",
                f"{self.tokens_per_second:,.0f}",
                True,
            ),
        ]
        shown = [(name, value) for name, value, needs_cycles in ratios if self.timed or not needs_cycles]
        if not self.timed:
            shown.append(("cycles were not counted:", "this kernel has no clock"))
        width = max(len(row[0]) for row in [*matrices, *run, *shown])
        return "\n\n".join(_align(rows, width) for rows in (matrices, run, shown))


def account(image: ModelImage, run: Run, board: Board) -> Account:
    """Hold a run of the model in `image` against theory.

    Raises EgretError for a run without tokens, or of a model with other layers, and for an image that does
    not say how many weights its model has.
    """
    neurons = image.neurons
    if len(run) == 0 or run.events.shape[1] != len(neurons):
        raise EgretError(
            f"The run has {len(run)} tokens and {run.events.shape[1]} layers; at least one token "
            f"and {len(neurons)} layers are needed."
        )
    mean_events = run.events.mean(axis=0, dtype=np.float64)
    activity = [float(mean) / count for mean, count in zip(mean_events, neurons, strict=True)]
    counters, engines = run.counters, image.layout.engines
    return Account(
        tokens=len(run),
        matrices=_matrices(image, activity),
        layer_activity=tuple(activity),
        macs=counters.macs,
        cycles=counters.cycles,
        update_cycles=counters.update_cycles,
        beats=counters.beats[:engines],
        wait_cycles=counters.wait_cycles[:engines],
        table_beats=len(run) * engines * image.table_row_beats(),
        layout=image.layout,
        board=board,
    )


def _matrices(image: ModelImage, activity: Sequence[float]) -> tuple[MatrixAccount, ...]:
    """Return the account of each matrix, the folded one (which the image no longer holds) first."""
    try:
        nonzeros = {str(name): int(count) for name, count in image.description["nonzeros"].items()}
        dense = int(image.description["dense_macs_per_token"])
        neurons = image.neurons
        sizes = {"decoder_weights": (image.header.words * neurons[-1], activity[-1])}
        for layer, count in enumerate(neurons):
            sizes[f"layer{layer}.recurrent_weights"] = (3 * count * count, activity[layer])
            if layer:
                sizes[f"layer{layer}.input_weights"] = (3 * count * neurons[layer - 1], activity[layer - 1])
        folded = dense - sum(weights for weights, _ in sizes.values())
        sizes["layer0.input_weights"] = (folded, 1.0)
        return tuple(
            MatrixAccount(name=name, weights=sizes[name][0], nonzeros=nonzeros[name], activity=sizes[name][1])
            for name in sorted(sizes, key=lambda name: (not name.startswith("layer"), name))
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise EgretError(
            "The image's metadata does not say how many weights its model has; pack it anew."
        ) from error


def _align(rows: Sequence[Sequence[str]], first_width: int) -> str:
    """Set rows of equal length as a table: the first column to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    widths[0] = first_width
    return "\n".join(
        "  ".join(
            [
                row[0].ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
            ]
        ).rstrip()
        for row in rows
    )
