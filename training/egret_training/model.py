"""The language model in floating point: embedding, EGRU layers, decoder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from egret.matrices import INPUT, Matrix, network_matrices
from egret_training.cells import Layer, make_layer
from egret_training.egru import EgruLayer
from egret_training.loss import SoftTargets, decoder_cross_entropy, sampled_cross_entropy

State = list[tuple[Tensor, Tensor]]
"""Per layer: outputs [S, H] and cells [S, H]."""

EMBEDDING_SPREAD = 0.5
"""Standard deviation of a new embedding: a small one leaves the first layer silent."""


TIED_SCALE = 0.3
"""What a tied decoder multiplies the embedding by. At 1, new embeddings of this spread make logits so noisy
that the last layer first learns to be silent, and stays so."""

PUBLISHED_RANGE = 0.1


@dataclass
class Shape:
    """Sizes of a network."""

    vocabulary: int
    embedding: int
    layers: list[int]
    tied: bool = False
    """Whether the decoder's weights are the embedding (until `untie`); the last layer must be as wide."""
    weight_bits: int = 8
    decoder_weight_bits: int = 8
    """Bits of a weight of a layer, and of the decoder, once they are quantised."""
    cell: str = "egru"
    """What the layers are made of: one of cells.CELLS."""
    tied_scale: float = TIED_SCALE


@dataclass
class Dropout:
    """Shares of values that training drops."""

    words: float = 0.0
    """Of whole words of the vocabulary, at the embedding."""
    embedding: float = 0.0
    between: float = 0.0
    output: float = 0.0
    recurrent: float = 0.0
    """Of the recurrent weights (DropConnect: Wan and others, 2013), for a whole window and all streams."""
    each_step: bool = False
    """Masks of values are new at each step and shared by the streams (as published), not new for each stream
    and the same at all steps of a window (Gal and Ghahramani, 2016)."""


class EgruLanguageModel(nn.Module):
    """Embedding, EGRU layers and decoder; parameters in float32."""

    def __init__(self, shape: Shape, log_frequencies: Tensor | None = None) -> None:
        """Draw new parameters; the decoder's bias starts at `log_frequencies` [V] where they are given."""
        super().__init__()
        self.shape = shape
        self.embedding = nn.Parameter(torch.randn(shape.vocabulary, shape.embedding) * EMBEDDING_SPREAD)
        sizes = [shape.embedding, *shape.layers]
        self.layers = nn.ModuleList(
            make_layer(shape.cell, *pair) for pair in zip(sizes, sizes[1:], strict=False)
        )
        if shape.tied:
            if sizes[-1] != shape.embedding:
                raise ValueError("a tied decoder needs a last layer as wide as the embedding")
            self.own_decoder_weights: nn.Parameter | None = None
        else:
            self.own_decoder_weights = nn.Parameter(torch.empty(shape.vocabulary, sizes[-1]))
            nn.init.xavier_uniform_(self.own_decoder_weights)
        start = torch.zeros(shape.vocabulary) if log_frequencies is None else log_frequencies.clone()
        self.decoder_bias = nn.Parameter(start)

    @property
    def decoder_weights(self) -> Tensor:
        """The decoder's matrix, [V, H of the last layer]."""
        own = self.own_decoder_weights
        return self.embedding * self.shape.tied_scale if own is None else own

    @property
    def stack(self) -> Sequence[Layer]:
        """The layers, from the embedding up, under their type."""
        return [cast(Layer, layer) for layer in self.layers]

    @property
    def event_layers(self) -> list[EgruLayer]:
        """Those of them that are EGRU layers."""
        return [layer for layer in self.layers if isinstance(layer, EgruLayer)]

    def untie(self) -> None:
        """Give the decoder weights of its own, equal to those it has; no effect where they are its own."""
        if self.own_decoder_weights is None:
            self.own_decoder_weights = nn.Parameter(self.decoder_weights.detach().clone())
            self.shape.tied = False

    @torch.no_grad()
    def start_as_published(self) -> None:
        """Draw new parameters as EvNN does: small embeddings, no scale of the decoder, no biases.

        Weights have the deviation of Glorot and Bengio (2010) for the three gates as one matrix.
        """
        self.embedding.uniform_(-PUBLISHED_RANGE, PUBLISHED_RANGE)
        self.shape.tied_scale = 1.0
        self.decoder_bias.zero_()
        for layer in self.event_layers:
            layer.bias.zero_()
            for weights in (layer.input_weights, layer.recurrent_weights):
                gates, rows, columns = weights.shape
                nn.init.normal_(weights, std=math.sqrt(2 / (gates * rows + columns)))

    @torch.no_grad()
    def center_decoder_bias(self) -> None:
        """Shift the decoder's bias so that its range is symmetric: softmax sees no difference, 16 bits do."""
        self.decoder_bias.sub_((self.decoder_bias.max() + self.decoder_bias.min()) / 2)

    def matrices(self) -> dict[str, Tensor]:
        """Return the weight matrices under their names in the checkpoint, as [gates, rows, columns].

        All but a tied decoder's are views: changing them in place changes the model.
        """
        return {matrix.name: self._weights_of(matrix) for matrix in network_matrices(len(self.layers))}

    def _weights_of(self, matrix: Matrix) -> Tensor:
        if matrix.layer is None:
            return self.decoder_weights.unsqueeze(0)
        layer = self.stack[matrix.layer]
        return layer.input_weights if matrix.kind == INPUT else layer.recurrent_weights

    def initial_state(self, streams: int) -> State:
        """Return the state at rest."""
        return [layer.initial_state(streams) for layer in self.stack]

    def embedding_table(self) -> Tensor:
        """Return the embedding as the forward pass uses it, [V, E]."""
        return self.embedding

    def decoder(self) -> tuple[Tensor, Tensor]:
        """Return the decoder's weights [V, H] and bias [V] as the forward pass uses them."""
        return self.decoder_weights, self.decoder_bias

    def hidden(
        self, tokens: Tensor, state: State, product_type: torch.dtype, dropout: Dropout | None = None
    ) -> tuple[list[Tensor], State]:
        """Run a window: int64 [T, S] -> outputs of every layer, [T, S, H] each, and the state after it."""
        each_step = dropout is not None and dropout.each_step
        x = nn.functional.embedding(tokens, self.embedding_table())
        if dropout is not None and dropout.words:
            keep = 1.0 - dropout.words
            x = x * x.new_empty(self.shape.vocabulary).bernoulli_(keep).div_(keep)[tokens, None]
        x = drop_features(x, dropout.embedding if dropout else 0.0, each_step)
        outputs: list[Tensor] = []
        new_state: State = []
        for layer, layer_state in zip(self.stack, state, strict=True):
            if outputs:
                x = drop_features(outputs[-1], dropout.between if dropout else 0.0, each_step)
            output, after = layer(x, layer_state, product_type, dropout.recurrent if dropout else 0.0)
            outputs.append(output)
            new_state.append(after)
        return outputs, new_state

    @torch.no_grad()
    def activity(self, outputs: Sequence[Tensor]) -> list[Tensor]:
        """Return the share of units whose outputs [T, S, H] are events, a scalar for each layer."""
        # (While the cell is not the EGRU yet, silent neurons have outputs too, at most their thresholds.)
        silent = [
            layer.threshold if isinstance(layer, EgruLayer) and layer.hardness is not None else None
            for layer in self.layers
        ]
        return [
            (output != 0 if most is None else output > most).float().mean()
            for output, most in zip(outputs, silent, strict=True)
        ]

    # DistributedDataParallel wraps what calling a module does.
    def forward(
        self,
        tokens: Tensor,
        targets: Tensor,
        state: State,
        product_type: torch.dtype,
        dropout: Dropout | None = None,
        sample: tuple[int, int] | None = None,
        soft: SoftTargets = None,
    ) -> tuple[Tensor, State, list[Tensor]]:
        """Return the mean cross-entropy in nats, the state after the window, and the layers' outputs.

        With `sample` (see sampled_cross_entropy) the cross-entropy is an estimate; `soft`: see
        DecoderCrossEntropy.
        """
        outputs, after = self.hidden(tokens, state, product_type, dropout)
        last = outputs[-1]
        if dropout is not None:
            last = drop_features(last, dropout.output, dropout.each_step)
        weights: Tensor
        bias: Tensor
        if self.own_decoder_weights is None:
            # The same product, with the smaller of the two factors scaled.
            last, weights, bias = last * self.shape.tied_scale, self.embedding, self.decoder_bias
        else:
            weights, bias = self.decoder()
        if sample is None:
            loss = decoder_cross_entropy(last, weights, bias, targets, product_type, soft)
        else:
            loss = sampled_cross_entropy(last, weights, bias, targets, sample, product_type, soft)
        return loss, after, outputs


def drop_features(x: Tensor, share: float, each_step: bool = False) -> Tensor:
    """Drop `share` of the features of x [T, S, features] (see Dropout.each_step) and scale up the others."""
    if share == 0.0:
        return x
    keep = 1.0 - share
    steps, streams, features = x.shape
    mask = x.new_empty(steps, 1, features) if each_step else x.new_empty(1, streams, features)
    return x * mask.bernoulli_(keep).div_(keep)
