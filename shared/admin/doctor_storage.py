"""Writes, reads and removes one row and one blob: what Spillway needs of the storage account."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from shared.admin.findings import Finding
from shared.errors import StorageFailed
from shared.storage.blobs import About, Blobs
from shared.storage.tables import Row, Table

TABLE = "spillwayusage"
CONTAINER = "spillway-files"
PLACE = "doctor"
"""The row's partition and the blob's folder, where nothing else is."""
TABLE_ROLE = "Storage Table Data Contributor (0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3)"
BLOB_ROLE = "Storage Blob Data Contributor (ba92f5b4-2d11-453d-a403-e96b0029c9fe)"
_ROLE = frozenset({"AuthorizationPermissionMismatch", "InsufficientAccountPermissions"})
_NETWORK = frozenset({"AuthorizationFailure", "PublicAccessNotPermitted"})
_KEYS = frozenset({"KeyBasedAuthenticationNotPermitted"})
_CREDENTIAL = frozenset({"AuthenticationFailed", "InvalidAuthenticationInfo", "NoAuthenticationInformation"})


async def table_works(table: Table, name: str) -> Finding:
    """`name` is the row's own."""

    async def work() -> None:
        await table.put(Row(PLACE, name, {"probe": name}))
        if await table.get(PLACE, name) is None:
            raise StorageFailed("A row that was written is not there.")
        await table.remove(PLACE, name)

    return await _tried("Table Storage", TABLE_ROLE, work)


async def blobs_work(blobs: Blobs, name: str) -> Finding:
    """`name` is the blob's own."""

    async def work() -> None:
        await blobs.put(f"{PLACE}/{name}", b"probe", About("text/plain", {}))
        if await blobs.open(f"{PLACE}/{name}") is None:
            raise StorageFailed("A blob that was written is not there.")
        await blobs.delete(f"{PLACE}/{name}")

    return await _tried("Blob Storage", BLOB_ROLE, work)


def no_account() -> Finding:
    """There is no storage account."""
    return Finding(
        "storage",
        "warning",
        "AzureWebJobsStorage",
        "there is no storage account: no ledger, keys, files or batches, and each instance counts its limits alone",
        "Set AzureWebJobsStorage, or AzureWebJobsStorage__accountName for an identity.",
    )


async def _tried(service: str, role: str, work: Callable[[], Awaitable[None]]) -> Finding:
    try:
        await work()
    except StorageFailed as failure:
        return _failed(service, role, failure)
    return Finding("storage", "ok", service, "written, read and removed")


def _failed(service: str, role: str, failure: StorageFailed) -> Finding:
    cause = failure.__cause__
    code = str(getattr(cause, "error_code", None) or "")
    kind = code.rpartition(".")[2] or (type(cause).__name__ if cause is not None else "")
    todo = "Check the account's name and endpoints in AzureWebJobsStorage…, and the network on the way there."
    found = f"does not work: {kind or failure.message}"
    if kind in _ROLE:
        found, todo = "the identity may not write", f"Assign it {role} on the storage account."
    elif kind in _NETWORK:
        todo = f"Allow this app's network in the account's firewall; if it is open, assign the identity {role}."
    elif kind in _KEYS:
        todo = "The account takes no keys: replace the connection string by AzureWebJobsStorage__accountName."
    elif kind in _CREDENTIAL:
        todo = "The key or token is not valid there: check AzureWebJobsStorage…, and this machine's clock."
    elif kind in {"ClientAuthenticationError", "CredentialUnavailableError"}:
        todo = "The identity cannot sign in: check AzureWebJobsStorage__clientId, or run `az login` on a laptop."
    return Finding("storage", "error", service, found, todo)
