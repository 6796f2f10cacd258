"""One line of the doctor's report."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """Say what was found, and what to do about it.

    Attributes:
        text: what was found.
        advice: what to do, where something could be better.
        is_ready: whether the course runs all the same.
    """

    text: str
    advice: str = ""
    is_ready: bool = True

    def line(self, name):
        """Return the finding as it is printed.

        >>> Finding("0.5 GB free", "close other programs", is_ready=False).line("memory")
        'NO   memory      0.5 GB free: close other programs'
        """
        mark = "NO" if not self.is_ready else "note" if self.advice else "ok"
        return f"{mark:4} {name:11} {self.text}" + (f": {self.advice}" if self.advice else "")
