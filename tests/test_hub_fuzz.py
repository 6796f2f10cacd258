"""Hubs that change one thing in some of their answers: by seed, so that each can be seen again.

`FALCON_EDU_LIES=200 pytest tests/test_hub_fuzz.py -s` tells more of them.
"""

import os
import random
import re
import threading
import time
import tracemalloc

from falcon_edu import Backbone
from falcon_edu.presets import hugging_face
from falcon_edu.presets.handles import resolve
from tests import loopback_hub, loopback_kaggle
from tests.layouts import build
from tests.lies import liar

import numpy as np
import pytest
from huggingface_hub import constants

SEEDS = range(int(os.environ.get("FALCON_EDU_LIES", "12")))
SECONDS = 60  # for a load that an honest hub serves in one
BYTES = 64 * 2**20  # of memory beside what was there before, and of disk
OUR_WORDS = re.compile(r"\b(\w+Error|NoneType|object has|indices|Traceback|codec)\b|0x[0-9a-f]{6}")
TOKEN = "secret_token"


@pytest.fixture(scope="module")
def backbone():
    return build("7b")


@pytest.fixture(scope="module")
def files(backbone, tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint") / "falcon"
    backbone.export_to_transformers(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def nap(monkeypatch):
    """The seconds for which a hub made us wait, of which the test waits none."""
    waited, sleep, here = [], time.sleep, threading.current_thread()

    def nap(seconds):
        if threading.current_thread() is here:
            waited.append(seconds)
        else:
            sleep(seconds)

    monkeypatch.setattr(time, "sleep", nap)
    return waited


def outcome(load, cache, tmp_path, nap):
    """Load, check that nothing went out of bounds, and return the model or what was said."""
    before = set(tmp_path.rglob("*"))
    tracemalloc.start()
    start = time.monotonic()
    try:
        found = load()
    except (OSError, ValueError) as error:
        found = str(error)
        assert found.isprintable(), found
        assert not OUR_WORDS.search(found), found
        assert len(found) < 1000, found
    seconds, (_, peak) = time.monotonic() - start, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seconds < SECONDS
    assert sum(nap) <= 60
    assert peak < BYTES
    new = [path for path in tmp_path.rglob("*") if path not in before]
    assert all(path == cache or path.is_relative_to(cache) for path in new)
    assert sum(path.stat().st_size for path in new if path.is_file()) < BYTES
    return found


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.filterwarnings("ignore:Waiting")
def test_a_hub_that_lies_does_no_harm(seed, files, backbone, tmp_path, monkeypatch, nap):
    cache = tmp_path / "a/b/c/d/cache"
    cache.parent.mkdir(parents=True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with loopback_hub.serve(files) as hub, loopback_hub.serve(files) as other:
        monkeypatch.setattr(constants, "ENDPOINT", hub.address)
        monkeypatch.setattr(hugging_face, "HUB", hub.address)
        hub.sha256, other.sha256 = set(files), set(files)
        hub.lie = liar(random.Random(seed), other.address)
        handle = f"hf://{hub.repository}"
        found = outcome(lambda: Backbone.from_preset(handle), cache, tmp_path, nap)
        lies = hub.lie.lies
        assert TOKEN not in str(other.requests)
        assert len(hub.requests) < 100
        print(f"\nseed {seed}, {lies}: {found if isinstance(found, str) else 'loaded'}")
        # What was loaded is right, and what is kept can't be wrong: after the lies it loads.
        hub.lie = None
        loaded = [Backbone.from_preset(handle)]
        loaded += [] if isinstance(found, str) else [found]
        for model in loaded:
            assert all(map(np.array_equal, model.get_weights(), backbone.get_weights()))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.filterwarnings("ignore:Waiting")
def test_a_kaggle_that_lies_does_no_harm(seed, tmp_path, monkeypatch, nap):
    files = {"config.json": loopback_kaggle.CONFIG, "model.weights.h5": bytes(range(256)) * 40}
    cache = tmp_path / "a/b/c/d/cache"
    cache.parent.mkdir(parents=True)
    with loopback_kaggle.serve(files) as kaggle, loopback_hub.serve({}) as other:
        loopback_kaggle.use(kaggle, cache.parent, monkeypatch)
        monkeypatch.setenv("KAGGLE_API_TOKEN", TOKEN)
        kaggle.lie = liar(random.Random(seed), other.address)
        handle = f"kaggle://{kaggle.model}"
        found = outcome(lambda: resolve(handle), cache, tmp_path, nap)
        assert TOKEN not in str(other.requests)
        assert TOKEN not in str([x for x in kaggle.requests if "localhost" in x[0]])
        assert len(kaggle.requests) < 200
        print(f"\nseed {seed}, {kaggle.lie.lies}: {found}")
