"""check_hls.py finds each fault that is planted in the kernel's sources, and none in them as they are."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from hls.tools.check_hls import HLS, check_folder
from hls.tools.hls_check import directives
from hls.tools.hls_check.source import SourceError

DESCRIPTION = json.loads((HLS / "kernel.json").read_text(encoding="utf-8"))

FAULTS = {
    # -- pragmas that g++ passes over
    "misspelt HLS": ("lane.cpp", "#pragma HLS PIPELINE II=1", "#pragma HSL PIPELINE II=1", "not a pragma"),
    "misspelt directive": (
        "lane.cpp",
        "#pragma HLS PIPELINE",
        "#pragma HLS PIPELIN",
        "unknown directive PIPELIN",
    ),
    "misspelt option": ("wave.cpp", "events depth=256", "events dept=256", "STREAM has no option dept=256"),
    "unknown flag": ("neuron_update.cpp", "LOOP_FLATTEN", "LOOP_FLATTEN on", "LOOP_FLATTEN has no option on"),
    "wrong word": ("lane.cpp", "direction=RAW", "direction=RWA", "direction is one of RAW, WAR, WAW"),
    "no number": ("lane.cpp", "distance=4", "distance=four", "distance is an integer constant, not four"),
    "option twice": ("wave.cpp", "events depth=256", "events depth=256 depth=2", "says depth twice"),
    "missing option": ("sequencer.cpp", "wave limit=1", "wave", "ALLOCATION needs limit="),
    "variable not there": (
        "lane.cpp",
        "DEPENDENCE variable=sums",
        "DEPENDENCE variable=sum",
        "no variable sum in this scope",
    ),
    "variable of another scope": (
        "column_fetcher.cpp",
        "ARRAY_PARTITION variable=lengths",
        "ARRAY_PARTITION variable=ended_all",
        "no variable ended_all",
    ),
    "member not there": (
        "egret_kernel.cpp",
        "model.columns_beats complete",
        "model.column_beats complete",
        "model.column_beats",
    ),
    "dimension not there": (
        "lane.cpp",
        "variable=row complete dim=0",
        "variable=row complete dim=2",
        "no dimension 2",
    ),
    "no array": (
        "column_fetcher.cpp",
        "ARRAY_PARTITION variable=lengths",
        "ARRAY_PARTITION variable=newest",
        "newest is no array",
    ),
    "no stream": (
        "wave.cpp",
        "STREAM variable=next_words",
        "STREAM variable=row_follows",
        "row_follows is no stream",
    ),
    "partition of no kind": (
        "lane.cpp",
        "variable=recent complete dim=0",
        "variable=recent dim=0",
        "needs one of complete",
    ),
    "cyclic without factor": (
        "sequencer.cpp",
        "chunk cyclic factor=4",
        "chunk cyclic",
        "cyclic needs factor=",
    ),
    "port not there": ("egret_kernel.cpp", "port=gmem0_read", "port=gmem0_reads", "no parameter gmem0_reads"),
    "function not called": (
        "sequencer.cpp",
        "instances=wave",
        "instances=waves",
        "waves is not called here",
    ),
    "loop pragma outside a loop": (
        "event_queue.cpp",
        "  std::uint32_t recorded = 0;",
        "#pragma HLS UNROLL\n  std::uint32_t recorded = 0;",
        "UNROLL belongs directly in a loop",
    ),
    "pragma outside a function": (
        "lane.cpp",
        "namespace egret {",
        "namespace egret {\n#pragma HLS INLINE",
        "outside every function",
    ),
    "slow pipeline": ("lane.cpp", "PIPELINE II=1", "PIPELINE II=2", "must say II=1"),
    "pipeline without argument": (
        "lane.cpp",
        "// II = 1, all lanes at once.",
        "// All lanes at once.",
        "no comment argues",
    ),
    "inner loop not unrolled": (
        "token_interface.cpp",
        "TOKENS_PER_BEAT; ++place) {\n#pragma HLS UNROLL",
        "TOKENS_PER_BEAT; ++place) {",
        "must have UNROLL",
    ),
    "dataflow with a branch": (
        "wave.cpp",
        "  argmax_words(sweep,",
        "  if (sweep) { sweep_nothing(); }\n  argmax_words(sweep,",
        "may only declare and call",
    ),
    "stream without depth": (
        "wave.cpp",
        "#pragma HLS STREAM variable=best depth=2\n",
        "",
        "stream best of a dataflow",
    ),
    "memory of two processes": (
        "wave.cpp",
        "beats[E], filled_sums[E]",
        "beats[E], swept_sums[E]",
        "swept_sums[0] belongs to several processes: neuron_update and lanes",
    ),
    "an array and an element of it": (
        "wave.cpp",
        "table_row_beats, table_address, entries,",
        "table_row_beats, logits_address, entries,",
        "logits_address[0] belongs to several processes",
    ),
    "port of two processes": (
        "wave.cpp",
        "result_writer(gmem##E##_write,",
        "result_writer(gmem##E##_read,",
        "gmem0_read belongs to several processes",
    ),
    "stream with two readers": (
        "wave.cpp",
        "                records[E]);",
        "                best[E]);",
        "stream best[0] has 3 processes, not two",
    ),
    "stream that nobody writes": (
        "wave.cpp",
        "argmax_words(sweep, row_follows, record, best, next_words,",
        "argmax_words(sweep, row_follows, record, best, queued,",
        "stream next_words has 1 processes, not two",
    ),
    # -- registers and ports
    "register without pragma": (
        "egret_kernel.cpp",
        "#pragma HLS INTERFACE mode=s_axilite port=flags bundle=control offset=0x18\n",
        "",
        "no interface pragma for flags",
    ),
    "register elsewhere": (
        "egret_kernel.cpp",
        "port=tokens bundle=control offset=0x34",
        "port=tokens bundle=control offset=0x38",
        "tokens must have offset=0x34",
    ),
    "registers in another order": (
        "egret_kernel.cpp",
        "std::uint32_t command, std::uint32_t flags",
        "std::uint32_t flags, std::uint32_t command",
        "not those of kernel.json in their order",
    ),
    "register too narrow": (
        "egret_kernel.cpp",
        "std::uint64_t image,",
        "std::uint32_t image,",
        "register image has 64 bits",
    ),
    "no block control": (
        "egret_kernel.cpp",
        "#pragma HLS INTERFACE mode=s_axilite port=return bundle=control\n",
        "",
        "no interface pragma for port=return",
    ),
    "wrong bundle": (
        "egret_kernel.cpp",
        "port=gmem0_write bundle=gmem0",
        "port=gmem0_write bundle=gmem7",
        "gmem0_write is on bundle",
    ),
    "an engine without port": (
        "egret_kernel.cpp",
        "port=gmem7_read bundle=gmem7",
        "port=gmem6_read bundle=gmem6",
        "gmem7_read",
    ),
    "offset adds a register": (
        "egret_kernel.cpp",
        "port=gmem0_read bundle=gmem0 offset=off",
        "port=gmem0_read bundle=gmem0 offset=slave",
        "must have offset=off",
    ),
    # -- what is not synthesised
    "recursion": (
        "event_queue.cpp",
        "request_t empty_request(request_kind_t kind) {",
        "request_t empty_request(request_kind_t kind) {\n  if (kind) return empty_request(kind);",
        "empty_request calls itself",
    ),
    "recursion over files": (
        "neuron_update.cpp",
        "  unsigned neuron = engine;",
        "  wave(neuron_update);\n  unsigned neuron = engine;",
        "neuron_update calls itself",
    ),
    "new": (
        "lane.cpp",
        "  std::uint32_t macs = 0;",
        "  std::uint32_t *many = new std::uint32_t[4];\n  std::uint32_t macs = 0;",
        "there is no heap",
    ),
    "malloc": (
        "lane.cpp",
        "  std::uint32_t macs = 0;",
        "  void *block = malloc(4);\n  std::uint32_t macs = 0;",
        "there is no heap",
    ),
    "function pointer": (
        "lane.cpp",
        "  std::uint32_t macs = 0;",
        "  int (*pointer)(int) = nullptr;\n  std::uint32_t macs = 0;",
        "pointer is a pointer to a function",
    ),
    "function pointer as parameter": (
        "lane.cpp",
        "accumulator_t add(accumulator_t sum, accumulator_t product) {",
        "accumulator_t add(accumulator_t sum, accumulator_t product, int (*chosen)(int)) {",
        "chosen is a pointer to a function",
    ),
    "container": (
        "lane.cpp",
        "  std::uint32_t macs = 0;",
        "  std::vector<int> list;\n  std::uint32_t macs = 0;",
        "std::vector",
    ),
    "host call": (
        "lane.cpp",
        "  std::uint32_t macs = 0;",
        '  printf("here");\n  std::uint32_t macs = 0;',
        "printf is not defined in these sources",
    ),
    "exception": (
        "lane.cpp",
        "  std::uint32_t macs = 0;",
        "  if (beats.empty()) throw 1;\n  std::uint32_t macs = 0;",
        "throw cannot be synthesised",
    ),
    "loop without trip count": (
        "column_fetcher.cpp",
        "#pragma HLS LOOP_TRIPCOUNT min=1 max=65536 avg=1000\n",
        "",
        "needs LOOP_TRIPCOUNT",
    ),
    "for loop without trip count": (
        "event_queue.cpp",
        "#pragma HLS LOOP_TRIPCOUNT min=0 max=2048 avg=40\n",
        "",
        "needs LOOP_TRIPCOUNT",
    ),
    "do loop": (
        "event_queue.cpp",
        "  std::uint32_t recorded = 0;",
        "  do { } while (events[0].empty());\n  std::uint32_t recorded = 0;",
        "needs LOOP_TRIPCOUNT",
    ),
    "array of unknown size": (
        "event_queue.cpp",
        "  std::uint32_t recorded = 0;",
        "  int many[list];\n  std::uint32_t recorded = 0;",
        "array many has a size that is no constant: list",
    ),
    "parameter of unknown size": (
        "token_interface.cpp",
        "std::uint32_t tokens[TOKENS_PER_CHUNK]) {",
        "std::uint32_t tokens[]) {",
        "array tokens has a size that is no constant: nothing",
    ),
}


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    return Path(shutil.copytree(HLS / "src", tmp_path / "src"))


def messages(folder: Path) -> list[str]:
    return [text for _, _, text in check_folder(folder, DESCRIPTION)]


def test_sources_are_clean() -> None:
    assert check_folder(HLS / "src", DESCRIPTION) == []


@pytest.mark.parametrize("fault", FAULTS, ids=lambda name: name.replace(" ", "_"))
def test_planted_fault_is_found(fault: str, sources: Path) -> None:
    """Exactly where it was planted."""
    name, good, bad, expected = FAULTS[fault]
    path = sources / name
    text = path.read_text(encoding="utf-8")
    assert good in text, "the fault must be planted somewhere"
    path.write_text(text.replace(good, bad, 1), encoding="utf-8")
    findings = check_folder(sources, DESCRIPTION)
    assert any(expected in message and Path(file).name == name for file, _, message in findings), findings


def test_a_harmless_change_is_not_a_fault(sources: Path) -> None:
    """Another spelling of the same pragma, a comment that says new, a member function called free."""
    path = sources / "lane.cpp"
    text = path.read_text(encoding="utf-8").replace(
        "#pragma HLS PIPELINE II=1", "#pragma HLS pipeline II=1 style=flp"
    )
    path.write_text(
        text.replace("  std::uint32_t macs = 0;", "  // a new one, malloc(1)\n  std::uint32_t macs = 0;"),
        encoding="utf-8",
    )
    assert messages(sources) == []


def test_missing_top_function(sources: Path) -> None:
    (sources / "egret_kernel.cpp").unlink()
    assert "no source defines egret_kernel" in messages(sources)


def test_sources_that_cannot_be_read(sources: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no C\\+\\+ sources"):
        check_folder(tmp_path, DESCRIPTION)
    path = sources / "lane.cpp"
    path.write_text('#include "not_there.hpp"\n', encoding="utf-8")
    with pytest.raises(SourceError, match="cannot be preprocessed.*not_there"):
        check_folder(sources, DESCRIPTION)


def test_every_directive_has_a_place() -> None:
    for name, directive in directives.DIRECTIVES.items():
        assert directive.place in ("function", "loop", "function or loop", "scope"), name
        assert directive.required <= set(directive.options), name
