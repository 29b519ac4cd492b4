"""Boards that exist only here: a pynq device with the kernel's RTL, run by Verilator, behind it."""
