#include "image_loader.hpp"

namespace egret {

constexpr unsigned HEADER_WORDS = IMAGE_HEADER_BYTES / 4;
constexpr unsigned HEADER_BEATS = IMAGE_HEADER_BYTES / BUS_BYTES;
constexpr unsigned WORD_BITS = 32;
constexpr unsigned WORDS_PER_BEAT = BEAT_BITS / WORD_BITS;

// Header words (docs/formats.md, section 4).
constexpr unsigned HEADER_MAGIC = 0, HEADER_VERSION = 1, HEADER_BYTES = 2, HEADER_BUILD = 4, HEADER_BUS = 5;
constexpr unsigned HEADER_LAYERS = 6, HEADER_VOCABULARY = 7, HEADER_NEURONS = 8;
constexpr unsigned HEADER_TILE_ROWS = 20, HEADER_ENGINES = 32, HEADER_ENGINE_WORDS = 8;
constexpr unsigned ENGINE_POINTERS = 0, ENGINE_POINTER_COUNT = 1, ENGINE_NEURONS = 2, ENGINE_DECODER = 3;
constexpr unsigned ENGINE_TABLE = 4, ENGINE_COLUMNS = 5, ENGINE_COLUMNS_BEATS = 6;

constexpr std::uint32_t BUILD_WORD = ENGINES | LANES << 8 | WEIGHT_BITS << 16 | GAP_BITS << 24;
constexpr std::uint32_t BUS_WORD =
    BUS_BYTES | ACCUMULATOR_BITS << 8 | DECODER_LANES << 16 | DECODER_WEIGHT_BITS << 24 | DECODER_GAP_BITS << 28;
constexpr std::uint32_t LARGEST_LAYER = 65535;

// A neuron record takes 16 bytes, of which the last four are zero.
constexpr unsigned RECORD_BYTES = 16;
constexpr unsigned RECORD_BEATS = RECORD_BYTES / BUS_BYTES;
constexpr unsigned RECORD_BIAS_BIT[SECTIONS] = {32, 0, 16, 48};  // in the order gx, z, r, gr
constexpr unsigned RECORD_THRESHOLD_BIT = 64;
constexpr unsigned RECORD_SHIFT_BIT[SECTIONS] = {88, 80, 84, 92};
constexpr unsigned SECTION_ALIGNMENT = 64;

namespace {

struct sizes_t {
  std::uint32_t image_bytes;
  std::uint32_t pointers;   // of an engine
  std::uint32_t positions;  // neurons of an engine, padding included
};

struct offsets_t {  // of an engine's sections, bytes
  std::uint32_t pointers[ENGINES];
  std::uint32_t neurons[ENGINES];
  std::uint32_t decoder[ENGINES];
};

// II = 1: a beat from the port, WORDS_PER_BEAT writes to `header`, which is partitioned for as many.
void read_header(port_t port, address_t address, std::uint32_t header[HEADER_WORDS]) {
  port.read_request(address, HEADER_BEATS);
header:
  for (unsigned beat = 0; beat < HEADER_BEATS; ++beat) {
#pragma HLS PIPELINE II=1
    const word_t data = read_word(port);
  header_words:
    for (unsigned word = 0; word < WORDS_PER_BEAT; ++word) {
#pragma HLS UNROLL
      header[beat * WORDS_PER_BEAT + word] = static_cast<std::uint32_t>(field<WORD_BITS>(data, word * WORD_BITS));
    }
  }
}

std::uint8_t check_fixed(const std::uint32_t header[HEADER_WORDS], model_t &model, sizes_t &sizes) {
  if (header[HEADER_MAGIC] != IMAGE_MAGIC) return ERROR_BAD_IMAGE;
  if (header[HEADER_VERSION] != IMAGE_FORMAT_VERSION) return ERROR_BAD_IMAGE;
  sizes.image_bytes = header[HEADER_BYTES];
  if (sizes.image_bytes < IMAGE_HEADER_BYTES) return ERROR_BAD_IMAGE;
  if (header[HEADER_BUILD] != BUILD_WORD) return ERROR_WRONG_BUILD;
  if (header[HEADER_BUS] != BUS_WORD) return ERROR_WRONG_BUILD;
  model.layers = header[HEADER_LAYERS];
  if (model.layers == 0 || model.layers > IMAGE_MAX_LAYERS) return ERROR_BAD_IMAGE;
  model.vocabulary = header[HEADER_VOCABULARY];
  if (model.vocabulary == 0) return ERROR_BAD_IMAGE;
  return ERROR_OK;
}

// Where the rows and the columns of each layer are. Sizes are checked before anything is added to
// them, so no sum wraps. A few cycles per layer: not pipelined.
std::uint8_t lay_out(const std::uint32_t header[HEADER_WORDS], model_t &model, sizes_t &sizes) {
  std::uint32_t taken[2] = {0, 0};  // accumulators of the even and of the odd layers
  std::uint32_t positions = 0;
  std::uint32_t pointers = 0;
  std::uint32_t pairs = 0;  // of pointers, as the engines keep them
  std::uint32_t first_positions = 0;
layers:
  for (unsigned l = 0; l < model.layers; ++l) {
#pragma HLS LOOP_TRIPCOUNT min=1 max=8
    const std::uint32_t neurons = header[HEADER_NEURONS + l];
    if (neurons == 0) return ERROR_BAD_IMAGE;
    if (neurons > LARGEST_LAYER) return ERROR_LIMIT;
    const std::uint32_t groups = (neurons + SLOTS - 1) / SLOTS;
    const unsigned half = l & 1;
    layer_t layer;
    layer.neurons = static_cast<neuron_index_t>(neurons);
    layer.groups = static_cast<std::uint16_t>(groups);
    layer.position_base = static_cast<std::uint16_t>(positions);
    layer.accumulator_base = static_cast<row_t>(half * HALF_DEPTH + taken[half]);
    positions += groups * LANES;
    taken[half] += SECTIONS * groups;
    if (positions > (l == 0 ? TABLE_POSITIONS : NEURON_DEPTH) || taken[half] > ACCUMULATOR_DEPTH) return ERROR_LIMIT;
    layer.pointer_base = static_cast<pointer_t>(pairs);
    layer.recurrent_accumulator_base = static_cast<row_t>(layer.accumulator_base + groups);
    // The next layer's own base is what the layers before have taken in its half.
    layer.forward_accumulator_base =
        static_cast<row_t>(l + 1 == model.layers ? 0 : (1 - half) * HALF_DEPTH + taken[1 - half]);
    pointers += 2 * neurons + 1;
    pairs += neurons;
    if (pointers > POINTER_DEPTH) return ERROR_LIMIT;
    if (l == 0) first_positions = positions;
    model.layer[l] = layer;
  }
  const std::uint32_t decoder_groups = (model.vocabulary - 1) / WORD_SLOTS + 1;
  // One tile: a decoder in several is for the RTL.
  const std::uint32_t tile_rows = header[HEADER_TILE_ROWS];
  if (tile_rows == 0) return ERROR_BAD_IMAGE;
  if (tile_rows > LOGIT_DEPTH || decoder_groups > tile_rows) return ERROR_LIMIT;
  model.decoder_groups = decoder_groups;
  model.table_plane_beats = (first_positions + TABLE_ENTRIES - 1) / TABLE_ENTRIES;
  model.table_row_beats = TABLE_PLANES * model.table_plane_beats;
  sizes.positions = positions;
  sizes.pointers = pointers;
  return ERROR_OK;
}

bool section_fits(std::uint32_t offset, std::uint64_t beats, std::uint32_t image_bytes) {
#pragma HLS INLINE
  return offset % SECTION_ALIGNMENT == 0 && offset + beats * BUS_BYTES <= image_bytes;
}

std::uint8_t check_sections(const std::uint32_t header[HEADER_WORDS], std::uint64_t image_address,
                            const sizes_t &sizes, model_t &model, offsets_t &offsets) {
  const std::uint64_t table_beats = static_cast<std::uint64_t>(model.vocabulary) * model.table_row_beats;
sections:
  for (unsigned engine = 0; engine < ENGINES; ++engine) {
    const unsigned base = HEADER_ENGINES + HEADER_ENGINE_WORDS * engine;
    const std::uint32_t pointers = header[base + ENGINE_POINTERS];
    const std::uint32_t neurons = header[base + ENGINE_NEURONS];
    const std::uint32_t decoder = header[base + ENGINE_DECODER];
    const std::uint32_t table = header[base + ENGINE_TABLE];
    const std::uint32_t columns = header[base + ENGINE_COLUMNS];
    const std::uint32_t columns_beats = header[base + ENGINE_COLUMNS_BEATS];
    const bool good = header[base + ENGINE_POINTER_COUNT] == sizes.pointers &&
                      section_fits(pointers, sizes.pointers, sizes.image_bytes) &&
                      section_fits(neurons, sizes.positions * RECORD_BEATS, sizes.image_bytes) &&
                      section_fits(decoder, model.decoder_groups * DECODER_LANES, sizes.image_bytes) &&
                      section_fits(table, table_beats, sizes.image_bytes) &&
                      section_fits(columns, columns_beats, sizes.image_bytes) &&
                      columns_beats < (1u << COLUMN_POINTER_BITS) - 1;
    if (!good) return ERROR_BAD_IMAGE;
    offsets.pointers[engine] = pointers;
    offsets.neurons[engine] = neurons;
    offsets.decoder[engine] = decoder;
    model.table_address[engine] = beat_address(image_address + table);
    model.columns_address[engine] = beat_address(image_address + columns);
    model.columns_beats[engine] = columns_beats;
  }
  return ERROR_OK;
}

// II = 1 in all three loops: a beat from the port and at most one write to a memory per iteration; what is
// carried over are counters, and which layer's pointers come (its number of them is in a register).
void fill_engine(port_t port, const model_t &model, address_t pointers_address, std::uint32_t pointer_count,
                 address_t neurons_address, std::uint32_t positions, address_t decoder_address,
                 columns_t columns[COLUMNS_DEPTH], beat_count_t columns_end[IMAGE_MAX_LAYERS],
                 neuron_record_t neurons[NEURON_DEPTH], word_record_t words[DECODER_LANES][LOGIT_DEPTH]) {
#pragma HLS ARRAY_PARTITION variable=columns_end complete
  std::uint32_t layer_neurons[IMAGE_MAX_LAYERS];
#pragma HLS ARRAY_PARTITION variable=layer_neurons complete
sizes:
  for (unsigned l = 0; l < IMAGE_MAX_LAYERS; ++l) {
#pragma HLS UNROLL
    layer_neurons[l] = model.layer[l].neurons;
  }

  port.read_request(pointers_address, pointer_count);
  columns_t pair = {0, 0};
  bool is_forward = true;
  unsigned layer = 0;
  std::uint32_t neurons_left = layer_neurons[0];
  unsigned stored = 0;
fill_columns:
  for (std::uint32_t index = 0; index < pointer_count; ++index) {
#pragma HLS PIPELINE II=1
#pragma HLS LOOP_TRIPCOUNT min=3 max=8192 avg=2000
    const beat_count_t pointer = static_cast<beat_count_t>(field<WORD_BITS>(read_word(port), 0));
    if (neurons_left == 0) {
      columns_end[layer % IMAGE_MAX_LAYERS] = pointer;
      ++layer;
      neurons_left = layer_neurons[layer % IMAGE_MAX_LAYERS];
    } else if (is_forward) {
      pair.forward = pointer;
      is_forward = false;
    } else {
      pair.recurrent = pointer;
      columns[stored++] = pair;
      is_forward = true;
      --neurons_left;
    }
  }

  port.read_request(neurons_address, positions * RECORD_BEATS);
  word_t held[RECORD_BEATS];
#pragma HLS ARRAY_PARTITION variable=held complete
fill_neurons:
  for (std::uint32_t beat = 0; beat < positions * RECORD_BEATS; ++beat) {
#pragma HLS PIPELINE II=1
#pragma HLS LOOP_TRIPCOUNT min=2 max=4096 avg=1000
    held[beat % RECORD_BEATS] = read_word(port);
    if (beat % RECORD_BEATS == RECORD_BEATS - 1) {
      neuron_record_t record;
    record_fields:
      for (unsigned section = 0; section < SECTIONS; ++section) {
#pragma HLS UNROLL
        const unsigned bias_bit = RECORD_BIAS_BIT[section];
        const unsigned shift_bit = RECORD_SHIFT_BIT[section];
        record.bias[section] = signed_field<SUM_BITS>(held[bias_bit / BEAT_BITS], bias_bit % BEAT_BITS);
        record.shift[section] =
            static_cast<shift_t>(field<SHIFT_BITS>(held[shift_bit / BEAT_BITS], shift_bit % BEAT_BITS));
      }
      record.threshold =
          signed_field<STATE_BITS>(held[RECORD_THRESHOLD_BIT / BEAT_BITS], RECORD_THRESHOLD_BIT % BEAT_BITS);
      neurons[beat / RECORD_BEATS] = record;
    }
  }

  const std::uint32_t word_count = model.decoder_groups * DECODER_LANES;
  port.read_request(decoder_address, word_count);
  unsigned p = 0;
  unsigned group = 0;
fill_words:
  for (std::uint32_t position = 0; position < word_count; ++position) {
#pragma HLS PIPELINE II=1
#pragma HLS LOOP_TRIPCOUNT min=1 max=5120 avg=5000
    const word_t data = read_word(port);
    word_record_t record;
    record.bias = signed_field<SUM_BITS>(data, 0);
    record.shift = static_cast<shift_t>(field<SHIFT_BITS>(data, SUM_BITS));
    words[p][group] = record;
    ++p;
    if (p == DECODER_LANES) {
      p = 0;
      ++group;
    }
  }
}

}  // namespace

std::uint8_t image_loader(EGRET_READ_PORTS, std::uint64_t image_address, model_t &model,
                          columns_t columns[ENGINES][COLUMNS_DEPTH],
                          beat_count_t columns_end[ENGINES][IMAGE_MAX_LAYERS],
                          neuron_record_t neurons[ENGINES][NEURON_DEPTH],
                          word_record_t words[ENGINES][DECODER_LANES][LOGIT_DEPTH]) {
  std::uint32_t header[HEADER_WORDS];
#pragma HLS ARRAY_PARTITION variable=header cyclic factor=4
  read_header(gmem0_read, beat_address(image_address), header);
  if (read_failed(gmem0_read)) return ERROR_READ_ERROR;

  sizes_t sizes = {};
  offsets_t offsets = {};
  std::uint8_t error = check_fixed(header, model, sizes);
  if (error == ERROR_OK) error = lay_out(header, model, sizes);
  if (error == ERROR_OK) error = check_sections(header, image_address, sizes, model, offsets);
  if (error != ERROR_OK) return error;

  bool failed = false;
#define EGRET_FILL(E)                                                                                              \
  fill_engine(gmem##E##_read, model, beat_address(image_address + offsets.pointers[E]), sizes.pointers,            \
              beat_address(image_address + offsets.neurons[E]), sizes.positions,                                   \
              beat_address(image_address + offsets.decoder[E]), columns[E], columns_end[E], neurons[E], words[E]); \
  failed |= read_failed(gmem##E##_read);
  EGRET_EACH_ENGINE(EGRET_FILL)
#undef EGRET_FILL
  return failed ? ERROR_READ_ERROR : ERROR_OK;
}

}  // namespace egret
