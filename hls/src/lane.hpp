// The lanes of an engine: each unpacks its (weight, gap) entry of a beat and adds weight * event value to the
// accumulator of its row, an entry per cycle without a stall, whichever rows follow each other.
#pragma once

#include "beats.hpp"

namespace egret {

// Takes beats of columns until a descriptor says that no column follows; adds to `work` what was done.
void lanes(hls::stream<descriptor_t> &descriptors, hls::stream<word_t> &beats,
           accumulator_t bank[LANES][BANK_DEPTH], work_t &work);

// The same for a layer's step, where nothing comes after the columns.
void layer_lanes(hls::stream<descriptor_t> &descriptors, hls::stream<word_t> &beats,
                 accumulator_t bank[LANES][BANK_DEPTH], work_t &work);

// The same for the decoder's step, where a row of the token table may follow.
void first_layer_lanes(beat_count_t table_plane_beats, hls::stream<descriptor_t> &descriptors,
                       hls::stream<word_t> &beats, accumulator_t bank[LANES][BANK_DEPTH],
                       word_t table_row[TABLE_PLANES][TABLE_DEPTH], work_t &work);

}  // namespace egret
