"""HDF5 files of strangers: what is in them is looked at, and nothing leads out of them."""

import math
from contextlib import contextmanager
from pathlib import Path

from falcon_edu.storage.strangers import plain, refuse_pointer

import h5py

LINKS = {h5py.SoftLink: "a soft link", h5py.ExternalLink: "an external link"}
# What h5py raises where a file is broken; it has no class of its own.
MOST_MEMBERS = 8_000  # groups and datasets: Falcon-180B has some 3,000, and each costs 20 KB
MOST_DEPTH = 20
MOST_TEXT = 60_000  # bytes of an attribute; a larger one would not lie with its object either
BROKEN = (AttributeError, KeyError, OSError, RuntimeError, TypeError, ValueError)


class Refusal(ValueError):
    """A file that may be whole, but does what a file of weights has no reason to do."""


@contextmanager
def open_datasets(path, attribute=None):
    """Return the datasets of a file, while the block lasts: none is read before it is asked for.

    Args:
        path: path of the file.
        attribute: name of an attribute of the file itself, or `None`.

    Returns:
        Dictionary of path inside the file to `h5py.Dataset`, and the text of the attribute, or
        `None` if there is none.

    Raises:
        ValueError: the file is broken or a pointer of Git LFS, or holds links, a loop, data that is
            compressed or lies elsewhere, or something else than a short text as the attribute.

    Example:

    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/a.h5"
    >>> with h5py.File(path, "w") as file:
    ...     file["layers/kernel"] = [1.0, 2.0]
    >>> with open_datasets(path) as (datasets, _):
    ...     print({name: dataset.shape for name, dataset in datasets.items()})
    {'layers/kernel': (2,)}
    """
    refuse_pointer(path)
    try:
        file = h5py.File(path, "r")
    except BROKEN as error:
        raise ValueError(f"{path} is no whole HDF5 file: {plain(error, 200)}") from None
    with file:
        try:
            found = _datasets(file, path), attribute and _text(file, attribute, path)
        except Refusal:
            raise
        except BROKEN as error:
            raise ValueError(f"{path} is no whole HDF5 file: {plain(error, 200)}") from None
        yield found


def _datasets(file, path):
    """All datasets below a file's root; whatever could lead elsewhere is refused."""
    datasets, open_groups, seen, members = {}, [("", file)], set(), 0
    while open_groups:
        prefix, group = open_groups.pop()
        if group.id in seen:
            raise Refusal(f"{path} is refused: {plain(prefix)} is there under two names.")
        seen.add(group.id)
        if len(group) > MOST_MEMBERS:  # before they are listed
            raise Refusal(f"{path} is refused: it has far more groups than weights need.")
        for name in group:
            inner = f"{prefix}{name}"
            members += 1
            if members > MOST_MEMBERS or inner.count("/") > MOST_DEPTH:
                raise Refusal(f"{path} is refused: it has far more groups than weights need.")
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                what = LINKS.get(type(link), "a link of an unknown kind")
                raise Refusal(f"{path} is refused: {plain(inner)} is {what}.")
            member = group[name]
            if isinstance(member, h5py.Group):
                open_groups.append((f"{inner}/", member))
            else:
                _check_dataset(member, f"{path} is refused: {plain(inner)} is")
                datasets[inner] = member
    return datasets


def _text(file, name, path):
    """Return an attribute that is one text of a fixed, short length; the others are not looked at.

    Where the length is not fixed, libhdf5 believes what a file says of it, and may take gigabytes.
    To go through all attributes would take minutes where there are many.
    """
    if name not in file.attrs:
        return None
    attribute = file.attrs.get_id(name)
    kind = attribute.get_type()
    is_text = isinstance(kind, h5py.h5t.TypeStringID) and not kind.is_variable_str()
    if not is_text or attribute.shape != () or kind.get_size() > MOST_TEXT:
        raise Refusal(f"{path} is refused: its attribute {name} is no short text.")
    return bytes(file.attrs[name]).decode()


def _check_dataset(member, refused):
    if not isinstance(member, h5py.Dataset) or member.external or member.is_virtual:
        raise Refusal(f"{refused} no plain dataset.")
    if member.shape is None:
        raise Refusal(f"{refused} without a shape.")
    # A few bytes can unpack to gigabytes, before anyone knows. Keras does not compress weights.
    if member.id.get_create_plist().get_nfilters():
        raise Refusal(f"{refused} compressed, or stored in another way than Keras stores weights.")
    if member.id.get_storage_size() < math.prod(member.shape) * member.dtype.itemsize:
        raise Refusal(f"{refused} of shape {plain(member.shape)}, but has fewer bytes in the file.")


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
