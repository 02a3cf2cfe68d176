"""Which credential an entry uses.

1. `auth`, when written, decides; what it needs comes from the entry, else from the environment.
2. Else the entry's own: api_key, then azure_ad_token, then client_secret, then azure_username.
3. Else the environment, the first that is complete: AZURE_OPENAI_API_KEY or AZURE_API_KEY, AZURE_AD_TOKEN (these two
   only when the entry names no identity at all), AZURE_CREDENTIAL (the name of one of azure-identity's classes),
   AZURE_CLIENT_SECRET, AZURE_USERNAME and AZURE_PASSWORD, AZURE_FEDERATED_TOKEN_FILE, AZURE_CERTIFICATE_PATH; each
   with AZURE_CLIENT_ID and AZURE_TENANT_ID (a user needs no tenant).
4. Else DefaultAzureCredential.

So an entry with a credential of its own never takes up a key that belongs to another resource; the environment only
completes the kind that was chosen (a tenant_id, say). OpenAI entries have keys only: api_key or OPENAI_API_KEY.
`AZURE_API_TYPE=azure_ad` makes a key that comes from AZURE_API_KEY or AZURE_OPENAI_API_KEY a token.
"""

from __future__ import annotations

from pydantic import SecretStr

from shared.config.entry import CredentialKind, Credentials
from shared.config.environment import Environment
from shared.config.params import CredentialValues
from shared.config.problems import Problems

KEY_VARIABLES = ("AZURE_OPENAI_API_KEY", "AZURE_API_KEY")

# azure-identity's own name of AZURE_CERTIFICATE_PATH comes second, LiteLLM's first.
CERTIFICATE_VARIABLES = ("AZURE_CERTIFICATE_PATH", "AZURE_CLIENT_CERTIFICATE_PATH")
CERTIFICATE_PASSWORD_VARIABLES = ("AZURE_CERTIFICATE_PASSWORD", "AZURE_CLIENT_CERTIFICATE_PASSWORD")
CLASSES: dict[str, CredentialKind] = {
    "ClientSecretCredential": "client_secret",
    "UsernamePasswordCredential": "username_password",
    "WorkloadIdentityCredential": "workload_identity",
    "CertificateCredential": "certificate",
    "ManagedIdentityCredential": "managed_identity",
    "EnvironmentCredential": "environment",
    "AzureCliCredential": "azure_cli",
    "DefaultAzureCredential": "default",
}
"""What AZURE_CREDENTIAL may say."""

_WRITTEN_AS = {
    "api_key": "api_key",
    "token": "azure_ad_token",
    "client_secret": "client_secret",
    "username_password": "azure_username",
}


def azure(
    own: CredentialValues, environ: Environment, path: str, problems: Problems, key_variable: str | None = None
) -> Credentials | None:
    """The credentials of an Azure entry, or None after a problem was added.

    `key_variable` is the environment variable that `api_key` was read from, if any.
    """
    key_is_token = (environ.first("AZURE_API_TYPE") or "").lower() in ("azure_ad", "azuread")
    kinds = _written(own)
    if own.auth is not None:
        kind = "api_key" if own.auth == "key" else own.auth
        surplus = [name for name in kinds if name != kind]
        if surplus:
            names = " and ".join(_WRITTEN_AS[name] for name in surplus)
            problems.warn(path, f"auth: {own.auth} is used; {names} has no effect.")
    elif kinds:
        kind = kinds[0]
        if len(kinds) > 1:
            rest = " and ".join(_WRITTEN_AS[name] for name in kinds[1:])
            problems.warn(path, f"{_WRITTEN_AS[kind]} is used; {rest} has no effect.")
    else:
        found = _from_environment(own, environ, path, problems)
        if found is None:
            return None
        kind = found
    credentials = _complete(kind, own, environ, path, problems)
    if credentials is None:
        return None
    from_environment = own.api_key is None or key_variable in KEY_VARIABLES
    if credentials.kind == "api_key" and key_is_token and from_environment and own.auth != "key":
        return _token(credentials.api_key, path, problems)
    return credentials


def openai(own: CredentialValues, environ: Environment, path: str, problems: Problems) -> Credentials | None:
    """The key of an OpenAI entry, or None after a problem was added."""
    if own.auth not in (None, "key"):
        problems.add(f"{path}.auth", f"found {own.auth!r}, expected key: OpenAI models have keys only.")
        return None
    key = own.api_key or _secret(environ, "OPENAI_API_KEY")
    if key is None:
        problems.add(f"{path}.api_key", "is missing; write it or set OPENAI_API_KEY.")
        return None
    return Credentials("api_key", api_key=key)


def _written(own: CredentialValues) -> list[CredentialKind]:
    present: list[tuple[CredentialKind, object]] = [
        ("api_key", own.api_key),
        ("token", own.azure_ad_token),
        ("client_secret", own.client_secret),
        ("username_password", own.azure_username or own.azure_password),
    ]
    return [kind for kind, value in present if value is not None]


def _from_environment(
    own: CredentialValues, environ: Environment, path: str, problems: Problems
) -> CredentialKind | None:
    identity = own.client_id is not None or own.tenant_id is not None
    if not identity and environ.first(*KEY_VARIABLES):
        return "api_key"
    if not identity and environ.first("AZURE_AD_TOKEN"):
        return "token"
    named = environ.first("AZURE_CREDENTIAL")
    if named is not None:
        if named not in CLASSES:
            problems.once("AZURE_CREDENTIAL", f"found {named!r}, expected one of {', '.join(CLASSES)}.")
        return CLASSES.get(named)
    tenant = own.tenant_id or environ.first("AZURE_TENANT_ID")
    client = own.client_id or environ.first("AZURE_CLIENT_ID")
    if tenant and client and environ.first("AZURE_CLIENT_SECRET"):
        return "client_secret"
    if client and environ.first("AZURE_USERNAME") and environ.first("AZURE_PASSWORD"):
        return "username_password"
    if tenant and client and environ.first("AZURE_FEDERATED_TOKEN_FILE"):
        return "workload_identity"
    if tenant and client and environ.first(*CERTIFICATE_VARIABLES):
        return "certificate"
    if identity:
        problems.add(
            path,
            "found client_id or tenant_id without a credential, expected client_secret, or azure_username and "
            "azure_password, or auth: managed_identity (or default, workload_identity, certificate).",
        )
        return None
    return "default"


def _complete(
    kind: CredentialKind, own: CredentialValues, environ: Environment, path: str, problems: Problems
) -> Credentials | None:
    """The chosen kind with everything it needs; what is missing becomes a problem each."""
    tenant = own.tenant_id or environ.first("AZURE_TENANT_ID")
    client = own.client_id or environ.first("AZURE_CLIENT_ID")
    if kind == "api_key":
        key = own.api_key or _secret(environ, *KEY_VARIABLES)
        return _checked(Credentials(kind, api_key=key), path, problems, api_key=("AZURE_API_KEY", key))
    if kind == "token":
        token = own.azure_ad_token or _secret(environ, "AZURE_AD_TOKEN")
        if token is None:
            return _checked(Credentials(kind), path, problems, azure_ad_token=("AZURE_AD_TOKEN", None))
        return _token(token, path, problems)
    if kind == "client_secret":
        secret = own.client_secret or _secret(environ, "AZURE_CLIENT_SECRET")
        return _checked(
            Credentials(kind, tenant_id=tenant, client_id=client, client_secret=secret),
            path,
            problems,
            tenant_id=("AZURE_TENANT_ID", tenant),
            client_id=("AZURE_CLIENT_ID", client),
            client_secret=("AZURE_CLIENT_SECRET", secret),
        )
    if kind == "username_password":
        username = own.azure_username or environ.first("AZURE_USERNAME")
        password = own.azure_password or _secret(environ, "AZURE_PASSWORD")
        return _checked(
            Credentials(kind, tenant_id=tenant, client_id=client, username=username, password=password),
            path,
            problems,
            client_id=("AZURE_CLIENT_ID", client),
            azure_username=("AZURE_USERNAME", username),
            azure_password=("AZURE_PASSWORD", password),
        )
    if kind in ("workload_identity", "certificate"):
        return _from_file(kind, tenant, client, environ, path, problems)
    if kind in ("environment", "azure_cli"):
        return Credentials(kind)
    return Credentials(kind, client_id=client)


def _from_file(
    kind: CredentialKind,
    tenant: str | None,
    client: str | None,
    environ: Environment,
    path: str,
    problems: Problems,
) -> Credentials | None:
    """A federated token or a certificate: where it lies comes from the environment, as the platform sets it."""
    federated = kind == "workload_identity"
    variables = ("AZURE_FEDERATED_TOKEN_FILE",) if federated else CERTIFICATE_VARIABLES
    file = environ.first(*variables)
    if file is None:
        problems.once(variables[0], f"is not set, expected a path: {path} signs in with auth {kind}.")
        return None
    password = None if federated else _secret(environ, *CERTIFICATE_PASSWORD_VARIABLES)
    return _checked(
        Credentials(kind, tenant_id=tenant, client_id=client, password=password, file=file),
        path,
        problems,
        tenant_id=("AZURE_TENANT_ID", tenant),
        client_id=("AZURE_CLIENT_ID", client),
    )


def _checked(
    credentials: Credentials, path: str, problems: Problems, **needed: tuple[str, object]
) -> Credentials | None:
    missing = [(key, variable) for key, (variable, value) in needed.items() if value is None]
    for key, variable in missing:
        problems.add(f"{path}.{key}", f"is missing; write it or set {variable}.")
    return None if missing else credentials


def _token(token: SecretStr | None, path: str, problems: Problems) -> Credentials | None:
    if token is not None and token.get_secret_value().startswith("oidc/"):
        problems.add(
            f"{path}.azure_ad_token",
            "found an oidc/ reference, which is not supported, expected a token, or auth: workload_identity with "
            "AZURE_FEDERATED_TOKEN_FILE.",
        )
        return None
    return Credentials("token", token=token)


def _secret(environ: Environment, *names: str) -> SecretStr | None:
    value = environ.first(*names)
    return None if value is None else SecretStr(value)
