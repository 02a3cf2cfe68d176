"""The probe of the storage account: what it leaves behind, and what its failures mean."""

from __future__ import annotations

import pytest

from shared.admin.doctor_storage import blobs_work, table_works
from shared.errors import StorageFailed
from tests.memory_blobs import MemoryBlobs
from tests.memory_table import MemoryTable


class Refused(Exception):
    """What Azure's libraries raise, with its code."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.error_code = code


class Failing(MemoryBlobs):
    """Blobs whose every request fails with this code."""

    def __init__(self, code: str) -> None:
        super().__init__(self.fail)
        self.code = code

    def fail(self, what: str) -> None:
        raise StorageFailed("does not answer") from Refused(self.code)


async def test_a_row_is_written_read_and_removed() -> None:
    table = MemoryTable()
    finding = await table_works(table, "one")
    assert (finding.severity, finding.found) == ("ok", "written, read and removed")
    assert await table.rows("doctor", 10) == []


async def test_a_blob_is_written_read_and_removed() -> None:
    blobs = MemoryBlobs()
    assert (await blobs_work(blobs, "one")).severity == "ok"
    assert blobs.blobs == {}


@pytest.mark.parametrize(
    ("code", "todo"),
    [
        ("AuthorizationPermissionMismatch", "Assign it Storage Blob Data Contributor"),
        ("StorageErrorCode.AuthorizationPermissionMismatch", "Assign it Storage Blob Data Contributor"),
        ("AuthorizationFailure", "firewall"),
        ("KeyBasedAuthenticationNotPermitted", "AzureWebJobsStorage__accountName"),
        ("AuthenticationFailed", "clock"),
        ("SomethingElse", "name and endpoints"),
    ],
)
async def test_a_refusal_says_what_to_do(code: str, todo: str) -> None:
    finding = await blobs_work(Failing(code), "one")
    assert finding.severity == "error"
    assert todo in finding.todo
