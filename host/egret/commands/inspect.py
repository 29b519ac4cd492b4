"""`egret inspect`: what is in a checkpoint or a model image."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from egret.checkpoint import FORMAT, Checkpoint
from egret.contract import FORMAT_VERSION
from egret.image.model_file import load_model
from egret.image.model_image import ModelImage
from egret.text.outline import outline
from egret.text.printable import printable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's description and arguments to its parser."""
    parser.description = (
        "Describe a model: its layers and words. For a checkpoint, print the share of non-zero weights in"
        " each matrix and the measured figures in its metadata; for an image, the kernel that it is "
        "packed for, its checksum, the bytes of each section and how well they are used. The file is "
        "checked first."
    )
    parser.epilog = "Example: egret inspect models/ptb-egru.npz"
    parser.set_defaults(function=inspect)
    parser.add_argument(
        "file", metavar="FILE", type=Path, help="quantised checkpoint (.npz) or packed model image"
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def inspect(arguments: argparse.Namespace) -> int:
    """Run the command; raise EgretError where the file is neither, or damaged."""
    model = load_model(arguments.file)
    if arguments.json:
        document = _image_document(model) if isinstance(model, ModelImage) else _checkpoint_document(model)
        print(json.dumps(document, indent=2))
    elif isinstance(model, ModelImage):
        describe_image(model)
    else:
        describe_checkpoint(model)
    return 0


def describe_checkpoint(checkpoint: Checkpoint) -> None:
    """Print what is in a checkpoint."""
    layers = "-".join(str(layer.neurons) for layer in checkpoint.layers)
    print(
        f"{printable(checkpoint.name)}: quantised checkpoint, layers {layers}, "
        f"embedding {checkpoint.embedding.shape[1]}, {len(checkpoint.vocabulary):,} words"
    )
    nonzeros = checkpoint.nonzeros()
    for name, matrix in checkpoint.matrices().items():
        print(
            f"  {name:<26} {matrix.size:>12,} weights {nonzeros[name]:>12,} non-zero "
            f"({nonzeros[name] / matrix.size:.1%})"
        )
    if checkpoint.metadata:
        print()
    for line in outline(checkpoint.metadata):
        print(line)


def describe_image(image: ModelImage) -> None:
    """Print what is in an image."""
    layout, statistics = image.layout, image.statistics()
    layers = "-".join(str(count) for count in image.neurons)
    print(
        f"{printable(image.name)}: model image of {statistics.total_bytes:,} bytes, layers {layers}, "
        f"{image.header.words:,} words, for {layout.engines} engines with {8 * layout.bus_bytes}-bit beats"
    )
    print(f"  format version {FORMAT_VERSION}, checksum {image.checksum:#010x}")
    for name, size in statistics.section_bytes.items():
        print(f"  {name:<26} {size:>12,} bytes")
    for matrix in [*statistics.matrices, statistics.all_matrices]:
        entries = f" of {matrix.layout.entry_format}" if matrix.layout else ""
        print(
            f"  {matrix.name:<26} {matrix.bus_bits // 8:>12,} bytes: {matrix.beats:,} beats{entries}, "
            f"{matrix.nonzeros:,} non-zero, {matrix.slots_used:.1%} of entries used, "
            f"{matrix.bits_per_nonzero:.1f} bits per non-zero weight"
        )


def _checkpoint_document(checkpoint: Checkpoint) -> dict[str, Any]:
    nonzeros = checkpoint.nonzeros()
    return {
        "kind": "checkpoint",
        "format": FORMAT,
        "name": checkpoint.name,
        "layers": [layer.neurons for layer in checkpoint.layers],
        "embedding": int(checkpoint.embedding.shape[1]),
        "words": len(checkpoint.vocabulary),
        "matrices": {
            name: {"weights": int(matrix.size), "nonzeros": int(nonzeros[name])}
            for name, matrix in checkpoint.matrices().items()
        },
        "metadata": checkpoint.metadata,
    }


def _image_document(image: ModelImage) -> dict[str, Any]:
    layout, statistics = image.layout, image.statistics()
    return {
        "kind": "image",
        "format_version": FORMAT_VERSION,
        "checksum": image.checksum,
        "name": image.name,
        "bytes": int(statistics.total_bytes),
        "layers": [int(count) for count in image.neurons],
        "words": int(image.header.words),
        "engines": layout.engines,
        "bus_bytes": layout.bus_bytes,
        "entries": {"layers": layout.entry_format, "decoder": image.decoder_layout.entry_format},
        "section_bytes": {name: int(size) for name, size in statistics.section_bytes.items()},
        "matrices": {
            matrix.name: {
                "beats": int(matrix.beats),
                "nonzeros": int(matrix.nonzeros),
                "share_of_entries_used": float(matrix.slots_used),
                "bits_per_nonzero": float(matrix.bits_per_nonzero),
            }
            for matrix in statistics.matrices
        },
    }
