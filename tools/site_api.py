"""The pages of the site's reference: what is public, in the order in which data flows."""

import inspect
from importlib import import_module
from types import ModuleType

import falcon_edu

LOOK = "   :members:\n   :exclude-members: set\n   :show-inheritance:\n"  # matplotlib makes `set`


def pages() -> dict[str, str]:
    """Return the text of every page of the reference, by its path."""
    modules = list(dict.fromkeys(falcon_edu._MODULES))
    return {f"reference/{name}.rst": page(name) for name in modules}


def page(name: str) -> str:
    """One module: what it says of itself, then each public name."""
    module = import_module(f"falcon_edu.{name}")
    entries = [entry(of, member) for of, member in members(name, module)]
    title = f"{name}\n{'=' * len(name)}\n"
    return "\n".join([title, f".. automodule:: {module.__name__}\n   :no-members:\n", *entries])


def members(name: str, module: ModuleType) -> list[tuple[str, str]]:
    """Return the public names of a module, and where a user finds each."""
    if names := falcon_edu._HOMES.get(name):
        return [("falcon_edu", member) for member in names]
    public = getattr(module, "__all__", None) or [
        member
        for member, value in vars(module).items()
        if not member.startswith("_")
        and getattr(value, "__module__", None) == module.__name__
        and inspect.getdoc(value)
    ]
    return [(module.__name__, member) for member in public]


def entry(of: str, member: str) -> str:
    """Write the directive that tells Sphinx of a name.

    >>> print(entry("falcon_edu", "record"))
    .. autofunction:: falcon_edu.record
    <BLANKLINE>
    """
    value = getattr(import_module(of), member)
    if inspect.isclass(value):
        return f".. autoclass:: {of}.{member}\n{LOOK}"
    if inspect.isroutine(value):
        return f".. autofunction:: {of}.{member}\n"
    if inspect.ismodule(value):
        return f".. automodule:: {of}.{member}\n   :no-members:\n"
    text = f"A {type(value).__name__}"
    if isinstance(value, dict):
        text += f" with the keys {', '.join(f'`{key}`' for key in value)}"
    return f".. py:data:: {of}.{member}\n\n   {text}.\n"
