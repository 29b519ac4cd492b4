"""Which memories of a build must become block RAM: each instance of block_memory, and the two gate tables."""

from __future__ import annotations


def block_memories(build: dict[str, int]) -> tuple[str, ...]:
    """Return the instance paths of the memories of a build (parameters by name) that belong in block RAM."""
    paths = []
    for engine in range(build["ENGINES"]):
        place = f"core.g_engine[{engine}].engine"
        paths += [f"{place}.fetcher.even_pointers", f"{place}.fetcher.odd_pointers"]
        for lane in range(build["LANES"]):
            paths += [f"{place}.g_lane[{lane}].lane.g_layer_bank[{bank}].accumulators" for bank in range(2)]
            paths += [
                f"{place}.g_lane[{lane}].lane.logit_accumulators",
                f"{place}.decoder.g_lane[{lane}].records",
            ]
        paths += [
            f"{place}.update.records",
            f"{place}.update.states",
            f"{place}.update.sigmoid",
            f"{place}.update.tanh_lookup",
        ]
        paths += [f"{place}.update.g_table[{plane}].entries" for plane in range(3)]
        paths.append(f"core.queue.g_list[{engine}].list")
    return tuple(paths)
