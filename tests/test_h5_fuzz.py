"""HDF5 files with damage anywhere: they load, or are refused in words; libhdf5 never crashes.

A process of its own reads them, so that a crash or a hang is a failure of one example. Hypothesis
then finds the smallest damage that does it.
"""

import json
import select
import subprocess
import sys
import time
from pathlib import Path

from falcon_edu import FalconBackbone
from tests.h5_reader import SIZES
from tests.layouts import randomize

import h5py
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 25  # for each of the two kinds of file; what is left out then is tried another time
PATIENCE = 60  # seconds for one answer
MEGABYTES = 100  # of memory, beyond what the first good file took


class Reader:
    """The process that reads, started again when it has died."""

    def __init__(self):
        self.process = None

    def ask(self, path):
        """What became of a file: `{"result", "text", "megabytes"}`; "crash" and "hang" too."""
        if self.process is None or self.process.poll() is not None:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.h5_reader"],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        self.process.stdin.write(f"{path}\n")
        self.process.stdin.flush()
        if not select.select([self.process.stdout], [], [], PATIENCE)[0]:
            self.stop()
            return {"result": "hang", "text": f"no answer in {PATIENCE} seconds"}
        answer = self.process.stdout.readline()
        if answer:
            return json.loads(answer)
        return {"result": "crash", "text": f"exit status {self.process.wait()}"}

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.communicate()


@pytest.fixture(scope="module")
def reader():
    reader = Reader()
    yield reader
    reader.stop()


@pytest.fixture(scope="module")
def good(reader, tmp_path_factory):
    """A good file of each kind, where it lies, and the memory that reading both takes."""
    folder = tmp_path_factory.mktemp("fuzz")
    backbone = FalconBackbone(**SIZES)
    randomize(backbone)
    backbone.save_to_preset(folder)
    backbone.enable_lora(2)
    backbone.save_lora_weights(folder / "a.lora.h5")
    answers = [reader.ask(folder), reader.ask(folder / "a.lora.h5")]
    assert [answer["result"] for answer in answers] == ["loaded", "loaded"], answers
    paths = {"weights": folder / "model.weights.h5", "lora": folder / "a.lora.h5"}
    content = {kind: path.read_bytes() for kind, path in paths.items()}
    return {"paths": paths, "content": content, "megabytes": answers[1]["megabytes"]}


PLACE = st.floats(0, 1, exclude_max=True)
BYTES = st.binary(min_size=1, max_size=8) | st.sampled_from([b"\0" * 8, b"\xff" * 8])
DAMAGE = st.lists(
    st.one_of(
        st.tuples(st.just("overwrite"), PLACE, BYTES),
        st.tuples(st.just("flip"), PLACE, st.integers(1, 255).map(lambda bits: bytes([bits]))),
        st.tuples(st.just("insert"), PLACE, BYTES),
        st.tuples(st.just("remove"), PLACE, BYTES),
        st.tuples(st.just("cut"), PLACE, st.just(b"")),
        st.tuples(st.just("copy"), PLACE, st.binary(min_size=2, max_size=2)),
    ),
    min_size=1,
    max_size=3,
)


def damaged(data, damage):
    """Bytes with some damage: see the names of its kinds."""
    data = bytearray(data)
    for kind, place, new in damage:
        at = int(place * len(data))
        if kind == "overwrite":
            data[at : at + len(new)] = new
        elif kind == "flip" and at < len(data):
            data[at] ^= new[0]
        elif kind == "insert":
            data[at:at] = new
        elif kind == "remove":
            del data[at : at + len(new)]
        elif kind == "cut":
            del data[at:]
        elif kind == "copy":  # what is whole, at a place that is not its own
            start = int.from_bytes(new, "little") % max(len(data), 1)
            data[at : at + 64] = data[start : start + 64]
    return bytes(data)


DEADLINES: dict[str, float] = {}


@pytest.mark.skipif(sys.platform == "win32", reason="pipes can't be waited for")
@pytest.mark.parametrize("kind", ["weights", "lora"])
@settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck))
@given(damage=DAMAGE)
def test_damaged_files(good, reader, kind, damage):
    if time.monotonic() > DEADLINES.setdefault(kind, time.monotonic() + SECONDS):
        return
    path = good["paths"][kind]
    path.write_bytes(damaged(good["content"][kind], damage))
    answer = reader.ask(path.parent if kind == "weights" else path)
    assert answer["result"] in ("loaded", "refused"), answer
    assert answer["megabytes"] < good["megabytes"] + MEGABYTES, answer
    if answer["result"] == "refused":
        assert path.name in answer["text"]


def test_a_text_that_claims_gigabytes(good, reader):
    """Found by damage: libhdf5 took as much memory as the length of an attribute said."""
    path = good["paths"]["weights"]
    path.write_bytes(good["content"]["weights"])
    with h5py.File(path, "a") as file:
        file["layers/layer_normalization/vars/0"].attrs["dtype"] = "bfloat16"
    data = bytearray(path.read_bytes())
    references = [
        i
        for i in range(len(data) - 12)
        if data[i : i + 4] == b"\x08\0\0\0"  # the length of the text, and where it is
        and data[(at := int.from_bytes(data[i + 4 : i + 12], "little")) : at + 4] == b"GCOL"
    ]
    assert len(references) == 1
    data[references[0] : references[0] + 4] = b"\xf0\xff\xff\x7f"
    path.write_bytes(data)
    answer = reader.ask(path.parent)
    assert answer["result"] == "loaded", answer
    assert answer["megabytes"] < good["megabytes"] + MEGABYTES


def test_what_the_reader_can_say(good, reader, tmp_path):
    """The tests above can fail: errors of another kind and a crash are told apart."""
    assert reader.ask(tmp_path / "no.lora.h5")["result"] == "error"
    reader.process.kill()
    reader.process.wait()
    good["paths"]["weights"].write_bytes(good["content"]["weights"])
    assert reader.ask(good["paths"]["weights"].parent)["result"] == "loaded"
