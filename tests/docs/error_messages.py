"""Every error message that the packages can show, read from their source: where an error of this program is made, its
text is taken as a template, in which `…` stands for what is put in at run time."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("deblur_core", "workers", "flows")
BASE = "RestoreArchiveError"
ANYTHING = "…"
_TEXTS = (ast.Constant, ast.JoinedStr, ast.BinOp, ast.IfExp)


@dataclass(frozen=True)
class Message:
    """kind: the error's class, or what stands for it there; where: file and line."""

    template: str
    kind: str
    where: str


@cache
def trees() -> dict[Path, ast.Module]:
    """The parsed source of all packages."""
    files = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in files}


def error_classes(parsed: dict[Path, ast.Module]) -> set[str]:
    """Names of the classes that descend from the program's own error."""
    bases = {
        node.name: {base.id for base in node.bases if isinstance(base, ast.Name)}
        for tree in parsed.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    found = {BASE}
    while more := {name for name, above in bases.items() if above & found} - found:
        found |= more
    return found


@cache
def messages() -> tuple[Message, ...]:
    """Of every place where one of these errors is made with a text; those that pass on another's text are left out."""
    parsed = trees()
    kinds = error_classes(parsed)
    found = []
    for path, tree in parsed.items():
        for function in _functions(tree):
            texts = _assigned(function)
            aliases = {name for name, values in texts.items() if any(_names(value) & kinds for value in values)}
            for call in _own_nodes(function):
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.args:
                    name = call.func.id
                    if name in kinds or name in aliases:
                        where = f"{path.relative_to(ROOT)}:{call.lineno}"
                        found += [Message(text, name, where) for text in _templates(call.args[0], texts, 3)]
    return tuple(message for message in found if message.template.strip(f" {ANYTHING}"))


def _functions(tree: ast.Module) -> Iterator[ast.AST]:
    yield tree
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


def _own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """What belongs to a function, without the functions inside it."""
    for node in ast.iter_child_nodes(function):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node
            yield from _own_nodes(node)


def _assigned(function: ast.AST) -> dict[str, list[ast.expr]]:
    """What each name of a function is ever made of."""
    found: dict[str, list[ast.expr]] = {}
    for node in _own_nodes(function):
        targets: list[tuple[ast.expr, ast.expr]] = []
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                    targets += zip(target.elts, node.value.elts, strict=False)
                else:
                    targets.append((target, node.value))
        elif isinstance(node, ast.NamedExpr):
            targets.append((node.target, node.value))
        for target, value in targets:
            if isinstance(target, ast.Name):
                found.setdefault(target.id, []).append(value)
    return found


def _names(expression: ast.expr) -> set[str]:
    return {node.id for node in ast.walk(expression) if isinstance(node, ast.Name)}


def _templates(text: ast.expr, texts: dict[str, list[ast.expr]], depth: int) -> list[str]:
    """All that an expression may say; names are followed as far as they are made in the same function."""
    if isinstance(text, ast.Constant):
        return [str(text.value)]
    if isinstance(text, ast.JoinedStr):
        return _joined([_templates(part, texts, depth) for part in text.values])
    if isinstance(text, ast.FormattedValue):
        return _templates(text.value, texts, depth) if isinstance(text.value, (ast.Name, ast.IfExp)) else [ANYTHING]
    if isinstance(text, ast.BinOp) and isinstance(text.op, ast.Add):
        return _joined([_templates(text.left, texts, depth), _templates(text.right, texts, depth)])
    if isinstance(text, ast.IfExp):
        return [*_templates(text.body, texts, depth), *_templates(text.orelse, texts, depth)]
    if isinstance(text, ast.Name) and depth and text.id in texts:
        made = [value for value in texts[text.id] if isinstance(value, _TEXTS) and not _is_number(value)]
        return [each for value in made for each in _templates(value, texts, depth - 1)] or [ANYTHING]
    return [ANYTHING]


def _is_number(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and not isinstance(value.value, str)


def _joined(parts: list[list[str]]) -> list[str]:
    found = [""]
    for part in parts:
        found = [before + after for before in found for after in part]
    return found
