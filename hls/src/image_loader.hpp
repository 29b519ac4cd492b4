// Loads a model image: reads the header, checks it against this build and against itself, works out where
// everything of each layer lives, and fills the engines' memories (docs/formats.md, section 4).
//
// Nothing outside the first `image bytes` of the image is ever read: every section's end is checked here,
// every column's end by the column fetcher.
#pragma once

#include "beats.hpp"
#include "engines.hpp"

namespace egret {

// Returns an error code. `model` and the memories are of use only if it is ERROR_OK.
std::uint8_t image_loader(EGRET_READ_PORTS, std::uint64_t image_address, model_t &model,
                          columns_t columns[ENGINES][COLUMNS_DEPTH],
                          beat_count_t columns_end[ENGINES][IMAGE_MAX_LAYERS],
                          neuron_record_t neurons[ENGINES][NEURON_DEPTH],
                          word_record_t words[ENGINES][DECODER_LANES][LOGIT_DEPTH]);

}  // namespace egret
