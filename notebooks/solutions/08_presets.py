"""Solutions to notebook 08: presets."""

import json
import pickletools

import numpy as np


# 8.1: Names are sets: what is wanted and not found is missing, and the other way round it is
# unexpected. Shapes can be compared only for names that are in both. Comparing how many numbers
# there are isn't enough: a transposed matrix has as many.
def compare(wanted, found):
    both = wanted.keys() & found.keys()
    return {
        "missing": sorted(wanted.keys() - found.keys()),
        "unexpected": sorted(found.keys() - wanted.keys()),
        "misshapen": sorted(name for name in both if wanted[name] != found[name]),
    }


# 8.2: The first eight bytes give the length of the header, so the numbers begin at 8 plus that,
# and the offsets count from there. `<` says that the lowest byte comes first, as in every such
# file, whatever machine reads it. `np.frombuffer` makes a row of numbers; the shape from the
# header makes the tensor.
def read_tensor(data, name):
    begin = 8 + int.from_bytes(data[:8], "little")
    entry = json.loads(data[8:begin])[name]
    first, last = entry["data_offsets"]
    dtype = {"F32": "<f4", "F16": "<f2"}[entry["dtype"]]
    return np.frombuffer(data[begin + first : begin + last], dtype).reshape(entry["shape"])


# 8.3: `resolve` follows links and dots, so what is compared is where the file and the folder
# really are; an absolute `name` takes the place of the folder, and is found outside. Looking for
# `..` in the name lets links and absolute paths pass, and refuses a file called `b..bin`.
# Comparing the paths as texts takes `/my_falcon_2` for a part of `/my_falcon`.
def is_inside(folder, name):
    return (folder / name).resolve().is_relative_to(folder.resolve())


# 8.4: `genops` reads the instructions and carries out none; `pickle.loads` would be the very
# thing to avoid. `GLOBAL` has module and name in one argument, and `STACK_GLOBAL` takes the last
# two texts from the stack. Whoever looks for `GLOBAL` alone finds nothing in a pickle of today,
# for Python now writes the other.
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
