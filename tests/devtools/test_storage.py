"""Azurite as tests and `devtools storage` run it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devtools.processes import accepts, free_port, is_free
from devtools.storage import AZURITE, StorageError, command, connection_string, launch, storage

ROOT = Path(__file__).parents[2]
needs_azurite = pytest.mark.skipif(not AZURITE.exists(), reason="Azurite is not installed: run `npm ci`")


def blobs(connection: str) -> Any:
    module: Any = pytest.importorskip("azure.storage.blob")
    return module.BlobServiceClient.from_connection_string(connection)


@pytest.fixture(scope="module")
def connection() -> Iterator[str]:
    with storage() as running:
        yield running


@needs_azurite
def test_a_table_keeps_an_entity(connection: str) -> None:
    tables: Any = pytest.importorskip("azure.data.tables")
    with tables.TableServiceClient.from_connection_string(connection) as service:
        table = service.create_table("entities")
        table.upsert_entity({"PartitionKey": "p", "RowKey": "r", "v": 1})
        assert table.get_entity("p", "r")["v"] == 1


@needs_azurite
def test_a_container_keeps_a_blob(connection: str) -> None:
    with blobs(connection) as service:
        container = service.create_container("container")
        container.upload_blob("blob", b"bytes")
        assert container.download_blob("blob").readall() == b"bytes"


@needs_azurite
def test_nothing_listens_after_the_block() -> None:
    port = free_port(3)
    with storage(port):
        assert accepts(port)
    assert [accepts(port + offset) for offset in range(3)] == [False, False, False]


@needs_azurite
def test_a_folder_keeps_its_blobs_over_a_restart(tmp_path: Path) -> None:
    with storage(data_dir=tmp_path) as first, blobs(first) as service:
        service.create_container("container").upload_blob("blob", b"bytes")
    with storage(data_dir=tmp_path) as second, blobs(second) as service:
        assert service.get_blob_client("container", "blob").download_blob().readall() == b"bytes"


@needs_azurite
def test_a_taken_port_is_named() -> None:
    port = free_port(3)
    with storage(port), pytest.raises(StorageError, match=f"Port {port} is taken"):
        launch(port, None)


@needs_azurite
@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends a child of a killed parent only on Linux")
def test_azurite_ends_when_the_command_is_killed() -> None:
    port = free_port(3)
    parent = subprocess.Popen(
        [sys.executable, "-m", "devtools", "storage", "--port", str(port), "--in-memory"],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with parent:
        assert parent.stdout is not None
        assert "Azurite on ports" in parent.stdout.readline()
        os.kill(parent.pid, signal.SIGKILL)
    _wait_until_free(port)
    assert is_free(port)


@needs_azurite
def test_the_command_ends_with_code_0_on_an_interrupt() -> None:
    port = free_port(3)
    with subprocess.Popen(
        [sys.executable, "-m", "devtools", "storage", "--port", str(port), "--in-memory"],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        process.stdout.readline()
        assert process.stdout.readline().startswith("AzureWebJobsStorage=DefaultEndpointsProtocol=http;")
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0


def test_without_node_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(StorageError, match=r"Node\.js 18 or newer.*make setup"):
        command(10000, None)


def test_without_azurite_the_message_says_which_command_helps(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="npm ci"):
        command(10000, None, tmp_path / "azurite.js")


def test_the_three_services_have_neighbouring_ports() -> None:
    endpoints = [part for part in connection_string(20000).split(";") if "Endpoint=" in part]
    assert endpoints == [
        "BlobEndpoint=http://127.0.0.1:20000/devstoreaccount1",
        "QueueEndpoint=http://127.0.0.1:20001/devstoreaccount1",
        "TableEndpoint=http://127.0.0.1:20002/devstoreaccount1",
    ]


def test_the_lock_file_names_no_registry() -> None:
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    assert [name for name, package in packages.items() if "resolved" in package] == []


def test_every_locked_package_has_a_checksum() -> None:
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    assert [name for name, package in packages.items() if name and "integrity" not in package] == []


def _wait_until_free(port: int) -> None:
    deadline = time.monotonic() + 10
    while accepts(port) and time.monotonic() < deadline:
        time.sleep(0.05)
