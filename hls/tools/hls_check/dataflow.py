"""Dataflow regions: in canonical form, and every memory, port and stream end with one process.

A region's processes run at once. What two of them would reach needs an arbiter that Vitis HLS does not make:
it refuses the region, or runs its processes one after the other.
"""

from __future__ import annotations

from collections import defaultdict

from hls.tools.hls_check.pragmas import Report, Unit, has, parameters, parsed_pragmas
from hls.tools.hls_check.source import Scope, Token, Variable, split

_PORT = "port_t"
_WHOLE = ""
"""Where an argument is a whole array, not an element of it."""


def check(unit: Unit, report: Report) -> None:
    """Report what is wrong with the dataflow regions of a unit."""
    for scope in unit.root.descendants():
        if has(scope, "DATAFLOW"):
            _check_form(scope, report)
            _check_owners(scope, report)


def _check_form(scope: Scope, report: Report) -> None:
    """A region in canonical form declares channels and calls processes, nothing else."""
    for inner in scope.children:
        if inner.kind in ("loop", "block"):
            report(inner.token.file, inner.token.line, "a dataflow region may only declare and call")
    sized = {options.get("variable") for name, options in parsed_pragmas(scope) if name == "STREAM"}
    for name, variable in scope.variables.items():
        if _is_stream(variable) and name not in sized and name not in parameters(scope):
            report(
                scope.token.file, scope.token.line, f"stream {name} of a dataflow region needs STREAM depth="
            )


def _check_owners(scope: Scope, report: Report) -> None:
    users = _users(scope)
    for name, by_element in users.items():
        whole = by_element.get(_WHOLE, [])
        elements = [element for element in by_element if element != _WHOLE] or [_WHOLE]
        for element in elements:
            processes = whole + (by_element[element] if element != _WHOLE else [])
            what, token = name + element, processes[-1]
            if _is_stream(scope.variables[name]):
                if len(processes) != 2:
                    report(token.file, token.line, f"stream {what} has {len(processes)} processes, not two")
            elif len(processes) > 1:
                texts = " and ".join(process.text for process in processes)
                report(token.file, token.line, f"{what} belongs to several processes: {texts}")


def _users(scope: Scope) -> dict[str, dict[str, list[Token]]]:
    """Return the processes that are given each array, port and stream: by its name and element."""
    users: dict[str, dict[str, list[Token]]] = defaultdict(lambda: defaultdict(list))
    for statement in split(scope.body, ";"):
        if len(statement) < 3 or statement[1].text != "(" or statement[-1].text != ")":
            continue
        for argument in split(statement[2:-1], ","):
            name = argument[0].text
            variable = scope.variables.get(name)
            if variable is not None and (
                variable.dimensions or _is_stream(variable) or variable.type.endswith(_PORT)
            ):
                users[name]["".join(token.text for token in argument[1:])].append(statement[0])
    return users


def _is_stream(variable: Variable) -> bool:
    return "stream" in variable.type
