"""Open synthesis of the RTL kernel with Yosys: the flow, the mapped netlist, what it takes, its longest
paths."""
