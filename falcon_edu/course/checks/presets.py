"""Checks of notebook 08: what a preset holds, and what a loader must refuse."""

import collections
import json
import math
import pickle
import tempfile
from pathlib import Path

from falcon_edu.course.checks.exercise import exercise, expect, expect_close, given

import numpy as np


@exercise(
    wants="a dictionary of three lists",
    nudge="Names can be subtracted and intersected like sets. Which of the two is it each time?",
    hint="`wanted.keys() - found.keys()` are the missing names; `sorted` makes a list of them.",
    praise="All in one answer, so that whoever made the file can mend it in one go.",
)
def compare(answer):
    """Exercise 8.1."""
    wanted = {"norm": (8,), "kernel": (8, 4), "bias": (4,), "table": (9, 8)}
    found = {"table": (9, 8), "kernel": (4, 8), "gate": (8,), "extra": (2, 2), "bias": (4,)}
    got = given(answer(dict(wanted), dict(found)))
    keys = ("missing", "unexpected", "misshapen")
    expect(
        isinstance(got, dict) and set(got) == set(keys),
        f"a dictionary with the keys {', '.join(keys)} should be returned, but yours is {got!r}.",
    )
    expect(
        all(isinstance(names, list) for names in got.values()), "the names should stand in lists."
    )
    expect(
        got["missing"] != ["extra", "gate"],
        "missing is what is wanted and not found; yours is the other way round.",
    )
    expect(
        sorted(got["misshapen"]) != ["extra", "gate", "kernel"],
        "a name that is not wanted has no wanted shape: it is unexpected, not misshapen.",
    )
    expect(
        "norm" not in got["misshapen"],
        "a name that is not found has no shape: it is missing, not misshapen.",
    )
    expect(
        got["misshapen"] != [],
        "the kernel is (8, 4) or (4, 8): as many numbers, but not the same shape.",
    )
    rights = {"missing": ["norm"], "unexpected": ["extra", "gate"], "misshapen": ["kernel"]}
    for key in keys:
        expect(
            got[key] == rights[key],
            f"{key} should be {rights[key]}, sorted, but yours is {got[key]}.",
        )
    got = answer({"scale": (3,)}, {"scale": (3,)})
    expect(
        got == {key: [] for key in keys},
        f"where all fits there should be three empty lists, but yours is {got}.",
    )


def _safetensors(tensors):
    """Return the bytes of a file, its header padded with spaces as the library does."""
    codes, header, start = {"float32": "F32", "float16": "F16"}, {}, 0
    for name, tensor in tensors.items():
        offsets = [start, start + tensor.nbytes]
        code = codes[tensor.dtype.name]
        header[name] = {"dtype": code, "shape": list(tensor.shape), "data_offsets": offsets}
        start = offsets[1]
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + b"".join(t.tobytes() for t in tensors.values())


@exercise(
    wants="an array of the shape in the header",
    nudge="Where in the file do the numbers begin, and from where do the offsets count?",
    hint="The numbers begin at `8 + length`. Cut `data[begin + first : begin + last]`, give it to "
    '`np.frombuffer` with `dtype="<f4"` or `"<f2"`, and `reshape`.',
    praise="Nothing in this file was run, only read.",
)
def read_tensor(answer):
    """Exercise 8.2."""
    first = np.arange(6, dtype="float32").reshape(2, 3) / 4
    second = np.array([[0.5, -2], [3, 4]], "float16")
    data = _safetensors({"first": first, "second": second})

    def ask(name):
        try:
            return answer(data, name)
        except ValueError as error:  # NumPy's, of bytes or shapes that do not fit
            expect(False, f"NumPy could not make the tensor {name!r} of these bytes: {error}.")

    got = ask("first")
    expect(got is not None, "nothing was returned.")
    numbers = np.asarray(got)
    expect(
        numbers.shape != (6,), "the numbers are in a row; the shape is in the header: `reshape`."
    )
    if numbers.shape == first.shape:
        expect(
            not np.array_equal(numbers, first.byteswap()),
            "the numbers are little-endian: the lowest byte comes first.",
        )
        swapped = np.array_equal(numbers, first.reshape(3, 2).T)
        expect(not swapped, "the numbers run along the rows, not along the columns.")
        expect(
            np.allclose(numbers, first, equal_nan=False),
            "these are the wrong bytes: the offsets count from the end of the header, which is at "
            f"8 + {int.from_bytes(data[:8], 'little')}.",
        )
    expect_close(numbers, first, 'the tensor "first", of type F32,')
    expect_close(ask("second"), second, 'the tensor "second", of type F16,')


@exercise(
    wants="true or false",
    nudge="Names deceive. Where does the path really lead, once links and dots are followed?",
    hint="Resolve both, the folder and the file in it, then ask "
    "`path.is_relative_to(folder)`, which compares whole names.",
    praise="A loader asks this before it opens anything.",
)
def is_inside(answer):
    """Exercise 8.3."""
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary).resolve()
        folder = root / "preset"
        for path in ("preset/deep/a.bin", "preset/b..bin", "preset_2/c.bin", "d.bin"):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(b"")
        cases = [
            ("deep/a.bin", True, "a file in a folder below is inside."),
            (
                "deep/../b..bin",
                True,
                "dots that come back, or stand in a name, do no harm.",
            ),
            ("../d.bin", False, "`../d.bin` leaves the folder."),
            ("deep/../../d.bin", False, "`deep/../../d.bin` leaves the folder in the end."),
            (str(root / "d.bin"), False, "an absolute path leads to where it says."),
            (str(folder / "b..bin"), True, "an absolute path may lead to a file inside."),
            ("../preset_2/c.bin", False, "`preset_2` only begins like `preset`: it is elsewhere."),
        ]
        try:
            (folder / "link.bin").symlink_to(root / "d.bin")
            (root / "way").symlink_to(folder, target_is_directory=True)
            cases.append(("link.bin", False, "a link in the folder leads to a file outside it."))
        except OSError:  # a system where not everyone may make links
            pass
        for name, wanted, why in cases:
            got = answer(folder, name)
            expect(got is not None, "nothing was returned.")
            expect(np.ndim(got) == 0, "true or false is asked for.")
            expect(bool(got) == wanted, why)
        if (root / "way").exists():
            expect(
                answer(root / "way", "b..bin"),
                "the folder itself may be reached through a link; then its files are inside still.",
            )


_ran: list[str] = []


def _trap():
    _ran.append("ran")


class _Trap:
    def __reduce__(self):
        return _trap, ()


@exercise(
    wants='a list of strings, such as ["builtins.print"]',
    nudge="Print the instructions of a small pickle. Which of them carry the two parts of a name?",
    hint="`for instruction, argument, _ in pickletools.genops(stored)`: remember the arguments of "
    "instructions that end with `UNICODE`, and look for the two names.",
    praise="This is how scanners of model hubs look at pickles.",
)
def names_in(answer):
    """Exercise 8.4."""
    _ran.clear()
    got = answer(pickle.dumps(_Trap(), protocol=2))
    expect(not _ran, "the pickle ran while you looked at it! `pickletools.genops` only reads it.")
    expect(got is not None, "nothing was returned.")
    own = f"{_trap.__module__}.{_trap.__name__}"
    expect(
        list(got) != [own.replace("._trap", " _trap")],
        "module and name should be joined by a dot, not by a space.",
    )
    expect(list(got) == [own], f"this pickle asks for {[own]}, but yours is {got}.")
    got = answer(pickle.dumps([_trap, _Trap()], protocol=4))
    expect(not _ran, "the pickle ran while you looked at it!")
    expect(list(got) != [], "a newer pickle asks by STACK_GLOBAL; you found nothing in it.")
    expect(list(got) == [own], f"this newer pickle asks for {[own]}, but yours is {got}.")
    things = [math.sqrt, "harmless words", collections.OrderedDict, math.sqrt]
    wanted = ["collections.OrderedDict", "math.sqrt"]
    for protocol in (2, 4):
        got = answer(pickle.dumps(things, protocol))
        expect(
            list(got) == wanted,
            f"a pickle of protocol {protocol} that asks for math.sqrt, then an OrderedDict, and "
            f"holds a text should give {wanted}, but yours is {got}.",
        )
