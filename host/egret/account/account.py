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
  token, in the bits that the build gives it, without gaps, at the roofline.
- *bytes by section*: a row of the token table, and for each event a mean column of the matrices that it
  feeds. What was counted differs only as far as neurons with longer columns fire more or less often.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from egret.account.matrices import SECTIONS, MatrixAccount, account_matrices
from egret.board.results import Run
from egret.errors import EgretError
from egret.image.layout import Layout
from egret.image.model_image import ModelImage
from egret.profiles import Board


@dataclass(frozen=True)
class Account:
    """A run's MACs, cycles and beats; all counts are totals over its tokens."""

    tokens: int
    matrices: tuple[MatrixAccount, ...]
    """Named as in the checkpoint; the first is the folded one, the last the decoder."""
    layer_activity: tuple[float, ...]
    macs: int
    cycles: int
    update_cycles: int
    beats: tuple[int, ...]
    """Of each engine of the build."""
    wait_cycles: tuple[int, ...]
    write_cycles: int
    """Cycles in which a decoder sweep waited for room to write logits."""
    table_beats: int
    """Those beats of all engines that carried rows of the token table."""
    layout: Layout
    board: Board

    @classmethod
    def of(
        cls,
        run: Run,
        matrices: Sequence[MatrixAccount],
        *,
        layer_activity: Sequence[float],
        table_row_beats: int,
        layout: Layout,
        board: Board,
    ) -> Account:
        """Return the account of a run of a model with these matrices; table_row_beats: of each engine."""
        counters, engines = run.counters, layout.engines
        return cls(
            tokens=len(run),
            matrices=tuple(matrices),
            layer_activity=tuple(layer_activity),
            macs=counters.macs,
            cycles=counters.cycles,
            update_cycles=counters.update_cycles,
            beats=counters.beats[:engines],
            wait_cycles=counters.wait_cycles[:engines],
            write_cycles=counters.write_cycles,
            table_beats=len(run) * engines * table_row_beats,
            layout=layout,
            board=board,
        )

    @property
    def decoder_layout(self) -> Layout:
        """Lanes and entries of the decoder, where `layout` is the layers'."""
        return self.matrices[-1].layout

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
        """Whether cycles were counted: not by the kernel made from C++, which has no clock."""
        return self.cycles > 0

    @property
    def macs_per_cycle(self) -> float:
        """MACs done in a cycle, of layout.slots possible; infinite where no cycles were counted."""
        return self._by_cycles(self.macs)

    @property
    def slots_filled(self) -> float:
        """Part of the fetched column entries that held a non-zero weight; 0 if none was fetched.

        Where the decoder's beats hold another number of entries, their part in the beats is that on paper.
        """
        on_paper = [matrix.beats_per_token for matrix in self.matrices[1:]]
        of_decoder = on_paper[-1] / sum(on_paper) if any(on_paper) else 0.0
        lanes = self.layout.lanes + of_decoder * (self.decoder_layout.lanes - self.layout.lanes)
        entries = (sum(self.beats) - self.table_beats) * lanes
        return self.macs / entries if entries else 0.0

    @property
    def bytes_per_token(self) -> dict[str, float]:
        """Bytes fetched at a token on paper, by section (egret.account.matrices.SECTIONS)."""
        result = dict.fromkeys(SECTIONS, 0.0)
        for matrix in self.matrices:
            result[matrix.section] += matrix.bytes_per_token
        return result

    @property
    def fetched_bytes(self) -> int:
        """Bytes of the beats that were counted."""
        return sum(self.beats) * self.layout.bus_bytes

    @property
    def roofline_cycles(self) -> float:
        """Cycles that the beats take at the best of ports and DDR."""
        return max(float(max(self.beats)), self.fetched_bytes / self.board.bytes_per_cycle)

    @property
    def utilisation(self) -> float:
        """roofline_cycles / cycles; infinite where no cycles were counted."""
        return self._by_cycles(self.roofline_cycles)

    @property
    def dense_machine_cycles(self) -> float:
        """Cycles of the ideal dense machine on the same ports and DDR."""
        bits = sum(matrix.weights * matrix.layout.weight_bits for matrix in self.matrices)
        weight_bytes = self.tokens * bits / 8
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
            "write_cycles",
            "fetched_bytes",
            "bytes_per_token",
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
                "bytes_per_token": matrix.bytes_per_token,
                "entries": matrix.layout.entry_format,
            }
            for matrix in self.matrices
        ]
        result.update(
            board=self.board.name,
            clock_mhz=self.board.clock_mhz,
            engines=self.layout.engines,
            lanes=self.layout.lanes,
            decoder_lanes=self.decoder_layout.lanes,
        )
        return result


def make_account(image: ModelImage, run: Run, board: Board) -> Account:
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
    return Account.of(
        run,
        account_matrices(image, activity),
        layer_activity=activity,
        table_row_beats=image.table_row_beats(),
        layout=image.layout,
        board=board,
    )
