// Native stand-in for Vitis HLS's header of this name: hls::stream as an unbounded queue.
//
// Dataflow processes run one after the other here, so a stream must hold all that its producer writes. A
// blocking read of an empty stream, which would never end in hardware, throws; so does destroying one with
// something left in it.
#pragma once

#include <cstddef>
#include <exception>
#include <vector>

#include "native_check.hpp"

namespace hls {

template <typename T, int DEPTH = 0>
class stream {
 public:
  stream() = default;
  explicit stream(const char *) {}
  stream(const stream &) = delete;
  stream &operator=(const stream &) = delete;

  ~stream() noexcept(false) {
    if (std::uncaught_exceptions() == 0) egret_native::require(empty(), "a stream's data must all be read");
  }

  bool empty() const { return first_ == elements_.size(); }
  bool full() const { return false; }
  std::size_t size() const { return elements_.size() - first_; }

  void write(const T &element) { elements_.push_back(element); }

  T read() {
    egret_native::require(!empty(), "a stream must be written before it is read");
    return take();
  }

  bool read_nb(T &element) {
    if (empty()) return false;
    element = take();
    return true;
  }

 private:
  T take() {
    const T element = elements_[first_++];
    if (empty()) {
      elements_.clear();
      first_ = 0;
    }
    return element;
  }

  std::vector<T> elements_;
  std::size_t first_ = 0;
};

}  // namespace hls
