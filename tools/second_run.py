"""Find cells that read a name which a later cell has given to something else.

Such a cell works on the way down and fails, or shows another thing, when the reader comes back to
it after the last one. Names are read from the source, so no kernel is needed.

    python -m tools.second_run notebooks/03_self_attention.ipynb
"""

import ast
import builtins
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat


class _Names(ast.NodeVisitor):
    """The names that a cell binds for others, and those that it reads before it binds them."""

    def __init__(self):
        self.bound: set[str] = set()
        self.read: set[str] = set()
        self.local: list[set[str]] = []

    def visit_Name(self, node):
        if isinstance(node.ctx, ast.Load):
            if not any(node.id in names for names in self.local) and node.id not in self.bound:
                self.read.add(node.id)
        elif self.local:
            self.local[-1].add(node.id)
        else:
            self.bound.add(node.id)

    def visit_Assign(self, node):
        self.visit(node.value)
        for target in node.targets:
            self.visit(target)

    def visit_AugAssign(self, node):
        if isinstance(node.target, ast.Name):
            self.visit(ast.Name(node.target.id, ast.Load()))
        self.visit(node.value)
        self.visit(node.target)

    def visit_For(self, node):
        self.visit(node.iter)
        self.visit(node.target)
        for each in [*node.body, *node.orelse]:
            self.visit(each)

    def visit_Import(self, node):
        for alias in node.names:
            (self.local[-1] if self.local else self.bound).add(
                (alias.asname or alias.name).partition(".")[0]
            )

    visit_ImportFrom = visit_Import

    def visit_FunctionDef(self, node):
        (self.local[-1] if self.local else self.bound).add(node.name)
        for each in [
            *node.decorator_list,
            *node.args.defaults,
            *filter(None, node.args.kw_defaults),
        ]:
            self.visit(each)
        self._inside(node.args, node.body)

    def visit_Lambda(self, node):
        for each in [*node.args.defaults, *filter(None, node.args.kw_defaults)]:
            self.visit(each)
        self._inside(node.args, [node.body])

    def _inside(self, arguments, body):
        named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        named += filter(None, (arguments.vararg, arguments.kwarg))
        own = {argument.arg for argument in named}
        for statement in body:  # a name bound anywhere in a function is its own everywhere
            own |= {
                each.id
                for each in ast.walk(statement)
                if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
            }
        self.local.append(own)
        for statement in body:
            self.visit(statement)
        self.local.pop()

    def visit_ClassDef(self, node):
        (self.local[-1] if self.local else self.bound).add(node.name)
        for each in [*node.bases, *node.decorator_list]:
            self.visit(each)
        self.local.append({"__class__"})
        for each in node.body:
            self.visit(each)
        self.local.pop()

    def _comprehension(self, node):
        self.local.append(set())
        for generator in node.generators:
            self.visit(generator.iter)
            self.visit(generator.target)
            for condition in generator.ifs:
                self.visit(condition)
        for part in ("elt", "key", "value"):
            if hasattr(node, part):
                self.visit(getattr(node, part))
        self.local.pop()

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension


def names(source: str) -> tuple[set[str], set[str]]:
    """Return the names that a cell binds, and those that it reads from cells before it.

    Args:
        source: Python, perhaps with magics.

    >>> names("x = y + 1\\nprint(x)")
    ({'x'}, {'y'})
    """
    plain = re.sub(r"(?m)^(\s*)[%!].*", r"\1pass", source)
    visitor = _Names()
    visitor.visit(ast.parse(plain))
    return visitor.bound, visitor.read - set(vars(builtins))


def reused(sources: list[str]) -> Iterator[str]:
    """Yield each cell that reads a name of a cell before it which a later cell gives away.

    Args:
        sources: of the code cells, in order.

    >>> list(reused(["x = 1", "print(x)", "x = 'one'"]))
    ['code cell 1 reads x of code cell 0, but code cell 2 gives the name to something else']
    """
    cells = [names(source) for source in sources]
    for here, (bound, read) in enumerate(cells):
        for name in sorted(read):
            binding = [at for at, (others, _) in enumerate(cells) if name in others]
            before = [at for at in binding if at < here]
            later = [at for at in binding if at > here or (at == here and name in bound)]
            if before and later:
                yield (
                    f"code cell {here} reads {name} of code cell {before[-1]}, but code cell "
                    f"{later[-1]} gives the name to something else"
                )


def check(path: Path) -> list[str]:
    """Return what is wrong with a notebook."""
    cells = nbformat.read(path, as_version=4).cells
    return list(reused([cell.source for cell in cells if cell.cell_type == "code"]))


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(name, *check(Path(name)), sep="\n    ")
