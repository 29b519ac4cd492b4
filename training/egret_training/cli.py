"""The command line: `python -m egret_training COMMAND`; `--help` lists the commands."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egret.command_line import FINE, STATUSES, status_of
from egret.errors import EgretError
from egret.installation import how_to_install, version
from egret.text.vocabulary import METADATA_KEY, TextConvention
from egret_training.recipe import KERNEL

if TYPE_CHECKING:
    from egret_training.recipe import Recipe

ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": "4000000000",
    "MALLOC_TRIM_THRESHOLD_": "8000000000",
    "MALLOC_TOP_PAD_": "268435456",
}
"""glibc gives large buffers back to the system at once: page faults then take up to half of a step's time."""

OF_EVALUATION = 0.15
"""The part of --minutes that export and evaluation are given."""

EPILOG = """\
A whole run, from text to a model that Egret's kernel runs:

  python -m egret_training train training/recipes/ptb.toml --data ptb.zip --run runs/ptb-egru
  python -m egret_training export runs/ptb-egru/quantized.pt models/my-model.npz
  python -m egret_training evaluate models/my-model.npz --data ptb.zip --run runs/ptb-egru --record

Training saves its state every few minutes; the same command takes it up again. The Penn Treebank is licensed
by the Linguistic Data Consortium; Egret reads Mikolov's preprocessing of it (ptb.train.txt, ptb.valid.txt and
ptb.test.txt) from a folder or a zip, as it does train.txt, valid.txt and test.txt of any other text, or one
text file. Several processes: torchrun --nproc-per-node 2 -m egret_training train ...
"""


def _parser() -> argparse.ArgumentParser:
    shape = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "python -m egret_training",
        formatter_class=shape,
        epilog=f"{EPILOG}\n{STATUSES}",
        description="Train, prune and quantise an EGRU language model for Egret.",
    )
    parser.add_argument(
        "--threads",
        type=int,
        default=1,
        help="threads of matrix products (default: %(default)s; "
        "the products of a small network gain little from more)",
    )
    parser.add_argument("--version", action="version", version=version())
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, text: str, about: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=about, formatter_class=shape)

    train = command(
        "train",
        "run a recipe's phases: dense, pruned, quantised",
        "Run the phases of a recipe. In the run's folder: log.csv (perplexities by epoch), state.pt "
        "(the latest\nstate, taken up by the same command), and PHASE.pt after each phase.",
    )
    train.add_argument("recipe", type=Path, help="a recipe, as training/recipes/ptb.toml")
    _add_data(train)
    train.add_argument(
        "--run",
        "--into",
        type=Path,
        help="folder of the run (default: runs/ and the recipe's name; torchrun takes --run for its own)",
    )
    _add_device(train)
    train.add_argument(
        "--start-from",
        type=Path,
        metavar="SAVED",
        help="begin with the model in this file of another run, as runs/ptb-egru/dense.pt",
    )
    train.add_argument(
        "--no-board", action="store_true", help="train the network even if no board of Egret's will run it"
    )
    train.add_argument(
        "--minutes",
        type=float,
        help="cut the phases to the epochs that fit this time, evaluation and interruptions counted in",
    )
    train.add_argument(
        "--evaluate", action="store_true", help="after --model, measure it on the test text, in integers too"
    )
    train.add_argument("--until", metavar="PHASE", help="stop after this phase")
    train.add_argument("--model", type=Path, metavar="NPZ", help="also export the result to this checkpoint")

    export = command(
        "export",
        "turn a saved phase into a quantised checkpoint",
        "Quantise a saved model (best one trained in a quantised phase) and write the checkpoint that\n"
        "`egret run` packs for a board.",
    )
    export.add_argument("saved", type=Path, help="a file of a run, as runs/ptb-egru/quantized.pt")
    export.add_argument("checkpoint", type=Path, help="the .npz to write")
    export.add_argument("--note", default="", help="a sentence for the checkpoint's metadata")

    evaluate = command(
        "evaluate",
        "measure a checkpoint: perplexity, activity, MACs",
        "Run the integer reference over whole texts as one stream each, and the Brevitas model too "
        "(both must\nagree exactly). Prints JSON.",
    )
    evaluate.add_argument("checkpoint", type=Path, help="a .npz, as models/ptb-egru.npz")
    _add_data(evaluate)
    evaluate.add_argument(
        "--splits",
        nargs="+",
        choices=("train", "valid", "test"),
        default=["valid", "test"],
        help="texts to run (default: valid test)",
    )
    evaluate.add_argument("--no-brevitas", action="store_true", help="run the reference alone (faster)")
    evaluate.add_argument("--run", type=Path, help="also measure the float models of this run's phases")
    evaluate.add_argument(
        "--record",
        action="store_true",
        help="write the figures into the checkpoint's metadata and to a .json beside it",
    )

    keep = command(
        "keep",
        "write a float model in half precision, to keep or to share",
        "Write the model of a saved phase in half precision (2 bytes a weight), with vocabulary and sizes.\n"
        "`train --start-from` begins with it, to prune and quantise it another way.",
    )
    keep.add_argument("saved", type=Path, help="a file of a run, as runs/ptb-egru/dense.pt")
    keep.add_argument("model", type=Path, help="the .pt to write")

    evnn = command(
        "import-evnn",
        "take over an EGRU language model of EvNN's",
        "Read the state dict that EvNN's benchmarks/lm saves, and write it as a file that\n"
        "`train --start-from` prunes and quantises, with a recipe of the same sizes.",
    )
    evnn.add_argument("state_dict", type=Path, help="EvNN's checkpoint, as EGRU_best_model.cpt")
    evnn.add_argument("model", type=Path, help="the .pt to write")
    _add_data(evnn)

    teach = command(
        "teach",
        "store what a model expects of the training text, to learn from",
        "Write the most likely next words of a trained model, and their probabilities, at each word of the\n"
        "training text: 4 bytes a word and probability. A phase with\n"
        '`distill = { targets = "FILE", weight = 0.5 }` learns from them (distillation).',
    )
    teach.add_argument("saved", type=Path, help="the teacher, as runs/ptb-lstm/dense.pt")
    teach.add_argument("targets", type=Path, help="the file to write")
    teach.add_argument("--words", type=int, default=32, help="how many at each word (default: %(default)s)")
    _add_data(teach)
    _add_device(teach)

    plot = command("plot", "draw a run's perplexities", "Draw the log of a run (needs matplotlib).")
    plot.add_argument("run", type=Path, help="folder of a run")
    plot.add_argument("-o", "--output", type=Path, help="the picture (default: log.png in the folder)")

    comparison = command(
        "compare",
        "the models of several runs side by side",
        "Measure the models that runs have saved (dense.pt, pruned.pt, quantized.pt), whatever their cells:\n"
        "perplexity of whole texts as one stream, activity, MACs as the paper and as Egret counts them,\n"
        "and bytes of columns a token in the PYNQ-Z2's format. Prints a Markdown table.",
    )
    comparison.add_argument(
        "runs", type=Path, nargs="+", help="folders of runs, as runs/ptb-egru runs/ptb-lstm"
    )
    _add_data(comparison)
    comparison.add_argument(
        "--splits",
        nargs="+",
        choices=("train", "valid", "test"),
        default=["valid", "test"],
        help="texts to run; activity and MACs are of the last (default: valid test)",
    )

    cost = command(
        "pruning-cost",
        "what the kernel's constraints on pruning cost a saved model",
        "Prune a saved model in several ways, without training it afterwards, and print the perplexity on\n"
        "the beginning of the validation text, and what a kernel of 2 engines of 64 bits would fetch.",
    )
    cost.add_argument("saved", type=Path, help="a dense model, as runs/ptb-egru/dense.pt")
    _add_data(cost)
    cost.add_argument("--sparsity", type=float, default=0.85, help="default: %(default)s")
    cost.add_argument(
        "--lanes", type=int, default=KERNEL.lanes, help="of the layers, per engine (default: %(default)s)"
    )
    cost.add_argument("--decoder-lanes", type=int, default=KERNEL.decoder_lanes, help="default: %(default)s")
    cost.add_argument("--decoder-weight-bits", type=int, default=4, help="default: %(default)s")
    cost.add_argument("--tokens", type=int, default=12800, help="of validation text (default: %(default)s)")

    check = command(
        "check-gpu",
        "see in two minutes whether a GPU trains as it should, and how fast",
        "Compare recorded windows with plain ones, in floating point and in integers, see that replays draw\n"
        "their dropout anew and follow what is scheduled, and time an epoch of the Penn Treebank with\n"
        "validation and saving. Needs no data.",
    )
    check.add_argument("--size", choices=("small", "paper"), default="paper")
    _add_device(check)

    benchmark = command(
        "benchmark",
        "measure training speed against torch's GRU and LSTM",
        "Tokens per second of forward pass, backward pass and AdamW, on random words, one after the other.",
    )
    benchmark.add_argument("--size", choices=("small", "paper"), default="small")
    benchmark.add_argument("--updates", type=int, default=5, help="how many count (default: %(default)s)")
    _add_device(benchmark)
    return parser


def _add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="where to compute (default: a GPU where torch finds one)",
    )
    parser.add_argument(
        "--eager",
        action="store_true",
        help="on a GPU, launch every operation by itself: nothing compiled, no CUDA graph (to find faults)",
    )


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        type=Path,
        default=os.environ.get("EGRET_PTB"),
        metavar="PATH",
        help="folder, zip or text file to learn from (default: the environment's EGRET_PTB)",
    )


def _corpus(path: Path | None, words: int | None, convention: TextConvention | None = None) -> Any:
    from egret_training.data import WHERE_TO_GET_IT, load_corpus

    if path is None:
        raise EgretError(f"Name the data with --data or in the environment's EGRET_PTB. {WHERE_TO_GET_IT}")
    return load_corpus(path, words, convention)


def _warn(sentences: list[str]) -> None:
    """Say on standard error what does not stop the command; of several processes, the first one does."""
    if os.environ.get("RANK", "0") == "0":
        for sentence in sentences:
            print(f"egret_training: {sentence}", file=sys.stderr)


def _train(arguments: argparse.Namespace) -> None:
    from egret_training.execution import choose_execution
    from egret_training.fit import check_recipe
    from egret_training.model_file import read_saved
    from egret_training.recipe import load_recipe
    from egret_training.train import Trainer

    recipe = load_recipe(arguments.recipe)
    run = arguments.run or Path("runs") / recipe.name
    execution = choose_execution(arguments.device, arguments.eager)
    corpus = _corpus(arguments.data, recipe.vocabulary, recipe.text)
    if not arguments.no_board:
        started = read_saved(arguments.start_from)["masks"] if arguments.start_from else None
        _warn(check_recipe(recipe, corpus.vocabulary, started))
    if arguments.minutes is not None and not arguments.minutes > 0:
        raise EgretError(f"--minutes must be positive; it is {arguments.minutes}.")
    if arguments.evaluate and arguments.model is None:
        raise EgretError("--evaluate needs --model NPZ: what is to be measured.")
    seconds = None if arguments.minutes is None else 60.0 * arguments.minutes * (1.0 - OF_EVALUATION)
    trainer = Trainer(recipe, corpus, run, execution, arguments.start_from, seconds)
    trainer.run(arguments.until)
    trainer.group.close()
    if trainer.group.first:
        _say_what_is_next(run, recipe, arguments.until, arguments.data)
    if arguments.model is not None and trainer.group.first:
        arguments.saved, arguments.checkpoint, arguments.note = run / "state.pt", arguments.model, ""
        _export(arguments)
        if arguments.evaluate:
            arguments.run, arguments.splits = run, ["test"]
            arguments.no_brevitas, arguments.record = True, True
            _evaluate(arguments)


def _say_what_is_next(run: Path, recipe: Recipe, until: str | None, data: Path) -> None:
    """Print where the result of training is, and the commands that go on from there."""
    from egret_training.run_folder import LOG

    last, this = until or recipe.phases[-1].name, "python -m egret_training"
    print(f"trained:    {run / f'{last}.pt'}; figures of each epoch in {run / LOG}")
    print(f"next:       {this} plot {run}")
    if recipe.model.cell == "egru":
        model = Path("models") / f"{recipe.name}.npz"
        print(f"            {this} export {run / f'{last}.pt'} {model}")
        print(f"            {this} evaluate {model} --data {data}")
        print(f"            egret run {model}")


def _export(arguments: argparse.Namespace) -> None:
    from egret_training.data import PENN_TREEBANK
    from egret_training.export import checkpoint_of
    from egret_training.fit import check_checkpoint
    from egret_training.metrics import weight_metrics
    from egret_training.model_file import load_model

    model, saved = load_model(arguments.saved)
    metadata = {
        "trained_on": saved.get("corpus", PENN_TREEBANK),
        "recipe": saved["recipe"],
        "training_seconds": round(saved["seconds"]),
        METADATA_KEY: TextConvention.of_metadata(saved).as_metadata(),
    }
    checkpoint = checkpoint_of(model, saved, metadata)
    if arguments.note:
        checkpoint.metadata["note"] = arguments.note
    checkpoint.metadata["figures"] = {"weights": weight_metrics(checkpoint)}
    checkpoint.save(arguments.checkpoint)
    _warn(check_checkpoint(checkpoint))
    print(
        f"{arguments.checkpoint}: {arguments.checkpoint.stat().st_size / 1e6:.2f} MB, "
        f"{checkpoint.metadata['figures']['weights']['sparsity']:.1%} of its weights zero"
    )


def _evaluate(arguments: argparse.Namespace) -> None:
    from egret.checkpoint import Checkpoint
    from egret_training.metrics import float_metrics, integer_metrics, weight_metrics

    checkpoint = Checkpoint.load(arguments.checkpoint)
    convention = TextConvention.of_metadata(checkpoint.metadata)
    corpus = _corpus(arguments.data, checkpoint.metadata.get("recipe", {}).get("vocabulary"), convention)
    figures: dict[str, Any] = {"weights": weight_metrics(checkpoint)}
    if arguments.run is not None:
        phases = [
            phase["name"] for phase in checkpoint.metadata["recipe"]["phases"] if not phase["quantized"]
        ]
        figures["perplexity_float"] = {
            phase: {split: float_metrics(arguments.run, phase, corpus, split) for split in arguments.splits}
            for phase in phases
        }
    for split in arguments.splits:
        figures[split] = integer_metrics(checkpoint, corpus, split, not arguments.no_brevitas)
    print(json.dumps(figures, indent=2))
    if arguments.record:
        # Splits may be measured one by one: what was recorded of others stays.
        recorded = checkpoint.metadata.setdefault("figures", {})
        for phase, perplexities in figures.pop("perplexity_float", {}).items():
            recorded.setdefault("perplexity_float", {}).setdefault(phase, {}).update(perplexities)
        recorded.update(figures)
        checkpoint.save(arguments.checkpoint)
        beside = arguments.checkpoint.with_suffix(".json")
        beside.write_text(json.dumps(checkpoint.metadata, indent=2) + "\n", encoding="utf-8")


def _keep(arguments: argparse.Namespace) -> None:
    from egret_training.model_file import load_model, write_model

    _, saved = load_model(arguments.saved)
    size = write_model(saved, arguments.model)
    print(f"{arguments.model}: {size / 1e6:.2f} MB")


def _import_evnn(arguments: argparse.Namespace) -> None:
    from egret_training.evnn import import_evnn
    from egret_training.model_file import write_model

    found = import_evnn(arguments.state_dict, _corpus(arguments.data, None))
    size = write_model(found, arguments.model, half=False)
    shape = found["shape"]
    sizes = f"layers of {shape['layers']} neurons, {shape['vocabulary']} words"
    print(f"{arguments.model}: {size / 1e6:.2f} MB, {sizes}")


def _teach(arguments: argparse.Namespace) -> None:
    from egret_training.execution import choose_execution
    from egret_training.model_file import load_model
    from egret_training.teacher import write_targets

    execution = choose_execution(arguments.device, arguments.eager)
    model, saved = load_model(arguments.saved)
    convention = TextConvention.of_metadata(saved)
    corpus = _corpus(arguments.data, saved["recipe"].get("vocabulary"), convention)
    if corpus.vocabulary != saved["vocabulary"]:
        raise EgretError(f"{arguments.saved} is not of this corpus.")
    size = write_targets(model, corpus, arguments.targets, arguments.words, execution)
    print(f"{arguments.targets}: {size / 1e6:.1f} MB, {arguments.words} words at each of {len(corpus.train)}")


def _plot(arguments: argparse.Namespace) -> None:
    from egret_training.plot import plot_run

    picture = arguments.output or arguments.run / "log.png"
    plot_run(arguments.run, picture)
    print(picture)


def _benchmark(arguments: argparse.Namespace) -> None:
    from egret_training.benchmark import SIZES, measure, table
    from egret_training.execution import choose_execution

    if arguments.updates < 1:
        raise EgretError(f"--updates must be at least 1; it is {arguments.updates}.")
    size = SIZES[arguments.size]
    execution = choose_execution(arguments.device, arguments.eager)
    on = f"threads: {arguments.threads}" if execution.device.type == "cpu" else execution.device_name
    print(f"{arguments.size}: {size}, {on}")
    print(table(measure(size, arguments.updates, execution)))


def _check_gpu(arguments: argparse.Namespace) -> None:
    from egret_training.benchmark import SIZES
    from egret_training.execution import choose_execution
    from egret_training.gpu_check import check_training

    execution = choose_execution("cuda" if arguments.device == "auto" else arguments.device, arguments.eager)
    size = SIZES[arguments.size]
    print(f"{arguments.size}: {size}, {execution.device_name}")
    failed = []
    for found in check_training(size, execution):
        print(f"{'ok' if found.passed else 'FAILS':5}  {found.what}: {found.value}", flush=True)
        failed += [] if found.passed else [found.what]
    if failed:
        raise EgretError(f"this device does not train as it should: {'; '.join(failed)}. Try --eager.")


def _compare(arguments: argparse.Namespace) -> None:
    from egret_training.comparison import compare, phases_of, table

    phases = {run: phases_of(run) for run in arguments.runs}  # what is missing is said before anything runs
    corpus = _corpus(arguments.data, None)
    print(table([compare(run, phase, corpus, arguments.splits) for run in phases for phase in phases[run]]))


def _pruning_cost(arguments: argparse.Namespace) -> None:
    from egret_training import data
    from egret_training.model_file import load_model
    from egret_training.pruning_cost import measure_cost, table, ways

    if not 0 < arguments.sparsity < 1:
        raise EgretError(f"--sparsity must lie between 0 and 1; it is {arguments.sparsity}.")
    for lanes, bits in (
        (arguments.lanes, KERNEL.weight_bits),
        (arguments.decoder_lanes, arguments.decoder_weight_bits),
    ):
        beat = 8 * KERNEL.bus_bytes
        if not (1 <= lanes and 2 <= bits <= 8 and lanes * (bits + KERNEL.gap_bits) <= beat):
            raise EgretError(
                f"{lanes} lanes of {bits} + {KERNEL.gap_bits} bits do not fit a beat of {beat} bits."
            )
    model, saved = load_model(arguments.saved)
    convention = TextConvention.of_metadata(saved)
    corpus = _corpus(arguments.data, saved["recipe"].get("vocabulary"), convention)
    if corpus.vocabulary != saved["vocabulary"]:
        raise EgretError(f"{arguments.saved} is not of this corpus.")
    model.untie()
    train, valid = (data.streams(text, 64) for text in (corpus.train, corpus.valid))
    compared = ways(arguments.sparsity, arguments.lanes, arguments.decoder_lanes)
    print(
        table(
            [
                measure_cost(
                    model,
                    way,
                    pruning,
                    train,
                    valid[: arguments.tokens // 64],
                    corpus.log_frequencies().exp(),
                    arguments.decoder_weight_bits,
                )
                for way, pruning in compared.items()
            ]
        )
    )


COMMANDS = {
    "train": _train,
    "export": _export,
    "keep": _keep,
    "import-evnn": _import_evnn,
    "teach": _teach,
    "evaluate": _evaluate,
    "plot": _plot,
    "compare": _compare,
    "pruning-cost": _pruning_cost,
    "check-gpu": _check_gpu,
    "benchmark": _benchmark,
}


def main(arguments: Sequence[str]) -> int:
    """Run the command line `arguments`; return the exit status. What went wrong goes to standard error."""
    return status_of(
        "egret_training", lambda: _run(arguments), "interrupted; `train` takes its run up again."
    )


def _run(given: Sequence[str]) -> int:
    try:
        arguments = _parser().parse_args(given)
    except SystemExit as exit_:  # argparse has printed help (0) or what is wrong (2)
        return int(exit_.code or 0)
    try:
        import torch

        if arguments.threads < 1:
            raise EgretError(f"--threads must be at least 1; it is {arguments.threads}.")
        torch.set_num_threads(arguments.threads)
        COMMANDS[arguments.command](arguments)
    except ModuleNotFoundError as error:
        raise EgretError(f"{error.name} is not installed; {how_to_install('training')}") from error
    return FINE
