"""Egret: sparse event-based recurrent networks on an FPGA, one token at a time."""
