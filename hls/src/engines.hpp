// One thing for each engine. Ports cannot stand in an array, so what takes one port per engine is written as
// a macro of the engine's number and repeated here:
//
//   EGRET_EACH_ENGINE(M)    M(0) M(1) ... M(ENGINES - 1)
//   EGRET_READ_PORTS        the parameters `port_t gmem0_read, port_t gmem1_read, ...`
//   EGRET_WRITE_PORTS       the parameters `port_t gmem0_write, ...`
//   EGRET_READ_ARGUMENTS    the arguments `gmem0_read, gmem1_read, ...`
//   EGRET_WRITE_ARGUMENTS   the arguments `gmem0_write, ...`
//   EGRET_LIST_ENGINES(EGRET_TOP_PORTS)   both, for the top function
//
// An engine's read and write port are two objects on one m_axi bundle: AXI's read and write channels are
// apart, and in a dataflow region each object must belong to one process.
#pragma once

#include "egret_kernel_config.hpp"

#define EGRET_READ_PORT(E) port_t gmem##E##_read
#define EGRET_WRITE_PORT(E) port_t gmem##E##_write
#define EGRET_TOP_PORTS(E) egret::port_t gmem##E##_read, egret::port_t gmem##E##_write
#define EGRET_READ_ARGUMENT(E) gmem##E##_read
#define EGRET_WRITE_ARGUMENT(E) gmem##E##_write

#if EGRET_ENGINES == 1
#define EGRET_EACH_ENGINE(M) M(0)
#define EGRET_LIST_ENGINES(M) M(0)
#elif EGRET_ENGINES == 2
#define EGRET_EACH_ENGINE(M) M(0) M(1)
#define EGRET_LIST_ENGINES(M) M(0), M(1)
#elif EGRET_ENGINES == 3
#define EGRET_EACH_ENGINE(M) M(0) M(1) M(2)
#define EGRET_LIST_ENGINES(M) M(0), M(1), M(2)
#elif EGRET_ENGINES == 4
#define EGRET_EACH_ENGINE(M) M(0) M(1) M(2) M(3)
#define EGRET_LIST_ENGINES(M) M(0), M(1), M(2), M(3)
#elif EGRET_ENGINES == 5
#define EGRET_EACH_ENGINE(M) M(0) M(1) M(2) M(3) M(4)
#define EGRET_LIST_ENGINES(M) M(0), M(1), M(2), M(3), M(4)
#elif EGRET_ENGINES == 6
#define EGRET_EACH_ENGINE(M) M(0) M(1) M(2) M(3) M(4) M(5)
#define EGRET_LIST_ENGINES(M) M(0), M(1), M(2), M(3), M(4), M(5)
#elif EGRET_ENGINES == 7
#define EGRET_EACH_ENGINE(M) M(0) M(1) M(2) M(3) M(4) M(5) M(6)
#define EGRET_LIST_ENGINES(M) M(0), M(1), M(2), M(3), M(4), M(5), M(6)
#elif EGRET_ENGINES == 8
#define EGRET_EACH_ENGINE(M) M(0) M(1) M(2) M(3) M(4) M(5) M(6) M(7)
#define EGRET_LIST_ENGINES(M) M(0), M(1), M(2), M(3), M(4), M(5), M(6), M(7)
#else
#error "EGRET_ENGINES must be 1 to 8"
#endif

#define EGRET_READ_PORTS EGRET_LIST_ENGINES(EGRET_READ_PORT)
#define EGRET_WRITE_PORTS EGRET_LIST_ENGINES(EGRET_WRITE_PORT)
#define EGRET_READ_ARGUMENTS EGRET_LIST_ENGINES(EGRET_READ_ARGUMENT)
#define EGRET_WRITE_ARGUMENTS EGRET_LIST_ENGINES(EGRET_WRITE_ARGUMENT)
