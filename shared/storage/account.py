"""Which storage account: the settings that Azure Functions itself uses, `AzureWebJobsStorage` and its parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from shared.errors import ConfigError

SETTING = "AzureWebJobsStorage"
_DEVELOPMENT = "UseDevelopmentStorage=true"
# The account of every storage emulator; its key is published and opens nothing else.
_EMULATOR = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
    "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
    "BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;"
    "QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;"
    "TableEndpoint=http://127.0.0.1:10002/devstoreaccount1;"
)


@dataclass(frozen=True, slots=True)
class Account:
    """A storage account: its connection string, or its services' URLs for sign-in with an identity.

    `client_id` names a user-assigned identity, None the one that DefaultAzureCredential finds.
    """

    connection_string: str | None = field(default=None, repr=False)
    blob_url: str | None = None
    table_url: str | None = None
    client_id: str | None = None

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Account | None:
        """The account of the environment, None when there is none. Raises ConfigError for one that cannot be used."""
        written = environ.get(SETTING, "").strip()
        if written:
            return cls(_EMULATOR if written.rstrip(";").lower() == _DEVELOPMENT.lower() else _checked(written))
        name = environ.get(f"{SETTING}__accountName", "").strip()
        url = environ.get(f"{SETTING}__blobServiceUri", "").strip().rstrip("/")
        if not url and not name:
            return None
        url = _url(url or f"https://{name}.blob.core.windows.net", "blobServiceUri")
        table = environ.get(f"{SETTING}__tableServiceUri", "").strip().rstrip("/")
        # The platform's own identity settings need no table service: it is the blob service's neighbour.
        table = _url(table or url.replace(".blob.", ".table.", 1), "tableServiceUri")
        client_id = environ.get(f"{SETTING}__clientId", "").strip() or None
        return cls(blob_url=url, table_url=table, client_id=client_id)


def _url(written: str, setting: str) -> str:
    if urlsplit(written).scheme not in ("https", "http") or not urlsplit(written).hostname:
        raise ConfigError([f"{SETTING}__{setting}: found another value, expected a URL"])
    return written


def _checked(connection_string: str) -> str:
    parts = {part.partition("=")[0].strip().lower() for part in connection_string.split(";")}
    if not {"accountname", "blobendpoint"} & parts or not {"accountkey", "sharedaccesssignature"} & parts:
        raise ConfigError([f"{SETTING}: found another value, expected a storage account's connection string"])
    return connection_string
