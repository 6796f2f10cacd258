"""Show the code of a part of the package, as it stands in its file."""

import ast
import inspect
import textwrap
from collections.abc import Callable


def show(part: Callable) -> None:
    """Print the code of a function or a method, without its docstring.

    Args:
        part: such as `falcon_edu.dot_product_attention`.

    Example:

    >>> from falcon_edu.model.attention import masked_softmax
    >>> show(masked_softmax)
    def masked_softmax(scores, mask):
        # A large finite number: with -inf, a row that sees nothing would be 0 / 0.
        scores = ops.where(mask, scores, -1e30)
        return ops.where(mask, ops.softmax(scores, axis=-1), 0.0)
    """
    code = textwrap.dedent(inspect.getsource(part))
    (function,) = ast.parse(code).body
    assert isinstance(function, ast.FunctionDef)
    lines = code.rstrip().splitlines()
    if ast.get_docstring(function):
        del lines[function.body[0].lineno - 1 : function.body[0].end_lineno]
    print("\n".join(lines))
