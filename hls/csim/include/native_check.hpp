// What the native stand-ins for Vitis HLS headers do when the kernel breaks a rule that hardware would answer
// with a hang or with wrong data.
#pragma once

#include <stdexcept>
#include <string>

namespace egret_native {

struct protocol_error : std::logic_error {
  using std::logic_error::logic_error;
};

inline void require(bool holds, const char *rule) {
  if (!holds) throw protocol_error(rule);
}

}  // namespace egret_native
