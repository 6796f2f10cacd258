"""The versions of Python and of the packages, against what the package asks for."""

import platform
import sys
from importlib import metadata
from pathlib import Path

from falcon_edu.course.doctor.finding import Finding

SHOWN = ("keras", "jax", "numpy", "matplotlib", "tokenizers")


def look_at_python():
    """Check the interpreter, which must be one that the package was tested on."""
    text = f"{platform.python_version()} on {platform.system()}, {platform.machine()}"
    if (3, 11) <= sys.version_info < (3, 14):
        return Finding(text)
    return Finding(text, "use Python 3.11, 3.12 or 3.13", is_ready=False)


def look_at_package():
    """Name this package and where it lies: is it the one that was meant?"""
    return Finding(f"{metadata.version('falcon_edu')} in {Path(__file__).parents[2]}")


def look_at_packages(wanted=None):
    """Compare what the package needs with what is installed.

    Args:
        wanted: requirement lines; `None` for those of the package.

    Example:

    >>> look_at_packages(["numpy<1", "no_such_package>=3"]).advice
    "pip install 'numpy<1' 'no_such_package>=3'"
    """
    from packaging.requirements import Requirement

    lines = metadata.requires("falcon_edu") if wanted is None else wanted
    needed = [Requirement(line) for line in lines or ()]
    needed = [r for r in needed if r.marker is None or r.marker.evaluate({"extra": ""})]
    found = {r.name: installed(r.name) for r in needed}
    wrong = [
        r
        for r in needed
        if found[r.name] is None or not r.specifier.contains(found[r.name], prereleases=True)
    ]
    if wrong:
        text = ", ".join(f"{r.name} is {found[r.name] or 'missing'}" for r in wrong)
        install = " ".join(f"'{r.name}{r.specifier}'" for r in wrong)
        return Finding(text, f"pip install {install}", is_ready=False)
    return Finding(", ".join(f"{name} {found[name]}" for name in SHOWN if name in found))


def installed(name):
    """Return the version of an installed package, or `None`.

    >>> installed("no_such_package") is None
    True
    """
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
