// The lanes of an engine: each unpacks its (weight, gap) entry of a beat and adds weight * event value to the
// accumulator of its row, an entry per cycle without a stall, whichever rows follow each other. LANES of them
// take beats of layers' columns, DECODER_LANES others, with an entry format of their own, those of the decoder's.
#pragma once

#include "beats.hpp"

namespace egret {

// Takes beats until a descriptor says that none follows, and puts each where its descriptor says: into the
// layers' sums, the decoder's, or the token's row of the table. `work` is what was done.
void lanes(beat_count_t table_plane_beats, hls::stream<descriptor_t> &descriptors, hls::stream<word_t> &beats,
           accumulator_t sums[LANES][SUM_DEPTH], accumulator_t word_sums[DECODER_LANES][WORD_DEPTH],
           word_t table_row[TABLE_PLANES][TABLE_DEPTH], work_t &work);

}  // namespace egret
