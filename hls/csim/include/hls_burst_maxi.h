// Native stand-in for Vitis HLS's header of this name: hls::burst_maxi over a block of memory, with the
// manual burst protocol checked.
//
// Data may be read only after it was requested, and written only as many beats as were requested, all of them
// before the response is asked for; a port must be left with nothing outstanding. Breaking a rule throws. An
// access outside the memory, or to addresses that a test made faulty, sets a flag that the kernel may look at
// (hardware made by Vitis HLS cannot: its adapter drops AXI responses); what is read there is zero, what is
// written there is lost.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <utility>
#include <vector>

#include "native_check.hpp"

#define EGRET_NATIVE_PORTS 1

namespace egret_native {

// Thrown where the kernel would wait for ever: its memory answers no more.
struct memory_stopped : std::exception {
  const char *what() const noexcept override { return "the memory stopped answering"; }
};

// Memory from byte address `base`; accesses to [faulty_begin, faulty_end) fail as do those outside.
struct memory_t {
  std::uint8_t *data = nullptr;
  std::uint64_t base = 0;
  std::uint64_t bytes = 0;
  std::uint64_t faulty_begin = 0;
  std::uint64_t faulty_end = 0;
  // The bytes that were asked for, for tests that nothing else was: [begin, end), empty at first.
  std::uint64_t read_begin = ~std::uint64_t(0), read_end = 0;
  std::uint64_t written_begin = ~std::uint64_t(0), written_end = 0;
  // Beats and write responses that are still sent: then the memory has stopped answering.
  std::uint64_t read_beats_left = ~std::uint64_t(0), responses_left = ~std::uint64_t(0);

  std::uint8_t *find(std::uint64_t address, std::uint64_t size) const {
    const std::uint64_t offset = address - base;
    if (offset > bytes || bytes - offset < size) return nullptr;
    if (address < faulty_end && address + size > faulty_begin) return nullptr;
    return data + offset;
  }
};

}  // namespace egret_native

namespace hls {

template <typename T>
class burst_maxi {
 public:
  // As in Vitis HLS: addresses count from `data`, and nothing is known of its size.
  burst_maxi(T *data) : burst_maxi(std::make_shared<egret_native::memory_t>()) {
    channel_->memory->data = reinterpret_cast<std::uint8_t *>(data);
    channel_->memory->bytes = ~std::uint64_t(0);
  }
  explicit burst_maxi(std::shared_ptr<egret_native::memory_t> memory) : channel_(std::make_shared<channel_t>()) {
    channel_->memory = std::move(memory);
  }

  void read_request(std::size_t offset, std::size_t length) {
    egret_native::require(length > 0, "a burst has at least one beat");
    egret_native::memory_t &memory = *channel_->memory;
    const std::uint64_t address = offset * sizeof(T);
    const std::uint64_t end = address + length * sizeof(T);
    if (memory.read_begin > address) memory.read_begin = address;
    if (memory.read_end < end) memory.read_end = end;
    channel_->reads.push_back({address, length, memory.find(address, length * sizeof(T))});
  }

  T read() {
    channel_t &channel = *channel_;
    if (channel.memory->read_beats_left-- == 0) throw egret_native::memory_stopped();
    egret_native::require(channel.first_read < channel.reads.size(), "data must be requested before it is read");
    burst_t &burst = channel.reads[channel.first_read];
    T value = 0;
    if (burst.place != nullptr) {
      std::memcpy(static_cast<void *>(&value), burst.place, sizeof(T));
      burst.place += sizeof(T);
    } else {
      const std::uint8_t *place = channel.memory->find(burst.address, sizeof(T));
      if (place != nullptr) {
        std::memcpy(static_cast<void *>(&value), place, sizeof(T));
      } else {
        channel.read_failed = true;
      }
      burst.address += sizeof(T);
    }
    if (--burst.beats == 0 && ++channel.first_read == channel.reads.size()) {
      channel.reads.clear();
      channel.first_read = 0;
    }
    return value;
  }

  void write_request(std::size_t offset, std::size_t length) {
    egret_native::require(length > 0, "a burst has at least one beat");
    egret_native::require(channel_->write.beats == 0 && !channel_->awaits_response,
                          "a write must get its response before the next one is requested");
    channel_->write = {offset * sizeof(T), length, nullptr};
    channel_->awaits_response = true;
  }

  void write(const T &value) {
    channel_t &channel = *channel_;
    egret_native::require(channel.write.beats > 0, "data must be requested before it is written");
    egret_native::memory_t &memory = *channel.memory;
    const std::uint64_t address = channel.write.address;
    std::uint8_t *place = memory.find(address, sizeof(T));
    if (memory.written_begin > address) memory.written_begin = address;
    if (memory.written_end < address + sizeof(T)) memory.written_end = address + sizeof(T);
    if (place != nullptr) {
      std::memcpy(place, static_cast<const void *>(&value), sizeof(T));
    } else {
      channel.write_failed = true;
    }
    channel.write.address += sizeof(T);
    --channel.write.beats;
  }

  void write_response() {
    egret_native::require(channel_->awaits_response && channel_->write.beats == 0,
                          "a response comes after all data of a write");
    if (channel_->memory->responses_left-- == 0) throw egret_native::memory_stopped();
    channel_->awaits_response = false;
  }

  bool read_failed() const { return channel_->read_failed; }
  bool write_failed() const { return channel_->write_failed; }

 private:
  struct burst_t {
    std::uint64_t address;
    std::uint64_t beats;
    const std::uint8_t *place;  // of a read all of whose beats are there
  };
  struct channel_t {
    std::shared_ptr<egret_native::memory_t> memory;
    std::vector<burst_t> reads;
    std::size_t first_read = 0;
    burst_t write = {0, 0, nullptr};
    bool awaits_response = false;
    bool read_failed = false;
    bool write_failed = false;

    ~channel_t() noexcept(false) {
      if (std::uncaught_exceptions() != 0) return;
      egret_native::require(reads.empty(), "all data that was requested must be read");
      egret_native::require(!awaits_response, "a write must get its response");
    }
  };
  std::shared_ptr<channel_t> channel_;  // copies of a port are the same port
};

}  // namespace hls
