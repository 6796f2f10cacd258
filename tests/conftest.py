"""What every test shares."""

import functools
import ipaddress
import os
import shutil
import signal
import socket

import hypothesis
import matplotlib
import pytest

pytest.register_assert_rewrite("browser_lab")  # its assertions show what they compared
matplotlib.use("agg")  # not through the environment: the kernels that tests start need their own

# Where tests run in the background, a shell may have them ignore Ctrl-C, which some are about.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

hypothesis.settings.register_profile("falcon_edu", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("falcon_edu")


@pytest.fixture(autouse=True)
def stay_on_this_machine(monkeypatch):
    """No test may need a network: a connection to another machine is an error."""
    connect = socket.socket.connect

    def guarded(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6) and not is_local(address[0]):
            raise OSError(f"a test tried to connect to {address[0]}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(scope="session")
def program_folder(request, tmp_path_factory):
    """A directory for what JAX compiles, one for all processes of a test run."""
    directory = tmp_path_factory.getbasetemp()
    is_one_of_many = hasattr(request.config, "workerinput")  # of pytest-xdist
    return (directory.parent if is_one_of_many else directory) / "programs"


@pytest.fixture(scope="session")
def good_presets(tmp_path_factory):
    """One good preset in each format."""
    from falcon_edu import Backbone
    from tests.layouts import build
    from tests.pytorch_writer import write_pytorch

    from safetensors.numpy import load_file

    folder = tmp_path_factory.mktemp("good")
    backbone = build("rw")
    backbone.save_to_preset(folder / "keras_hub")
    backbone.export_to_transformers(folder / "transformers")
    shutil.copytree(folder / "transformers", folder / "pytorch")
    in_safetensors = folder / "pytorch" / "model.safetensors"
    write_pytorch(folder / "pytorch" / "pytorch_model.bin", load_file(in_safetensors))
    in_safetensors.unlink()
    for path in folder.iterdir():
        Backbone.from_preset(path)
    return folder


@pytest.fixture
def rw():
    """A Falcon-RW for tests that only read it."""
    from tests.preset_folders import built

    return built("rw")


@pytest.fixture
def in_keras_hub(rw, tmp_path):
    """A preset in KerasHub's format."""
    rw.save_to_preset(tmp_path / "keras_hub")
    return tmp_path / "keras_hub"


@pytest.fixture
def in_transformers(rw, tmp_path):
    """A preset in the format of transformers."""
    rw.export_to_transformers(tmp_path / "transformers")
    return tmp_path / "transformers"


@pytest.fixture
def no_model_is_made(monkeypatch):
    """While a test runs, making a model is an error."""
    from falcon_edu import FalconBackbone

    @functools.wraps(FalconBackbone.__init__)  # whose arguments are looked at
    def refuse(*args, **kwargs):
        raise AssertionError("a model was made before the file was checked")

    monkeypatch.setattr(FalconBackbone, "__init__", refuse)


@pytest.fixture(autouse=True, scope="session")
def compile_once(program_folder):
    """What one test has compiled, no other has to, in this process or beside it.

    Processes that tests start compile for themselves, as a user's would: some are there to measure
    it. Those that start many kernels say where the programs are: `kernels_compile_once`.
    """
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    jax.config.update("jax_compilation_cache_dir", str(program_folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
    compilation_cache.reset_cache()  # it may have been looked for while tests were collected


@pytest.fixture(scope="session")
def program_environment(program_folder):
    """What tells other processes where the programs are: environment variables of JAX."""
    return {
        "JAX_COMPILATION_CACHE_DIR": str(program_folder),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "0",
    }


@pytest.fixture
def kernels_compile_once(program_environment, monkeypatch):
    """Has the kernels that a test starts take the programs that there are."""
    for name, value in program_environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(autouse=True, scope="module")
def forget_programs():
    """No other file needs what one has compiled; kept, it would fill gigabytes."""
    yield
    import jax

    jax.clear_caches()


def is_local(host):
    """Whether a host is this machine: the name localhost, or a loopback address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
