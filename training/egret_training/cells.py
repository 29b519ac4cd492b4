"""The layers a network can be made of: the EGRU, and torch's GRU and LSTM to compare it with."""

from __future__ import annotations

from typing import Protocol, cast

import torch
from torch import Tensor, nn

from egret_training.egru import EgruLayer

CELLS = ("egru", "gru", "lstm")


class Layer(Protocol):
    """What the language model, the training loop and pruning ask of a layer of H neurons with I inputs."""

    inputs: int
    neurons: int

    @property
    def input_weights(self) -> Tensor:
        """[gates, H, I]; changing it in place changes the layer."""
        ...

    @property
    def recurrent_weights(self) -> Tensor:
        """[gates, H, H]; the same."""
        ...

    def initial_state(self, streams: int) -> tuple[Tensor, Tensor]:
        """Return (outputs, cells) of streams at rest, [streams, H] each."""
        ...

    def __call__(
        self,
        x: Tensor,
        state: tuple[Tensor, Tensor],
        product_type: torch.dtype,
        recurrent_dropout: float = 0.0,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Run a window: x [T, S, I] -> outputs [T, S, H] and the state after it (cut from the graph)."""
        ...


class TorchLayer(nn.Module):
    """torch.nn.GRU or torch.nn.LSTM of one layer.

    With bfloat16 products the whole layer computes under autocast, as torch's kernels do it.
    """

    def __init__(self, cell: str, inputs: int, neurons: int) -> None:
        """`cell` is "gru" or "lstm"; parameters start as torch draws them."""
        super().__init__()
        self.inputs, self.neurons, self.cell = inputs, neurons, cell
        self.network: nn.GRU | nn.LSTM = (nn.GRU if cell == "gru" else nn.LSTM)(inputs, neurons)

    @property
    def input_weights(self) -> Tensor:
        return cast(Tensor, self.network.weight_ih_l0).view(-1, self.neurons, self.inputs)

    @property
    def recurrent_weights(self) -> Tensor:
        return cast(Tensor, self.network.weight_hh_l0).view(-1, self.neurons, self.neurons)

    def initial_state(self, streams: int) -> tuple[Tensor, Tensor]:
        """Return zeros; a GRU has no cells besides its outputs, its second tensor stays zero."""
        zeros = self.input_weights.new_zeros(streams, self.neurons)
        return zeros, zeros.clone()

    def forward(
        self,
        x: Tensor,
        state: tuple[Tensor, Tensor],
        product_type: torch.dtype,
        recurrent_dropout: float = 0.0,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """See Layer; `recurrent_dropout` must be 0, as torch's layers have none."""
        if recurrent_dropout:
            raise ValueError("torch's layers have no dropout of recurrent weights")
        output, cell = (tensor[None].contiguous() for tensor in state)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=product_type == torch.bfloat16):
            if self.cell == "gru":
                outputs, after = self.network(x, output)
            else:
                outputs, (after, cell) = self.network(x, (output, cell))
        return outputs.float(), (after[0].detach().float(), cell[0].detach().float())


def make_layer(cell: str, inputs: int, neurons: int) -> nn.Module:
    """Return a new layer, one of CELLS."""
    return EgruLayer(inputs, neurons) if cell == "egru" else TorchLayer(cell, inputs, neurons)
