"""Solutions to notebook 08: presets."""

import json
import pickletools

import numpy as np


def compare(wanted, found):
    both = wanted.keys() & found.keys()
    return {
        "missing": sorted(wanted.keys() - found.keys()),
        "unexpected": sorted(found.keys() - wanted.keys()),
        "misshapen": sorted(name for name in both if wanted[name] != found[name]),
    }


def read_tensor(data, name):
    begin = 8 + int.from_bytes(data[:8], "little")
    entry = json.loads(data[8:begin])[name]
    first, last = entry["data_offsets"]
    dtype = {"F32": "<f4", "F16": "<f2"}[entry["dtype"]]
    return np.frombuffer(data[begin + first : begin + last], dtype).reshape(entry["shape"])


def is_inside(folder, name):
    return (folder / name).resolve().is_relative_to(folder.resolve())


def names_in(stored):
    names, strings = set(), []
    for instruction, argument, _ in pickletools.genops(stored):
        if instruction.name == "GLOBAL":
            names.add(argument.replace(" ", "."))
        elif instruction.name == "STACK_GLOBAL":
            names.add(".".join(strings[-2:]))
        elif instruction.name.endswith("UNICODE"):
            strings.append(argument)
    return sorted(names)
