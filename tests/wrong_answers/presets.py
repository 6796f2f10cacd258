"""Plausible wrong answers to the exercises of notebook 08."""

import json
import os
import pickle
import pickletools
from pathlib import Path

import numpy as np


def three(missing, unexpected, misshapen):
    return {
        "missing": sorted(missing),
        "unexpected": sorted(unexpected),
        "misshapen": sorted(misshapen),
    }


def swapped(wanted, found):
    both = wanted.keys() & found.keys()
    bad = [name for name in both if wanted[name] != found[name]]
    return three(found.keys() - wanted.keys(), wanted.keys() - found.keys(), bad)


def counts_numbers(wanted, found):
    both = wanted.keys() & found.keys()
    bad = [name for name in both if np.prod(wanted[name]) != np.prod(found[name])]
    return three(wanted.keys() - found.keys(), found.keys() - wanted.keys(), bad)


def misshapen_too(wanted, found):
    bad = [name for name in found if wanted.get(name) != found[name]]
    return three(wanted.keys() - found.keys(), found.keys() - wanted.keys(), bad)


def missing_too(wanted, found):
    bad = [name for name in wanted if wanted[name] != found.get(name)]
    return three(wanted.keys() - found.keys(), found.keys() - wanted.keys(), bad)


def first_only(wanted, found):
    return {"missing": ["norm"], "unexpected": ["gate"], "misshapen": ["kernel"]}


def read(data, name, begin=None, order="C", shaped=True, types=("<f4", "<f2")):
    length = int.from_bytes(data[:8], "little")
    entry = json.loads(data[8 : 8 + length])[name]
    first, last = entry["data_offsets"]
    begin = 8 + length if begin is None else begin(length)
    numbers = np.frombuffer(data[begin + first : begin + last], types[entry["dtype"] == "F16"])
    return numbers.reshape(entry["shape"], order=order) if shaped else numbers


def pairs_of_names(stored, only=("GLOBAL",), join=True, run=False):
    if run:
        pickle.loads(stored)
    names, strings = [], []
    for instruction, argument, _ in pickletools.genops(stored):
        if instruction.name in only and argument:
            names.append(argument.replace(" ", ".") if join else argument)
        elif instruction.name in only:
            names.append(".".join(strings[-2:]))
        elif instruction.name.endswith("UNICODE"):
            strings.append(argument)
    return names


BOTH = ("GLOBAL", "STACK_GLOBAL")

WRONG = {
    "compare": {
        "missing and unexpected are exchanged": swapped,
        "compares the number of numbers": counts_numbers,
        "unexpected ones are misshapen too": misshapen_too,
        "missing ones are misshapen too": missing_too,
        "stops at the first": first_only,
    },
    "read_tensor": {
        "offsets from the start of the file": lambda data, name: read(data, name, lambda n: 0),
        "forgets the eight bytes": lambda data, name: read(data, name, lambda n: n),
        "no shape": lambda data, name: read(data, name, shaped=False),
        "along the columns": lambda data, name: read(data, name, order="F"),
        "big-endian": lambda data, name: read(data, name, types=(">f4", ">f2")),
        "always float32": lambda data, name: read(data, name, types=("<f4", "<f4")),
    },
    "is_inside": {
        "looks for dots": lambda folder, name: ".." not in name,
        "compares letters": lambda folder, name: str((folder / name).resolve()).startswith(
            str(folder.resolve())
        ),
        "does not follow dots": lambda folder, name: (folder / name).is_relative_to(folder),
        "does not follow links": lambda folder, name: Path(
            os.path.normpath(folder / name)
        ).is_relative_to(folder),
        "takes no absolute path": lambda folder, name: (
            not Path(name).is_absolute()
            and (folder / name).resolve().is_relative_to(folder.resolve())
        ),
        "does not follow the folder": lambda folder, name: (
            (folder / name).resolve().is_relative_to(folder)
        ),
        "only the folder itself": lambda folder, name: (
            (folder / name).resolve().parent == folder.resolve()
        ),
    },
    "names_in": {
        "runs it": lambda stored: sorted(set(pairs_of_names(stored, BOTH, run=True))),
        "old pickles only": lambda stored: sorted(set(pairs_of_names(stored))),
        "leaves the space": lambda stored: sorted(set(pairs_of_names(stored, BOTH, join=False))),
        "neither sorted nor once": lambda stored: pairs_of_names(stored, BOTH),
    },
}
