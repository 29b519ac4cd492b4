"""The quantised checkpoint: a network as integers, in a file that NumPy alone reads.

docs/formats.md, section 2, lists the keys of the file; section 1 says what the integers stand for.
"""

from __future__ import annotations

import io
import json
import os
import re
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from egret.archive import parse_json, read_arrays
from egret.contract import EVENT_BITS, SUM_FRACTION_BITS, THRESHOLD_MINIMUM
from egret.errors import EgretError
from egret.files import write_atomically
from egret.matrices import INPUT, Matrix, network_matrices

FORMAT = "egret-checkpoint-1"

FRACTION_BITS_MINIMUM = SUM_FRACTION_BITS - EVENT_BITS
FRACTION_BITS_MAXIMUM = FRACTION_BITS_MINIMUM + 15
"""Fraction bits of a weight row: its accumulator is shifted by f - 3, which has four bits in the image."""

EVENT_MAXIMUM = (1 << EVENT_BITS) - 1
THRESHOLD_MAXIMUM = 32767
FOLD_SHIFT_MAXIMUM = 31

GATES = ("z", "r", "g")
"""The gates of a layer's matrices, in order."""


@dataclass(eq=False)
class Layer:
    """One recurrent layer of H neurons with I inputs; gates are in the order z (keep), r (reset), g."""

    input_weights: npt.NDArray[np.int8]
    """int8 [3, H, I], -127..127, in units of 2^-input_fraction_bits; 0 is a pruned weight."""
    recurrent_weights: npt.NDArray[np.int8]
    """int8 [3, H, H], -127..127, in units of 2^-recurrent_fraction_bits; 0 is a pruned weight."""
    input_fraction_bits: npt.NDArray[np.int8]
    """int8 [3, H], 3..18."""
    recurrent_fraction_bits: npt.NDArray[np.int8]
    """int8 [3, H], 3..18; equal to input_fraction_bits for z and r in every layer but the first."""
    bias: npt.NDArray[np.int16]
    """int16 [4, H] in units of 2^-11: z, r, gx (outside the reset gate), gr (inside it)."""
    threshold: npt.NDArray[np.uint16]
    """uint16 [H] in units of 2^-15, 64..32767."""

    @property
    def neurons(self) -> int:
        """H."""
        return int(self.recurrent_weights.shape[1])

    @property
    def inputs(self) -> int:
        """I: the embedding width for the first layer, the neurons of the layer below for the others."""
        return int(self.input_weights.shape[2])


@dataclass(eq=False)
class Checkpoint:
    """A quantised network: token embedding, recurrent layers, decoder (see docs/formats.md)."""

    name: str
    metadata: dict[str, Any]
    """Where the network comes from and what was measured on it; anything that JSON holds."""
    vocabulary: list[str]
    """V different words, none empty, none with a line break."""
    embedding: npt.NDArray[np.int8]
    """int8 [V, E], -127..127, in units of 2^-embedding_fraction_bits."""
    embedding_fraction_bits: int
    layers: list[Layer] = field(repr=False)
    decoder_weights: npt.NDArray[np.int8] = field(repr=False)
    """int8 [V, H of the last layer], -127..127, in units of 2^-decoder_fraction_bits."""
    decoder_fraction_bits: npt.NDArray[np.int8] = field(repr=False)
    """int8 [V], 3..18."""
    decoder_bias: npt.NDArray[np.int16] = field(repr=False)
    """int16 [V] in units of 2^-11."""

    def matrices(self) -> dict[str, npt.NDArray[np.int8]]:
        """Return every weight matrix under its key in the file, as int8 [rows, columns] (gates stacked)."""
        return {name: weights.reshape(-1, weights.shape[2]) for name, weights in self.weights().items()}

    def weights(self) -> dict[str, npt.NDArray[np.int8]]:
        """Return every weight matrix under its key in the file, as int8 [gates, rows, columns]."""
        return {matrix.name: self._weights_of(matrix) for matrix in network_matrices(len(self.layers))}

    def _weights_of(self, matrix: Matrix) -> npt.NDArray[np.int8]:
        if matrix.layer is None:
            return self.decoder_weights[np.newaxis]
        layer = self.layers[matrix.layer]
        return layer.input_weights if matrix.kind == INPUT else layer.recurrent_weights

    def dense_macs_per_token(self) -> int:
        """Return the weights of every matrix: the multiply-accumulates of a dense machine for one token."""
        return sum(int(matrix.size) for matrix in self.matrices().values())

    def nonzeros(self) -> dict[str, int]:
        """Return the number of non-zero weights of each matrix, by its key in the file."""
        return {name: int(np.count_nonzero(matrix)) for name, matrix in self.matrices().items()}

    def validate(self) -> None:
        """Check types, shapes, ranges and the words; raise EgretError naming the first key that is wrong."""
        validate_words(self.vocabulary)
        _validate_metadata(self.name, self.metadata)
        words = len(self.vocabulary)
        _expect("embedding", self.embedding, np.int8, (words, None), -127, 127)
        if not self.layers:
            raise EgretError("A checkpoint needs at least one layer; this one has none.")
        inputs = int(self.embedding.shape[1])
        for index, layer in enumerate(self.layers):
            _validate_layer(f"layer{index}", layer, inputs, first=index == 0)
            inputs = layer.neurons
        _validate_fold_shift(self.embedding_fraction_bits, self.layers[0].input_fraction_bits)
        low, high = FRACTION_BITS_MINIMUM, FRACTION_BITS_MAXIMUM
        _expect("decoder_weights", self.decoder_weights, np.int8, (words, inputs), -127, 127)
        _expect("decoder_fraction_bits", self.decoder_fraction_bits, np.int8, (words,), low, high)
        _expect("decoder_bias", self.decoder_bias, np.int16, (words,), -32768, 32767)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Validate and write the checkpoint as a deflated .npz at `path`, whole or not at all.

        The same checkpoint gives the same bytes each time. Raises EgretError where it is not valid or
        the file cannot be written.
        """
        self.validate()
        arrays: dict[str, npt.NDArray[Any]] = {
            "format": np.array(FORMAT),
            "name": np.array(self.name),
            "metadata": np.array(json.dumps(self.metadata, sort_keys=True, ensure_ascii=False)),
            "vocabulary": np.frombuffer("\n".join(self.vocabulary).encode("utf-8"), dtype=np.uint8),
            "embedding": self.embedding,
            "embedding_fraction_bits": np.array(self.embedding_fraction_bits, dtype=np.int8),
        }
        for index, layer in enumerate(self.layers):
            for key in _LAYER_KEYS:
                arrays[f"layer{index}.{key}"] = getattr(layer, key)
        for key in _DECODER_KEYS:
            arrays[key] = getattr(self, key)
        stream = io.BytesIO()
        # numpy.savez_compressed would do, but promises no fixed time stamps: ZipInfo's default is fixed.
        with zipfile.ZipFile(stream, "w") as archive:
            for key, array in arrays.items():
                member = zipfile.ZipInfo(f"{key}.npy")
                member.compress_type = zipfile.ZIP_DEFLATED
                with archive.open(member, "w", force_zip64=True) as entry:
                    np.lib.format.write_array(
                        entry, np.ascontiguousarray(array).reshape(array.shape), allow_pickle=False
                    )
        write_atomically(path, stream.getvalue())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Checkpoint:
        """Read and validate the checkpoint at `path`; raise EgretError where that fails."""
        arrays = _read_arrays(Path(path))
        try:
            return cls._from_arrays(arrays)
        except EgretError as error:
            raise EgretError(f"{path}: {error}") from error

    @classmethod
    def _from_arrays(cls, arrays: dict[str, npt.NDArray[Any]]) -> Checkpoint:
        found = _text(arrays, "format")
        if found != FORMAT:
            raise EgretError(f"The checkpoint format is {found!r}; this version of Egret reads {FORMAT!r}.")
        count = 1 + max(
            (int(match.group(1)) for match in map(_LAYER_NAME.match, arrays) if match), default=-1
        )
        expected = {
            "format",
            "name",
            "metadata",
            "vocabulary",
            "embedding",
            "embedding_fraction_bits",
            *_DECODER_KEYS,
            *(f"layer{i}.{key}" for i in range(count) for key in _LAYER_KEYS),
        }
        missing, unknown = sorted(expected - set(arrays)), sorted(set(arrays) - expected)
        if missing or count == 0:
            raise EgretError(f"The checkpoint lacks {', '.join(missing) if missing else 'layers'}.")
        if unknown:
            raise EgretError(f"The checkpoint holds {', '.join(unknown)}, unknown to format {FORMAT!r}.")
        layers = [
            Layer(**{key: arrays[f"layer{index}.{key}"] for key in _LAYER_KEYS}) for index in range(count)
        ]
        fraction_bits = arrays["embedding_fraction_bits"]
        _expect("embedding_fraction_bits", fraction_bits, np.int8, (), -128, 127)
        _expect("vocabulary", arrays["vocabulary"], np.uint8, (None,), 0, 255)
        try:
            metadata = parse_json(_text(arrays, "metadata"))
            vocabulary = arrays["vocabulary"].tobytes().decode("utf-8").split("\n")
        except UnicodeDecodeError as error:
            raise EgretError("The checkpoint's vocabulary is not UTF-8 text.") from error
        except ValueError as error:
            raise EgretError("The checkpoint's metadata is not JSON.") from error
        result = cls(
            name=_text(arrays, "name"),
            metadata=metadata,
            vocabulary=vocabulary,
            embedding=arrays["embedding"],
            embedding_fraction_bits=int(fraction_bits),
            layers=layers,
            **{key: arrays[key] for key in _DECODER_KEYS},
        )
        result.validate()
        return result


_LAYER_KEYS = (
    "input_weights",
    "recurrent_weights",
    "input_fraction_bits",
    "recurrent_fraction_bits",
    "bias",
    "threshold",
)
_DECODER_KEYS = ("decoder_weights", "decoder_fraction_bits", "decoder_bias")
_LAYER_NAME = re.compile(r"layer(0|[1-9][0-9]{0,2})\.")


def _read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    try:
        if np.lib.format.MAGIC_PREFIX == _beginning(path, len(np.lib.format.MAGIC_PREFIX)):
            raise EgretError(f"{path} is a single NumPy array, not a checkpoint (.npz).")
        return read_arrays(path)
    except FileNotFoundError as error:
        raise EgretError(f"There is no checkpoint at {path}.") from error
    except OSError as error:
        raise EgretError(f"{path} cannot be read as a checkpoint: {error.strerror or error}.") from error
    except ValueError as error:
        raise EgretError(f"{path} is not a checkpoint (.npz): {error}.") from error


def _beginning(path: Path, count: int) -> bytes:
    with path.open("rb") as stream:
        return stream.read(count)


def _text(arrays: dict[str, npt.NDArray[Any]], key: str) -> str:
    if key not in arrays:
        raise EgretError(f"The checkpoint lacks {key}.")
    if arrays[key].dtype.kind != "U" or arrays[key].shape != ():
        raise EgretError(f"{key} must be one string; it is {arrays[key].dtype} of shape {arrays[key].shape}.")
    return str(arrays[key])


def _expect(
    key: str, array: Any, dtype: type[np.generic], shape: tuple[int | None, ...], minimum: int, maximum: int
) -> None:
    """Raise EgretError unless `array` has this type, this shape (None: any positive size) and this range."""
    if not isinstance(array, np.ndarray) or array.dtype != np.dtype(dtype):
        found = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
        raise EgretError(f"{key} must be an array of {np.dtype(dtype)}; it is {found}.")
    fits = len(array.shape) == len(shape) and all(
        size > 0 and wanted in (None, size) for size, wanted in zip(array.shape, shape, strict=True)
    )
    if not fits:
        wanted_text = ", ".join("any" if size is None else str(size) for size in shape)
        raise EgretError(f"{key} must have shape [{wanted_text}]; it has {list(array.shape)}.")
    lowest, highest = int(array.min()), int(array.max())
    if lowest < minimum or highest > maximum:
        raise EgretError(f"{key} must lie in {minimum}..{maximum}; it spans {lowest}..{highest}.")


def validate_words(vocabulary: list[str]) -> None:
    """Raise EgretError unless the words are different, none is empty and none has a line break."""
    if not vocabulary:
        raise EgretError("The vocabulary must hold at least one word; it is empty.")
    seen: set[str] = set()
    for position, word in enumerate(vocabulary):
        if not isinstance(word, str) or not word or "\n" in word:
            raise EgretError(
                f"Word {position} of the vocabulary is {word!r}; words are not empty and have no line break."
            )
        if not word.isascii() and any("\ud800" <= character < "\ue000" for character in word):
            raise EgretError(f"Word {position} of the vocabulary is {word!r}, which is not Unicode text.")
        if word in seen:
            raise EgretError(f"The word {word!r} stands in the vocabulary more than once.")
        seen.add(word)


def _validate_metadata(name: str, metadata: dict[str, Any]) -> None:
    if not isinstance(name, str) or not name:
        raise EgretError(f"A checkpoint's name must be text; it is {name!r}.")
    if not isinstance(metadata, dict):
        raise EgretError(f"A checkpoint's metadata must be a JSON object; it is {type(metadata).__name__}.")
    try:
        for text in (name, json.dumps(metadata, ensure_ascii=False)):
            text.encode("utf-8")
    except (TypeError, ValueError) as error:
        raise EgretError(f"A checkpoint's metadata must be what JSON can hold: {error}.") from error


def _validate_layer(key: str, layer: Layer, inputs: int, first: bool) -> None:
    low, high = FRACTION_BITS_MINIMUM, FRACTION_BITS_MAXIMUM
    _expect(f"{key}.threshold", layer.threshold, np.uint16, (None,), THRESHOLD_MINIMUM, THRESHOLD_MAXIMUM)
    neurons = int(layer.threshold.shape[0])
    _expect(f"{key}.input_weights", layer.input_weights, np.int8, (3, neurons, inputs), -127, 127)
    _expect(f"{key}.recurrent_weights", layer.recurrent_weights, np.int8, (3, neurons, neurons), -127, 127)
    _expect(f"{key}.input_fraction_bits", layer.input_fraction_bits, np.int8, (3, neurons), low, high)
    _expect(f"{key}.recurrent_fraction_bits", layer.recurrent_fraction_bits, np.int8, (3, neurons), low, high)
    _expect(f"{key}.bias", layer.bias, np.int16, (4, neurons), -32768, 32767)
    if first:
        return  # the first layer's input product is folded: it shares no accumulator
    differs = layer.input_fraction_bits[:2] != layer.recurrent_fraction_bits[:2]
    if differs.any():
        gate, neuron = (int(position[0]) for position in np.nonzero(differs))
        raise EgretError(
            f"{key}: gate {GATES[gate]} of neuron {neuron} has "
            f"{int(layer.input_fraction_bits[gate, neuron])} input and "
            f"{int(layer.recurrent_fraction_bits[gate, neuron])} recurrent fraction bits; they share an "
            "accumulator and must be equal."
        )


def _validate_fold_shift(embedding_fraction_bits: int, input_fraction_bits: npt.NDArray[np.int8]) -> None:
    if not isinstance(embedding_fraction_bits, int) or not -128 <= embedding_fraction_bits <= 127:
        raise EgretError(
            f"embedding_fraction_bits must be an int in -128..127; it is {embedding_fraction_bits!r}."
        )
    least = int(input_fraction_bits.min()) + embedding_fraction_bits - SUM_FRACTION_BITS
    most = int(input_fraction_bits.max()) + embedding_fraction_bits - SUM_FRACTION_BITS
    if least < 0 or most > FOLD_SHIFT_MAXIMUM:
        raise EgretError(
            f"Folding the embedding (embedding_fraction_bits {embedding_fraction_bits}) into "
            f"layer0.input_weights takes shifts of {least}..{most} bits; 0..{FOLD_SHIFT_MAXIMUM} are "
            "possible."
        )
