// Bus beats: the type of the ports, the type inside the kernel, and the fields in them.
#pragma once

#include <cstring>

#include "kernel_types.hpp"

namespace egret {

typedef ap_uint<BEAT_BITS> beat_t;  // of the m_axi ports, the same in synthesis and simulation
typedef hls::burst_maxi<beat_t> port_t;

#if defined(__SYNTHESIS__) || defined(EGRET_EXACT_TYPES)
typedef beat_t word_t;
inline word_t to_word(const beat_t &beat) { return beat; }
inline beat_t to_beat(const word_t &word) { return word; }

// Bits [low, low + BITS) of a beat.
template <unsigned BITS>
inline ap_uint<BITS> field(const word_t &word, unsigned low) {
#pragma HLS INLINE
  return word.range(low + BITS - 1, low);
}

template <unsigned BITS>
inline void set_field(word_t &word, unsigned low, ap_uint<BITS> value) {
#pragma HLS INLINE
  word.range(low + BITS - 1, low) = value;
}
#else
typedef std::conditional<BUS_BYTES == 8, std::uint64_t, unsigned __int128>::type word_t;
static_assert(sizeof(beat_t) == BUS_BYTES && sizeof(word_t) == BUS_BYTES, "an ap_uint's bytes are its value");

inline word_t to_word(const beat_t &beat) {
  word_t word;
  std::memcpy(&word, static_cast<const void *>(&beat), BUS_BYTES);
  return word;
}

inline beat_t to_beat(const word_t &word) {
  beat_t beat = 0;
  std::memcpy(static_cast<void *>(&beat), &word, BUS_BYTES);
  return beat;
}

template <unsigned BITS>
inline uint_bits<BITS> field(const word_t &word, unsigned low) {
  return static_cast<uint_bits<BITS>>(static_cast<std::uint64_t>(word >> low) & (~std::uint64_t(0) >> (64 - BITS)));
}

template <unsigned BITS>
inline void set_field(word_t &word, unsigned low, std::uint64_t value) {
  const word_t mask = static_cast<word_t>(~std::uint64_t(0) >> (64 - BITS)) << low;
  word = (word & ~mask) | ((static_cast<word_t>(value) << low) & mask);
}
#endif

// The same bits as a two's complement number.
template <unsigned BITS>
inline int_bits<BITS> signed_field(const word_t &word, unsigned low) {
#pragma HLS INLINE
#if defined(__SYNTHESIS__) || defined(EGRET_EXACT_TYPES)
  ap_int<BITS> value;
  value.range(BITS - 1, 0) = word.range(low + BITS - 1, low);
  return value;
#else
  const int half = 1 << (BITS - 1);
  return static_cast<int_bits<BITS>>((static_cast<int>(field<BITS>(word, low)) ^ half) - half);
#endif
}

// Byte addresses are multiples of 64 wherever they come from, so nothing is lost.
inline address_t beat_address(std::uint64_t byte_address) { return byte_address / BUS_BYTES; }

inline word_t read_word(port_t &port) {
#pragma HLS INLINE
  return to_word(port.read());
}

inline void write_word(port_t &port, const word_t &word) {
#pragma HLS INLINE
  port.write(to_beat(word));
}

// The m_axi adapter of Vitis HLS hands no AXI response to the kernel, so hardware made from these sources
// cannot tell that a transfer failed. The native port can, and then the kernel reports what the RTL kernel
// reports.
inline bool read_failed(const port_t &port) {
#pragma HLS INLINE
#ifdef EGRET_NATIVE_PORTS
  return port.read_failed();
#else
  (void)port;
  return false;
#endif
}

inline bool write_failed(const port_t &port) {
#pragma HLS INLINE
#ifdef EGRET_NATIVE_PORTS
  return port.write_failed();
#else
  (void)port;
  return false;
#endif
}

}  // namespace egret
