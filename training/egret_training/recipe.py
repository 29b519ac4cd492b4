"""Recipes: a training run as a TOML file, checked when it is read (training/recipes has examples)."""

from __future__ import annotations

import dataclasses
import os
import sys
import types
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from egret.errors import EgretError
from egret.profiles import BOARDS
from egret.text.vocabulary import TextConvention

KERNEL = BOARDS["pynq-z2"].build
"""The kernel that pruning is for, and in whose format bytes are counted, where nothing else is said."""

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass
class ModelRecipe:
    """Sizes of the network; the vocabulary comes from the data."""

    embedding: int
    layers: list[int]
    tied: bool = False
    cell: str = "egru"
    """egru, or gru or lstm to compare it with (which are neither quantised nor exported)."""
    threshold: float = 0.05
    """Where all thresholds start."""
    threshold_beta: list[float] = dataclasses.field(default_factory=list)
    """The parameters of the Beta distribution that thresholds are drawn from instead; empty: none are."""
    surrogate_height: float = 0.7
    surrogate_slope: float = 1.0
    surrogate_jump: float = 0.5
    """See egru.Surrogate; 0 stands for the cell itself."""
    published_start: bool = False
    """Start parameters as EvNN does (EgruLanguageModel.start_as_published)."""


@dataclass
class Pruning:
    """The share of weights to remove, the same in each lane of each column (docs/formats.md, section 3)."""

    sparsity: float
    decoder_sparsity: float | None = None
    """The same for the decoder, if it is to keep more or less than the layers; None: `sparsity` too."""
    unstructured: bool = False
    """Remove the smallest weights of all layers together, wherever they are, and of the decoder (at a stroke:
    the same share of each matrix). The kernel then fetches entries that hold no weight."""
    slots: int = KERNEL.slots
    """Engines times lanes of the kernel: row j belongs to residue j mod slots."""
    decoder_slots: int | None = None
    """The same for the decoder, where it has lanes of its own; None: `slots` too."""
    gap_bits: int | None = None
    """Bits of the kernel's gap field, to leave no run of zeros longer than it spans; None: any will do."""
    decoder_gap_bits: int | None = None
    """The same for the decoder; None: `gap_bits` too."""
    redraw: int = 25
    """Masks are drawn anew every so many updates while the sparsity rises."""
    at_a_stroke: bool = False
    """Remove all when the phase starts, and mend what stays (reconstruction.py); not step by step."""
    frequency_exponent: float = 0.75
    """At a stroke, a word's weights in the decoder count by its frequency to the power of half of this."""
    start: float = 0.0
    """The share removed when the phase starts; it rises to `sparsity` along a cubic."""
    ramp: float = 0.0
    """The part of the phase, 0..1, over which it rises; masks are drawn anew all along."""

    @property
    def of_decoder(self) -> float:
        """The share of the decoder's weights to remove."""
        return self.sparsity if self.decoder_sparsity is None else self.decoder_sparsity


@dataclass
class Distillation:
    """Learning from what another model expects, not from the text alone (Hinton and others, 2015)."""

    targets: str
    """The file that `python -m egret_training teach` wrote; a relative path is one from the run's folder."""
    weight: float = 0.5
    """The share of a word's target, 0..1, that the teacher's most likely words make up."""


@dataclass
class Phase:
    """One stretch of training with one learning-rate schedule: a linear warm-up, then half a cosine."""

    name: str
    epochs: int
    learning_rate: float
    final_learning_rate: float = 0.0
    warmup: float = 0.02
    """The part of the phase, 0..1, over which the learning rate rises from zero."""
    hold: float = 0.0
    """The part of the phase, 0..1, up to which it stays there before the cosine begins."""
    weight_decay: float = 0.02
    decay_biases: bool = False
    """Decay the biases too, of layers and decoder."""
    betas: list[float] = dataclasses.field(default_factory=lambda: [0.9, 0.999])
    """AdamW's decay rates of the means of gradients and of their squares."""
    learn_thresholds: bool = True
    dropout_words: float = 0.0
    dropout_embedding: float = 0.0
    dropout_between: float = 0.0
    dropout_output: float = 0.0
    dropout_at_start: float = 1.0
    """The part of these four shares, 0..1, that holds in the first epoch; it grows from epoch to epoch,
    evenly, to all of them in the last (after Morerio and others, 2017: at first nothing can overfit)."""
    softmax_head: int = 0
    """How many of the most frequent words always count in the softmax; 0 (and no tail): all words do.
    All do as well where the vocabulary has no more words than head and tail together."""
    softmax_tail: int = 0
    """How many of the other words do, drawn anew at each update."""
    softmax_full_from: float = 1.0
    """From this part of the phase on, 0..1, all words count."""
    activity_targets: list[float] = dataclasses.field(default_factory=list)
    """Per layer, the share of neurons that may fire for free; empty: all may."""
    activity_weight: float = 10.0
    """The loss, in nats, is raised by this times the square of what a layer's activity exceeds its target."""
    activity_from: float = 0.0
    activity_until: float = 0.0
    """Between these parts of the phase, 0..1, that weight rises evenly from zero to its full value."""
    anneal_from: float = 1.0
    anneal_to: float = 1.0
    anneal_until: float = 1.0
    """The cell's hardness when the phase starts, the one it reaches, and by which part of the phase, 0..1.
    0 is a GRU, which learns fast, 1 the EGRU; egru.advance has the cells between."""
    dropout_recurrent: float = 0.0
    """Of recurrent weights (DropConnect)."""
    dropout_each_step: bool = False
    """Draw the masks of embedding, between and output anew at each step, and share them among streams, as
    published; not anew for each stream and window (model.Dropout)."""
    keep_best: bool = False
    """End with the weights of the epoch that was best on the validation text, of those in which annealing
    and pruning are complete."""
    average_from: float = 1.0
    """From this part of the phase on, 0..1, the weights after each update are averaged; the phase ends with
    the average. 1: with the last weights, as they are."""
    untie: bool = False
    """Give the decoder weights of its own when the phase starts."""
    quantized: bool = False
    """Train with the kernel's integer arithmetic in the forward pass."""
    weight_bits: int = 8
    """Bits of a streamed weight of the layers, with a unit per row that holds its largest."""
    decoder_weight_bits: int = 8
    """Bits of a decoder weight. Fewer than 8 have one unit for the whole decoder, and phases that are not
    quantised keep the weights within what the bits hold."""
    pruning: Pruning | None = None
    distill: Distillation | None = None


@dataclass
class Recipe:
    """A whole run: the network, the stream of data, and the phases in their order."""

    name: str
    model: ModelRecipe
    phases: list[Phase]
    about: str = ""
    seed: int = 1
    streams: int = 32
    window: int = 35
    clip: float = 1.0
    """Largest norm of the gradient."""
    clip_layers: bool = False
    """Clip the gradient of each layer to that norm by itself first."""
    random_windows: bool = False
    """Draw the length of each window: from a normal distribution around `window`, or for one in twenty around
    half of that, of deviation 5; the learning rate goes with the length (Merity and others, 2018)."""
    reset_cells: bool = False
    """Start each window with cells of zero (not outputs), as EvNN does. Validation never does."""
    vocabulary: int | None = None
    """The most words to tell apart, the most frequent ones, <unk> among them; None: all."""
    text: TextConvention = dataclasses.field(default_factory=TextConvention)
    """How texts are cut into words or characters (egret.text.vocabulary); it goes with the model."""
    evaluation_streams: int = 20
    """Parallel streams of the validation after each epoch (reported figures use one)."""


def load_recipe(path: str | os.PathLike[str]) -> Recipe:
    """Read a recipe; raises EgretError where the file is missing, is not TOML or has a wrong key or value.

    A recipe with the key `base` takes what it does not state from that recipe, in the same folder: keys of
    the recipe, of its model, and of each phase (a phase's own `pruning` and `distill` replace the base's
    whole). Of the base's phases it has those that it names, or all where it names none.
    """
    values = _read(Path(path))
    try:
        recipe: Recipe = _build(Recipe, values, "")
        _check(recipe)
        return recipe
    except EgretError as error:
        raise EgretError(f"The recipe {path} is wrong: {error}") from error


def _read(path: Path, seen: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the values of a recipe and of its base."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise EgretError(f"The recipe {path} cannot be read: {error}.") from error
    except tomllib.TOMLDecodeError as error:
        raise EgretError(f"The recipe {path} is not TOML: {error}.") from error
    name = values.pop("base", None)
    if name is None:
        return values
    if not isinstance(name, str) or Path(name).name != name or name in (*seen, path.name):
        raise EgretError(f"The recipe {path} is wrong: base must be the name of another recipe beside it.")
    base = _read(path.with_name(name), (*seen, path.name))
    phases = {str(phase.get("name")): phase for phase in base.get("phases", [])}
    named = values.get("phases", base.get("phases", []))
    merged = [{**phases.get(str(phase.get("name")), {}), **phase} for phase in named]
    return {**base, **values, "model": {**base.get("model", {}), **values.get("model", {})}, "phases": merged}


def _build(kind: Any, value: Any, where: str) -> Any:
    """Build `kind` (a dataclass, list of them, or plain value) from parsed TOML."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return _build(arguments[0], value, where)
    if origin is list:
        if not isinstance(value, list):
            raise EgretError(f"{where} must be a list.")
        return [_build(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value)]
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            raise EgretError(f"{where} must be a table.")
        hints = typing.get_type_hints(kind)
        unknown = sorted(set(value) - set(hints))
        if unknown:
            raise EgretError(f"{where or 'it'} has an unknown key {unknown[0]!r}; known: {', '.join(hints)}.")
        missing = [
            f.name
            for f in dataclasses.fields(kind)
            if f.name not in value
            and f.default is dataclasses.MISSING
            and f.default_factory is dataclasses.MISSING
        ]
        if missing:
            raise EgretError(f"{where or 'it'} lacks the key {missing[0]!r}.")
        build: Any = kind
        return build(
            **{key: _build(hints[key], item, f"{where}.{key}".lstrip(".")) for key, item in value.items()}
        )
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise EgretError(f"{where} must be of type {kind.__name__}; it is {value!r}.")
    return value


def _check(recipe: Recipe) -> None:
    def require(condition: bool, sentence: str) -> None:
        if not condition:
            raise EgretError(sentence)

    sizes = [
        recipe.model.embedding,
        *recipe.model.layers,
        recipe.streams,
        recipe.window,
        recipe.evaluation_streams,
    ]
    require(bool(recipe.model.layers) and min(sizes) > 0, "sizes must be positive and there must be a layer.")
    require(
        not recipe.model.tied or recipe.model.layers[-1] == recipe.model.embedding,
        "a tied decoder needs a last layer as wide as the embedding.",
    )
    require(
        0 < recipe.model.threshold < 1
        and min(recipe.model.surrogate_slope, recipe.model.surrogate_height) > 0,
        "the threshold must lie between 0 and 1, and the surrogate's slope and height be positive.",
    )
    beta = recipe.model.threshold_beta
    require(not beta or (len(beta) == 2 and min(beta) > 0), "threshold_beta needs two positive parameters.")
    require(
        recipe.model.cell == "egru" or not (beta or recipe.model.published_start or recipe.reset_cells),
        "only the cell egru has threshold_beta, published_start or reset_cells.",
    )
    require(recipe.model.cell in ("egru", "gru", "lstm"), "the cell must be egru, gru or lstm.")
    require(recipe.vocabulary is None or recipe.vocabulary > 2, "a vocabulary needs more than two words.")
    require(bool(recipe.phases), "there must be a phase.")
    names = [phase.name for phase in recipe.phases]
    require(len(set(names)) == len(names), "phases must have different names.")
    tied = recipe.model.tied
    for phase in recipe.phases:
        about = f"phase {phase.name}"
        require(phase.epochs > 0 and phase.learning_rate > 0, f"{about} needs epochs and a learning rate.")
        tied = tied and not phase.untie
        require(
            all(2 <= bits <= 8 for bits in (phase.weight_bits, phase.decoder_weight_bits)),
            f"{about} needs weights of 2 to 8 bits.",
        )
        require(
            phase.decoder_weight_bits == 8 or not tied,
            f"{about} narrows a tied decoder; untie it there or before.",
        )
        shares = [phase.dropout_words, phase.dropout_embedding, phase.dropout_between, phase.dropout_output]
        require(
            len(phase.betas) == 2 and all(0 <= beta < 1 for beta in phase.betas),
            f"{about} needs two betas in [0, 1).",
        )
        shares += [phase.warmup, phase.dropout_recurrent, *phase.activity_targets]
        require(
            0 <= phase.average_from <= 1 and 0 <= phase.dropout_at_start <= 1,
            f"{about} needs average_from and dropout_at_start in [0, 1].",
        )
        require(
            recipe.model.cell == "egru"
            or not (phase.quantized or phase.activity_targets or phase.dropout_recurrent),
            f"{about}: only the cell egru can be quantised, or have activity targets or dropout_recurrent.",
        )
        require(
            0 <= phase.activity_from <= phase.activity_until <= 1,
            f"{about} needs 0 <= activity_from <= activity_until <= 1.",
        )
        annealed = (phase.anneal_from, phase.anneal_to) != (1.0, 1.0)
        require(
            all(0 <= value <= 1 for value in (phase.anneal_from, phase.anneal_to, phase.anneal_until))
            and 0 <= phase.softmax_full_from <= 1,
            f"{about} needs anneal_from, anneal_to, anneal_until and softmax_full_from in [0, 1].",
        )
        require(
            not annealed or (recipe.model.cell == "egru" and not phase.quantized),
            f"{about}: only the cell egru can be annealed, and not in a quantised phase.",
        )
        require(
            len(phase.activity_targets) in (0, len(recipe.model.layers)),
            f"{about}: activity_targets needs a value for each layer.",
        )
        require(
            phase.hold < 1 and (phase.hold == 0 or phase.hold >= phase.warmup),
            f"{about}: hold must be less than 1 and no less than warmup.",
        )
        require(
            (phase.softmax_head > 0) == (phase.softmax_tail > 0),
            f"{about}: softmax_head and softmax_tail must both be given, or neither.",
        )
        require(
            phase.distill is None or 0 <= phase.distill.weight <= 1,
            f"{about} needs a weight of distillation in [0, 1].",
        )
        if phase.pruning is not None:
            pruning = phase.pruning
            require(not tied, f"{about} prunes a tied decoder; untie it there or before.")
            require(
                min(pruning.slots, pruning.redraw, pruning.decoder_slots or 1) > 0 and 0 <= pruning.ramp <= 1,
                f"{about} needs slots, updates between drawings and a ramp in [0, 1].",
            )
            require(
                not (pruning.unstructured and (pruning.gap_bits or pruning.decoder_gap_bits)),
                f"{about}: what is pruned for a gap field is not unstructured.",
            )
            require(
                not (pruning.at_a_stroke and (pruning.ramp or pruning.start)),
                f"{about} prunes at a stroke: there is no start and no ramp.",
            )
            require(
                all(bits is None or 1 <= bits <= 8 for bits in (pruning.gap_bits, pruning.decoder_gap_bits)),
                f"{about} needs gap bits of 1 to 8.",
            )
            shares += [pruning.sparsity, pruning.start, pruning.decoder_sparsity or 0.0]
        require(all(0 <= share < 1 for share in shares), f"{about}: shares must lie in [0, 1).")
    begin = [*(phase.anneal_from for phase in recipe.phases[1:]), 1.0]
    for phase, hardness in zip(recipe.phases, begin, strict=True):
        require(
            phase.anneal_to == hardness,
            f"phase {phase.name} must end where the next begins, or an EGRU: its anneal_to is {hardness}.",
        )
