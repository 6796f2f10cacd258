"""Join JavaScript modules into one: for a page that is one file, its worker, and a notebook."""

import re
from pathlib import Path

IMPORT = re.compile(r'^import \{([^}]*)\} from "(\.[^"]*)";$', re.MULTILINE)
EXPORT = re.compile(r"^export ((?:async )?(?:function\*?|const|class) (\w+))", re.MULTILINE)
OTHER = re.compile(r"^(import|export)\b.*$|\bimport\(|\bimport\.meta\b", re.MULTILINE)


def bundle(entry):
    """Return a script that does what a module does, with all modules that it imports inside.

    Each module becomes a function that gives its exports, and they stand in the order in which
    they need each other. A page of a file has no address that modules could be imported from.

    Args:
        entry: path of a module, written as those of this package are: `import { a, b } from` a
            relative path in front, and `export` before a function, a constant or a class.

    Returns:
        The script, which needs no module type.

    Raises:
        ValueError: a module imports or exports in another way.

    Example:

    >>> import tempfile, pathlib
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "one.js").write_text("export const one = 1;")
    >>> _ = (folder / "main.js").write_text('import { one } from "./one.js";\\nprint(one + 1);')
    >>> print(bundle(folder / "main.js"))
    const module_0 = (() => {
    const one = 1;
    return { one };
    })();
    const module_1 = (() => {
    const { one } = module_0;
    print(one + 1);
    return {  };
    })();
    """
    names: dict[Path, str] = {}
    functions: list[str] = []

    def add(path):
        if path in names:
            return names[path]
        source = path.read_text(encoding="utf-8")

        def bound(found):
            taken, relative = found.groups()
            name = add((path.parent / relative).resolve())
            return f"const {{{re.sub(r' as ', ': ', taken)}}} = {name};"

        body = EXPORT.sub(r"\1", IMPORT.sub(bound, source))
        if other := OTHER.search(body):
            raise ValueError(f"A bundle has no place for `{other.group()}` in {path.name}.")
        names[path] = f"module_{len(names)}"
        exports = ", ".join(name for _, name in EXPORT.findall(source))
        functions.append(
            f"const {names[path]} = (() => {{\n{body.rstrip()}\nreturn {{ {exports} }};\n}})();"
        )
        return names[path]

    add(Path(entry).resolve())
    return "\n".join(functions)


def bundle_module(entry):
    """Return a module whose default export is an object of what a module exports.

    Args:
        entry: as in `bundle`.

    Example:

    >>> import tempfile, pathlib
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "one.js"
    >>> _ = file.write_text("export const one = 1;")
    >>> print(bundle_module(file).splitlines()[-1])
    export default module_0;
    """
    script = bundle(entry)
    *_, last = re.findall(r"^const (module_\d+) = ", script, re.MULTILINE)
    return f"{script}\nexport default {last};"
