"""What every test shares."""

import ipaddress
import os
import socket

import hypothesis
import matplotlib
import pytest

pytest.register_assert_rewrite("browser_lab")  # its assertions show what they compared
matplotlib.use("agg")  # not through the environment: the kernels that tests start need their own

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
