"""Presets from Kaggle: only the needed files, from the network or from kagglehub's cache.

They are fetched one by one and by names that are known here. Asked for a whole model, kagglehub
would write to wherever the list of files says, and unpack an archive; asked for one file, it would
write for as long as somebody sends. So its settings and its cache are used, and each answer is
looked at before it becomes a file.
"""

import base64
import json
import os
import re
import ssl
from contextlib import contextmanager
from pathlib import Path

from falcon_edu.presets.downloads import checksum, download, real_folder
from falcon_edu.presets.hub_cache import fetched_or_cached, in_words, locked
from falcon_edu.presets.hub_files import (
    MOST_SHARDS,
    SMALL_FILES,
    WEIGHT_FILES,
    has_weights,
    shards_in,
)
from falcon_edu.presets.web import (
    BAD_TOKEN,
    MOST_SMALL_BYTES,
    HubError,
    Web,
    check_token,
    new_client,
    origin,
)
from falcon_edu.storage.strangers import plain
from falcon_edu.warn import warn_user

NAME = r"[A-Za-z0-9_][\w.-]{0,99}"  # it becomes a folder of the cache
HANDLE = re.compile(rf"{NAME}/{NAME}/{NAME}/{NAME}(/[1-9]\d{{0,8}})?", re.ASCII)
SERVICE = "v1/models.ModelApiService"
ABSENT = (403, 404)  # Kaggle has had both for a name that it does not have
LOOPBACK = ("localhost", "127.0.0.1", "::1")
TIMEOUT = 15  # seconds to wait for the next bytes, as kagglehub does


def fetch(handle, weights=True, most=None):
    """Return the folder of a model's files, in kagglehub's own cache; its name is the version.

    Where Kaggle does not give them, what lies whole in the cache will do, with a warning if it
    refused.

    Args:
        handle: `owner/model/framework/variation[/version]`; without a version, the newest.
        weights: whether the weights are needed too, or only the small files.
        most: number of bytes that the weights may have at most; `None` for what is announced.

    Raises:
        FileNotFoundError: there is no such model, it may not be read, or it can be neither reached
            nor found in the cache.
        ImportError: kagglehub is not installed.
        OSError: the disk has no room for it.
        ValueError: the handle is none.
    """
    if not HANDLE.fullmatch(handle):
        raise ValueError(
            f"kaggle://{plain(handle, 300)} must read "
            "kaggle://owner/model/framework/variation[/version]."
        )
    try:
        import kagglehub
        from kagglehub.handle import parse_model_handle
    except ImportError:
        raise ImportError(
            f"kaggle://{handle} needs kagglehub: `pip install 'falcon_edu[kaggle]'`"
        ) from None
    with in_words(f"kaggle://{handle}", "KAGGLEHUB_CACHE"):
        parsed = parse_model_handle(handle)
        if _is_mounted(parsed):
            return Path(kagglehub.model_download(handle))
        cached = _cached(parsed, weights)
        if parsed.is_versioned() and cached and cached.is_complete:
            return cached.folder

        def fetched():
            with _connected(is_patient=cached is None) as kaggle:
                return _fetch(kaggle, parsed, weights, most)

        return fetched_or_cached(
            fetched,
            f"kaggle://{handle}",
            cached and cached.folder,
            "version",
            _sentence,
            " and is not whole in the cache.",
        )


def moved(handle):
    """Return what the newest version is now, and those before that lie whole in the cache.

    Args:
        handle: as `fetch` takes it.

    Returns:
        List of handles, each with its version; empty where the handle names one, or kagglehub is
        not installed.
    """
    try:
        from kagglehub.handle import parse_model_handle
    except ImportError:
        return []
    if not HANDLE.fullmatch(handle) or parse_model_handle(handle).is_versioned():
        return []
    found = _in_cache(parse_model_handle(handle))
    found = [*found[:1], *(version for version in found[1:] if version.is_whole(weights=True))]
    return [f"{handle}/{version.folder.name}" for version in found]


def _is_mounted(parsed):
    """True if this is a notebook of Kaggle's or Colab's that has the model on its disk."""
    from kagglehub.colab_cache_resolver import ModelColabCacheResolver
    from kagglehub.kaggle_cache_resolver import ModelKaggleCacheResolver

    return any(
        resolver().is_supported(parsed)
        for resolver in (ModelKaggleCacheResolver, ModelColabCacheResolver)
    )


def _fetch(kaggle, parsed, weights, most):
    if not parsed.is_versioned():  # every file of one version, even if another appears meanwhile
        parsed = parsed.with_version(kaggle.newest(parsed))
    version = _Version(parsed, kaggle)
    if version.is_complete:
        return version.folder
    for name in SMALL_FILES:
        if not version.fetch(name, MOST_SMALL_BYTES) and name == "config.json":
            raise version.refusal
    if weights:
        version.fetch_weights(most)
    return version.folder


def _cached(parsed, weights):
    """Return the newest version in the cache, or the one asked for, if it is whole."""
    versions = [_Version(parsed)] if parsed.is_versioned() else _in_cache(parsed)
    # The newest with weights, even if they aren't needed: a next load may want them.
    for needed in [True] if weights else [True, False]:
        for version in versions:
            if version.is_whole(needed):
                return version
    return None


def _in_cache(parsed):
    """Return the versions of which there is something in the cache, the newest first."""
    folders = _Version(parsed).folder.parent.glob("*/config.json")
    numbers = [int(path.parent.name) for path in folders if path.parent.name.isdecimal()]
    return [_Version(parsed.with_version(number)) for number in sorted(numbers, reverse=True)]


class _Version:
    """The files of one version, in the cache and at Kaggle.

    Args:
        parsed: kagglehub's `ModelHandle`.
        kaggle: a `_Kaggle`, or `None` for the cache alone.
    """

    def __init__(self, parsed, kaggle=None):
        from kagglehub.cache import get_cached_path

        self.parsed, self.kaggle = parsed, kaggle
        self.refusal = HubError("a file of it is empty")
        self.folder = Path(get_cached_path(parsed))

    @property
    def is_complete(self):
        """True if kagglehub has fetched the whole model before, and marked it so."""
        return self.folder.with_name(f"{self.folder.name}.complete").is_file()

    def has(self, name):
        """True if a file lies whole in the cache: it, or the whole version, is marked so."""
        from kagglehub.cache import Cache

        is_marked = self.is_complete or Cache().load_from_cache(self.parsed, name)
        return bool(is_marked) and (self.folder / name).is_file()

    def is_whole(self, weights):
        """True if all that is needed lies whole in the cache."""
        if not self.has("config.json"):
            return False
        return self.is_complete or not weights or has_weights(self.folder, self.has)

    def fetch(self, name, most):
        """Fetch a file, and return its length, or 0 if there is none."""
        path = self.folder / name
        if not self.has(name):
            try:
                # Of several loads at once, each waits for the one before, and finds its file.
                with locked(self.folder.parent / ".locks" / self.folder.name / f"{name}.lock"):
                    if not self.has(name):
                        self._download(name, path, most)
            except HubError as error:
                if error.status not in ABSENT:
                    raise
                self.refusal = error
                return 0
        return path.stat().st_size

    def _download(self, name, path, most):
        from kagglehub.cache import Cache

        real_folder(path.parent, self.folder.parent)
        part = path.with_name(f"{path.name}.part")
        self.kaggle.fetch(self.parsed, name, part, most)
        os.replace(part, path)
        Cache().mark_as_complete(self.parsed, name)

    def fetch_weights(self, most):
        """Fetch one kind of weights: a file, or an index and its shards."""
        for first, *pattern in WEIGHT_FILES:
            if not self.fetch(first, MOST_SMALL_BYTES if pattern else most):
                continue
            names = shards_in(self.folder, first, *pattern)
            if len(names) > MOST_SHARDS:
                raise HubError(f"its index names {len(names):,} shards", is_lie=True)
            for name in names:
                length = self.fetch(name, most)
                most = None if most is None else most - length
            return


class _Kaggle:
    """Kaggle's protocol: what to ask, and what to make of the answers.

    Args:
        web: a `Web`.
        address: of its API.
    """

    def __init__(self, web, address):
        self.web, self.address = web, address

    def newest(self, parsed):
        """Return the number of the newest version."""
        answer = self.web.json(*self._request("GetModelInstance", parsed))
        number = answer.get("versionNumber") if isinstance(answer, dict) else None
        code = answer.get("code") if isinstance(answer, dict) else None
        if type(code) is int and code >= 400:
            raise HubError(f"the hub answers with status {code}", status=code)
        if type(number) is not int or not 0 < number < 10**9:
            raise HubError("it does not say which version is the newest", is_lie=True)
        return number

    def fetch(self, parsed, name, path, most):
        """Fetch a file of a version to a path, and check what its store says of it."""
        more = {"versionNumber": parsed.version, "path": name}
        url, headers, content = self._request("DownloadModelInstanceVersion", parsed, **more)
        options = {"headers": headers, "content": content, "is_checked": _md5}
        md5 = _md5(download(self.web, url, path, most, **options))
        if md5 and base64.b64encode(checksum(path, "md5").digest()).decode() != md5:
            path.unlink()
            raise HubError("what came is not what was sent; try again", is_lie=True)

    def _request(self, name, parsed, **more):
        content = {
            "ownerSlug": parsed.owner,
            "modelSlug": parsed.model,
            "framework": parsed.framework_enum().name,
            "instanceSlug": parsed.variation,
            **more,
        }
        url = f"{self.address}/{SERVICE}/{name}"
        return url, {"Content-Type": "application/json"}, json.dumps(content).encode()


def _md5(answer):
    """Return the checksum that the store announces, or `None`."""
    found = re.search(r"md5=([\w+/]{22}==)", answer.hops[-1].get("x-goog-hash", ""))
    return found and found[1]


@contextmanager
def _connected(is_patient):
    """Yield a `_Kaggle` at the address, and with the credentials, that kagglehub would use."""
    from kagglehub.config import get_kaggle_credentials
    from kagglesdk.kaggle_env import KaggleEnv, get_endpoint, get_env

    address = get_endpoint(get_env())
    address += "" if get_env() == KaggleEnv.PROD else "/api"
    credentials, headers = get_kaggle_credentials(), {}
    scheme, host, _ = origin(address)
    if credentials and scheme != "https" and host not in LOOPBACK:
        warn_user(
            f"Your token for Kaggle is not sent: {plain(address)} is no https, and everyone on the "
            "way could read it."
        )
        credentials = None
    if credentials and credentials.api_key:
        check_token(credentials.api_key, "KAGGLE_API_TOKEN or `kagglehub.login()`")
        headers["Authorization"] = f"Bearer {credentials.api_key}"
    elif credentials and credentials.username and credentials.key:
        pair = f"{credentials.username}:{credentials.key}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
    bundle = os.environ.get("REQUESTS_CA_BUNDLE")  # kagglehub's own client reads it, ours does not
    trusted = {"verify": ssl.create_default_context(cafile=bundle)} if bundle else {}
    with new_client(**trusted) as client:
        yield _Kaggle(Web(client, address, headers, TIMEOUT, is_patient), address)


def _sentence(error, end):
    if error.status in (401, 403) and error.code != BAD_TOKEN:
        return (
            "does not exist or may not be read: check its spelling, accept its conditions on its "
            "page, and call `kagglehub.login()` or set KAGGLE_API_TOKEN."
        )
    if error.status == 404:
        return "does not exist: check owner, model, framework, variation and version."
    return f"could not be fetched ({error}){end}"
