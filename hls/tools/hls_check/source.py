"""Reads the kernel's C++ as the synthesiser sees it: preprocessed, without the headers of others.

Not a C++ parser: it knows the constructs that these sources use (functions, structs, statements, loops,
declarations) well enough to say what is declared where. Files that it cannot take apart are refused.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

FOREIGN_HEADERS = ("ap_int.h", "hls_stream.h", "hls_burst_maxi.h")
"""Headers of Vitis HLS, for which an empty file stands: what they declare is known by name."""

_TOKEN = re.compile(
    r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|0[xX][0-9a-fA-F]+\w*|\d[\w.]*|[A-Za-z_]\w*|::|->|\+\+|--|<<=|>>=|<=|>='
    r"|==|!=|&&|\|\||[-+*/%&|^]=|[^\s\w]"
)
_LINE_MARKER = re.compile(r'# (\d+) "([^"]*)"')
_ARITHMETIC = frozenset("unsigned signed long short int char bool float double".split())
_NOT_A_TYPE = frozenset(
    "return if else for while do switch case default break continue goto new delete throw using typedef "
    "namespace template struct class enum union public private static_assert sizeof operator".split()
)


class SourceError(Exception):
    """The sources cannot be read; the message says why."""


@dataclass(frozen=True)
class Token:
    text: str
    file: str
    line: int


@dataclass
class Pragma:
    text: str
    file: str
    line: int
    scope: Scope


@dataclass
class Variable:
    type: str
    dimensions: int
    sizes: list[list[Token]] = field(default_factory=list)
    constant: bool = False
    """Known when it is compiled: constexpr, or a template's parameter."""


@dataclass
class Scope:
    """A brace-delimited region. `kind`: namespace, struct, enum, function, loop, block or list."""

    kind: str
    name: str
    parent: Scope | None
    token: Token
    header: list[Token] = field(default_factory=list)
    """Of a function: its parameters. Of a loop: what its parentheses hold, or that of do ... while."""
    variables: dict[str, Variable] = field(default_factory=dict)
    children: list[Scope] = field(default_factory=list)
    pragmas: list[Pragma] = field(default_factory=list)
    body: list[Token] = field(default_factory=list)
    """All tokens inside, those of inner scopes included."""

    def find(self, name: str) -> Variable | None:
        """Return the variable that a name means here."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.variables:
                return scope.variables[name]
            scope = scope.parent
        return None

    @property
    def function(self) -> Scope | None:
        """The function that this is in."""
        scope: Scope | None = self
        while scope is not None and scope.kind != "function":
            scope = scope.parent
        return scope

    def descendants(self) -> list[Scope]:
        """Return this scope and all in it."""
        return [self, *(inner for child in self.children for inner in child.descendants())]


def preprocess(files: Sequence[Path], defines: Sequence[str], folders: Sequence[Path]) -> str:
    """Return what the preprocessor makes of the files, one after the other, with pragmas and line markers."""
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        raise SourceError("A C++ compiler is missing (its preprocessor reads the sources): install g++.")
    with tempfile.TemporaryDirectory() as empty:
        for name in FOREIGN_HEADERS:
            (Path(empty) / name).write_text("#pragma once\n", encoding="utf-8")
        command = [compiler, "-E", "-x", "c++", "-std=c++17", "-D__SYNTHESIS__"]
        command += [*(f"-D{define}" for define in defines), *(f"-I{folder}" for folder in folders)]
        whole = "".join(f'#include "{file}"\n' for file in files)
        result = subprocess.run(
            [*command, "-isystem", empty, "-"], input=whole, capture_output=True, text=True, check=False
        )
    if result.returncode != 0:
        errors = [line for line in result.stderr.splitlines() if "error" in line]
        reason = (errors or result.stderr.strip().splitlines() or ["no message"])[0]
        raise SourceError(f"The sources cannot be preprocessed: {reason}")
    return result.stdout


def tokens_and_pragmas(text: str, folder: Path) -> list[Token]:
    """Return the tokens of preprocessed text that come from files in `folder`; a pragma is one token."""
    file, line, wanted = "", 0, False
    root = folder.resolve()
    own: dict[str, bool] = {}
    result: list[Token] = []
    for row in text.splitlines():
        marker = _LINE_MARKER.match(row)
        if marker:
            file, line = marker.group(2), int(marker.group(1))
            if file not in own:
                own[file] = Path(file).is_file() and root in Path(file).resolve().parents
            wanted = own[file]
            continue
        if wanted:
            if row.lstrip().startswith("#"):
                result.append(Token(" ".join(row.split()), file, line))
            else:
                result.extend(Token(found, file, line) for found in _TOKEN.findall(row))
        line += 1
    return result


def parse(tokens: list[Token]) -> Scope:
    """Return the scopes of a translation unit."""
    root = Scope("namespace", "", None, Token("", "", 0))
    _Parser(tokens).into(root, 0)
    return root


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens

    def into(self, scope: Scope, start: int) -> int:
        """Fill a scope from its first token on; return the index behind its closing brace."""
        position, statement = start, start
        while position < len(self.tokens):
            token = self.tokens[position]
            if token.text.startswith("#"):
                scope.pragmas.append(Pragma(token.text, token.file, token.line, scope))
                if statement == position:
                    statement += 1
            elif token.text == "{":
                inner = self._opened(scope, statement, position)
                end = self.into(inner, position + 1)
                scope.children.append(inner)
                position = end - 1
                if inner.kind != "list":
                    statement = end
            elif token.text == "}":
                scope.body = [one for one in self.tokens[start:position] if not one.text.startswith("#")]
                return position + 1
            elif token.text == ";" and not self._in_parentheses(statement, position):
                self._declare(scope, self._clean(statement, position))
                statement = position + 1
            elif token.text == ":" and position - statement == 1:  # a label
                statement = position + 1
            position += 1
        if scope.parent is not None:
            raise SourceError(f"{scope.token.file}:{scope.token.line}: a brace is not closed")
        return position

    def _in_parentheses(self, start: int, end: int) -> bool:
        texts = [token.text for token in self.tokens[start:end]]
        return texts.count("(") > texts.count(")")

    def _clean(self, start: int, end: int) -> list[Token]:
        return [token for token in self.tokens[start:end] if not token.text.startswith("#")]

    def _opened(self, scope: Scope, statement: int, brace: int) -> Scope:
        """Return the new scope that an opening brace begins."""
        before = self._clean(statement, brace)
        texts = [token.text for token in before]
        token = self.tokens[brace]
        if scope.kind in ("namespace", "struct"):
            if not texts or texts[0] == "namespace" or texts[0] == "extern":
                # One set of names for all namespaces: they are reopened in every file.
                name = texts[-1] if len(texts) > 1 else ""
                return Scope("namespace", name, scope, token, variables=scope.variables)
            for keyword in ("struct", "class", "union", "enum"):
                if keyword in texts and "(" not in texts:
                    name = texts[texts.index(keyword) + 1] if texts[-1] != keyword else ""
                    return Scope("enum" if keyword == "enum" else "struct", name, scope, token)
            if "=" not in texts and ")" in texts:
                return self._function(scope, before, token)
            self._declare(scope, before)
            return Scope("list", "", scope, token)
        if scope.kind == "enum" or not texts:
            return Scope("block", "", scope, token)
        if texts[0] in ("for", "while"):
            inner = Scope("loop", texts[0], scope, before[0], header=before[2:-1])
            for part in split(before[2:-1], ";")[:1]:
                self._declare(inner, part)
            return inner
        if texts[0] == "do":
            return Scope("loop", "do", scope, before[0], header=self._do_condition(brace))
        if texts[0] in ("if", "switch", "else"):
            # if (...) for (...) { : the loop is what the brace belongs to
            for keyword in ("for", "while"):
                if keyword in texts:
                    raise SourceError(f"{token.file}:{token.line}: put the outer statement's body in braces")
            return Scope("block", texts[0], scope, token)
        self._declare(scope, before)
        return Scope("list", "", scope, token)

    def _do_condition(self, brace: int) -> list[Token]:
        depth, position = 0, brace
        while position < len(self.tokens):
            depth += {"{": 1, "}": -1}.get(self.tokens[position].text, 0)
            position += 1
            if depth == 0:
                break
        end = position
        while end < len(self.tokens) and self.tokens[end].text != ";":
            end += 1
        return self._clean(position + 2, end - 1)

    def _function(self, scope: Scope, before: list[Token], token: Token) -> Scope:
        end = max(index for index, one in enumerate(before) if one.text == ")")
        depth, start = 0, end
        while start >= 0:
            depth += {")": 1, "(": -1}.get(before[start].text, 0)
            if depth == 0:
                break
            start -= 1
        name = before[start - 1]
        function = Scope("function", name.text, scope, name, header=before[start + 1 : end])
        for parameter in split(function.header, ","):
            self._declare(function, parameter)
        first = [one.text for one in before[: start - 1]]
        if "constexpr" in first:
            function.variables["constexpr"] = Variable("", 0)
        if "template" in first:
            close = _template_end([one.text for one in before], first.index("template") + 1)
            for parameter in split(before[first.index("template") + 2 : close], ","):
                names = [one.text for one in parameter if re.match(r"[A-Za-z_]", one.text)]
                function.variables[names[-1]] = Variable(" ".join(names[:-1]), 0, constant=True)
        return function

    def _declare(self, scope: Scope, statement: list[Token]) -> None:
        """Add what a statement declares to a scope; a statement that declares nothing adds nothing."""
        texts = [token.text for token in statement]
        if scope.kind == "enum" or not texts:
            return
        if texts[0] == "typedef" or texts[0] == "using":
            return
        position, constant = 0, False
        while position < len(texts) and texts[position] in (
            "const",
            "static",
            "constexpr",
            "extern",
            "inline",
        ):
            constant |= texts[position] == "constexpr"
            position += 1
        if position < len(texts) and texts[position] == "typename":
            position += 1
        start = position
        if (
            position >= len(texts)
            or not re.match(r"[A-Za-z_]", texts[position])
            or texts[position] in _NOT_A_TYPE
        ):
            return
        if texts[position] in _ARITHMETIC:
            while position < len(texts) and texts[position] in _ARITHMETIC:
                position += 1
        else:
            position += 1
            while position < len(texts) and texts[position] in ("<", "::"):
                position = _template_end(texts, position) + 1 if texts[position] == "<" else position + 2
        type_text = " ".join(texts[start:position])
        while position < len(texts) and texts[position] in ("&", "*", "const"):
            position += 1
        if position >= len(texts) or not re.match(r"[A-Za-z_]\w*$", texts[position]):
            return
        if position + 1 < len(texts) and texts[position + 1] not in ("=", "[", ",", ";", "(", ":"):
            return
        for declarator in split(statement[position:], ","):
            names = [token.text for token in declarator]
            while names and names[0] in ("*", "&"):
                names, declarator = names[1:], declarator[1:]
            if not names or not re.match(r"[A-Za-z_]\w*$", names[0]):
                continue
            sizes, index = [], 1
            while index < len(names) and names[index] == "[":
                close = _matching(names, index, "[", "]")
                sizes.append(declarator[index + 1 : close])
                index = close + 1
            scope.variables.setdefault(names[0], Variable(type_text, len(sizes), sizes, constant))


def split(tokens: list[Token], separator: str) -> list[list[Token]]:
    """Split at separators outside all brackets; template brackets count where they follow a name."""
    parts: list[list[Token]] = [[]]
    depth, angle = 0, 0
    for index, token in enumerate(tokens):
        if token.text in "([{":
            depth += 1
        elif token.text in ")]}":
            depth -= 1
        elif token.text == "<" and index and _opens_template(tokens, index):
            angle += 1
        elif token.text == ">" and angle:
            angle -= 1
        if token.text == separator and depth == 0 and angle == 0:
            parts.append([])
        else:
            parts[-1].append(token)
    return [part for part in parts if part]


def _opens_template(tokens: list[Token], index: int) -> bool:
    name = tokens[index - 1].text
    return name.endswith(("_bits", "_cast", "stream", "burst_maxi", "ap_int", "ap_uint", "field", "template"))


def _template_end(texts: list[str], position: int) -> int:
    """Return the index of the > that closes the < at `position`."""
    depth = 0
    for index in range(position, len(texts)):
        depth += {"<": 1, ">": -1}.get(texts[index], 0)
        if depth == 0:
            return index
    return position


def _matching(texts: list[str], position: int, opening: str, closing: str) -> int:
    depth = 0
    for index in range(position, len(texts)):
        depth += {opening: 1, closing: -1}.get(texts[index], 0)
        if depth == 0:
            return index
    return len(texts) - 1
