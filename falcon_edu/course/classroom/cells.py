"""Read the cells of a notebook: the names that they bind and use, the tests that are hidden."""

import ast
import builtins
import re
from collections.abc import Iterable

from IPython.core.inputtransformer2 import TransformerManager

MAX_SOURCE = 1_000_000  # characters of a cell
MAX_MAGICS = 100  # lines of a cell; IPython reads all of it anew for each
MAX_NESTING = 500  # levels of a syntax tree
HIDDEN = re.compile(r"^[ ]*### BEGIN HIDDEN TESTS.*?### END HIDDEN TESTS[^\n]*\n?", re.M | re.S)


def parse(source: str) -> ast.Module | None:
    """Return the syntax tree of a cell, magics included; None if it has none."""
    if len(source) > MAX_SOURCE or source.count("\n%") + source.count("\n!") > MAX_MAGICS:
        return None
    try:
        tree = ast.parse(TransformerManager().transform_cell(source))
        return tree if _depth(tree) <= MAX_NESTING else None
    except Exception:  # a stranger's text: parsers have many ways to give up
        return None


def _depth(tree: ast.AST) -> int:
    """Count how deeply a tree is nested, without a call for each level."""
    depth, level = 0, [tree]
    while level:
        depth += 1
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    return depth


def bound(source: str) -> set[str]:
    """Return the names that a cell defines at its top level.

    >>> sorted(bound("import math\\ndef f(x):\\n    y = x\\na, b = 1, 2"))
    ['a', 'b', 'f', 'math']
    """
    tree = parse(source)
    return set().union(*map(_bound_by, tree.body)) if tree else set()


def _bound_by(statement: ast.stmt) -> set[str]:
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {statement.name}
    names = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.alias):
            names.add((node.asname or node.name).partition(".")[0])
    return names


def read(source: str) -> set[str]:
    """Return the names that a cell uses, built-in ones apart from those it defines itself.

    >>> sorted(read("points = min(points, check(answer))"))
    ['answer', 'check', 'min', 'points']
    """
    tree = parse(source)
    nodes = ast.walk(tree) if tree else ()
    return {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}


def is_builtin(name: str) -> bool:
    """Return True if a name means something in every module."""
    return hasattr(builtins, name)


def public(source: str) -> str:
    """Return a test cell as the release has it, without its hidden tests."""
    return HIDDEN.sub("", source)


def evaluate(source: str, space: dict) -> object:
    """Run a cell; return the value of its last line, if that is an expression.

    >>> evaluate("x = 2\\nx + 1", {})
    3
    """
    tree = ast.parse(TransformerManager().transform_cell(source))
    last = tree.body[-1] if tree.body else None
    if not isinstance(last, ast.Expr):
        exec(compile(tree, "cell", "exec"), space)
        return None
    tree.body.pop()
    exec(compile(tree, "cell", "exec"), space)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), space)


def binders(sources: Iterable[str], names: set[str]) -> list[int]:
    """Return which of these cells define one of these names."""
    return [i for i, source in enumerate(sources) if bound(source) & names]
