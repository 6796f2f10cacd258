"""Your Falcon: `my_falcon.py`, a file of the learner's own, becomes a Falcon part by part.

    your_falcon.start()        # puts my_falcon.py into this folder, once
    your_falcon.draw()         # the parts: grey is the package's, green is yours
    your_falcon.show("norm")   # what the check says of a part, and the picture of the whole
    your_falcon.load()         # the Falcon that it is by now: `.write("Once upon a time")`

At first every function in the file hands its work to the package (`package.py`), and the model
writes. Whatever a learner has put in its place is run, and compared with the package's.
"""

import math
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType

from falcon_edu import plots
from falcon_edu.course.your_falcon import stubs
from falcon_edu.course.your_falcon.checks import CHECKS
from falcon_edu.course.your_falcon.falcon import Falcon
from falcon_edu.course.your_falcon.parity import NAMES, PROMPT, parity_of

FILE = "my_falcon.py"


@dataclass(frozen=True)
class Part:
    """A part of the model: the notebook that it belongs to, and its functions in the file."""

    name: str
    notebook: str
    functions: tuple[str, ...]


PARTS = (
    Part("tokenizer", "01_tokens_and_embeddings", ("encode", "decode")),
    Part("norm", "02_residual_stream_and_layer_norm", ("norm",)),
    Part("attention", "03_self_attention", ("attention",)),
    Part("positions", "04_positions", ("alibi_bias",)),
    Part("block", "05_decoder_block", ("gelu", "block")),
    Part("backbone", "06_backbone", ("backbone",)),
    Part("cache", "07_generation", ("step",)),
    Part("sampler", "07_generation", ("sampler",)),
    Part("weights", "08_presets", ("read_tensor",)),
)


@dataclass(frozen=True)
class Standing:
    """Hold where a part stands.

    Args:
        part: the part.
        is_own: whether there is code of the learner's in it.
        message: what is wrong with that; empty where nothing is.
        distance: how far it is from the package's, where a shipped Falcon calls it.
    """

    part: Part
    is_own: bool
    message: str = ""
    distance: float = 0.0

    @property
    def state(self) -> str:
        """Return "package", "yours" or "not yet"."""
        return "not yet" if self.message else "yours" if self.is_own else "package"

    @property
    def number(self) -> str:
        """Return the distance as it is shown: "2e-07"."""
        if not self.is_own or math.isinf(self.distance):
            return ""
        return f"{self.distance:.0e}" if 0 < self.distance < 0.001 else f"{self.distance:.2g}"


# === The learner's file ===


def start(folder="."):
    """Put `my_falcon.py` into a folder. One that is there already stays as it is.

    Args:
        folder: the folder that you work in, as a rule that of the notebooks.
    """
    try:
        with open(Path(folder) / FILE, "x", encoding="utf-8") as file:
            file.write(Path(stubs.__file__).read_text(encoding="utf-8"))
    except FileExistsError:
        print(f"{FILE} is there already, and stays as it is.")
    else:
        print(f"{FILE} is there now. It is yours: nothing will write into it again.")


def functions(folder="."):
    """Return the functions of `my_falcon.py`, or of its beginning where there is no such file.

    Args:
        folder: where the file is.

    Raises:
        ValueError: a function is missing.
        Exception: whatever the file itself raises.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        return stubs
    # Not by an import: that would keep the old file in mind, and write into the folder.
    module = ModuleType(path.stem)
    module.__file__ = str(path)
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), vars(module))
    if missing := [name for name in NAMES if not callable(getattr(module, name, None))]:
        raise ValueError(
            f"{FILE} has no function {missing[0]}. Its beginning is in falcon_edu.course."
            "your_falcon.stubs: copy it from there, or write your own."
        )
    return module


def load(folder="."):
    """Return the Falcon of `my_falcon.py`, with the weights of `falcon_tales_rw_en`.

    Args:
        folder: where the file is.

    Example:

    >>> falcon = load()
    >>> falcon.write("Mia and Tom were old", tokens=1, p=0.01)
    'Mia and Tom were old friends'
    """
    return Falcon(functions(folder))


# === Where one stands ===


def standings(module) -> list[Standing]:
    """Return where each part stands.

    Args:
        module: from `functions`.
    """
    return [_standing(part, module) for part in PARTS]


def _standing(part, module):
    answers = {name: getattr(module, name) for name in part.functions}
    own = {name: answer for name, answer in answers.items() if is_own(answer)}
    if not own:
        return Standing(part, is_own=False)
    message = ""
    for name, answer in answers.items():
        verdict = CHECKS[name].grade(answer)
        if name not in own:
            message = message or f"`{name}` is still the package's."
        elif not verdict.is_right:
            message = f"`{name}`: {verdict.message}"
    distance = max(parity_of(name, answer) for name, answer in own.items())
    return Standing(part, True, message, distance)


def is_own(function) -> bool:
    """True if a function does not hand its work to the package.

    >>> is_own(stubs.norm), is_own(lambda x: x)
    (False, True)
    """
    code = getattr(function, "__code__", None)
    return code is None or "package" not in set(_names(code))


def _names(code):
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def draw(folder="."):
    """Return a picture of the model as it is: green parts are the learner's own.

    Args:
        folder: where `my_falcon.py` is.
    """
    return _drawn(standings(functions(folder)))


def show(part=None, folder="."):
    """Say what the check finds in a part, write with the model as it is, and draw it.

    Args:
        part: name of a part; without one, all that are begun.
        folder: where `my_falcon.py` is.

    Returns:
        The picture, as a Figure; `None` as long as there is no such file.

    Raises:
        ValueError: there is no such part.
    """
    known = [each.name for each in PARTS]
    if part not in [None, *known]:
        raise ValueError(f"The parts are {', '.join(known)}. Received: {part!r}")
    module = functions(folder)
    if module is stubs:
        print(f"There is no {FILE} here yet: your_falcon.start() makes one.")
        print(f"Until then the model is all the package's, and writes:\n{written(module)}")
        return None
    found = standings(module)
    for standing in found:
        if standing.part.name == part or (part is None and standing.is_own):
            _report(standing, module)
    mine = sum(standing.state == "yours" for standing in found)
    print(f"{mine} of the {len(PARTS)} parts are yours. With them, the model writes:")
    print(written(module))
    return _drawn(found)


def _drawn(found):
    states = {standing.part.name: (standing.state, standing.number) for standing in found}
    return plots.falcon_diagram(states, title="Your Falcon").figure


def _report(standing, module):
    """Let the checks of a part speak."""
    for name in standing.part.functions:
        answer = getattr(module, name)
        if not is_own(answer):
            print(f"{name}: the package's.")
            continue
        print(f"{name}: ", end="")
        CHECKS[name](answer)
    if standing.state == "yours":
        print(f"From the package's: {standing.number}.")


def written(module) -> str:
    """Return how the model goes on with the prompt, or why it can't.

    Args:
        module: from `functions`.
    """
    try:
        return Falcon(module).write(PROMPT, tokens=24)
    except Exception as error:
        line = next(
            (
                f" (line {at.lineno}: {at.line})"
                for at in reversed(traceback.extract_tb(error.__traceback__))
                if Path(at.filename).name == FILE
            ),
            "",
        )
        return f"nothing. {type(error).__name__}: {error}{line}"


def main(folder=".", begin=False):
    """Print where one stands; return the exit status.

    Args:
        folder: where `my_falcon.py` is, or shall be.
        begin: whether to put one there first.
    """
    if begin:
        start(folder)
    path = Path(folder) / FILE
    if not path.is_file():
        print(f"There is no {FILE} here. To make one: python -m falcon_edu my-falcon --start")
        return 1
    try:
        module = functions(folder)
    except Exception as error:
        at = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        print(f"{FILE}{at}: {type(error).__name__}: {error}")
        return 1
    found = standings(module)
    for each in found:
        said = {"package": "the package's", "yours": f"yours, {each.number} from the package's"}
        print(f"{each.part.notebook[:2]}  {each.part.name:10} ", end="")
        print(said.get(each.state, f"not yet: {each.message}"))
    print(f"\n{written(module)}\n")
    left = [each.part for each in found if each.state != "yours"]
    print(f"Next: {left[0].name}, notebooks/{left[0].notebook}.ipynb" if left else "All yours.")
    return 0
