#include "egret_kernel.hpp"

#include "sequencer.hpp"

// Vitis HLS takes the register names and offsets from here; hls/tools/check_hls.py holds them against
// hls/kernel.json. With offset=off a port adds no register and counts beats from address 0, so that one port
// reaches the image, the tokens and the results wherever they are. `depth` is what C/RTL co-simulation maps,
// in beats.
void egret_kernel(EGRET_LIST_ENGINES(EGRET_TOP_PORTS), std::uint32_t command, std::uint32_t flags,
                  std::uint32_t token_count, std::uint64_t image, std::uint64_t tokens, std::uint64_t results,
                  std::uint64_t logits, std::uint64_t counters, std::uint32_t *status) {
#pragma HLS INTERFACE mode=m_axi port=gmem0_read bundle=gmem0 offset=off depth=131072 latency=32 num_read_outstanding=EGRET_READS_IN_FLIGHT max_read_burst_length=EGRET_MAX_BURST_BEATS
#pragma HLS INTERFACE mode=m_axi port=gmem0_write bundle=gmem0 offset=off depth=131072 latency=32 num_write_outstanding=EGRET_WRITES_IN_FLIGHT max_write_burst_length=EGRET_MAX_BURST_BEATS
#if EGRET_ENGINES > 1
#pragma HLS INTERFACE mode=m_axi port=gmem1_read bundle=gmem1 offset=off depth=131072 latency=32 num_read_outstanding=EGRET_READS_IN_FLIGHT max_read_burst_length=EGRET_MAX_BURST_BEATS
#pragma HLS INTERFACE mode=m_axi port=gmem1_write bundle=gmem1 offset=off depth=131072 latency=32 num_write_outstanding=EGRET_WRITES_IN_FLIGHT max_write_burst_length=EGRET_MAX_BURST_BEATS
#endif
#if EGRET_ENGINES > 2
#pragma HLS INTERFACE mode=m_axi port=gmem2_read bundle=gmem2 offset=off depth=131072 latency=32 num_read_outstanding=EGRET_READS_IN_FLIGHT max_read_burst_length=EGRET_MAX_BURST_BEATS
#pragma HLS INTERFACE mode=m_axi port=gmem2_write bundle=gmem2 offset=off depth=131072 latency=32 num_write_outstanding=EGRET_WRITES_IN_FLIGHT max_write_burst_length=EGRET_MAX_BURST_BEATS
#endif
#if EGRET_ENGINES > 3
#pragma HLS INTERFACE mode=m_axi port=gmem3_read bundle=gmem3 offset=off depth=131072 latency=32 num_read_outstanding=EGRET_READS_IN_FLIGHT max_read_burst_length=EGRET_MAX_BURST_BEATS
#pragma HLS INTERFACE mode=m_axi port=gmem3_write bundle=gmem3 offset=off depth=131072 latency=32 num_write_outstanding=EGRET_WRITES_IN_FLIGHT max_write_burst_length=EGRET_MAX_BURST_BEATS
#endif
#if EGRET_ENGINES > 4
#pragma HLS INTERFACE mode=m_axi port=gmem4_read bundle=gmem4 offset=off depth=131072 latency=32 num_read_outstanding=EGRET_READS_IN_FLIGHT max_read_burst_length=EGRET_MAX_BURST_BEATS
#pragma HLS INTERFACE mode=m_axi port=gmem4_write bundle=gmem4 offset=off depth=131072 latency=32 num_write_outstanding=EGRET_WRITES_IN_FLIGHT max_write_burst_length=EGRET_MAX_BURST_BEATS
#endif
#if EGRET_ENGINES > 5
#pragma HLS INTERFACE mode=m_axi port=gmem5_read bundle=gmem5 offset=off depth=131072 latency=32 num_read_outstanding=EGRET_READS_IN_FLIGHT max_read_burst_length=EGRET_MAX_BURST_BEATS
#pragma HLS INTERFACE mode=m_axi port=gmem5_write bundle=gmem5 offset=off depth=131072 latency=32 num_write_outstanding=EGRET_WRITES_IN_FLIGHT max_write_burst_length=EGRET_MAX_BURST_BEATS
#endif
#if EGRET_ENGINES > 6
#pragma HLS INTERFACE mode=m_axi port=gmem6_read bundle=gmem6 offset=off depth=131072 latency=32 num_read_outstanding=EGRET_READS_IN_FLIGHT max_read_burst_length=EGRET_MAX_BURST_BEATS
#pragma HLS INTERFACE mode=m_axi port=gmem6_write bundle=gmem6 offset=off depth=131072 latency=32 num_write_outstanding=EGRET_WRITES_IN_FLIGHT max_write_burst_length=EGRET_MAX_BURST_BEATS
#endif
#if EGRET_ENGINES > 7
#pragma HLS INTERFACE mode=m_axi port=gmem7_read bundle=gmem7 offset=off depth=131072 latency=32 num_read_outstanding=EGRET_READS_IN_FLIGHT max_read_burst_length=EGRET_MAX_BURST_BEATS
#pragma HLS INTERFACE mode=m_axi port=gmem7_write bundle=gmem7 offset=off depth=131072 latency=32 num_write_outstanding=EGRET_WRITES_IN_FLIGHT max_write_burst_length=EGRET_MAX_BURST_BEATS
#endif
#pragma HLS INTERFACE mode=s_axilite port=command bundle=control offset=0x10
#pragma HLS INTERFACE mode=s_axilite port=flags bundle=control offset=0x18
#pragma HLS INTERFACE mode=s_axilite port=token_count bundle=control offset=0x20
#pragma HLS INTERFACE mode=s_axilite port=image bundle=control offset=0x28
#pragma HLS INTERFACE mode=s_axilite port=tokens bundle=control offset=0x34
#pragma HLS INTERFACE mode=s_axilite port=results bundle=control offset=0x40
#pragma HLS INTERFACE mode=s_axilite port=logits bundle=control offset=0x4c
#pragma HLS INTERFACE mode=s_axilite port=counters bundle=control offset=0x58
#pragma HLS INTERFACE mode=s_axilite port=status bundle=control offset=0x64
#pragma HLS INTERFACE mode=s_axilite port=return bundle=control

  using namespace egret;

  // -- what the kernel keeps from command to command. An engine's and a lane's memories are apart.
  static bool loaded = false;
  static model_t model;
  static std::uint32_t event_counts[IMAGE_MAX_LAYERS];  // events in each layer's list
  // What even and odd waves sweep (see sequencer.hpp).
  static accumulator_t even_sums[ENGINES][LANES][SUM_DEPTH];
  static accumulator_t odd_sums[ENGINES][LANES][SUM_DEPTH];
  static accumulator_t even_word_sums[ENGINES][DECODER_LANES][WORD_DEPTH];
  static accumulator_t odd_word_sums[ENGINES][DECODER_LANES][WORD_DEPTH];
  static word_t even_row[ENGINES][TABLE_PLANES][TABLE_DEPTH];
  static word_t odd_row[ENGINES][TABLE_PLANES][TABLE_DEPTH];
  static state_t states[ENGINES][NEURON_DEPTH];
  static neuron_record_t neurons[ENGINES][NEURON_DEPTH];
  static word_record_t words[ENGINES][DECODER_LANES][LOGIT_DEPTH];
  static columns_t columns[ENGINES][COLUMNS_DEPTH];
  static beat_count_t columns_end[ENGINES][IMAGE_MAX_LAYERS];  // of each layer
  static list_entry_t entries[EVENT_DEPTH];

#pragma HLS RESET variable=loaded
#pragma HLS ARRAY_PARTITION variable=model.columns_address complete
#pragma HLS ARRAY_PARTITION variable=model.columns_beats complete
#pragma HLS ARRAY_PARTITION variable=model.table_address complete
#pragma HLS ARRAY_PARTITION variable=even_sums complete dim=1
#pragma HLS ARRAY_PARTITION variable=even_sums complete dim=2
#pragma HLS ARRAY_PARTITION variable=odd_sums complete dim=1
#pragma HLS ARRAY_PARTITION variable=odd_sums complete dim=2
#pragma HLS ARRAY_PARTITION variable=even_word_sums complete dim=1
#pragma HLS ARRAY_PARTITION variable=even_word_sums complete dim=2
#pragma HLS ARRAY_PARTITION variable=odd_word_sums complete dim=1
#pragma HLS ARRAY_PARTITION variable=odd_word_sums complete dim=2
#pragma HLS ARRAY_PARTITION variable=even_row complete dim=1
#pragma HLS ARRAY_PARTITION variable=even_row complete dim=2
#pragma HLS ARRAY_PARTITION variable=odd_row complete dim=1
#pragma HLS ARRAY_PARTITION variable=odd_row complete dim=2
#pragma HLS ARRAY_PARTITION variable=states complete dim=1
#pragma HLS ARRAY_PARTITION variable=neurons complete dim=1
#pragma HLS ARRAY_PARTITION variable=words complete dim=1
#pragma HLS ARRAY_PARTITION variable=words complete dim=2
#pragma HLS ARRAY_PARTITION variable=columns complete dim=1
#pragma HLS ARRAY_PARTITION variable=columns_end complete dim=0
// A record is one word of memory, read and written whole.
#pragma HLS AGGREGATE variable=neurons compact=bit
#pragma HLS AGGREGATE variable=words compact=bit
#pragma HLS AGGREGATE variable=columns compact=bit
#pragma HLS AGGREGATE variable=entries compact=bit
// One read and one write port; the column pointers are read twice a cycle (a neuron's and the next one's).
#pragma HLS BIND_STORAGE variable=even_sums type=ram_s2p impl=bram
#pragma HLS BIND_STORAGE variable=odd_sums type=ram_s2p impl=bram
#pragma HLS BIND_STORAGE variable=even_word_sums type=ram_s2p impl=bram
#pragma HLS BIND_STORAGE variable=odd_word_sums type=ram_s2p impl=bram
#pragma HLS BIND_STORAGE variable=even_row type=ram_s2p impl=bram
#pragma HLS BIND_STORAGE variable=odd_row type=ram_s2p impl=bram
#pragma HLS BIND_STORAGE variable=states type=ram_s2p impl=bram
#pragma HLS BIND_STORAGE variable=columns type=ram_t2p impl=bram

  const arguments_t arguments = {command, flags, token_count, image, tokens, results, logits, counters};
  *status = sequencer(EGRET_READ_ARGUMENTS, EGRET_WRITE_ARGUMENTS, arguments, loaded,
                      EGRET_MEMORY_ARGUMENTS);
}
