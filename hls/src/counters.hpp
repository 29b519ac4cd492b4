// Counts what happens during a command and writes the counters block (hls/kernel.json, "counters").
//
// Events, MACs and beats are counted. What depends on time (cycles, wait_cycles, update_cycles, write_cycles,
// and the cycles in the result records) is zero: code that is scheduled by the synthesiser has no clock to read. The
// RTL kernel counts it.
#pragma once

#include "beats.hpp"

namespace egret {

struct counts_t {
  std::uint64_t macs;
  std::uint64_t events[IMAGE_MAX_LAYERS];
  std::uint64_t beats[ENGINES];
};

void clear_counts(counts_t &counts);

void count_work(const work_t work[ENGINES], counts_t &counts);

void write_counters(port_t port, address_t address, const counts_t &counts, std::uint32_t status);

}  // namespace egret
