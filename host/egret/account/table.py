"""The account of a run as text."""

from __future__ import annotations

from collections.abc import Sequence

from egret.account.account import Account


def account_table(account: Account) -> str:
    """Return the figures as text: the matrices, bytes by section, the run per token and in total, ratios."""
    blocks = [_matrices(account), _bytes(account), _run(account), _ratios(account)]
    width = max(len(row[0]) for rows in blocks for row in rows)
    return "\n\n".join(_align(rows, width) for rows in blocks)


def _matrices(account: Account) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("matrix", "weights", "non-zero", "kept", "activity", "sparse MACs/token")]
    rows += [
        (
            matrix.name,
            f"{matrix.weights:,}",
            f"{matrix.nonzeros:,}",
            f"{matrix.nonzeros / matrix.weights:.1%}",
            f"{matrix.activity:.1%}",
            f"{matrix.sparse_macs:,.0f}",
        )
        for matrix in account.matrices
    ]
    return rows


def _bytes(account: Account) -> list[tuple[str, ...]]:
    total = sum(account.bytes_per_token.values())
    rows: list[tuple[str, ...]] = [("fetched", "a beat holds", "bytes/token", "share")]
    formats = {matrix.section: matrix.layout.entry_format for matrix in account.matrices[1:]}
    rows += [
        (section, formats.get(section, "16-bit sums"), f"{size:,.0f}", f"{size / total:.1%}")
        for section, size in account.bytes_per_token.items()
        if size
    ]
    rows.append(("all, were every column as long as the mean", "", f"{total:,.0f}", "100.0%"))
    counted = account.fetched_bytes / account.tokens
    rows.append(("all that was counted", "", f"{counted:,.0f}", f"{counted / total:.1%}"))
    return rows


def _run(account: Account) -> list[tuple[str, ...]]:
    timed = [
        ("cycles", account.cycles),
        ("  roofline", account.roofline_cycles),
        ("  update that hides behind no fetch", account.update_cycles),
    ]
    waits = [
        *(
            (f"cycles engine {engine} waited for data", cycles)
            for engine, cycles in enumerate(account.wait_cycles)
        ),
        ("cycles the decoder waited to write logits", account.write_cycles),
    ]
    counts: list[tuple[str, float]] = [
        ("theoretical dense MACs", account.dense_macs),
        ("theoretical sparse MACs", account.sparse_macs),
        ("  of these folded into the token table", account.folded_macs),
        ("MACs done", account.macs),
        *(timed if account.timed else [("cycles of the roofline", account.roofline_cycles)]),
        *((f"beats of engine {engine}", beats) for engine, beats in enumerate(account.beats)),
        *(waits if account.timed else []),
        ("cycles of an ideal dense machine", account.dense_machine_cycles),
    ]
    rows: list[tuple[str, ...]] = [
        (f"run of {account.tokens} tokens on {account.board.name}", "per token", "total")
    ]
    rows += [(name, f"{total / account.tokens:,.0f}", f"{total:,.0f}") for name, total in counts]
    return rows


def _ratios(account: Account) -> list[tuple[str, ...]]:
    possible, of_decoder = account.layout.slots, account.decoder_layout.slots
    slots = f"{possible}" if of_decoder == possible else f"{possible} (decoder {of_decoder})"
    ratios = [
        ("MACs per cycle", f"{account.macs_per_cycle:.2f} of {slots}", True),
        ("entries fetched that held a weight", f"{account.slots_filled:.1%}", False),
        ("utilisation (roofline / cycles)", f"{account.utilisation:.1%}", True),
        ("speed-up over dense: MACs on paper", f"{account.saved_on_paper:.1f} x", False),
        ("speed-up over dense: MACs done", f"{account.saved_by_done:.1f} x", False),
        ("speed-up over dense: cycles", f"{account.saved_in_cycles:.1f} x", True),
        (f"tokens per second at {account.board.clock_mhz:g} MHz", f"{account.tokens_per_second:,.0f}", True),
    ]
    rows: list[tuple[str, ...]] = [
        (name, value) for name, value, needs_cycles in ratios if account.timed or not needs_cycles
    ]
    if not account.timed:
        rows.append(("cycles were not counted:", "this kernel has no clock"))
    return rows


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
