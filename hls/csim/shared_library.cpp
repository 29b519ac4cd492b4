// The natively compiled kernel behind a C interface, for host/egret/virtual_board/csim_model.py and the
// tests.
//
// The kernel's memories are static variables, so a loaded library is one kernel. Functions return 0, or -1
// after the kernel broke a rule (egret_csim_error() says which); it is of no use then.
#include <cstdint>
#include <exception>
#include <memory>
#include <string>

#include "register_file.hpp"

namespace {

struct handle_t {
  std::shared_ptr<egret_native::memory_t> memory;
  egret_native::register_file_t registers;
  std::string error;
};

template <typename F>
int guarded(handle_t *handle, F function) {
  if (!handle->error.empty()) return -1;
  try {
    function();
    return 0;
  } catch (const std::exception &exception) {
    handle->error = exception.what();
    return -1;
  }
}

}  // namespace

#define EGRET_API extern "C" __attribute__((visibility("default")))

EGRET_API handle_t *egret_csim_open(std::uint64_t base, std::uint64_t bytes, std::uint8_t *data) {
  auto memory = std::make_shared<egret_native::memory_t>();
  memory->data = data;
  memory->base = base;
  memory->bytes = bytes;
  return new handle_t{memory, egret_native::register_file_t(memory), {}};
}

EGRET_API void egret_csim_close(handle_t *handle) { delete handle; }

EGRET_API const char *egret_csim_error(handle_t *handle) { return handle->error.c_str(); }

EGRET_API int egret_csim_write(handle_t *handle, std::uint32_t offset, std::uint32_t value) {
  return guarded(handle, [=] { handle->registers.write(offset, value); });
}

EGRET_API int egret_csim_read(handle_t *handle, std::uint32_t offset, std::uint32_t *value) {
  return guarded(handle, [=] { *value = handle->registers.read(offset); });
}

EGRET_API int egret_csim_interrupt(handle_t *handle) { return handle->registers.interrupt(); }

// From now on accesses to [begin, end) fail; an empty range: none but those outside the memory.
EGRET_API void egret_csim_set_faulty(handle_t *handle, std::uint64_t begin, std::uint64_t end) {
  handle->memory->faulty_begin = begin;
  handle->memory->faulty_end = end;
}

// So many more read beats and write responses are sent, and then the memory answers no more.
EGRET_API void egret_csim_stop_memory(handle_t *handle, std::uint64_t read_beats, std::uint64_t responses) {
  handle->memory->read_beats_left = read_beats;
  handle->memory->responses_left = responses;
}

// Fills `ranges` with the first byte and the end of what was read and of what was written since the last
// call.
EGRET_API void egret_csim_take_accesses(handle_t *handle, std::uint64_t ranges[4]) {
  egret_native::memory_t &memory = *handle->memory;
  ranges[0] = memory.read_begin;
  ranges[1] = memory.read_end;
  ranges[2] = memory.written_begin;
  ranges[3] = memory.written_end;
  memory.read_begin = memory.written_begin = ~std::uint64_t(0);
  memory.read_end = memory.written_end = 0;
}
