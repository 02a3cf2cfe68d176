"""Which storage account the environment means."""

from __future__ import annotations

import pytest

from shared.errors import ConfigError
from shared.storage.account import Account

KEY = "DefaultEndpointsProtocol=https;AccountName=acc;AccountKey=c2VjcmV0;EndpointSuffix=core.windows.net"


@pytest.mark.parametrize("environ", [{}, {"AzureWebJobsStorage": "  "}, {"AzureWebJobsStorage__clientId": "c"}])
def test_without_settings_there_is_no_account(environ: dict[str, str]) -> None:
    assert Account.read(environ) is None


@pytest.mark.parametrize(
    "written", [KEY, "BlobEndpoint=https://acc.blob.core.windows.net;SharedAccessSignature=sv=1&sig=x"]
)
def test_a_connection_string_is_taken_as_it_is(written: str) -> None:
    assert Account.read({"AzureWebJobsStorage": written}) == Account(written)


@pytest.mark.parametrize("written", ["UseDevelopmentStorage=true", "usedevelopmentstorage=true;"])
def test_development_storage_is_the_emulator_on_its_own_port(written: str) -> None:
    account = Account.read({"AzureWebJobsStorage": written})
    assert account is not None
    assert "BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1" in str(account.connection_string)


@pytest.mark.parametrize(
    "written", ["nonsense", "AccountName=acc", "AccountKey=k", "https://acc.blob.core.windows.net"]
)
def test_another_text_is_told_without_being_shown(written: str) -> None:
    with pytest.raises(ConfigError) as failure:
        Account.read({"AzureWebJobsStorage": written})
    assert str(failure.value) == (
        "AzureWebJobsStorage: found another value, expected a storage account's connection string"
    )


def test_an_identity_reaches_the_account_of_a_name() -> None:
    account = Account.read({"AzureWebJobsStorage__accountName": "acc", "AzureWebJobsStorage__clientId": "c-1"})
    assert account is not None
    assert (account.blob_url, account.client_id) == ("https://acc.blob.core.windows.net", "c-1")


def test_a_written_url_wins_over_the_name() -> None:
    environ = {
        "AzureWebJobsStorage__accountName": "acc",
        "AzureWebJobsStorage__blobServiceUri": "https://acc.blob.core.usgovcloudapi.net/",
    }
    account = Account.read(environ)
    assert account is not None
    assert (account.blob_url, account.client_id) == ("https://acc.blob.core.usgovcloudapi.net", None)


def test_a_url_that_is_none_stops_the_start() -> None:
    with pytest.raises(ConfigError, match="__blobServiceUri"):
        Account.read({"AzureWebJobsStorage__blobServiceUri": "acc"})


def test_no_repr_shows_the_key() -> None:
    assert "c2VjcmV0" not in repr(Account(KEY))
