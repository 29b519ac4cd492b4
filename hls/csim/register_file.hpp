// The kernel's registers as Vitis HLS makes them for ap_ctrl_hs with s_axilite, around the natively compiled
// kernel.
//
// A command runs to its end within the write that starts it, so it is never seen busy. With AUTO_RESTART set,
// it runs again at each read of CTRL. If the memory stops answering, the command never ends: it stays busy.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "egret_kernel.hpp"

namespace egret_native {

class register_file_t {
 public:
  explicit register_file_t(std::shared_ptr<memory_t> memory) : memory_(std::move(memory)) {}

  void write(unsigned offset, std::uint32_t value) {
    switch (offset) {
      case egret::REG_CTRL:
        auto_restart_ = value & AUTO_RESTART;
        if (value & AP_START && !busy_) execute();
        break;
      case egret::REG_GIER: global_enable_ = value & 1; break;
      case egret::REG_IP_IER: interrupt_enable_ = value & 3; break;
      case egret::REG_IP_ISR: interrupt_status_ ^= value & 3; break;
      default:
        if (is_argument(offset)) words_[offset / 4] = value;
    }
  }

  std::uint32_t read(unsigned offset) {
    switch (offset) {
      case egret::REG_CTRL: {
        if (busy_) return AP_START | (auto_restart_ ? AUTO_RESTART : 0u);
        if (auto_restart_) execute();
        const std::uint32_t value = (done_ ? AP_DONE | AP_READY : 0u) | AP_IDLE | (auto_restart_ ? AUTO_RESTART : 0u) |
                                    (interrupt() ? INTERRUPT : 0u);
        done_ = false;
        return value;
      }
      case egret::REG_GIER: return global_enable_;
      case egret::REG_IP_IER: return interrupt_enable_;
      case egret::REG_IP_ISR: return interrupt_status_;
      case egret::REG_STATUS: return status_;
      case egret::REG_STATUS_CTRL: return std::exchange(status_valid_, false);
      default: return is_argument(offset) ? words_[offset / 4] : 0;
    }
  }

  bool interrupt() const { return global_enable_ && interrupt_status_ != 0; }

 private:
  static constexpr std::uint32_t AP_START = 1 << 0, AP_DONE = 1 << 1, AP_IDLE = 1 << 2, AP_READY = 1 << 3;
  static constexpr std::uint32_t AUTO_RESTART = 1 << 7, INTERRUPT = 1 << 9;
  static constexpr unsigned WORDS = egret::REG_STATUS / 4;

  static bool is_argument(unsigned offset) {
    switch (offset) {
      case egret::REG_COMMAND: case egret::REG_FLAGS: case egret::REG_TOKEN_COUNT:
      case egret::REG_IMAGE_1: case egret::REG_IMAGE_2: case egret::REG_TOKENS_1: case egret::REG_TOKENS_2:
      case egret::REG_RESULTS_1: case egret::REG_RESULTS_2: case egret::REG_LOGITS_1: case egret::REG_LOGITS_2:
      case egret::REG_COUNTERS_1: case egret::REG_COUNTERS_2: return true;
      default: return false;
    }
  }

  std::uint32_t word(unsigned offset) const { return words_[offset / 4]; }
  std::uint64_t address(unsigned low, unsigned high) const {
    return static_cast<std::uint64_t>(word(high)) << 32 | word(low);
  }

  void execute() {
    using namespace egret;
    busy_ = true;
#define EGRET_NATIVE_PORTS_OF(E) port_t(memory_), port_t(memory_)
    try {
      egret_kernel(EGRET_LIST_ENGINES(EGRET_NATIVE_PORTS_OF), word(REG_COMMAND), word(REG_FLAGS), word(REG_TOKEN_COUNT),
                   address(REG_IMAGE_1, REG_IMAGE_2), address(REG_TOKENS_1, REG_TOKENS_2),
                   address(REG_RESULTS_1, REG_RESULTS_2), address(REG_LOGITS_1, REG_LOGITS_2),
                   address(REG_COUNTERS_1, REG_COUNTERS_2), &status_);
    } catch (const memory_stopped &) {
      return;
    }
#undef EGRET_NATIVE_PORTS_OF
    busy_ = false;
    done_ = true;
    status_valid_ = true;
    interrupt_status_ |= interrupt_enable_;
  }

  std::shared_ptr<memory_t> memory_;
  std::uint32_t words_[WORDS] = {};
  std::uint32_t status_ = 0;
  std::uint32_t interrupt_enable_ = 0, interrupt_status_ = 0;
  bool busy_ = false, auto_restart_ = false, done_ = false, status_valid_ = false, global_enable_ = false;
};

}  // namespace egret_native
