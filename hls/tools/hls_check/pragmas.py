"""Checks every pragma against the table of directives, and what it names against its scope."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hls.tools.hls_check import directives
from hls.tools.hls_check.source import Pragma, Scope, Variable

_INTEGER = re.compile(r"\d+$")
_NAME = re.compile(r"[A-Za-z_]\w*$")
_ARRAYS_ONLY = ("ARRAY_PARTITION", "BIND_STORAGE")
_COMMENT_LINES = 12
"""How far above its function, or within it, a pipelined loop's argument may stand."""

Report = Callable[[str, int, str], None]


@dataclass
class Unit:
    """A preprocessed source and what is known beside it."""

    root: Scope
    macros: frozenset[str]

    def structs(self) -> dict[str, Scope]:
        """Return the structs by name."""
        return {scope.name: scope for scope in self.root.descendants() if scope.kind == "struct"}


def parsed_pragmas(scope: Scope) -> list[tuple[str, dict[str, str]]]:
    """Return the directives that stand directly in a scope, with their options."""
    found = []
    for pragma in scope.pragmas:
        if pragma.text.startswith("#pragma HLS"):
            parsed = directives.parse(pragma.text[len("#pragma HLS") :], lambda _: None)
            if parsed is not None:
                found.append(parsed)
    return found


def has(scope: Scope, directive: str) -> bool:
    """Return whether a directive stands directly in a scope."""
    return any(name == directive for name, _ in parsed_pragmas(scope))


def check(unit: Unit, report: Report) -> None:
    """Report what is wrong with the pragmas of a unit."""
    for scope in unit.root.descendants():
        for pragma in scope.pragmas:
            _check_pragma(unit, pragma, partial(report, pragma.file, pragma.line))
        if has(scope, "PIPELINE"):
            _check_pipelined(scope, report)


def _check_pragma(unit: Unit, pragma: Pragma, report: Callable[[str], None]) -> None:
    if pragma.text == "#pragma once":
        return
    if not pragma.text.startswith("#pragma HLS "):
        report(f"not a pragma that the synthesiser knows: {pragma.text}")
        return
    parsed = directives.parse(pragma.text[len("#pragma HLS") :], report)
    if parsed is None:
        return
    name, options = parsed
    directive = directives.DIRECTIVES[name]
    scope = pragma.scope
    if scope.function is None:
        report(f"{name} stands outside every function")
        return
    places = {"scope": ("function", "loop", "block"), "function or loop": ("function", "loop")}
    if scope.kind not in places.get(directive.place, (directive.place,)):
        report(f"{name} belongs directly in a {directive.place}, not in a {scope.kind}")
    for option, value in options.items():
        _check_value(unit, scope, name, option, value, directive.options.get(option), report)
    if name == "ARRAY_PARTITION":
        _check_partition(unit, scope, options, report)
    if name in ("BIND_STORAGE", "ARRAY_PARTITION") and "variable" in options:
        variable = _find(unit, scope, options["variable"])
        if variable is not None and variable.dimensions == 0:
            report(f"{name}: {options['variable']} is no array")
    if name == "STREAM" and "variable" in options:
        variable = _find(unit, scope, options["variable"])
        if variable is not None and "stream" not in variable.type and variable.dimensions == 0:
            report(f"STREAM: {options['variable']} is no stream")
    if name == "PIPELINE" and options.get("II") != "1":
        report("PIPELINE must say II=1 in this kernel")


def _check_value(
    unit: Unit,
    scope: Scope,
    name: str,
    option: str,
    value: str,
    kind: str | frozenset[str] | None,
    report: Callable[[str], None],
) -> None:
    if kind == directives.INTEGER and not _INTEGER.match(value):
        report(f"{name}: {option} is an integer, not {value}")
    elif kind == directives.CONSTANT and not _INTEGER.match(value):
        variable = scope.find(value) if _NAME.match(value) else None
        if value not in unit.macros and not (variable is not None and variable.constant):
            report(f"{name}: {option} is an integer constant, not {value}")
    elif kind == directives.VARIABLE and _find(unit, scope, value) is None:
        report(f"{name}: no variable {value} in this scope")
    elif kind == directives.PORT and value != "return":
        function = scope.function
        if function is None or value not in parameters(function):
            report(f"{name}: the function has no parameter {value}")
    elif kind == directives.FUNCTION:
        called = [token.text for token in scope.body]
        if not any(text == value and after == "(" for text, after in zip(called, called[1:], strict=False)):
            report(f"{name}: {value} is not called here")
    elif kind == directives.NAME and not _NAME.match(value):
        report(f"{name}: {option} is a name, not {value}")


def parameters(function: Scope) -> list[str]:
    """Return the names of a function's parameters, in order."""
    names = [name for name, variable in function.variables.items() if variable.type]
    header = [token.text for token in function.header]
    return [name for name in names if name in header]


def _find(unit: Unit, scope: Scope, path: str) -> Variable | None:
    """Return the variable or struct member that a dotted path names in a scope."""
    first, *members = path.split(".")
    variable = scope.find(first)
    for member in members:
        if variable is None:
            return None
        struct = unit.structs().get(variable.type.split("::")[-1].strip())
        variable = struct.variables.get(member) if struct is not None else None
    return variable


def _check_partition(
    unit: Unit, scope: Scope, options: dict[str, str], report: Callable[[str], None]
) -> None:
    kinds = [kind for kind in ("cyclic", "block", "complete") if kind in options] + (
        [options["type"]] if "type" in options else []
    )
    if len(kinds) != 1:
        report("ARRAY_PARTITION needs one of complete, cyclic, block")
    if kinds and kinds[0] != "complete" and "factor" not in options:
        report(f"ARRAY_PARTITION {kinds[0]} needs factor=")
    variable = _find(unit, scope, options.get("variable", ""))
    dimension = options.get("dim", "1")
    if variable is not None and _INTEGER.match(dimension) and int(dimension) > variable.dimensions:
        report(f"ARRAY_PARTITION: {options['variable']} has no dimension {dimension}")


def _check_pipelined(scope: Scope, report: Report) -> None:
    pragma = next(one for one in scope.pragmas if "PIPELINE" in one.text.upper())
    for inner in scope.descendants()[1:]:
        if inner.kind == "loop" and not has(inner, "UNROLL"):
            report(inner.token.file, inner.token.line, "a loop in a pipelined one must have UNROLL")
    function = scope.function
    if function is None or not _argued(pragma, function):
        report(
            pragma.file, pragma.line, "no comment argues why II = 1 is reachable here (it must say `II = 1`)"
        )


def _argued(pragma: Pragma, function: Scope) -> bool:
    lines = Path(pragma.file).read_text(encoding="utf-8").splitlines()
    first = max(0, function.token.line - 1 - _COMMENT_LINES)
    above = [line.strip() for line in lines[first : pragma.line]]
    # Only the comments of this function: what stands before the end of another one is that one's.
    for index in range(len(above) - (pragma.line - function.token.line) - 1, -1, -1):
        if above[index] == "}":
            above = above[index + 1 :]
            break
    return any("II = 1" in line for line in above if line.startswith("//"))


def unique(findings: Iterable[tuple[str, int, str]]) -> list[tuple[str, int, str]]:
    """Return findings once each, in order of place."""
    return sorted(set(findings))
