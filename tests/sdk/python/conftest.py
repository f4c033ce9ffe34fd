"""Starts the scripted upstream and the gateway once for all tests.

TIDEGATE_BIN and MOCK_BIN name the two binaries. Without TIDEGATE_BIN the SDKs talk to the scripted upstream itself,
which checks that it speaks as the vendors do; tests that need a gateway are then skipped.
"""

import os
import pathlib
import re
import subprocess
import tempfile
import threading
import time
import urllib.request

import pytest

from bench import ADMIN_KEY, GOVERNED, Bench

KEYS = {
    "admin": "tga-admin-key-of-the-sdk-tests-01",
    "upstream": "sk-upstream-of-the-sdk-tests-01",
    "sdk": "tg-key-of-the-sdk-tests-0123456789",
    "poor": "tg-poor-key-of-the-sdk-tests-01234",
    "slow": "tg-slow-key-of-the-sdk-tests-01234",
}
VENDORS = ["openai-prod", "anthropic-prod", "google-prod"]
PATIENCE = 30


class Process:
    """A child process, its output, and the address it prints."""

    def __init__(self, command, pattern, **options):
        self.lines = []
        self.child = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options
        )
        threading.Thread(target=self._read, daemon=True).start()
        deadline = time.monotonic() + PATIENCE
        while True:
            found = re.search(pattern, "".join(self.lines))
            if found:
                self.address = found.group(1)
                return
            if self.child.poll() is not None or time.monotonic() > deadline:
                self.child.kill()
                raise RuntimeError(f"{command[0]} did not start:\n" + "".join(self.lines))
            time.sleep(0.01)

    def _read(self):
        for line in self.child.stdout:
            self.lines.append(line)

    def stop(self):
        self.child.kill()
        self.child.wait()


class World:
    def __init__(self, mock, gateway):
        self.mock_url = f"http://{mock.address}"
        self.has_gateway = gateway is not None
        self.url = f"http://{gateway.address}" if gateway else self.mock_url

    def model(self, vendor, name="mock"):
        return f"@{vendor}/{name}" if self.has_gateway else name


@pytest.fixture(scope="session")
def world():
    mock = Process([os.environ["MOCK_BIN"]], r"listening on ([\d.]+:\d+)")
    binary = os.environ.get("TIDEGATE_BIN")
    if not binary:
        yield World(mock, None)
        mock.stop()
        return
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        settings = (pathlib.Path(__file__).parent.parent / "settings.toml").read_text()
        gateway = start_gateway(binary, folder, settings.replace("MOCK", f"http://{mock.address}"), KEYS)
        yield World(mock, gateway)
        gateway.stop()
        mock.stop()


def start_gateway(binary, folder, settings, secrets):
    """Starts a gateway with a folder of its own. DATA and SECRETS in the settings are replaced."""
    (folder / "secrets").mkdir()
    for name, text in secrets.items():
        (folder / "secrets" / name).write_text(text)
    settings = settings.replace("DATA", str(folder)).replace("SECRETS", str(folder / "secrets"))
    (folder / "tidegate.toml").write_text(settings)
    gateway = Process(
        [binary, "serve", "--config", str(folder / "tidegate.toml")],
        r"listening on http://([\d.]+:\d+)",
        cwd=folder,
        env={name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
    )
    wait_until_healthy(f"http://{gateway.address}/v1/health")
    return gateway


@pytest.fixture(scope="session")
def bench():
    """A gateway without declared providers and keys: everything in it is made through the Admin API."""
    binary = os.environ.get("TIDEGATE_BIN")
    if not binary:
        pytest.skip("needs the gateway (TIDEGATE_BIN)")
    mock = Process([os.environ["MOCK_BIN"]], r"listening on ([\d.]+:\d+)")
    with tempfile.TemporaryDirectory() as folder:
        gateway = start_gateway(binary, pathlib.Path(folder), GOVERNED, {"admin": ADMIN_KEY})
        yield Bench(f"http://{gateway.address}", f"http://{mock.address}", pathlib.Path(folder))
        gateway.stop()
        mock.stop()


def wait_until_healthy(url):
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            if urllib.request.urlopen(url, timeout=5).status == 200:
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.02)


@pytest.fixture(params=VENDORS)
def vendor(request, world):
    """Each vendor behind the gateway in turn; only one when there is no gateway between."""
    if not world.has_gateway and request.param != VENDORS[0]:
        pytest.skip("needs the gateway (TIDEGATE_BIN)")
    return request.param


@pytest.fixture
def gateway(world):
    if not world.has_gateway:
        pytest.skip("needs the gateway (TIDEGATE_BIN)")
    return world
