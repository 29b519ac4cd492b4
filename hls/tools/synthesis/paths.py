"""The longest paths between registers of a mapped netlist.

A path starts where a clock edge puts a value (flip-flop, shift register, block RAM, registered DSP, port)
and ends where one takes it. Its logic levels are counted as Vivado's timing report counts them: each LUT,
wide multiplexer, carry block, LUT memory and unregistered multiplication on the way is one. Its delay is
estimated from the part's figures (`parts.py`), since a step along a carry chain is many times quicker than
a LUT and the net before it.

Both are found by one walk over the cells in topological order, with for every net the latest arrival and
the cell that made it so.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hls.tools.synthesis.netlist import Bit, Cell, Netlist, NetlistError
from hls.tools.synthesis.parts import Delays


@dataclass(frozen=True)
class Path:
    """A longest path: names of the signal it starts from and of the one it ends at, and the cells between."""

    start: str
    end: str
    levels: int
    nanoseconds: float
    through: tuple[str, ...]


@dataclass
class _Arrival:
    """The latest way to a net: how late, by which net before it and through which kind of cell."""

    weight: float
    before: int | None
    kind: str


def longest_paths(netlist: Netlist, delays: Delays, count: int) -> tuple[list[Path], list[Path]]:
    """Return the `count` deepest paths by logic levels, and the `count` slowest by estimated delay.

    Of the paths that end at bits of one register, the worst stands for all. Raises NetlistError where the
    logic has a loop.
    """
    graph = _Graph(netlist, delays)
    deepest = graph.worst(lambda delay: 1.0, lambda start: 0.0, lambda setup: 0.0, count)
    slowest = graph.worst(lambda delay: delay, lambda start: start, lambda setup: setup, count)
    return deepest, slowest


class _Graph:
    def __init__(self, netlist: Netlist, delays: Delays) -> None:
        self.netlist = netlist
        self.delays = delays
        self.starts: dict[int, float] = dict.fromkeys(netlist.top_inputs, 0.0)
        self.ends: list[tuple[int, float, str]] = [
            (bit, 0.0, name) for bit, name in netlist.top_outputs.items()
        ]
        self.into: dict[int, list[tuple[int, float, str]]] = defaultdict(
            list
        )  # by output: input, delay, kind
        for cell in netlist.cells:
            self._add(cell)
        self.order = self._topological()

    # -- what a cell is to a path
    def _add(self, cell: Cell) -> None:
        kind, delays = cell.kind, self.delays
        if kind in ("VCC", "GND"):
            return
        if kind.startswith(("FDRE", "FDSE", "FDCE", "FDPE")):
            self._register(cell, delays.flip_flop, delays.setup)
        elif kind.startswith(("SRL", "SRLC")):
            # the address of these is constant, or else a way through like a LUT's
            self._register(cell, delays.shift_register, delays.setup, ends=("D", "CE"))
            self._combinational(
                cell, delays.lut_memory + delays.net, _ports(cell, cell.inputs, "A"), cell.outputs
            )
        elif kind.startswith(("RAMB", "URAM")):
            self._register(cell, delays.block_memory, delays.block_memory_setup)
        elif kind.startswith(("RAM32", "RAM64", "RAM128", "RAM256", "RAM512")):
            data = [port for port in cell.inputs if not port.startswith(("A", "DPRA", "CLK", "WCLK"))]
            self._register(cell, delays.shift_register, delays.setup, ends=tuple(data))
            for output in cell.outputs:
                self._combinational(
                    cell, delays.lut_memory + delays.net, _read_address(cell, output), (output,)
                )
        elif kind.startswith("DSP48"):
            self._dsp(cell)
        elif kind.startswith("CARRY"):
            self._carry(cell)
        elif kind.startswith("MUXF"):
            self._combinational(cell, delays.wide_mux, cell.inputs, cell.outputs)
        elif kind.startswith("LUT") or kind == "INV":
            self._combinational(cell, delays.lut + delays.net, cell.inputs, cell.outputs)
        elif kind in ("BUFG", "BUFGP", "IBUF", "OBUF"):
            self._combinational(cell, 0.0, cell.inputs, cell.outputs)
        else:
            raise NetlistError(f"Cell {cell.name} is of a kind that no delay is known for: {kind}.")

    def _register(self, cell: Cell, delay: float, setup: float, ends: tuple[str, ...] | None = None) -> None:
        for port in cell.outputs:
            for bit in _nets(cell.ports.get(port, [])):
                self.starts[bit] = max(self.starts.get(bit, 0.0), delay + self.delays.net)
        name = self._output_name(cell)
        for port in cell.inputs if ends is None else ends:
            if port in ("C", "CLK", "WCLK", "CLKARDCLK", "CLKBWRCLK"):
                continue
            for bit in _nets(cell.ports.get(port, [])):
                self.ends.append((bit, setup, f"{name}/{port}"))

    def _dsp(self, cell: Cell) -> None:
        """A multiplier: where its registers stand decides what is a start, an end, or a way through."""
        delays = self.delays
        operands = _ports(cell, cell.inputs, "A", "B", "C", "D")
        held = {port: cell.parameter(f"{port}REG", 1) > 0 for port in "ABCD"}
        middle, last = cell.parameter("MREG", 1) > 0, cell.parameter("PREG", 1) > 0
        name = self._output_name(cell)
        products = [port for port in cell.outputs if port in ("P", "PCOUT", "CARRYOUT", "CARRYCASCOUT")]
        launch = 0.0
        for port in operands:
            bits = _nets(cell.ports.get(port, []))
            multiplied = port in "ABD" and cell.parameters.get("USE_MULT", "MULTIPLY") != "NONE"
            if held[port]:
                self.ends += [(bit, delays.dsp_setup, f"{name}/{port}") for bit in bits]
                if not last and not (middle and multiplied) and bits:
                    launch = max(launch, delays.dsp_multiply)
            elif middle and multiplied:
                self.ends += [(bit, delays.dsp_product, f"{name}/{port}") for bit in bits]
            elif last:
                setup = delays.dsp_multiply if multiplied else delays.dsp_add
                self.ends += [(bit, setup, f"{name}/{port}") for bit in bits]
            else:
                through = delays.dsp_multiply if multiplied else delays.dsp_add
                self._combinational(cell, through + delays.net, (port,), products)
        for port in _ports(cell, cell.inputs, "PCIN"):
            if last:
                self.ends += [(bit, delays.dsp_add, f"{name}/{port}") for bit in _nets(cell.ports[port])]
            else:
                self._combinational(cell, delays.dsp_add, (port,), products)
        if last:
            launch = delays.dsp_register
        elif middle:
            launch = max(launch, delays.dsp_add)
        if launch:
            for port in products:
                for bit in _nets(cell.ports.get(port, [])):
                    self.starts[bit] = max(self.starts.get(bit, 0.0), launch + delays.net)

    def _carry(self, cell: Cell) -> None:
        """Bit i of O and CO depends on bits 0..i of S and DI and on the carry in."""
        delays = self.delays
        carries = _ports(cell, cell.inputs, "CI", "CYINIT", "CI_TOP")
        for output in cell.outputs:
            for position, bit in enumerate(cell.ports.get(output, [])):
                if not isinstance(bit, int):
                    continue
                to_sum = output == "O"
                for port in ("S", "DI"):
                    for below, source in enumerate(cell.ports.get(port, [])):
                        if (
                            not isinstance(source, int)
                            or below > position
                            or (to_sum and port == "DI" and below == position)
                        ):
                            continue
                        self.into[bit].append(
                            (source, delays.carry_in + (delays.net if to_sum else 0.0), cell.kind)
                        )
                for port in carries:
                    for source in _nets(cell.ports.get(port, [])):
                        delay = delays.carry_out + delays.net if to_sum else delays.carry_step
                        self.into[bit].append((source, delay, cell.kind))

    def _combinational(
        self,
        cell: Cell,
        delay: float,
        inputs: tuple[str, ...],
        outputs: Iterator[str] | tuple[str, ...] | list[str],
    ) -> None:
        sources = [bit for port in inputs for bit in _nets(cell.ports.get(port, []))]
        for port in outputs:
            for bit in _nets(cell.ports.get(port, [])):
                self.into[bit] += [(source, delay, cell.kind) for source in sources]

    def _output_name(self, cell: Cell) -> str:
        """Return the name of the signal that the cell makes; where it has no declared name, that of its
        place.
        """
        for port in cell.outputs:
            for bit in _nets(cell.ports.get(port, [])):
                name = self.netlist.names.get(bit, "$")
                if "$" not in name:
                    return name
        return cell.unit or cell.name

    # -- the walk
    def _topological(self) -> list[int]:
        """Return the nets that logic makes, each after those that it is made of."""
        waiting = {bit: 0 for bit in self.into}
        readers: dict[int, list[int]] = defaultdict(list)
        for bit, arcs in self.into.items():
            for source in {arc[0] for arc in arcs}:
                if source in self.into:
                    waiting[bit] += 1
                    readers[source].append(bit)
        ready = deque(bit for bit, number in waiting.items() if number == 0)
        order = []
        while ready:
            bit = ready.popleft()
            order.append(bit)
            for reader in readers[bit]:
                waiting[reader] -= 1
                if waiting[reader] == 0:
                    ready.append(reader)
        if len(order) < len(self.into):
            stuck = min(self.netlist.names.get(bit, str(bit)) for bit, number in waiting.items() if number)
            raise NetlistError(f"The logic has a loop through {stuck}.")
        return order

    def worst(
        self,
        step: Callable[[float], float],
        start: Callable[[float], float],
        stop: Callable[[float], float],
        count: int,
    ) -> list[Path]:
        """Return the worst paths by the sum of start, steps and stop, one for each register at an end."""
        arrival = {bit: _Arrival(start(delay), None, "") for bit, delay in self.starts.items()}
        for bit in self.order:
            latest = arrival.get(bit)
            for source, delay, kind in self.into[bit]:
                before = arrival.get(source)
                weight = (before.weight if before else 0.0) + step(delay)
                if latest is None or weight > latest.weight:
                    latest = _Arrival(weight, source, kind)
            if latest is not None:
                arrival[bit] = latest
        worst: dict[str, tuple[float, int, str]] = {}
        for bit, setup, name in self.ends:
            if bit in arrival:
                weight = arrival[bit].weight + stop(setup)
                register = _without_index(name)
                if register not in worst or weight > worst[register][0]:
                    worst[register] = (weight, bit, name)
        chosen = sorted(worst.values(), key=lambda entry: (-entry[0], entry[2]))[:count]
        return [self._path(bit, name, setup_of(self, bit, name), arrival) for _, bit, name in chosen]

    def _path(self, bit: int, end: str, setup: float, arrival: dict[int, _Arrival]) -> Path:
        through: list[str] = []
        nanoseconds = setup
        here: int = bit
        while True:
            before, kind = arrival[here].before, arrival[here].kind
            if before is None:
                break
            through.append(kind)
            nanoseconds += max(
                delay for source, delay, by in self.into[here] if source == before and by == kind
            )
            here = before
        nanoseconds += self.starts.get(here, 0.0)
        name = self.netlist.names.get(here, self.netlist.top_inputs.get(here, str(here)))
        return Path(name, end, len(through), nanoseconds, tuple(reversed(through)))


def setup_of(graph: _Graph, bit: int, name: str) -> float:
    """Return the setup time of the end called `name` at net `bit`."""
    return next(setup for end, setup, called in graph.ends if end == bit and called == name)


def _nets(bits: list[Bit]) -> list[int]:
    return [bit for bit in bits if isinstance(bit, int)]


def _ports(cell: Cell, among: tuple[str, ...], *wanted: str) -> tuple[str, ...]:
    return tuple(port for port in among if port in wanted or port.rstrip("0123456789") in wanted)


def _read_address(cell: Cell, output: str) -> tuple[str, ...]:
    """Return the address ports of a LUT memory's output: ADDRA for DOA, DPRA for DPO, A for SPO and O."""
    if output.startswith("DO"):
        return (f"ADDR{output[2:3]}",)
    prefix = "DPRA" if output == "DPO" else "A"
    return tuple(port for port in cell.inputs if port.rstrip("0123456789") == prefix)


def _without_index(name: str) -> str:
    signal, _, port = name.rpartition("/")
    return f"{signal[: signal.rindex('[')] if signal.endswith(']') else signal}/{port}"
