"""Refuses what is not synthesised: recursion, heap, function pointers, host calls, unknown sizes."""

from __future__ import annotations

import re

from hls.tools.hls_check.pragmas import Report, Unit, has
from hls.tools.hls_check.source import Scope, Token

_HEAP = frozenset("new delete malloc calloc realloc free alloca".split())
_UNSYNTHESISABLE = frozenset("try throw catch virtual dynamic_cast typeid goto asm thread_local".split())
_STD = frozenset("int8_t int16_t int32_t int64_t uint8_t uint16_t uint32_t uint64_t size_t".split())
"""What of std:: may be used in synthesis."""
_CALL_LIKE = frozenset(
    "if for while switch return sizeof static_cast static_assert and or not decltype alignof".split()
)
_FOREIGN = frozenset("ap_int ap_uint stream burst_maxi".split())
_NAME = re.compile(r"[A-Za-z_]\w*$")
_BUILTIN_TYPES = frozenset("bool char short int long unsigned signed float double void auto".split())


def check(unit: Unit, report: Report) -> None:
    """Report what of a unit no synthesiser takes."""
    functions = [scope for scope in unit.root.descendants() if scope.kind == "function"]
    known = _known_names(unit)
    for function in functions:
        if "constexpr" not in function.variables:  # that runs in the compiler
            _check_body(function, known, report)
        for scope in function.descendants():
            _check_arrays(scope, report)
            if scope.kind == "loop" and not _bounded(scope) and not has(scope, "LOOP_TRIPCOUNT"):
                report(
                    scope.token.file,
                    scope.token.line,
                    "the loop has no constant bound: it needs LOOP_TRIPCOUNT",
                )
    _check_recursion(unit, report)


def _calls(function: Scope, names: frozenset[str]) -> set[str]:
    """Return which of `names` a function calls."""
    found = set()
    for token, after in zip(function.body, function.body[1:], strict=False):
        if token.text in names and after.text in ("(", "<"):
            found.add(token.text)
    return found


def _check_recursion(unit: Unit, report: Report) -> None:
    functions: dict[str, Scope] = {}
    for scope in unit.root.descendants():
        if scope.kind == "function" and "constexpr" not in scope.variables:
            functions.setdefault(scope.name, scope)
    names = frozenset(functions)
    graph = {name: _calls(scope, names) for name, scope in functions.items()}
    for name, scope in functions.items():
        seen: set[str] = set()
        pending = set(graph[name])
        while pending:
            one = pending.pop()
            if one not in seen:
                seen.add(one)
                pending |= graph[one]
        if name in seen:
            report(scope.token.file, scope.token.line, f"{name} calls itself")


def _known_names(unit: Unit) -> frozenset[str]:
    """Return what may be called: functions, declared or defined, and types."""
    names = set(_FOREIGN | _BUILTIN_TYPES)
    for scope in unit.root.descendants():
        if scope.kind in ("function", "struct"):
            names.add(scope.name)
        if scope.kind == "namespace":
            names |= set(scope.variables)
    texts = [token.text for token in unit.root.body] or _all_texts(unit.root)
    for index, text in enumerate(texts):
        if text == "typedef":  # the name stands before the semicolon
            end = texts.index(";", index)
            names.add(texts[end - 1])
        elif text == "using" and index + 2 < len(texts) and texts[index + 2] == "=":
            names.add(texts[index + 1])
    return frozenset(names)


def _all_texts(root: Scope) -> list[str]:
    return [token.text for child in root.children for token in (*child.body,)]


def _check_body(function: Scope, known: frozenset[str], report: Report) -> None:
    body = function.body
    texts = [token.text for token in body]
    for index, token in enumerate(body):
        text = token.text
        before = texts[index - 1] if index else ""
        after = texts[index + 1] if index + 1 < len(texts) else ""
        member = before in (".", "->")
        if text in _HEAP and not member:
            report(token.file, token.line, f"{text}: there is no heap in hardware")
        elif text in _UNSYNTHESISABLE:
            report(token.file, token.line, f"{text} cannot be synthesised")
        elif text == "std" and after == "::" and texts[index + 2] not in _STD:
            report(token.file, token.line, f"std::{texts[index + 2]} is nothing that is synthesised")
        elif texts[index : index + 2] == ["(", "*"] and texts[index + 3 : index + 5] == [")", "("]:
            report(token.file, token.line, f"{texts[index + 2]} is a pointer to a function")
        elif after == "(" and _NAME.match(text) and not member and text not in _CALL_LIKE:
            declared = bool(_NAME.match(before) or before in (">", "&", "*")) and function_scope_has(
                function, text
            )
            if text not in known and not declared and before != "::":
                report(
                    token.file,
                    token.line,
                    f"{text} is not defined in these sources: what would it be in hardware?",
                )
    for index, token in enumerate(function.header):
        header = [one.text for one in function.header]
        if header[index : index + 2] == ["(", "*"]:
            report(token.file, token.line, f"{header[index + 2]} is a pointer to a function")
        if token.text == "std" and header[index + 1] == "::" and header[index + 2] not in _STD:
            report(token.file, token.line, f"std::{header[index + 2]} is nothing that is synthesised")


def function_scope_has(function: Scope, name: str) -> bool:
    """Return whether a function declares a variable of this name anywhere in it."""
    return any(name in scope.variables for scope in function.descendants())


def _constant(tokens: list[Token], scope: Scope, but: str = "") -> bool:
    """Return whether an expression is known when it is compiled, but for one variable."""
    for token in tokens:
        if _NAME.match(token.text) and token.text not in _BUILTIN_TYPES and token.text != but:
            variable = scope.find(token.text)
            if variable is None or not variable.constant:
                return False
    return True


def _bounded(loop: Scope) -> bool:
    """Return whether a for loop counts from a constant to a constant."""
    if loop.name != "for":
        return False
    parts: list[list[Token]] = [[]]
    for token in loop.header:
        if token.text == ";":
            parts.append([])
        else:
            parts[-1].append(token)
    if len(parts) != 3 or not loop.variables:
        return False
    counter = next(iter(loop.variables))
    texts = [token.text for token in parts[0]]
    if "=" not in texts or not any(token.text == counter for token in parts[1]):
        return False
    start = parts[0][texts.index("=") + 1 :]
    return _constant(start, loop) and _constant(parts[1], loop, but=counter)


def _check_arrays(scope: Scope, report: Report) -> None:
    for name, variable in scope.variables.items():
        for size in variable.sizes:
            if not size or not _constant(size, scope):
                what = " ".join(token.text for token in size) or "nothing"
                report(
                    scope.token.file, scope.token.line, f"array {name} has a size that is no constant: {what}"
                )
