"""S3 servers for tests, started once a session at most: moto's (quick, takes any secret) and a real OpenStack Swift.

It knows no store. A test asks for `moto_s3` or `swift_s3`, makes a bucket and sets the variables of `environment()`.
"""

import logging
import os
import select
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from deblur_core.video.scheduling import usual_scheduling

SWIFT_SERVER = Path(__file__).parent / "deblur_core" / "storage" / "swift_server.py"
START_SECONDS = 60


@dataclass(frozen=True)
class S3Server:
    """A running S3 server and the one account it has."""

    endpoint_url: str
    access_key: str
    secret_key: str

    def environment(self) -> dict[str, str]:
        """The variables that make every process use this server and nothing of the person who runs the tests."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    @cached_property
    def client(self) -> Any:
        """A boto3 client to look at the server with, past the code under test."""
        import boto3
        from botocore.config import Config

        return boto3.session.Session().client(
            "s3",
            endpoint_url=self.endpoint_url,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}),
        )

    def create_bucket(self, name: str = "") -> str:
        """Create a bucket, by default one that no other test has; returns its name."""
        name = name or f"test-{uuid.uuid4().hex[:12]}"
        self.client.create_bucket(Bucket=name)
        return name

    @cached_property
    def shared_bucket(self) -> str:
        """A bucket for all tests that keep to a prefix of their own; making one takes a while."""
        return self.create_bucket()


@pytest.fixture(scope="session", autouse=True)
def _no_personal_s3_account() -> Iterator[None]:
    """No test may reach the account of the person who runs it."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            patch.setenv(name, os.devnull)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield


@pytest.fixture(scope="session")
def moto_s3(_no_personal_s3_account: None) -> Iterator[S3Server]:
    """moto's S3 on loopback, inside this process."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # else a line for every request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield S3Server(f"http://{host}:{port}", "moto", "any-secret")
    server.stop()


@pytest.fixture(scope="session")
def swift_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real OpenStack Swift with s3api on loopback, in a process of its own."""
    with running_swift(tmp_path_factory.mktemp("swift")) as server:
        yield server


@contextmanager
def running_swift(data_dir: Path) -> Iterator[S3Server]:
    """The same for whoever is no test. Raises RuntimeError when it does not start."""
    data_dir.mkdir(parents=True, exist_ok=True)
    errors = data_dir / "stderr.txt"
    command = [sys.executable, str(SWIFT_SERVER), str(data_dir / "data"), "0", "--while-parent-lives"]
    with errors.open("w") as stderr, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr) as process:
        assert process.stdout is not None
        answered, _, _ = select.select([process.stdout], [], [], START_SECONDS)
        word, _, url = process.stdout.readline().decode().strip().partition(" ") if answered else ("", "", "")
        if word != "ready":
            process.kill()
            raise RuntimeError(f"Swift did not start: {errors.read_text()[-2000:]}")
        yield S3Server(url, "test:tester", "canary-of-the-store")
        process.terminate()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Iterator[None]:
    """Clips are made with SVT-AV1 too, which makes the tests' own process real-time where it may."""
    with usual_scheduling():
        return (yield)
