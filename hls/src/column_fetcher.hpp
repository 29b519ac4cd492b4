// Turns requests into reads of one m_axi port, several in flight, and passes the beats on in order.
//
// Two processes: the look-up finds the beats of a neuron's columns in the column pointers and leaves a job (what
// to read) and a descriptor (what it is); the fetcher asks for jobs ahead of the data it passes on. A forward and
// a recurrent column of one neuron are one block and one job. Columns without beats cost nothing. Columns whose
// pointers are out of order or end outside the columns section are not read.
#pragma once

#include "beats.hpp"

namespace egret {

// `bad_column` is set if a column's pointers were out of order or too large.
void column_lookup(const columns_t columns[COLUMNS_DEPTH], const beat_count_t columns_end[IMAGE_MAX_LAYERS],
                   address_t columns_address, beat_count_t columns_beats, hls::stream<request_t> &requests,
                   hls::stream<job_t> &jobs, hls::stream<descriptor_t> &descriptors, bool &bad_column);

void column_fetcher(port_t port, hls::stream<job_t> &jobs, hls::stream<word_t> &beats);

}  // namespace egret
