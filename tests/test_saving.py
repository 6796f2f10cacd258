"""What is saved is old or new, whole, as private as before, and nothing else is left."""

import json
import os
import shutil
import stat
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from falcon_edu import FalconBackbone, FalconCausalLM, FalconTokenizer
from falcon_edu.presets import bundles, replacement, steady
from falcon_edu.presets.replacement import replace_folder
from falcon_edu.storage.drafts import LOCK, PREFIX
from falcon_edu.storage.files import ACCESS_LISTS, replace_file
from falcon_edu.text.preprocessor import FalconCausalLMPreprocessor
from tests import faults
from tests.layouts import zeros_for_random_weights
from tests.small_tokenizers import make

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
NOT_ON_WINDOWS = pytest.mark.skipif(sys.platform == "win32", reason="rights are POSIX's")


def model(number):
    """A tiny model all of whose weights are one number."""
    with zeros_for_random_weights():
        backbone = FalconBackbone(300, 1, 2, 8, 16)
    backbone.set_weights([np.full(w.shape, number, "float32") for w in backbone.weights])
    return backbone


@pytest.fixture(scope="module")
def one():
    return model(1)


@pytest.fixture(scope="module")
def two():
    return model(2)


@pytest.fixture(params=["in one step", "as a bundle"])
def scheme(request, monkeypatch):
    if request.param == "as a bundle":
        monkeypatch.setattr(replacement, "_exchange_names", lambda *_: False)
    return request.param


def number_of(backbone):
    (number,) = {float(x) for w in backbone.weights for x in np.unique(np.asarray(w))}
    return number


def write(**files):
    """A function that writes files whose names have no dots."""

    def write_into(folder):
        for name, text in files.items():
            (folder / name).write_text(text)

    return write_into


def texts(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


# === Drafts of writers that are gone ===


def abandoned(place, with_lock=True):
    draft = place / f"{PREFIX}123456789abc"
    (draft / "new").mkdir(parents=True)
    (draft / "new/model").write_text("half")
    if with_lock:
        (draft / LOCK).touch()
    return draft


@pytest.mark.parametrize("save", ["file", "folder"])
def test_the_next_save_clears_what_a_killed_one_left(tmp_path, save):
    draft = abandoned(tmp_path)
    if save == "file":
        replace_file(tmp_path / "a", lambda path: path.write_text("a"))
    else:
        replace_folder(tmp_path / "a", write(b="b"))
    assert not draft.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_the_draft_of_a_living_writer_stays(tmp_path):
    started, go_on = threading.Event(), threading.Event()

    def slowly(folder):
        started.set()
        go_on.wait(60)
        (folder / "slow").write_text("slow")

    writer = threading.Thread(target=replace_folder, args=(tmp_path / "a", slowly))
    writer.start()
    started.wait(60)
    replace_folder(tmp_path / "b", write(quick="quick"))
    go_on.set()
    writer.join()
    assert texts(tmp_path) == {"a/slow": "slow", "b/quick": "quick"}


def test_drafts_are_private(tmp_path):
    seen = []
    (tmp_path / "a").mkdir(mode=0o700)
    replace_folder(tmp_path / "a", lambda folder: seen.append(mode(folder.parent)))
    replace_file(tmp_path / "b", lambda path: path.touch() or seen.append(mode(path.parent)))
    assert seen == [0o700, 0o700]


# === Several at once ===


def test_several_savers_of_one_folder_lose_nothing(tmp_path, scheme):
    target = tmp_path / "preset"
    replace_folder(target, write(readme="read me", tokenizer="tokens"))

    def save(number):
        for _ in range(5):
            replace_folder(target, write(**{f"of_{number}": "x", "config": number}))

    threads = [threading.Thread(target=save, args=(n,)) for n in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = texts(target)
    assert found.pop("config") in "abc"
    expected = {"readme": "read me", "tokenizer": "tokens", "of_a": "x", "of_b": "x", "of_c": "x"}
    assert found == expected
    assert [path.name for path in tmp_path.iterdir()] == ["preset"]


def test_a_reader_beside_a_writer_reads_again(one, two, tmp_path, scheme, monkeypatch):
    target, shards = tmp_path / "preset", 1e-5
    one.save_to_preset(target, max_shard_size=shards)
    saved = []

    def save_in_the_middle(folder, config, *options):
        if not saved:
            saved.append(folder)
            two.save_to_preset(target)
        return opened(folder, config, *options)

    from falcon_edu.presets import keras_hub

    opened = keras_hub.open_weights
    monkeypatch.setattr(keras_hub, "open_weights", save_in_the_middle)
    assert number_of(FalconBackbone.from_preset(target)) == 2
    assert saved


def test_a_model_and_its_tokenizer_are_of_one_save(one, two, tmp_path, monkeypatch):
    lengths = {1: 11, 2: 22}

    def task(number, backbone):
        return FalconCausalLM(
            backbone, FalconCausalLMPreprocessor(make(), sequence_length=lengths[number])
        )

    target, saved = tmp_path / "preset", []
    task(1, one).save_to_preset(target)
    read = FalconCausalLMPreprocessor.from_preset

    def read_before_a_save(*args, **kwargs):
        preprocessor = read(*args, **kwargs)
        if not saved:
            saved.append(target)
            task(2, two).save_to_preset(target)
        return preprocessor

    monkeypatch.setattr(FalconCausalLMPreprocessor, "from_preset", read_before_a_save)
    falcon = FalconCausalLM.from_preset(target)
    assert saved
    assert (number_of(falcon.backbone), falcon.preprocessor.sequence_length) == (2, 22)


@pytest.mark.slow
def test_processes_that_save_and_load_at_once_see_whole_presets(tmp_path, program_environment):
    result = subprocess.run(
        [sys.executable, "-m", "tests.save_and_read", str(tmp_path), "2", "1", "10"],
        cwd=ROOT,
        env={**os.environ, **program_environment},
        capture_output=True,
        text=True,
        timeout=550,
    )
    assert "saves" in result.stdout, result.stderr
    assert "mixed" not in result.stdout


def test_a_folder_that_never_rests_is_refused_in_words(tmp_path):
    replace_folder(tmp_path / "a", lambda folder: (folder / "config.json").write_text("{}"))

    def read():
        path = tmp_path / "a/config.json"
        path.write_text(path.read_text() + " ")

    with pytest.raises(OSError, match="is saved again and again"):
        steady.read_steadily(tmp_path / "a", read)


# === Interrupts ===


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize("what", ["save_to_preset", "export_to_transformers", "save_lora_weights"])
def test_an_interrupted_save_leaves_nothing(tmp_path, scheme, what, existing):
    backbones = {1: model(1), 2: model(2)}
    if what == "save_lora_weights":
        for number, backbone in backbones.items():
            backbone.enable_lora(2)
            backbone.set_weights([np.full(w.shape, number, "float32") for w in backbone.weights])
    target = tmp_path / ("a.lora.h5" if what == "save_lora_weights" else "preset")
    rounds = {True: faults.ROUNDS, False: faults.ROUNDS // 2}[existing]
    if existing:
        getattr(backbones[1], what)(target)

    def save():
        getattr(backbones[2], what)(target)

    counted = faults.count_steps(save)
    if not existing:
        remove(target)
    for moment in faults.moments(counted, f"{what}, {scheme}", rounds):
        interrupted = interrupt_at(moment, save)
        names = {path.name for path in tmp_path.iterdir()}
        assert names <= {target.name}, moment
        assert names or (interrupted and not existing), moment
        if target.is_dir():
            assert not [p for p in target.iterdir() if p.name.startswith(".")], moment
    save()
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


def interrupt_at(moment, work):
    """True if the work ended by the interrupt: Python loses one in a callback of the collector."""
    try:
        faults.strike_at(moment, faults.interrupt, work)
    except KeyboardInterrupt:
        return True
    return False


def remove(target):
    shutil.rmtree(target) if target.is_dir() else target.unlink()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupted_load_leaves_a_process_that_loads(one, two, tmp_path):
    one.save_to_preset(tmp_path / "one")
    two.save_to_preset(tmp_path / "two")

    def load():
        return FalconBackbone.from_preset(tmp_path / "one")

    for moment in faults.moments(faults.count_steps(load), "load"):
        interrupt_at(moment, load)
        assert number_of(FalconBackbone.from_preset(tmp_path / "two")) == 2
        assert number_of(load()) == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupted_adapter_is_loaded_or_not(tmp_path):
    source = model(1)
    source.enable_lora(2)
    source.set_weights([np.ones(w.shape, "float32") for w in source.weights])
    source.save_lora_weights(tmp_path / "a.lora.h5")
    trained = [np.asarray(v) for v in source.trainable_variables]
    target = model(1)
    target.enable_lora(2)
    before = [np.asarray(v) for v in target.trainable_variables]

    def load():
        target.load_lora_weights(tmp_path / "a.lora.h5")

    counted = faults.count_steps(load)
    for moment in faults.moments(counted, "an adapter"):
        for variable, value in zip(target.trainable_variables, before, strict=True):
            variable.assign(value)
        interrupt_at(moment, load)
        found = [np.asarray(v) for v in target.trainable_variables]
        assert any(
            all(np.array_equal(a, b) for a, b in zip(found, whole, strict=True))
            for whole in (before, trained)
        ), moment


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_weights_that_keras_loads_are_loaded_or_not(two, tmp_path):
    backbone, path = model(1), tmp_path / "a.weights.h5"
    two.save_weights(path)

    def load():
        backbone.load_weights(path)

    for moment in faults.moments(faults.count_steps(load), "load_weights"):
        backbone.set_weights([np.ones(w.shape, "float32") for w in backbone.weights])
        interrupted = interrupt_at(moment, load)
        assert number_of(backbone) == (1 if interrupted else 2), moment


def test_weights_of_another_model_change_nothing(one, tmp_path):
    with zeros_for_random_weights():
        wide = FalconBackbone(300, 1, 2, 8, 17)
    wide.save_weights(tmp_path / "wide.weights.h5")
    backbone = model(1)
    with pytest.raises(ValueError, match="shape"):
        backbone.load_weights(tmp_path / "wide.weights.h5")
    assert number_of(backbone) == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupted_merge_is_done_or_not(tmp_path):
    backbone = model(1)
    backbone.enable_lora(2)
    backbone.set_weights([np.ones(w.shape, "float32") for w in backbone.weights])
    plain = [np.asarray(w) for w in backbone.weights]

    def merge():
        backbone.merge_lora()

    counted = faults.count_steps(merge)
    merged = [np.asarray(w) for w in backbone.weights]
    for moment in faults.moments(counted, "merge"):
        if backbone.merged_lora:
            backbone.unmerge_lora()
        interrupt_at(moment, merge)
        found = [np.asarray(w) for w in backbone.weights]
        expected = merged if backbone.merged_lora else plain
        assert all(np.allclose(a, b) for a, b in zip(found, expected, strict=True)), moment


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no list of open files")
def test_an_interrupted_save_has_no_file_open_that_keeps_its_room(one, tmp_path, monkeypatch):
    monkeypatch.setattr(type(one.final_layernorm), "save_own_variables", raise_interrupt)
    with pytest.raises(KeyboardInterrupt) as kept:  # the frames of the save live on in it
        one.save_to_preset(tmp_path / "preset")
    handles = [Path(f"/proc/self/fd/{handle}") for handle in os.listdir("/proc/self/fd")]
    is_open = [os.readlink(handle) for handle in handles if os.path.lexists(handle)]
    assert not [path for path in is_open if path.startswith(str(tmp_path))]
    assert kept.value is not None
    assert os.listdir(tmp_path) == []


def raise_interrupt(*args):
    raise KeyboardInterrupt


# === Kills ===


@pytest.mark.slow
@pytest.mark.timeout(max(600, 31 * faults.ROUNDS))
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.parametrize("what", ["save_to_preset", "export_to_transformers", "save_lora_weights"])
def test_killed_at_any_line_there_is_the_old_or_the_new_and_the_next_save_clears_up(
    tmp_path, what, program_environment
):
    scheme = "as a bundle" if what == "export_to_transformers" else "in one step"
    (tmp_path / "folder").mkdir()
    result = subprocess.run(
        [sys.executable, "-m", "tests.save_and_die", what, str(tmp_path / "folder"), scheme],
        cwd=ROOT,
        env={**os.environ, **program_environment},
        capture_output=True,
        text=True,
        timeout=max(550, 30 * faults.ROUNDS),
    )
    print(result.stdout)
    assert f"{faults.ROUNDS} kills:" in result.stdout, result.stderr


def test_what_was_killed_while_it_moved_files_is_whole_for_readers_and_ended_by_the_next_writer(
    one, two, tmp_path, monkeypatch
):
    target = tmp_path / "preset"
    one.save_to_preset(target, max_shard_size=1e-5)
    monkeypatch.setattr(replacement, "_exchange_names", lambda *_: False)
    move, moved = bundles._move, []

    def die(*args):
        if len(moved) == 3:
            raise SystemExit
        moved.append(args)
        move(*args)

    monkeypatch.setattr(bundles, "_move", die)
    with pytest.raises(SystemExit):
        two.save_to_preset(target)
    monkeypatch.setattr(bundles, "_move", move)
    assert len(moved) == 3
    assert number_of(FalconBackbone.from_preset(target)) == 2
    make().save_to_preset(target)
    assert number_of(FalconBackbone.from_preset(target)) == 2
    assert not [path for path in target.iterdir() if path.name.startswith(".")]
    names = {path.name for path in target.glob("*.h5")}
    assert names == {"model.weights.h5"}


def test_a_bundle_of_a_stranger_leads_nowhere(tmp_path):
    """A downloaded folder may hold anything; saving into it touches nothing outside."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/mine").write_text("mine")
    target = tmp_path / "preset"
    evil = target / f"{bundles.BUNDLE}1"
    (evil / "new").mkdir(parents=True)
    (evil / "new/config.json").write_text("{}")
    (evil / "gone").symlink_to(tmp_path / "outside")
    (evil / "gone.json").write_text('["../outside/mine", "/etc/hostname", "x", 3]')
    (target / "x").write_text("x")
    (target / "assets").symlink_to(tmp_path / "outside")
    (evil / "new/assets").mkdir()
    (evil / "new/assets/stolen").write_text("s")
    second = target / f"{bundles.BUNDLE}2"
    second.mkdir()
    (second / "new").symlink_to(tmp_path / "outside")
    replace_folder(target, write(config="new"))
    assert texts(tmp_path / "outside") == {"mine": "mine"}


@NOT_ON_WINDOWS
@pytest.mark.parametrize("kind", ["a pipe", "a link", "a folder", "too long", "no names"])
def test_what_a_strangers_bundle_says_is_gone_is_not_believed(tmp_path, kind):
    """Nor does the reader wait for a pipe, or read a file outside the preset."""
    (tmp_path / "config.json").write_text("{}")
    outside = tmp_path.parent / f"{tmp_path.name}-outside.json"
    outside.write_text('["config.json"]')
    bundle = tmp_path / f"{bundles.BUNDLE}1"
    bundle.mkdir()
    names = bundle / bundles.GONE_NAMES
    if kind == "a pipe":
        os.mkfifo(names)
    elif kind == "a link":
        names.symlink_to(outside)
    elif kind == "a folder":
        names.mkdir()
    else:
        names.write_text('["config.json"' + ("]" + " " * 300_000 if kind == "too long" else ", 3"))
    assert bundles.current(tmp_path, "config.json") == tmp_path / "config.json"


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "x" * 5_000, ""])
def test_a_strangers_bundle_does_not_stop_a_save(tmp_path, name):
    bundle = tmp_path / "preset" / f"{bundles.BUNDLE}1"
    bundle.mkdir(parents=True)
    (bundle / bundles.GONE_NAMES).write_text(json.dumps([name]))
    replace_folder(tmp_path / "preset", write(config="new"))
    assert texts(tmp_path / "preset") == {"config": "new"}


# === Rights ===


@NOT_ON_WINDOWS
def test_a_private_file_stays_private(tmp_path):
    before = os.umask(0o077)
    try:
        replace_file(tmp_path / "a", lambda path: path.write_text("a"))
        assert mode(tmp_path / "a") == 0o600
        os.umask(0o022)
        replace_file(tmp_path / "a", lambda path: path.write_text("b"))
        assert mode(tmp_path / "a") == 0o600
        replace_file(tmp_path / "b", lambda path: path.write_text("b"))
        assert mode(tmp_path / "b") == 0o644
        (tmp_path / "b").chmod(0o640)
        replace_file(tmp_path / "b", lambda path: path.write_text("c"))
        assert mode(tmp_path / "b") == 0o640
    finally:
        os.umask(before)


@NOT_ON_WINDOWS
def test_a_preset_keeps_its_rights(tmp_path, scheme):
    before = os.umask(0o022)
    try:
        target = tmp_path / "preset"
        replace_folder(target, write(weights="old", config="old", shard_1="old"))
        assert (mode(target), mode(target / "weights")) == (0o755, 0o644)
        (target / "notes").mkdir(mode=0o700)
        target.chmod(0o750)
        (target / "config").chmod(0o640)
        (target / "shard_1").chmod(0o600)
        replace_folder(target, write(weights="new", config="new", shard_a="new"), ("shard_[0-9]",))
        assert (mode(target), mode(target / "notes")) == (0o750, 0o700)
        assert (mode(target / "weights"), mode(target / "config")) == (0o644, 0o640)
        assert mode(target / "shard_a") == 0o600  # what it stands for was private
        assert not (target / "shard_1").exists()
    finally:
        os.umask(before)


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="no access lists")
def test_access_lists_are_kept(tmp_path, scheme):
    replace_folder(tmp_path / "a", write(x="old"))
    entries = [(0x01, 6, -1), (0x02, 4, 1234), (0x04, 0, -1), (0x10, 4, -1), (0x20, 0, -1)]
    access = struct.pack("<i", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)
    try:
        for path in (tmp_path / "a", tmp_path / "a/x"):
            os.setxattr(path, ACCESS_LISTS[0], access)
    except OSError:
        pytest.skip("this file system has none")
    replace_folder(tmp_path / "a", write(x="new"))
    for path in (tmp_path / "a", tmp_path / "a/x"):
        assert os.getxattr(path, ACCESS_LISTS[0]) == access


@NOT_ON_WINDOWS
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives away")
def test_what_root_replaces_stays_the_users(tmp_path, scheme):
    replace_folder(tmp_path / "a", write(x="old"))
    replace_file(tmp_path / "b", lambda path: path.write_text("b"))
    for path in (tmp_path / "a", tmp_path / "a/x", tmp_path / "b"):
        os.chown(path, 1234, 4321)
    replace_folder(tmp_path / "a", write(x="new"))
    replace_file(tmp_path / "b", lambda path: path.write_text("c"))
    for path in (tmp_path / "a", tmp_path / "a/x", tmp_path / "b"):
        assert (path.stat().st_uid, path.stat().st_gid) == (1234, 4321)


AS_NOBODY = """
import os, sys
from pathlib import Path
from falcon_edu.storage.files import ACCESS_LISTS, replace_file
from falcon_edu.presets.replacement import replace_folder

if os.geteuid() == 0:
    os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
root = Path(sys.argv[1])
replace_folder(root / "closed/open", lambda folder: (folder / "x").write_text("new"))
print((root / "closed/open/x").read_text(), (root / "closed/open/kept").read_text())
for target, save in (
    (root / "closed/new", lambda path: replace_folder(path, lambda folder: None)),
    (root / "closed/deep/new", lambda path: replace_folder(path, lambda folder: None)),
    (root / "closed/shut", lambda path: replace_folder(path, lambda f: (f / "x").write_text("y"))),
    (root / "closed/file", lambda path: replace_file(path, lambda path: path.touch())),
):
    try:
        save(target)
    except OSError as error:
        print(type(error).__name__, str(target) in str(error) or str(target.parent) in str(error))
"""


@NOT_ON_WINDOWS
def test_a_folder_in_one_that_may_not_be_written():
    with tempfile.TemporaryDirectory() as folder:  # not in pytest's, which is closed to others
        os.chmod(folder, 0o755)
        _save_as_nobody(Path(folder))


def _save_as_nobody(root):
    closed = root / "closed"
    (closed / "open").mkdir(parents=True)
    (closed / "open/kept").write_text("kept")
    (closed / "open").chmod(0o777)
    (closed / "shut").mkdir(mode=0o555)
    (closed / "file").write_text("old")
    closed.chmod(0o555)
    before = sorted(closed.rglob("*"))
    result = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, str(root)], cwd=ROOT, capture_output=True, text=True
    )
    closed.chmod(0o755)
    assert result.stdout.splitlines() == ["new kept"] + ["PermissionError True"] * 4, result.stderr
    assert sorted(closed.rglob("*")) == sorted([*before, closed / "open/x"])


# === Targets ===


@pytest.mark.parametrize("kind", ["itself", "a circle", "above"])
def test_a_link_in_a_circle_is_refused_in_words(one, tmp_path, kind):
    link = tmp_path / "link"
    link.symlink_to({"itself": link, "a circle": tmp_path / "other", "above": link}[kind])
    (tmp_path / "other").symlink_to(link)
    target = link / "preset" if kind == "above" else link
    for save in (one.save_to_preset, one.export_to_transformers, make().save_to_preset):
        with pytest.raises(ValueError, match="a link that leads to itself"):
            save(target)
    with pytest.raises(ValueError, match="a link that leads to itself"):
        replace_file(target, lambda path: path.touch())
    assert sorted(os.listdir(tmp_path)) == ["link", "other"]


def test_links_stay_links(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk/a").write_text("old")
    (tmp_path / "a").symlink_to("disk/a")
    (tmp_path / "b").symlink_to("disk/new")
    for name in "ab":
        replace_file(tmp_path / name, lambda path: path.write_text("new"))
        assert (tmp_path / name).is_symlink()
    assert texts(tmp_path / "disk") == {"a": "new", "new": "new"}


@pytest.mark.parametrize("length", [250, 255])
def test_a_long_name_is_a_name(one, tmp_path, length):
    target = tmp_path / ("n" * length)
    for _ in range(2):
        one.save_to_preset(target)
    assert number_of(FalconBackbone.from_preset(target)) == 1
    adapter = tmp_path / ("n" * (length - 8) + ".lora.h5")
    replace_file(adapter, lambda path: path.write_text("a"))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([target.name, adapter.name])
    with pytest.raises(OSError, match="long"):
        one.save_to_preset(tmp_path / ("n" * 256))
    assert len(os.listdir(tmp_path)) == 2


@pytest.mark.parametrize("target", ["", None, 3, "hf://owner/name", "kaggle://a/b/c/d"])
def test_what_is_no_path_is_refused_in_words(one, target, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"needs a path|Only a path of this machine"):
        one.save_to_preset(target)
    assert os.listdir(tmp_path) == []


def test_a_mount_point_is_saved_into(one, two, tmp_path):
    with faults.small_disk(tmp_path / "disk", 1000) as is_mounted:
        if not is_mounted:
            pytest.skip("this process may not mount")
        for backbone in (one, two):
            backbone.save_to_preset(tmp_path / "disk")
            make().save_to_preset(tmp_path / "disk")
        assert number_of(FalconBackbone.from_preset(tmp_path / "disk")) == 2
        FalconTokenizer.from_preset(tmp_path / "disk")
        assert not [p for p in (tmp_path / "disk").iterdir() if p.name.startswith(".")]
    assert [path.name for path in tmp_path.iterdir()] == ["disk"]


def test_a_folder_in_the_place_of_a_file_is_refused(one, tmp_path):
    (tmp_path / "preset/config.json").mkdir(parents=True)
    with pytest.raises(ValueError, match="which is a folder"):
        one.save_to_preset(tmp_path / "preset")
    assert [path.name for path in (tmp_path / "preset").iterdir()] == ["config.json"]


# === The disk ===


@pytest.mark.parametrize("place", ["beside", "inside"])
@pytest.mark.parametrize("thing", ["tokenizer", "exported tokenizer", "preprocessor", "file"])
def test_a_disk_that_is_full_leaves_what_was_there(tmp_path, thing, place):
    tokenizer = make("falcon")
    save = {
        "tokenizer": tokenizer.save_to_preset,
        "exported tokenizer": tokenizer.export_to_transformers,
        "preprocessor": FalconCausalLMPreprocessor(tokenizer).save_to_preset,
        "file": lambda path: replace_file(path / "f", lambda f: f.write_bytes(bytes(100_000))),
    }[thing]
    with faults.small_disk(tmp_path / "disk", 256) as is_mounted:
        if not is_mounted:
            pytest.skip("this process may not mount")
        target = tmp_path / "disk" / ("preset" if place == "beside" else "")
        target.mkdir(exist_ok=True)
        (target / "README.md").write_text("read me")
        save(target)
        (target / "tokenizer.json").touch()
        before = {path: path.read_bytes() for path in target.rglob("*") if path.is_file()}
        faults.fill(tmp_path / "disk")
        filler = tmp_path / "disk/filler"
        with pytest.raises(OSError, match="No space"):
            save(target)
        filler.unlink()
        assert {path: path.read_bytes() for path in target.rglob("*") if path.is_file()} == before
        assert not [p for p in (tmp_path / "disk").rglob("*") if p.name.startswith(".")]
        save(target)


def test_all_is_on_the_disk_before_it_counts(tmp_path, monkeypatch, scheme):
    events = []
    fsync, rename, names = os.fsync, os.rename, replacement._exchange_names

    def synced(handle):
        events.append(os.path.realpath(f"/proc/self/fd/{handle}"))
        fsync(handle)

    if not Path("/proc/self/fd").exists():
        pytest.skip("no way to see which file is synced")
    replace_folder(tmp_path / "a", write(x="old"))
    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "rename", lambda *a: events.append("renamed") or rename(*a))
    monkeypatch.setattr(
        replacement, "_exchange_names", lambda *a: names(*a) and not events.append("exchanged")
    )
    replace_folder(tmp_path / "a", write(x="new"))
    took_place = events.index("exchanged" if scheme == "in one step" else "renamed")
    synced_before = [Path(event).name for event in events[:took_place]]
    assert {"x", "new"} <= set(synced_before)
    assert str(tmp_path) in events[took_place:]
