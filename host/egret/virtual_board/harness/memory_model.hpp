// A board's DDR behind the kernel's AXI ports.
//
//   read     accepted while fewer than `reads_in_flight` are incomplete; its first beat is offered
//            `latency_cycles` after the address, the others one per cycle, bursts in order without bubbles
//   write    beats are accepted once their address is; the response comes `latency_cycles` after the last
//   bandwidth  all ports draw on one allowance of bytes, a fixed amount per cycle, that hardly accumulates: what
//            is unused is lost, as it is in a DDR; ports that want the same bytes take turns
//   outside  a beat outside the block gets DECERR, reads as zero and writes nothing
//   faults   on request it answers one beat or write with an error, or from some beat on nothing at all
//
// What AXI or the board forbids (see check()) is reported as an error: real hardware would hang or corrupt.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

namespace egret {

constexpr unsigned BOUNDARY_BYTES = 4096;  // no AXI burst crosses a multiple of it
constexpr std::uint8_t RESPONSE_OKAY = 0;
constexpr std::uint8_t RESPONSE_DECODE_ERROR = 3;
constexpr std::uint64_t NEVER = ~std::uint64_t(0);

struct MemoryProfile {
    std::uint64_t base;            // address of the block's first byte
    std::uint64_t bytes;           // of the block
    std::uint32_t latency_cycles;  // at least 1
    std::uint32_t burst_beats;
    std::uint32_t reads_in_flight;
    std::uint64_t bytes_per_second;  // all ports together
    std::uint64_t clock_hertz;
};

// One m_axi port of the kernel: where its signals are in the Verilator model. Data signals are `bus_bytes` long
// and hold bytes in address order, as Verilator stores them on a little-endian machine.
struct Signals {
    const std::uint8_t* arvalid;
    std::uint8_t* arready;
    const std::uint64_t* araddr;
    const std::uint8_t* arlen;
    const std::uint8_t* arsize;
    const std::uint8_t* arburst;
    std::uint8_t* rvalid;
    const std::uint8_t* rready;
    void* rdata;
    std::uint8_t* rresp;
    std::uint8_t* rlast;
    const std::uint8_t* awvalid;
    std::uint8_t* awready;
    const std::uint64_t* awaddr;
    const std::uint8_t* awlen;
    const std::uint8_t* awsize;
    const std::uint8_t* awburst;
    const std::uint8_t* wvalid;
    std::uint8_t* wready;
    const void* wdata;
    const void* wstrb;
    const std::uint8_t* wlast;
    std::uint8_t* bvalid;
    const std::uint8_t* bready;
    std::uint8_t* bresp;
};

// What a port did so far.
struct PortStatistics {
    std::uint64_t read_bursts;
    std::uint64_t read_beats;
    std::uint64_t write_bursts;
    std::uint64_t write_beats;
    std::uint64_t most_reads_in_flight;
};

struct Burst {
    std::uint64_t address;      // of the next beat
    std::uint32_t beats_left;
    std::uint64_t first_cycle;  // in which the first beat (of a write: the response) may be offered
    bool failed;                // a beat of it was outside the block
};

// First in, first out, in a ring that grows to what a port ever has in flight.
class BurstQueue {
public:
    bool empty() const { return count_ == 0; }
    std::uint32_t size() const { return count_; }
    Burst& front() { return bursts_[first_]; }
    void push(const Burst& burst) {
        if (count_ == bursts_.size()) grow();
        bursts_[(first_ + count_) & (bursts_.size() - 1)] = burst;
        ++count_;
    }
    void pop() {
        first_ = (first_ + 1) & (bursts_.size() - 1);
        --count_;
    }

private:
    std::vector<Burst> bursts_ = std::vector<Burst>(16);  // as many as a power of two
    std::size_t first_ = 0;
    std::uint32_t count_ = 0;

    void grow() {
        std::rotate(bursts_.begin(), bursts_.begin() + std::ptrdiff_t(first_), bursts_.end());
        first_ = 0;
        bursts_.resize(2 * bursts_.size());
    }
};

// Ports and the width of their buses are fixed when compiled: then loops over ports are short straight code, and a
// beat is copied by a move or two.
template <unsigned PORTS, unsigned BUS_BYTES>
class Memory {
public:
    Memory(const MemoryProfile& profile, std::uint8_t* block, const std::array<Signals, PORTS>& signals)
        : profile_(profile), block_(block), beat_cost_(std::int64_t(BUS_BYTES) * std::int64_t(profile.clock_hertz)),
          income_(std::int64_t(profile.bytes_per_second)),
          // Enough for every port to go on at once after a pause, and for the remainder of a beat.
          most_credit_(income_ + beat_cost_ * std::int64_t(PORTS)) {
        for (unsigned port = 0; port < PORTS; ++port) ports_[port].signals = signals[port];
        drive();
    }

    // Just before the clock edge that ends `cycle`: takes what is transferred in it and decides on the next one.
    void sample(std::uint64_t cycle) {
        credit_ = std::min(credit_ + income_, most_credit_);
        for (Port& port : ports_) take(port, cycle);
        share(cycle + 1);
    }

    // Then, before the edge too: sets the registers that drive the next cycle.
    void drive() {
        for (Port& port : ports_) drive(port);
    }

    const PortStatistics& statistics(unsigned port) const { return ports_.at(port).statistics; }

    // So many more read beats and write responses are sent, counted over all ports, and then none; or NEVER.
    void stop(std::uint64_t read_beats, std::uint64_t responses) {
        reads_to_stop_ = read_beats;
        responses_to_stop_ = responses;
    }

    // After so many more the next one is the error `response` (2: SLVERR, 3: DECERR), a beat's data are wrong; or NEVER.
    void fail(std::uint64_t read_beats, std::uint64_t responses, std::uint8_t response) {
        reads_to_failure_ = read_beats;
        responses_to_failure_ = responses;
        failure_ = response;
    }

private:
    static constexpr unsigned PARTIES = 2 * PORTS;

    // An address or data signal that waits for ready must stay as it is.
    struct Held {
        bool waiting = false;
        std::uint64_t payload = 0;
        std::uint64_t attributes = 0;
    };

    struct Port {
        Signals signals = {};
        BurstQueue reads;
        BurstQueue writes;            // addresses whose data is not complete
        BurstQueue responses;
        bool read_offered = false;    // a beat stands on the R channel, paid for
        bool write_granted = false;   // a beat may come on the W channel, paid for
        bool response_offered = false;
        bool read_fails = false;      // the beat that is offered
        bool response_fails = false;
        Held ar, aw, w;
        PortStatistics statistics = {};
    };

    MemoryProfile profile_;
    std::uint8_t* block_;
    // Bandwidth in units of a byte divided by the clock frequency, so that all of it is integer.
    std::int64_t beat_cost_;
    std::int64_t income_;  // per cycle
    std::int64_t most_credit_;
    std::int64_t credit_ = 0;
    unsigned first_ = 0;     // party that chooses first when there is not enough for all, see share()
    std::uint64_t reads_to_stop_ = NEVER, responses_to_stop_ = NEVER;
    std::uint64_t reads_to_failure_ = NEVER, responses_to_failure_ = NEVER;
    std::uint8_t failure_ = RESPONSE_OKAY;
    std::array<Port, PORTS> ports_;

    bool inside(std::uint64_t address) const {
        return address >= profile_.base && address - profile_.base <= profile_.bytes - BUS_BYTES;
    }

    static void hold(Held& held, bool valid, bool ready, std::uint64_t payload, std::uint64_t attributes,
                     const char* channel) {
        if (held.waiting && (!valid || payload != held.payload || attributes != held.attributes))
            throw std::runtime_error(std::string("the kernel changed the ") + channel +
                                     " channel while it waited for ready");
        held = {valid && !ready, payload, attributes};
    }

    void check(const char* kind, std::uint64_t address, unsigned beats, unsigned size, unsigned burst) const {
        const auto refuse = [=](const std::string& reason) {
            throw std::runtime_error(std::string(kind) + " of " + std::to_string(beats) + " beats at address " +
                                     std::to_string(address) + " " + reason);
        };
        if (burst != 1) refuse("is not an incrementing burst");
        if ((1u << size) != BUS_BYTES) refuse("is narrower or wider than the bus");
        if (address % BUS_BYTES) refuse("is not aligned to a beat");
        if (beats > profile_.burst_beats)
            refuse("is longer than the board's limit of " + std::to_string(profile_.burst_beats));
        if (address / BOUNDARY_BYTES != (address + std::uint64_t(beats) * BUS_BYTES - 1) / BOUNDARY_BYTES)
            refuse("crosses a 4 KB boundary");
    }

    void take(Port& port, std::uint64_t cycle) {
        const Signals& s = port.signals;
        if (port.read_offered && *s.rready) {
            port.read_offered = false;
            Burst& burst = port.reads.front();
            burst.address += BUS_BYTES;
            ++port.statistics.read_beats;
            if (--burst.beats_left == 0) port.reads.pop();
        }
        if (port.response_offered && *s.bready) {
            port.response_offered = false;
            port.responses.pop();
        }
        if (*s.arvalid || port.ar.waiting) take_read_address(port, cycle);
        if (*s.wvalid || port.w.waiting) take_write_data(port, cycle);
        if (*s.awvalid || port.aw.waiting) take_write_address(port);
    }

    void take_read_address(Port& port, std::uint64_t cycle) {
        const Signals& s = port.signals;
        const std::uint64_t attributes = *s.arlen | *s.arsize << 8 | *s.arburst << 16;
        hold(port.ar, *s.arvalid, *s.arready, *s.araddr, attributes, "read address");
        if (!*s.arvalid || !*s.arready) return;
        const unsigned beats = *s.arlen + 1u;
        check("a read", *s.araddr, beats, *s.arsize, *s.arburst);
        port.reads.push({*s.araddr, beats, cycle + profile_.latency_cycles, false});
        ++port.statistics.read_bursts;
        port.statistics.most_reads_in_flight =
            std::max(port.statistics.most_reads_in_flight, std::uint64_t(port.reads.size()));
    }

    void take_write_address(Port& port) {
        const Signals& s = port.signals;
        const std::uint64_t attributes = *s.awlen | *s.awsize << 8 | *s.awburst << 16;
        hold(port.aw, *s.awvalid, *s.awready, *s.awaddr, attributes, "write address");
        if (!*s.awvalid || !*s.awready) return;
        const unsigned beats = *s.awlen + 1u;
        check("a write", *s.awaddr, beats, *s.awsize, *s.awburst);
        port.writes.push({*s.awaddr, beats, 0, false});
        ++port.statistics.write_bursts;
    }

    void take_write_data(Port& port, std::uint64_t cycle) {
        const Signals& s = port.signals;
        std::uint64_t data = 0;
        for (unsigned word = 0; word < BUS_BYTES; word += 8) {
            std::uint64_t part;
            std::memcpy(&part, static_cast<const std::uint8_t*>(s.wdata) + word, 8);
            data = data * 0x9e3779b97f4a7c15u + part;
        }
        std::uint64_t strobe = 0;
        std::memcpy(&strobe, s.wstrb, (BUS_BYTES + 7) / 8);
        hold(port.w, *s.wvalid, port.write_granted, data, strobe << 1 | *s.wlast, "write data");
        if (!*s.wvalid || !port.write_granted) return;
        port.write_granted = false;
        Burst& burst = port.writes.front();
        if (bool(*s.wlast) != (burst.beats_left == 1))
            throw std::runtime_error("a write's WLAST is not on the last beat of its burst");
        if (inside(burst.address)) {
            std::uint8_t* target = block_ + (burst.address - profile_.base);
            const std::uint8_t* source = static_cast<const std::uint8_t*>(s.wdata);
            for (unsigned byte = 0; byte < BUS_BYTES; ++byte)
                if (strobe >> byte & 1) target[byte] = source[byte];
        } else {
            burst.failed = true;
        }
        burst.address += BUS_BYTES;
        ++port.statistics.write_beats;
        if (--burst.beats_left == 0) {
            burst.first_cycle = cycle + profile_.latency_cycles;
            port.responses.push(burst);
            port.writes.pop();
        }
    }

    // Decides which beats may be transferred in `cycle`, and pays for them. Each port's reads and writes are a
    // party of their own; the first that gets nothing chooses first in the next cycle.
    void share(std::uint64_t cycle) {
        std::array<bool, PARTIES> wants;
        std::int64_t cost = 0;
        for (unsigned party = 0; party < PARTIES; ++party) {
            Port& port = ports_[party / 2];
            wants[party] = party % 2 == 0 ? !port.read_offered && !port.reads.empty() &&
                                                port.reads.front().first_cycle <= cycle && reads_to_stop_ != 0
                                          : !port.write_granted && !port.writes.empty();
            cost += wants[party] ? beat_cost_ : 0;
        }
        if (cost <= credit_) {  // enough for all: nobody has to choose first
            credit_ -= cost;
            for (unsigned party = 0; party < PARTIES; ++party)
                if (wants[party]) grant(party);
        } else {
            ration(wants);
        }
        for (Port& port : ports_)
            if (!port.responses.empty() && port.responses.front().first_cycle <= cycle && !port.response_offered &&
                !is_due(responses_to_stop_)) {
                port.response_offered = true;
                port.response_fails = is_due(responses_to_failure_);
                if (port.response_fails) responses_to_failure_ = NEVER;
            }
    }

    // Counts down to a fault; true when nothing is left to count.
    static bool is_due(std::uint64_t& left) {
        if (left == 0) return true;
        if (left != NEVER) --left;
        return false;
    }

    void ration(const std::array<bool, PARTIES>& wants) {
        for (unsigned step = 0, party = first_; step < PARTIES; ++step) {
            if (wants[party]) {
                if (credit_ < beat_cost_) {
                    first_ = party;
                    return;
                }
                credit_ -= beat_cost_;
                grant(party);
            }
            if (++party == PARTIES) party = 0;
        }
    }

    void grant(unsigned party) {
        Port& port = ports_[party / 2];
        if (party % 2 != 0) {
            port.write_granted = true;
        } else if (!is_due(reads_to_stop_)) {
            port.read_offered = true;
            port.read_fails = is_due(reads_to_failure_);
            if (port.read_fails) reads_to_failure_ = NEVER;
        }
    }

    void drive(Port& port) {
        const Signals& s = port.signals;
        *s.arready = port.reads.size() < profile_.reads_in_flight;
        *s.awready = port.writes.size() + port.responses.size() < profile_.reads_in_flight;
        *s.wready = port.write_granted;
        *s.rvalid = port.read_offered;
        if (port.read_offered) {
            const Burst& burst = port.reads.front();
            const bool found = inside(burst.address);
            if (found)
                std::memcpy(s.rdata, block_ + (burst.address - profile_.base), BUS_BYTES);
            else
                std::memset(s.rdata, 0, BUS_BYTES);
            *s.rresp = found ? RESPONSE_OKAY : RESPONSE_DECODE_ERROR;
            if (port.read_fails) {
                *s.rresp = failure_;
                std::uint8_t* data = static_cast<std::uint8_t*>(s.rdata);
                for (unsigned byte = 0; byte < BUS_BYTES; ++byte) data[byte] = std::uint8_t(~data[byte]);
            }
            *s.rlast = burst.beats_left == 1;
        }
        *s.bvalid = port.response_offered;
        if (port.response_offered)
            *s.bresp = port.responses.front().failed ? RESPONSE_DECODE_ERROR
                       : port.response_fails         ? failure_
                                                     : RESPONSE_OKAY;
    }
};

}  // namespace egret
