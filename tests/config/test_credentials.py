"""shared/config/credentials.py: which credential an entry uses."""

import pytest

from shared.config import Credentials, parse
from shared.errors import ConfigError

SERVICE_PRINCIPAL = {"AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c", "AZURE_CLIENT_SECRET": "s"}
FEDERATED = {"AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c", "AZURE_FEDERATED_TOKEN_FILE": "/f"}
CERTIFICATE = {
    "AZURE_TENANT_ID": "t",
    "AZURE_CLIENT_ID": "c",
    "AZURE_CERTIFICATE_PATH": "/c.pem",
    "AZURE_CERTIFICATE_PASSWORD": "p",
}
USER = {"AZURE_CLIENT_ID": "c", "AZURE_USERNAME": "u", "AZURE_PASSWORD": "p"}


def text(own: str, model: str = "azure/d") -> str:
    params = f"model: {model}, api_base: 'https://r.openai.azure.com/openai/v1'{', ' if own else ''}{own}"
    return f"model_list: [{{model_name: a, litellm_params: {{{params}}}}}]"


def resolved(own: str = "", environ: dict[str, str] | None = None, model: str = "azure/d") -> Credentials:
    return parse(text(own, model), environ or {}).entries[0].credentials


def secret(credentials: Credentials) -> str | None:
    value = credentials.api_key or credentials.token or credentials.client_secret or credentials.password
    return None if value is None else value.get_secret_value()


@pytest.mark.parametrize(
    ("own", "environ", "kind"),
    [
        ("", {}, "default"),
        ("", {"AZURE_API_KEY": "k"}, "api_key"),
        ("", {"AZURE_OPENAI_API_KEY": "k"}, "api_key"),
        ("", {"AZURE_AD_TOKEN": "t"}, "token"),
        ("", {"AZURE_API_KEY": "k", "AZURE_AD_TOKEN": "t"}, "api_key"),
        ("", SERVICE_PRINCIPAL, "client_secret"),
        ("", USER, "username_password"),
        ("", {"AZURE_CLIENT_ID": "c"}, "default"),
        ("", FEDERATED, "workload_identity"),
        ("", {**FEDERATED, "AZURE_API_KEY": "k"}, "api_key"),
        ("", {**FEDERATED, **SERVICE_PRINCIPAL}, "client_secret"),
        ("", {"AZURE_FEDERATED_TOKEN_FILE": "/f"}, "default"),
        ("", CERTIFICATE, "certificate"),
        ("", {**CERTIFICATE, **FEDERATED}, "workload_identity"),
        (
            "",
            {"AZURE_CLIENT_CERTIFICATE_PATH": "/c.pem", "AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c"},
            "certificate",
        ),
        ("client_id: c2", {**CERTIFICATE, "AZURE_API_KEY": "k"}, "certificate"),
        ("auth: workload_identity", {**FEDERATED, "AZURE_API_KEY": "k"}, "workload_identity"),
        ("auth: certificate", {**CERTIFICATE, "AZURE_API_KEY": "k"}, "certificate"),
        ("auth: environment", {"AZURE_API_KEY": "k"}, "environment"),
        ("auth: azure_cli", {"AZURE_API_KEY": "k"}, "azure_cli"),
        ("api_key: k", SERVICE_PRINCIPAL, "api_key"),
        ("azure_ad_token: t", {"AZURE_API_KEY": "k"}, "token"),
        ("tenant_id: t, client_id: c, client_secret: s", {"AZURE_API_KEY": "k"}, "client_secret"),
        ("client_secret: s", {"AZURE_API_KEY": "k", **SERVICE_PRINCIPAL}, "client_secret"),
        ("client_id: c, azure_username: u, azure_password: p", {"AZURE_API_KEY": "k"}, "username_password"),
        ("api_key: k, client_id: c, azure_username: u, azure_password: p", {}, "api_key"),
        ("", {**USER, "AZURE_API_KEY": "k"}, "api_key"),
        ("api_key: k", USER, "api_key"),
        ("tenant_id: t2", {"AZURE_API_KEY": "k", **SERVICE_PRINCIPAL}, "client_secret"),
        ("auth: managed_identity", {"AZURE_API_KEY": "k"}, "managed_identity"),
        ("auth: default", {"AZURE_API_KEY": "k"}, "default"),
        ("auth: key", {"AZURE_API_KEY": "k"}, "api_key"),
        ("auth: token", {"AZURE_API_KEY": "k", "AZURE_AD_TOKEN": "t"}, "token"),
        ("auth: client_secret", {"AZURE_API_KEY": "k", **SERVICE_PRINCIPAL}, "client_secret"),
    ],
)
def test_precedence(own: str, environ: dict[str, str], kind: str) -> None:
    assert resolved(own, environ).kind == kind


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("ClientSecretCredential", "client_secret"),
        ("UsernamePasswordCredential", "username_password"),
        ("WorkloadIdentityCredential", "workload_identity"),
        ("CertificateCredential", "certificate"),
        ("ManagedIdentityCredential", "managed_identity"),
        ("EnvironmentCredential", "environment"),
        ("AzureCliCredential", "azure_cli"),
        ("DefaultAzureCredential", "default"),
    ],
)
def test_the_environment_may_name_a_class_of_azure_identity(name: str, kind: str) -> None:
    complete = {**SERVICE_PRINCIPAL, **USER, **FEDERATED, **CERTIFICATE}
    assert resolved("", {**complete, "AZURE_CREDENTIAL": name}).kind == kind
    assert resolved("client_id: c2", {**complete, "AZURE_API_KEY": "k", "AZURE_CREDENTIAL": name}).kind == kind


def test_a_named_class_does_not_win_over_a_key() -> None:
    assert resolved("", {"AZURE_API_KEY": "k", "AZURE_CREDENTIAL": "ManagedIdentityCredential"}).kind == "api_key"


def test_a_class_that_is_not_served_is_named_once() -> None:
    two = "model_list:\n" + "".join(
        f"  - {{model_name: {name}, litellm_params: {{model: azure/d, api_base: 'https://r.openai.azure.com'}}}}\n"
        for name in "ab"
    )
    with pytest.raises(ConfigError) as caught:
        parse(two, {"AZURE_CREDENTIAL": "OnBehalfOfCredential"})
    assert [problem.partition(", expected")[0] for problem in caught.value.problems] == [
        "AZURE_CREDENTIAL: found 'OnBehalfOfCredential'"
    ]


def test_a_class_says_what_it_lacks() -> None:
    with pytest.raises(ConfigError) as caught:
        resolved("", {"AZURE_CREDENTIAL": "CertificateCredential"})
    assert caught.value.problems[0].startswith("AZURE_CERTIFICATE_PATH: is not set, expected a path")


def test_a_certificate_comes_with_its_password_and_shows_neither() -> None:
    credentials = resolved("", CERTIFICATE)
    assert (credentials.file, secret(credentials)) == ("/c.pem", "p")
    assert "'p'" not in repr(credentials)


def test_a_federated_token_needs_no_secret() -> None:
    expected = Credentials("workload_identity", tenant_id="t", client_id="c", file="/f")
    assert resolved("", FEDERATED) == expected


def test_the_managed_identity_may_be_named() -> None:
    assert resolved("auth: managed_identity, client_id: mine", {"AZURE_CLIENT_ID": "other"}).client_id == "mine"


def test_auth_decides_over_a_key_and_says_so() -> None:
    config = parse(text("auth: managed_identity, api_key: k"), {})
    assert config.entries[0].credentials == Credentials("managed_identity")
    assert config.warnings == ("model_list[0].litellm_params: auth: managed_identity is used; api_key has no effect.",)


def test_of_two_credentials_the_first_is_used_and_the_other_named() -> None:
    config = parse(text("api_key: k, azure_ad_token: t"), {})
    assert config.entries[0].credentials.kind == "api_key"
    assert config.warnings == ("model_list[0].litellm_params: api_key is used; azure_ad_token has no effect.",)


def test_azure_ad_makes_the_environments_key_a_token() -> None:
    credentials = resolved("", {"AZURE_API_KEY": "jwt", "AZURE_API_TYPE": "azure_ad"})
    assert (credentials.kind, secret(credentials)) == ("token", "jwt")


def test_azure_ad_makes_a_reference_to_the_environments_key_a_token() -> None:
    own = "api_key: os.environ/AZURE_API_KEY"
    assert resolved(own, {"AZURE_API_KEY": "jwt", "AZURE_API_TYPE": "azure_ad"}).kind == "token"


def test_azure_ad_leaves_an_entrys_own_key_a_key() -> None:
    assert resolved("api_key: k", {"AZURE_API_TYPE": "azure_ad"}).kind == "api_key"


@pytest.mark.parametrize(
    ("own", "environ", "path"),
    [
        ("client_secret: s", {}, "model_list[0].litellm_params.tenant_id"),
        ("azure_username: u, azure_password: p", {}, "model_list[0].litellm_params.client_id"),
        ("client_id: c", {"AZURE_API_KEY": "k"}, "model_list[0].litellm_params"),
        ("auth: key", {}, "model_list[0].litellm_params.api_key"),
        ("auth: token", {}, "model_list[0].litellm_params.azure_ad_token"),
        ("azure_ad_token: oidc/azure/x", {}, "model_list[0].litellm_params.azure_ad_token"),
        ("auth: workload_identity", {}, "AZURE_FEDERATED_TOKEN_FILE"),
        ("auth: certificate", {}, "AZURE_CERTIFICATE_PATH"),
        ("auth: certificate", {"AZURE_CERTIFICATE_PATH": "/c"}, "model_list[0].litellm_params.tenant_id"),
        ("litellm_credential_name: nobody", {}, "model_list[0].litellm_params.litellm_credential_name"),
    ],
)
def test_what_is_missing_is_named(own: str, environ: dict[str, str], path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text(own), environ)
    assert caught.value.problems[0].partition(": ")[0] == path


def test_an_openai_entry_never_gets_the_azure_key() -> None:
    with pytest.raises(ConfigError, match=r"api_key: is missing; write it or set OPENAI_API_KEY"):
        resolved("", {"AZURE_API_KEY": "azure"}, model="gpt-4o")


def test_an_openai_entry_takes_the_openai_key() -> None:
    assert secret(resolved("", {"AZURE_API_KEY": "azure", "OPENAI_API_KEY": "openai"}, model="gpt-4o")) == "openai"


def test_an_openai_entry_has_no_managed_identity() -> None:
    with pytest.raises(ConfigError, match=r"expected key: OpenAI models have keys only"):
        resolved("auth: managed_identity", {}, model="openai/gpt-4o")


def test_a_named_credential_completes_the_entry() -> None:
    named = """
credential_list:
  - credential_name: shared
    credential_values: {api_key: k, api_base: "https://named.openai.azure.com", api_version: "2024-10-21"}
model_list:
  - {model_name: a, litellm_params: {model: azure/a, litellm_credential_name: shared}}
  - {model_name: b, litellm_params: {model: azure/b, litellm_credential_name: shared, api_version: v1}}
"""
    first, second = parse(named, {}).entries
    assert (first.api_base, first.api_version, secret(first.credentials)) == (
        "https://named.openai.azure.com",
        "2024-10-21",
        "k",
    )
    assert second.api_version == "v1"


def test_equal_credentials_are_equal_so_that_they_may_share_a_token_cache() -> None:
    assert len({resolved("api_key: k"), resolved("api_key: k"), resolved("api_key: l")}) == 2


def test_no_credential_shows_its_secrets() -> None:
    shown = repr(
        [
            resolved("api_key: hunter2"),
            resolved("azure_ad_token: hunter2"),
            resolved("client_secret: hunter2", SERVICE_PRINCIPAL),
        ]
    )
    assert "hunter2" not in shown
