"""What each weight matrix of a network costs on paper, by its weights and the activity of its neurons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from egret.errors import EgretError
from egret.image.layout import Layout
from egret.image.model_image import ModelImage
from egret.image.packer import column_beats
from egret.matrices import FOLDED, Matrix

SECTIONS = ("token table row", "input columns", "recurrent columns", "decoder columns")
"""What is fetched at a token, in the order of the contract: T, W, R, D."""


def section_of(matrix: Matrix) -> str:
    """Return which of SECTIONS the bytes of a matrix are part of."""
    return SECTIONS[0] if matrix.folded else f"{matrix.kind} columns"


@dataclass(frozen=True)
class MatrixAccount:
    """One weight matrix of the network."""

    name: str
    weights: int
    """All weights, pruned ones counted: dense MACs a token."""
    nonzeros: int
    activity: float
    """Mean part of the columns that are used at a token, 0 to 1."""
    beats_per_token: float
    """Of all engines: a mean column for each event; for the folded matrix, a row of the token table."""
    layout: Layout
    """What an entry of its columns is; of the folded matrix, whose lanes the table is for."""

    @property
    def sparse_macs(self) -> float:
        """Theoretical sparse MACs a token."""
        return self.nonzeros * self.activity

    @property
    def bytes_per_token(self) -> float:
        """What its beats of a token carry."""
        return self.beats_per_token * self.layout.bus_bytes

    @property
    def section(self) -> str:
        """Which of SECTIONS its bytes are part of."""
        return section_of(Matrix.named(self.name))


def account_matrices(image: ModelImage, activity: Sequence[float]) -> tuple[MatrixAccount, ...]:
    """Return the account of each matrix, the folded one (which the image no longer holds) first.

    activity: of each layer, mean part of its neurons that fire at a token. Raises EgretError for an image
    that does not say how many weights its model has.
    """
    try:
        nonzeros = {str(name): int(count) for name, count in image.description["nonzeros"].items()}
        dense = int(image.description["dense_macs_per_token"])
        counts = {matrix.name: nonzeros[matrix.name] for matrix in image.matrices()}
        folded_nonzeros = nonzeros[FOLDED.name]
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise EgretError(
            "The image's metadata does not say how many weights its model has; pack it anew."
        ) from error
    beats = column_beats(image)
    weights = dict.fromkeys(beats, 0)
    for matrix in image.matrices():  # the decoder's tiles are one matrix
        weights[matrix.name] += matrix.weights
    matrices = {matrix.name: matrix for matrix in image.matrices()}
    fetched = tuple(
        MatrixAccount(
            name=matrix.name,
            weights=weights[matrix.name],
            nonzeros=counts[matrix.name],
            activity=matrix.matrix.activity(activity),
            beats_per_token=float(beats[matrix.name].sum()) * matrix.matrix.activity(activity),
            layout=matrix.layout,
        )
        for matrix in matrices.values()
    )
    folded = MatrixAccount(
        name=FOLDED.name,
        weights=dense - sum(matrix.weights for matrix in fetched),
        nonzeros=folded_nonzeros,
        activity=FOLDED.activity(activity),
        beats_per_token=float(image.layout.engines * image.table_row_beats()),
        layout=image.layout,
    )
    return (folded, *fetched)
