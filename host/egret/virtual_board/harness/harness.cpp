// The C interface through which Python drives the Verilator model of egret_kernel and its memory.
//
// A cycle of the clock: the memory takes what is transferred and sets what its registers hold next, as does whoever
// drives the register port; then the model sees the edge. In a model whose registers take their inputs at every change
// of their clock (EGRET_CHANGES_ARE_EDGES) that is one evaluation; otherwise the clock falls again in a second.
//
// A call that fails returns -1 and egret_error() says why; from there on every call fails.
#include "Vegret_board.h"
#include "memory_model.hpp"
#include "unit_clocks.hpp"
#include "verilated.h"

#include <memory>
#include <string>

// The model is egret_board (simulated_top.py): the kernel behind registers on the inputs that the memory drives.
#define PORT(N)                                                                                               \
    {&top.m_axi_gmem##N##_ARVALID,      &top.next_m_axi_gmem##N##_ARREADY, &top.m_axi_gmem##N##_ARADDR,       \
     &top.m_axi_gmem##N##_ARLEN,        &top.m_axi_gmem##N##_ARSIZE,       &top.m_axi_gmem##N##_ARBURST,      \
     &top.next_m_axi_gmem##N##_RVALID,  &top.m_axi_gmem##N##_RREADY,       &top.next_m_axi_gmem##N##_RDATA,   \
     &top.next_m_axi_gmem##N##_RRESP,   &top.next_m_axi_gmem##N##_RLAST,   &top.m_axi_gmem##N##_AWVALID,      \
     &top.next_m_axi_gmem##N##_AWREADY, &top.m_axi_gmem##N##_AWADDR,       &top.m_axi_gmem##N##_AWLEN,        \
     &top.m_axi_gmem##N##_AWSIZE,       &top.m_axi_gmem##N##_AWBURST,      &top.m_axi_gmem##N##_WVALID,       \
     &top.next_m_axi_gmem##N##_WREADY,  &top.m_axi_gmem##N##_WDATA,        &top.m_axi_gmem##N##_WSTRB,        \
     &top.m_axi_gmem##N##_WLAST,        &top.next_m_axi_gmem##N##_BVALID,  &top.m_axi_gmem##N##_BREADY,       \
     &top.next_m_axi_gmem##N##_BRESP}

namespace {

constexpr unsigned RESET_CYCLES = 16;
constexpr unsigned REGISTER_TIMEOUT_CYCLES = 1000;

std::array<egret::Signals, EGRET_ENGINES> connect(Vegret_board& top) {
    return {{
        PORT(0),
#if EGRET_ENGINES > 1
        PORT(1),
#endif
#if EGRET_ENGINES > 2
        PORT(2),
#endif
#if EGRET_ENGINES > 3
        PORT(3),
#endif
#if EGRET_ENGINES > 4
        PORT(4),
#endif
#if EGRET_ENGINES > 5
        PORT(5),
#endif
#if EGRET_ENGINES > 6
        PORT(6),
#endif
#if EGRET_ENGINES > 7
        PORT(7),
#endif
    }};
}

using Memory = egret::Memory<EGRET_ENGINES, EGRET_BUS_BYTES>;

class Board {
public:
    Board(const egret::MemoryProfile& profile, std::uint8_t* block)
        : top_(&context_), memory_(profile, block, connect(top_)) {
        top_.ap_rst_n = 0;
        top_.eval();
        for (unsigned cycle = 0; cycle < RESET_CYCLES; ++cycle) step();
        top_.ap_rst_n = 1;
        step();
    }

    ~Board() { top_.final(); }

    // Runs through one cycle.
    void step() {
        // In reset the kernel drives nothing that means anything.
        if (top_.ap_rst_n) memory_.sample(cycle_);
        memory_.drive();
#ifdef EGRET_CHANGES_ARE_EDGES
        top_.ap_clk ^= 1;
        change_unit_clocks(top_);
        top_.eval();
#else
        top_.ap_clk = 1;
        top_.eval();
        top_.ap_clk = 0;
        top_.eval();
#endif
        ++cycle_;
    }

    void write_register(std::uint32_t offset, std::uint32_t value) {
        top_.next_s_axi_control_AWADDR = offset;
        top_.next_s_axi_control_AWVALID = 1;
        top_.next_s_axi_control_WDATA = value;
        top_.next_s_axi_control_WSTRB = 0xf;
        top_.next_s_axi_control_WVALID = 1;
        top_.next_s_axi_control_BREADY = 1;
        for (unsigned cycle = 0; cycle < REGISTER_TIMEOUT_CYCLES; ++cycle) {
            step();  // from here to the next step, the kernel's inputs are what was set before
            if (top_.s_axi_control_AWREADY) top_.next_s_axi_control_AWVALID = 0;
            if (top_.s_axi_control_WREADY) top_.next_s_axi_control_WVALID = 0;
            if (!top_.s_axi_control_BVALID) continue;
            top_.next_s_axi_control_BREADY = 0;
            step();
            return;
        }
        throw std::runtime_error("the kernel's registers do not answer a write");
    }

    std::uint32_t read_register(std::uint32_t offset) {
        top_.next_s_axi_control_ARADDR = offset;
        top_.next_s_axi_control_ARVALID = 1;
        top_.next_s_axi_control_RREADY = 1;
        for (unsigned cycle = 0; cycle < REGISTER_TIMEOUT_CYCLES; ++cycle) {
            step();
            if (top_.s_axi_control_ARREADY) top_.next_s_axi_control_ARVALID = 0;
            if (!top_.s_axi_control_RVALID) continue;
            const std::uint32_t value = top_.s_axi_control_RDATA;
            top_.next_s_axi_control_RREADY = 0;
            step();
            return value;
        }
        throw std::runtime_error("the kernel's registers do not answer a read");
    }

    // Verilator renames a port that is a word of some C++ library.
    bool interrupt() const { return top_.__SYM__interrupt; }
    std::uint64_t cycles() const { return cycle_; }
    const Memory& memory() const { return memory_; }
    Memory& memory() { return memory_; }

private:
    VerilatedContext context_;
    Vegret_board top_;
    Memory memory_;
    std::uint64_t cycle_ = 0;
};

// What a handle points to: the board, and the sentence that ended it, if something did.
struct Handle {
    std::unique_ptr<Board> board;
    std::string error;
};

// Runs `action` unless an earlier call failed; turns what it throws into the handle's error.
template <typename Action>
int guarded(Handle* handle, Action action) {
    if (!handle->error.empty()) return -1;
    try {
        action(*handle->board);
        return 0;
    } catch (const std::exception& exception) {
        handle->error = exception.what();
        return -1;
    }
}

}  // namespace

// Verilator calls these for $stop, $error and its own failures; by default they end the process.
void vl_fatal(const char* file, int line, const char*, const char* message) {
    throw std::runtime_error(std::string(message) + " (" + file + ":" + std::to_string(line) + ")");
}
void vl_stop(const char* file, int line, const char* hierarchy) {
    vl_fatal(file, line, hierarchy, "the kernel's model stopped");
}

#define EXPORTED __attribute__((visibility("default")))

extern "C" {

// Makes a board in reset and takes it out of it. `block` must stay valid, and be of profile->bytes.
EXPORTED Handle* egret_open(const egret::MemoryProfile* profile, std::uint8_t* block) {
    auto handle = std::make_unique<Handle>();
    try {
        handle->board = std::make_unique<Board>(*profile, block);
    } catch (const std::exception& exception) {
        handle->error = exception.what();
    }
    return handle.release();
}

EXPORTED void egret_close(Handle* handle) { delete handle; }

// The reason of the first failure, or an empty string.
EXPORTED const char* egret_error(const Handle* handle) { return handle->error.c_str(); }

EXPORTED int egret_write(Handle* handle, std::uint32_t offset, std::uint32_t value) {
    return guarded(handle, [=](Board& board) { board.write_register(offset, value); });
}

EXPORTED int egret_read(Handle* handle, std::uint32_t offset, std::uint32_t* value) {
    return guarded(handle, [=](Board& board) { *value = board.read_register(offset); });
}

// Reads a register every `interval` cycles until one of the bits in `mask` is set or `cycles` have passed; the
// last value read is in *value.
EXPORTED int egret_poll(Handle* handle, std::uint32_t offset, std::uint32_t mask, std::uint32_t interval,
               std::uint64_t cycles, std::uint32_t* value) {
    return guarded(handle, [=](Board& board) {
        const std::uint64_t end = board.cycles() + cycles;
        while (true) {
            *value = board.read_register(offset);
            if ((*value & mask) != 0 || board.cycles() >= end) return;
            for (std::uint32_t cycle = 0; cycle < interval; ++cycle) board.step();
        }
    });
}

// Runs until the interrupt is high or `cycles` have passed.
EXPORTED int egret_run(Handle* handle, std::uint64_t cycles) {
    return guarded(handle, [=](Board& board) {
        for (std::uint64_t cycle = 0; cycle < cycles && !board.interrupt(); ++cycle) board.step();
    });
}

EXPORTED int egret_interrupt(Handle* handle) { return handle->board && handle->board->interrupt(); }

// Clock cycles since the board was made.
EXPORTED std::uint64_t egret_cycles(Handle* handle) { return handle->board ? handle->board->cycles() : 0; }

EXPORTED int egret_statistics(Handle* handle, std::uint32_t port, egret::PortStatistics* statistics) {
    return guarded(handle, [=](Board& board) { *statistics = board.memory().statistics(port); });
}

// Memory::stop() and Memory::fail().
EXPORTED int egret_stop_memory(Handle* handle, std::uint64_t read_beats, std::uint64_t responses) {
    return guarded(handle, [=](Board& board) { board.memory().stop(read_beats, responses); });
}
EXPORTED int egret_fail_memory(Handle* handle, std::uint64_t read_beats, std::uint64_t responses,
                               std::uint32_t response) {
    return guarded(handle, [=](Board& board) { board.memory().fail(read_beats, responses, std::uint8_t(response)); });
}

}  // extern "C"
