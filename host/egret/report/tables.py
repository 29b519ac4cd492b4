"""The tables of a report, as text; page.py makes HTML of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from egret.report.record import RunRecord

MEASURED, THEORY, DERIVED = "measured", "theoretical", "derived"


@dataclass(frozen=True)
class Row:
    """Cells, the first naming the row; kind: how it stands out, "" if not."""

    cells: Sequence[str]
    kind: str = ""


@dataclass(frozen=True)
class Table:
    """A table: numbers to the right, or with `prose` text to the left."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Row]
    prose: bool = False


def cards(record: RunRecord) -> list[tuple[str, str, str]]:
    """Return the figures that stand out: value, what it is, where it is from."""
    account = record.account
    firing = float(record.run.events.sum()) / (account.tokens * sum(record.facts.neurons))
    result = [
        (f"{firing:.1%}", "of the neurons fire at a token", MEASURED),
        (f"{account.saved_by_done:.1f} ×", "fewer MACs than a dense network", MEASURED),
    ]
    if account.timed:
        result += [
            (f"{account.saved_in_cycles:.1f} ×", "fewer cycles than an ideal dense machine", MEASURED),
            (f"{account.utilisation:.1%}", "utilisation: roofline / cycles", MEASURED),
            (f"{account.tokens_per_second:,.0f}", f"tokens/s at {account.board.clock_mhz} MHz", DERIVED),
        ]
    if record.facts.perplexity is not None:
        result.append((f"{record.facts.perplexity:.1f}", "perplexity of the given text", MEASURED))
    return result


def headline(record: RunRecord) -> Table:
    """Return the comparison: MACs on paper and done, cycles at best and taken."""
    account = record.account

    def row(name: str, total: float, saved: float | None, kind: str) -> Row:
        per_token, factor = f"{total / account.tokens:,.0f}", "" if saved is None else f"{saved:.1f} ×"
        return Row((name, per_token, f"{total:,.0f}", factor, kind), kind)

    rows = [
        row("MACs of the dense network", account.dense_macs, None, THEORY),
        row("MACs with both sparsities", account.sparse_macs, account.saved_on_paper, THEORY),
        row("  of these folded into the token table", account.folded_macs, None, THEORY),
        row("MACs done", account.macs, account.saved_by_done, MEASURED),
        row("Cycles of an ideal dense machine", account.dense_machine_cycles, None, THEORY),
    ]
    if account.timed:
        possible = account.dense_machine_cycles / account.roofline_cycles if account.roofline_cycles else None
        rows += [
            row("Cycles at the roofline", account.roofline_cycles, possible, DERIVED),
            row("Cycles", account.cycles, account.saved_in_cycles, MEASURED),
        ]
    return Table(
        f"The run of {account.tokens:,} tokens",
        ("", "per token", "in all", "saved over dense", ""),
        rows,
    )


def matrices(record: RunRecord) -> Table:
    """Return what each weight matrix holds and costs."""
    rows = [
        Row(
            (
                matrix.name,
                f"{matrix.weights:,}",
                f"{matrix.nonzeros:,}",
                f"{matrix.nonzeros / matrix.weights:.1%}",
                f"{matrix.activity:.1%}",
                f"{matrix.sparse_macs:,.0f}",
                matrix.layout.entry_format,
            )
        )
        for matrix in record.account.matrices
    ]
    head = ("", "weights", "non-zero", "kept", "mean activity", "sparse MACs/token", "a beat holds")
    return Table("Weight matrices; the first is folded into the token table", head, rows)


def memory(record: RunRecord) -> Table:
    """Return the bytes of the model image by section."""
    sizes = record.facts.image_bytes
    total = sum(sizes.values())
    rows = [Row((name, f"{size:,}", f"{size / max(total, 1):.1%}")) for name, size in sizes.items()]
    rows.append(Row(("all", f"{total:,}", "100.0%")))
    return Table("The model image in the board's memory", ("", "bytes", "share"), rows)


def counters(record: RunRecord) -> Table:
    """Return the kernel's counters as they are."""
    counted, tokens = record.run.counters, len(record.run)
    layers, engines = len(record.facts.neurons), record.facts.layout.engines
    values = [
        ("cycles", counted.cycles),
        ("macs", counted.macs),
        ("update_cycles", counted.update_cycles),
        ("write_cycles", counted.write_cycles),
        *((f"events of layer {layer}", counted.events[layer]) for layer in range(layers)),
        *((f"beats of engine {engine}", counted.beats[engine]) for engine in range(engines)),
        *((f"wait_cycles of engine {engine}", counted.wait_cycles[engine]) for engine in range(engines)),
    ]
    rows = [Row((name, f"{value / tokens:,.1f}", f"{value:,}")) for name, value in values]
    starts = len(record.starts)
    caption = f"Counters, summed over {starts:,} start{'s' if starts != 1 else ''} of the kernel"
    return Table(caption, ("", "per token", "in all"), rows)


def sources(record: RunRecord, measured_on: str) -> Table:
    """Return where each number comes from."""
    board = record.facts.board
    beats = (
        "The columns, in the packed image, of the neurons that fired by the reference model. Their beats add "
        "up to those counted, engine by engine."
        if record.section_beats is not None
        else "A mean column, in the packed image, for each event counted."
    )
    cycles = ", cycles" if record.account.timed else ""
    rows = [
        Row((f"MACs done, events, beats{cycles}", MEASURED, f"The kernel's counters, on {measured_on}.")),
        Row((f"Words, events{cycles} of each token", MEASURED, "The kernel's result records, on the same.")),
        Row(("Dense MACs", THEORY, "Every weight of every matrix, once a token.")),
        Row(
            (
                "MACs with both sparsities",
                THEORY,
                "For each matrix, its non-zero weights times the mean activity, as measured, of the neurons "
                "that feed it; of the first layer's input weights, all.",
            )
        ),
        Row(
            (
                "Ideal dense machine",
                THEORY,
                "Every weight once a token, in the bits that the kernel gives it and without gaps, through "
                "the same ports and memory, never waiting.",
            )
        ),
        Row(
            (
                "Roofline",
                DERIVED,
                f"The beats counted, at one a cycle and port, or at the memory's {board.bytes_per_cycle:.1f} "
                "bytes a cycle, whichever takes longer.",
            )
        ),
        Row(("Bytes by section", DERIVED, beats)),
    ]
    if record.account.timed:
        clock = f"Cycles at {board.clock_mhz} MHz, the clock that the kernel is meant for on this board."
        rows.append(Row(("Tokens per second", DERIVED, clock)))
    if record.fired is not None:
        which = (
            "The integer reference model, run on the same tokens; its counts are the kernel's at every token."
        )
        rows.insert(2, Row(("Which neurons fired", "reference", which)))
    return Table("", ("number", "kind", "from"), rows, prose=True)
