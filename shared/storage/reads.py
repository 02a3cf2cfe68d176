"""One row is read for a part of what the library's client takes, as writes.py writes it: past the client, through
azure-core's pipeline with the policy that signs. A row that is there, and one that certainly is not, are answers;
whatever else is answered, or happens, is for the library, which reads the row again. Imported with the library only.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import orjson
from azure.core.exceptions import AzureError
from azure.core.pipeline.transport import AsyncHttpTransport, HttpRequest

from shared.storage.tables import Row, Value
from shared.storage.writes import Direct, place_of, policy_of

_HEADERS = {"DataServiceVersion": "3.0", "Accept": "application/json;odata=minimalmetadata"}
_MISSING = frozenset({"ResourceNotFound", "EntityNotFound", "TableNotFound"})
"""https://learn.microsoft.com/rest/api/storageservices/table-service-error-codes"""
_TYPED: Mapping[str, Callable[[Any], Value]] = {
    "Edm.Binary": lambda value: base64.b64decode(value, validate=True),
    "Edm.Int64": int,
    "Edm.Double": float,
}


class Reader(Direct):
    """Reads rows of one table."""

    headers = _HEADERS

    async def get(self, partition: str, key: str) -> tuple[Row | None] | None:
        """The row, or that there is none. None: nothing is known, and it is for the library to read it."""
        if self._rests:
            return None
        try:
            request = HttpRequest("GET", self._url + place_of(partition, key), headers=self._headers)
            response = (await self._pipeline.run(request)).http_response
            if response.status_code == 200:
                return (row_of(orjson.loads(response.body()), response.headers),)
            if response.status_code == 404 and orjson.loads(response.body())["odata.error"]["code"] in _MISSING:
                return (None,)
        except (AzureError, OSError, ValueError, KeyError, TypeError, AttributeError):
            pass  # no connection, no answer, no token, nothing that we understand, closed meanwhile
        self._rest()
        return None


def reader_of(service: Any, table: str, transport: Callable[[], AsyncHttpTransport[Any, Any]]) -> Reader | None:
    """The reader beside a TableServiceClient; None where there is no writer either."""
    policy = policy_of(service)
    return None if policy is None else Reader(f"{service.url}/{table}", service.api_version, policy, transport())


def row_of(entity: Mapping[str, Any], headers: Mapping[str, str]) -> Row:
    """A row from its JSON. Raises ValueError, KeyError or TypeError for one that no row of ours looks like.

    https://learn.microsoft.com/rest/api/storageservices/payload-format-for-table-service-operations: minimal metadata
    name the type of what JSON has no type for.
    """
    properties: dict[str, Value] = {}
    for name, value in entity.items():
        if name in ("PartitionKey", "RowKey", "Timestamp") or "odata." in name or value is None:
            continue
        kind = entity.get(f"{name}@odata.type")
        if kind is not None:
            value = _TYPED[kind](value)
        elif not isinstance(value, str | int | float):
            raise TypeError(name)
        properties[name] = value
    etag = entity.get("odata.etag") or headers["ETag"]
    changed_at = datetime.fromisoformat(entity["Timestamp"]).timestamp()
    return Row(entity["PartitionKey"], entity["RowKey"], properties, etag, changed_at)
