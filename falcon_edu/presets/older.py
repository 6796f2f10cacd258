"""What a branch of a hub was before, where what it is now can't be loaded."""

import functools
import traceback
from contextlib import suppress

from falcon_edu.presets import hugging_face, kaggle
from falcon_edu.presets.hub_files import OFFLINE
from falcon_edu.presets.registry import BUILTIN_PRESETS
from falcon_edu.warn import warn_user

_HUBS = {"hf": hugging_face.moved, "kaggle": kaggle.moved}


def or_older(load):
    """Make a function of a preset load what the preset was before, where what it is now is refused.

    That is for a branch, or the newest version, that moved since it was loaded last. What it was
    then lies whole in the cache, and a warning names both. Who names a commit gets that or nothing.

    Args:
        load: takes a preset, and more.

    Example:

    >>> or_older(str.upper)("falcon_tales_rw_en")
    'FALCON_TALES_RW_EN'
    """

    @functools.wraps(load)
    def load_what_loads(preset, *args, **kwargs):
        try:
            return load(preset, *args, **kwargs)
        except (OSError, ValueError) as refusal:
            now, *others = _moved(preset)
            if not others:
                raise
            for error in filter(None, (refusal, refusal.__cause__)):
                traceback.clear_frames(error.__traceback__)  # which hold what was read so far
            for before in others:
                with suppress(OSError, ValueError):
                    loaded = load(before, *args, **kwargs)
                    break
            else:
                raise refusal from refusal.__cause__
            said = str(refusal).removesuffix(OFFLINE).strip()
            warn_user(
                f"{before} is loaded, as it lies in the cache: {preset} has moved to {now}, which "
                f"can't be loaded. {said}"
            )
            return loaded

    return load_what_loads


def _moved(preset):
    """Return what a preset is now and what it was before, as handles of a commit or version."""
    known = BUILTIN_PRESETS.get(str(preset), {"hf_handle": str(preset)})
    for key in ("hf_handle", "kaggle_handle"):
        scheme, separator, handle = known.get(key, "").partition("://")
        if separator and scheme in _HUBS and len(found := _HUBS[scheme](handle)) > 1:
            return [f"{scheme}://{each}" for each in found]
    return [preset]
