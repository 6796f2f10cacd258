"""HDF5 files of strangers: what is in them is looked at, and nothing leads out of them."""

import math
from contextlib import contextmanager
from pathlib import Path

import h5py

LINKS = {h5py.SoftLink: "a soft link", h5py.ExternalLink: "an external link"}
# What h5py raises where a file is broken; it has no class of its own.
MOST_MEMBERS = 20_000  # groups and datasets: Falcon-180B has some 3,000, and each costs 20 KB
MOST_DEPTH = 20
BROKEN = (AttributeError, KeyError, OSError, RuntimeError, TypeError, ValueError)


class Refusal(ValueError):
    """A file that may be whole, but does what a file of weights has no reason to do."""


@contextmanager
def open_datasets(path):
    """The datasets of a file, while the block lasts: none is read before it is asked for.

    Args:
        path: path of the file.

    Returns:
        Dictionary of path inside the file to `h5py.Dataset`, and the texts of the file itself, of
        those that have a fixed length.

    Raises:
        ValueError: the file is broken, or holds links, a loop, or data that is compressed or lies
            elsewhere.

    Example:

    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/a.h5"
    >>> with h5py.File(path, "w") as file:
    ...     file["layers/kernel"] = [1.0, 2.0]
    >>> with open_datasets(path) as (datasets, _):
    ...     print({name: dataset.shape for name, dataset in datasets.items()})
    {'layers/kernel': (2,)}
    """
    try:
        file = h5py.File(path, "r")
    except BROKEN as error:
        raise ValueError(f"{path} is no whole HDF5 file: {error}") from None
    with file:
        try:
            found = _datasets(file, path), _texts(file)
        except Refusal:
            raise
        except BROKEN as error:
            raise ValueError(f"{path} is no whole HDF5 file: {error}") from None
        yield found


def _datasets(file, path):
    """All datasets below a file's root; whatever could lead elsewhere is refused."""
    datasets, open_groups, seen, members = {}, [("", file)], set(), 0
    while open_groups:
        prefix, group = open_groups.pop()
        if group.id in seen:
            raise Refusal(f"{path} is refused: {group.name} is there under two names.")
        seen.add(group.id)
        for name in group:
            inner = f"{prefix}{name}"
            members += 1
            if members > MOST_MEMBERS or inner.count("/") > MOST_DEPTH:
                raise Refusal(f"{path} is refused: it has far more groups than weights need.")
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                what = LINKS.get(type(link), "a link of an unknown kind")
                raise Refusal(f"{path} is refused: {inner} is {what}.")
            member = group[name]
            if isinstance(member, h5py.Group):
                open_groups.append((f"{inner}/", member))
            else:
                _check_dataset(member, f"{path} is refused: {inner} is")
                datasets[inner] = member
    return datasets


def _texts(file):
    """The attributes that are texts of a fixed length.

    Where it is not fixed, libhdf5 believes what a file says of it, and may take gigabytes.
    """
    texts = {}
    for name in file.attrs:
        kind = file.attrs.get_id(name).get_type()
        if isinstance(kind, h5py.h5t.TypeStringID) and not kind.is_variable_str():
            texts[name] = bytes(file.attrs[name]).decode()
    return texts


def _check_dataset(member, refused):
    if not isinstance(member, h5py.Dataset) or member.external or member.is_virtual:
        raise Refusal(f"{refused} no plain dataset.")
    if member.shape is None:
        raise Refusal(f"{refused} without a shape.")
    # A few bytes can unpack to gigabytes, before anyone knows. Keras does not compress weights.
    if member.id.get_create_plist().get_nfilters():
        raise Refusal(f"{refused} compressed, or stored in another way than Keras stores weights.")
    if member.id.get_storage_size() < math.prod(member.shape) * member.dtype.itemsize:
        raise Refusal(f"{refused} of shape {member.shape}, but has fewer bytes in the file.")


def close_files_in(folder):
    """Close the files of a folder that a writer that was broken off has left open.

    As long as they are open, the room on the disk that they take is not free, even where they are
    removed.

    Args:
        folder: path of the folder.
    """
    for number in h5py.h5f.get_obj_ids(h5py.h5f.OBJ_ALL, h5py.h5f.OBJ_FILE):
        file = h5py.File(number)
        if Path(file.filename).is_relative_to(folder):
            file.close()
