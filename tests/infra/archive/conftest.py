"""An archive to write to: in a directory, and on an S3 server in this process. Every test runs on both."""

import json
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from infra.archive.store import Archive
from infra.ids import new_id
from infra.settings import Settings


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """Where an S3 server answers for the whole run."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["directory", "s3"])
def archive_settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings of an empty archive."""
    if request.param == "directory":
        return Settings(state_dir=tmp_path)
    endpoint: str = request.getfixturevalue("s3_endpoint")
    return s3_settings(endpoint, tmp_path)


@pytest.fixture
def archive(archive_settings: Settings) -> Archive:
    """The empty archive."""
    return Archive.open(archive_settings)


def s3_settings(endpoint: str, directory: Path) -> Settings:
    """Settings of an archive in a new bucket."""
    bucket, key_file = f"archive-{new_id()}", directory / "s3.json"
    boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    ).create_bucket(Bucket=bucket)
    key_file.write_text(json.dumps({"key": "testing", "secret": "testing"}))
    return Settings(
        state_dir=directory,
        archive_url=f"s3://{bucket}/of/playhead",
        archive_options={"endpoint_url": endpoint, "region_name": "us-east-1"},
        archive_key_file=key_file,
    )
