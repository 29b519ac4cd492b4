// The kernel's top function. Registers are laid out as hls/kernel.json says, what the kernel does is in
// docs/formats.md.
#pragma once

#include "beats.hpp"
#include "engines.hpp"

// `ports`: per engine a read and a write port on the bundle gmemE; all addresses are absolute.
void egret_kernel(EGRET_LIST_ENGINES(EGRET_TOP_PORTS), std::uint32_t command, std::uint32_t flags,
                  std::uint32_t token_count, std::uint64_t image, std::uint64_t tokens, std::uint64_t results,
                  std::uint64_t logits, std::uint64_t counters, std::uint32_t *status);
