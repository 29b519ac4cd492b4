"""Which memories of a build must become block RAM: each instance of block_memory, and the two gate tables."""

from __future__ import annotations


def block_memories(build: dict[str, int]) -> tuple[str, ...]:
    """Return the instance paths of the memories of a build (parameters by name) that belong in block RAM."""
    paths = []
    for engine in range(build["ENGINES"]):
        place = f"core.g_engine[{engine}].engine"
        paths += [f"{place}.fetcher.g_pointers[{memory}].pointers" for memory in range(4)]
        for group, lanes, banks in (
            ("layer_lanes", build["LANES"], 4),
            ("decoder_lanes", build["DECODER_LANES"], 2),
        ):
            paths += [
                f"{place}.{group}.g_lane[{lane}].lane.g_bank[{bank}].accumulators"
                for lane in range(lanes)
                for bank in range(banks)
            ]
        paths += [
            f"{place}.decoder.high_records",
            f"{place}.decoder.low_records",
            f"{place}.update.records",
            f"{place}.update.states",
            f"{place}.update.sigmoid",
            f"{place}.update.tanh_lookup",
        ]
        paths += [f"{place}.update.g_table[{plane}].entries" for plane in range(3)]
        paths.append(f"core.queue.g_list[{engine}].list")
    return tuple(paths)
