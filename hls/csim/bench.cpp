// The C++ test bench: plays a file of commands with what they must do (hls/csim/vectors.py makes it) to the
// kernel.
//
//   bench VECTORS            returns 0 if every command did what the file says
//
// It is an ordinary Vitis HLS test bench: with the tool's own headers it serves C simulation and C/RTL
// co-simulation. There the file's name is `vectors.bin` in the working directory unless given. The kernel's
// memory is a plain array from address 0. After each command all of it is compared with what it must hold, so
// a stray write anywhere is found.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <fstream>
#include <string>
#include <vector>

#include "egret_kernel.hpp"

namespace {

constexpr std::uint64_t VECTORS_MAGIC = 0x3130434556474745;  // "EGGVEC01"
// What the m_axi pragmas of the kernel map in co-simulation: `depth` beats.
constexpr std::size_t MEMORY_BEATS = 131072;
constexpr std::size_t MEMORY_BYTES = MEMORY_BEATS * egret::BUS_BYTES;

enum step_t : std::uint64_t {
  STEP_END = 0,
  STEP_PLACE = 1,    // address, bytes, data: what the host writes before a command
  STEP_EXPECT = 2,   // address, bytes, data: what the next command must write
  STEP_COMMAND = 3   // eight arguments, status
};

struct failure {
  std::string reason;
};

class reader_t {
 public:
  explicit reader_t(const std::string &name) : file_(name, std::ios::binary) {
    if (!file_) throw failure{"cannot open " + name};
  }
  std::uint64_t number() {
    std::uint64_t value = 0;
    take(&value, sizeof value);
    return value;
  }
  void take(void *target, std::size_t bytes) {
    if (!file_.read(static_cast<char *>(target), static_cast<std::streamsize>(bytes))) {
      throw failure{"the file of vectors ends too early"};
    }
  }

 private:
  std::ifstream file_;
};

// Reads address, bytes and data of a step into `memory`.
void place(reader_t &file, std::vector<std::uint8_t> &memory) {
  const std::uint64_t address = file.number();
  const std::uint64_t bytes = file.number();
  if (address > memory.size() || bytes > memory.size() - address) throw failure{"a step lies outside the memory"};
  if (bytes != 0) file.take(&memory[address], bytes);
}

void compare(const std::vector<std::uint8_t> &actual, const std::vector<std::uint8_t> &expected, unsigned command) {
  if (std::memcmp(actual.data(), expected.data(), actual.size()) == 0) return;
  std::size_t at = 0;
  while (actual[at] == expected[at]) ++at;
  char text[160];
  std::snprintf(text, sizeof text, "after command %u the byte at 0x%zx is 0x%02x, not 0x%02x", command, at, actual[at],
                expected[at]);
  throw failure{text};
}

unsigned play(const std::string &name) {
  reader_t file(name);
  if (file.number() != VECTORS_MAGIC) throw failure{name + " is no file of vectors"};

  // The kernel's memory as beats, for its ports; as bytes, for the host.
  static egret::beat_t ports[MEMORY_BEATS];
  std::vector<std::uint8_t> memory(MEMORY_BYTES, 0);
  std::vector<std::uint8_t> expected(MEMORY_BYTES, 0);

  unsigned commands = 0;
  for (;;) {
    const std::uint64_t step = file.number();
    if (step == STEP_END) return commands;
    if (step == STEP_PLACE) {
      place(file, memory);
      expected = memory;
    } else if (step == STEP_EXPECT) {
      place(file, expected);
    } else if (step == STEP_COMMAND) {
      std::uint64_t argument[8];
      for (std::uint64_t &value : argument) value = file.number();
      const std::uint32_t expected_status = static_cast<std::uint32_t>(file.number());
      std::uint32_t status = ~0u;
      std::memcpy(static_cast<void *>(ports), memory.data(), MEMORY_BYTES);
#define EGRET_BENCH_PORTS(E) ports, ports
      egret_kernel(EGRET_LIST_ENGINES(EGRET_BENCH_PORTS), static_cast<std::uint32_t>(argument[0]),
                   static_cast<std::uint32_t>(argument[1]), static_cast<std::uint32_t>(argument[2]), argument[3],
                   argument[4], argument[5], argument[6], argument[7], &status);
#undef EGRET_BENCH_PORTS
      std::memcpy(memory.data(), static_cast<const void *>(ports), MEMORY_BYTES);
      if (status != expected_status) {
        char text[120];
        std::snprintf(text, sizeof text, "command %u ended with status 0x%x, not 0x%x", commands, status,
                      expected_status);
        throw failure{text};
      }
      compare(memory, expected, commands);
      ++commands;
    } else {
      throw failure{"the file of vectors holds an unknown step"};
    }
  }
}

}  // namespace

int main(int count, char **arguments) {
  try {
    const unsigned commands = play(count > 1 ? arguments[1] : "vectors.bin");
    std::printf("%u commands did what they must\n", commands);
    return commands == 0;
  } catch (const failure &failed) {
    std::printf("FAILED: %s\n", failed.reason.c_str());
  } catch (const std::exception &exception) {
    std::printf("FAILED: the kernel broke a rule: %s\n", exception.what());
  }
  return 1;
}
