"""`python -m falcon_edu doctor`: whether this machine is ready for the course, in ten lines."""

from pathlib import Path

from falcon_edu.course.doctor import machine, reach, versions
from falcon_edu.course.doctor.finding import Finding
from falcon_edu.storage.strangers import quoted

__all__ = ["CHECKS", "Finding", "main"]

CHECKS = {
    "python": versions.look_at_python,
    "falcon_edu": versions.look_at_package,
    "packages": versions.look_at_packages,
    "backend": machine.look_at_backend,
    "memory": machine.look_at_memory,
    "disk": machine.look_at_disk,
    "model": machine.look_at_model,
    "widgets": reach.look_at_widgets,
    "hubs": reach.look_at_hubs,
}
FIRST = Path("notebooks/00_welcome.ipynb")
ANEW = "in a new environment, pip install git+https://github.com/falcon-edu/falcon_edu"


def main(checks=None):
    """Print a line for each check, and a verdict.

    Args:
        checks: `{name: function that returns a Finding}`; `None` for all.

    Returns:
        The exit status: 0 if the machine is ready, 1 if something must change.

    Example:

    >>> main({"disk": lambda: Finding("0.1 GB free", "make room", is_ready=False)})
    NO   disk        0.1 GB free: make room
    Not ready. Do what is said above (disk), then run this again.
    1
    """
    checks = CHECKS if checks is None else checks
    missing = []
    for name, look in checks.items():
        try:
            finding = look()
        except Exception as error:  # whatever is broken, the other lines are worth having
            reason = str(error).strip().partition("\n")[0]
            finding = Finding(f"{type(error).__name__}: {reason}", ANEW, is_ready=False)
        print(finding.line(name), flush=True)
        if not finding.is_ready:
            missing.append(name)
    if missing:
        print(f"Not ready. Do what is said above ({', '.join(missing)}), then run this again.")
        return 1
    if FIRST.is_file():  # in a copy of the repository
        print(f"Ready. Begin the course with: jupyter lab {quoted(FIRST)}")
    else:
        print("Ready. `python -m falcon_edu notebooks ./here` copies the course.")
    return 0
