"""Who may do what: one identity for the app, roles on single resources only, and no key or password anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from devtools.infra import bicep

DOCUMENTS = bicep.read_all()
ROLES = {
    "storageBlobDataOwner": "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
    "storageBlobDataContributor": "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
    "storageTableDataContributor": "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",
    "monitoringMetricsPublisher": "3913510d-42f4-4e42-8a64-420c390055eb",
    "keyVaultSecretsUser": "4633458b-17de-408a-b874-0445c86b69e6",
    "cognitiveServicesOpenAiUser": "5e0bd9bd-7b93-4f28-af87-19fc36ad61bd",
    "cognitiveServicesOpenAiContributor": "a001fd3d-188f-4b5d-821b-7da978bf7442",
}
"""Azure's built-in roles, as its documentation lists them; the same in every tenant."""
GIVEN = {
    ("monitoring", "component", "monitoringMetricsPublisher", "appPrincipalId"),
    ("storage", "account", "storageBlobDataOwner", "appPrincipalId"),
    ("storage", "account", "storageTableDataContributor", "appPrincipalId"),
    ("storage", "configuration", "storageBlobDataContributor", "deployerPrincipalId"),
    ("vault", "vault", "keyVaultSecretsUser", "appPrincipalId"),
    ("vault", "vault", "keyVaultSecretsUser", "deployerPrincipalId"),
    ("openai-access", "account", "role", "appPrincipalId"),
}
"""Module, what the role is on, the role, and who has it."""
_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def assignments() -> Iterator[tuple[str, bicep.Resource]]:
    for document in DOCUMENTS.values():
        for one in document.resources:
            if one.kind == "Microsoft.Authorization/roleAssignments":
                yield document.path.stem, one


def body(module: str, symbol: str) -> Any:
    return DOCUMENTS[f"modules/{module}.bicep"].resource(symbol).body


def role_of(resource: bicep.Resource) -> str:
    function = resource.body["properties"]["roleDefinitionId"]["function"]
    assert function["type"] == "subscription_resource_id"
    assert function["parameters"]["resource_type"] == "Microsoft.Authorization/roleDefinitions"
    return str(function["parameters"]["resource_name_1"])


def test_exactly_these_roles_are_given_and_each_on_one_resource() -> None:
    found = {
        (module, one.body["scope"], role_of(one), one.body["properties"]["principalId"])
        for module, one in assignments()
    }
    assert found == GIVEN


def test_a_role_has_its_own_name_beside_its_guid() -> None:
    for document in DOCUMENTS.values():
        written = {name: value for name, value in document.variables.items() if _GUID.fullmatch(str(value))}
        assert written.items() <= ROLES.items()
        assert len(_GUID.findall(document.text)) == len(written)


def test_an_assignment_keeps_its_name_when_it_is_made_again() -> None:
    for _, one in assignments():
        function = one.body["name"]["function"]
        where, who, role = function["parameters"].values()
        assert function["type"] == "guid"
        assert where["operator"]["operands"] == {"operand_1": one.body["scope"], "operand_2": "id"}
        assert (who, role) == (one.body["properties"]["principalId"], role_of(one))


def test_a_new_identity_is_not_looked_up_before_it_is_known_everywhere() -> None:
    for _, one in assignments():
        kind = one.body["properties"].get("principalType")
        assert kind == ("ServicePrincipal" if one.body["properties"]["principalId"] == "appPrincipalId" else None)


def test_nobody_gets_a_role_who_is_not_named() -> None:
    for module, one in assignments():
        who = one.body["properties"]["principalId"]
        assert one.conditional == (who == "deployerPrincipalId")
        text = DOCUMENTS[f"modules/{module}.bicep"].text
        assert text.count(f"if (!empty({who}))") == one.conditional


def test_files_and_batches_need_the_larger_role_and_nothing_else_does() -> None:
    document = DOCUMENTS["modules/openai-access.bicep"]
    condition = document.variables["role"]["operator"]["operands"]
    assert condition == {
        "condition": "useFilesBatchesAndFineTuning",
        "true_value": "cognitiveServicesOpenAiContributor",
        "false_value": "cognitiveServicesOpenAiUser",
    }


def test_the_app_may_not_write_the_configuration() -> None:
    properties = next(one for _, one in assignments() if role_of(one) == "storageBlobDataOwner").body["properties"]
    condition = DOCUMENTS["modules/storage.bicep"].variables[properties["condition"]].replace("\\'", "'")
    assert properties["conditionVersion"] == "2.0"
    assert condition.count("(") == condition.count(")")
    denied, _, kept = condition.partition(" OR ")
    assert set(re.findall(r"!\(ActionMatches{'\${blobs}/([\w/]+)'}\)", denied)) == {
        "write",
        "add/action",
        "delete",
        "move/action",
        "runAsSuperUser/action",
    }
    assert "containers:name] StringNotEquals '${configContainer}'" in kept


def test_every_part_signs_in_with_the_apps_identity() -> None:
    app = body("app", "app")
    assert app["identity"] == {"type": "UserAssigned", "userAssignedIdentities": {"'${identityId}'": {}}}
    assert app["properties"]["keyVaultReferenceIdentity"] == "identityId"
    authentication = app["properties"]["functionAppConfig"]["deployment"]["storage"]["authentication"]
    assert authentication == {"type": "UserAssignedIdentity", "userAssignedIdentityResourceId": "identityId"}
    settings, _ = body("app", "settings")["properties"]["function"]["parameters"].values()
    for name in ("AZURE_CLIENT_ID", "AzureWebJobsStorage__clientId"):
        assert settings[name] == "identityClientId"
    assert settings["AzureWebJobsStorage__credential"] == "managedidentity"
    assert "ClientId=${identityClientId};" in settings["APPLICATIONINSIGHTS_AUTHENTICATION_STRING"]


@pytest.mark.parametrize(
    ("module", "symbol", "name", "value"),
    [
        ("storage", "account", "allowSharedKeyAccess", False),
        ("storage", "account", "allowBlobPublicAccess", False),
        ("storage", "account", "supportsHttpsTrafficOnly", True),
        ("storage", "account", "minimumTlsVersion", "TLS1_2"),
        ("openai", "account", "disableLocalAuth", True),
        ("monitoring", "component", "DisableLocalAuth", True),
        ("vault", "vault", "enableRbacAuthorization", True),
        ("app", "app", "httpsOnly", True),
        ("app", "publishingByFtp", "allow", False),
        ("app", "publishingByScm", "allow", False),
    ],
)
def test_no_key_and_no_plain_connection_opens_anything(module: str, symbol: str, name: str, value: Any) -> None:
    assert body(module, symbol)["properties"][name] == value


def test_the_app_speaks_tls_1_2_or_newer() -> None:
    site = body("app", "app")["properties"]["siteConfig"]
    assert site["minTlsVersion"] == site["scmMinTlsVersion"] == "1.2"
    assert site["ftpsState"] == "Disabled"


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS.keys())
def test_no_secret_is_in_an_output(document: bicep.Document) -> None:
    secret = {name for name, one in document.parameters.items() if {"type": "secure"} in one["decorators"]}
    for name in document.outputs:
        written = re.search(rf"^output {name} .*", document.text, re.MULTILINE)
        assert written is not None
        words = set(re.findall(r"\w+", written[0].partition("=")[2]))
        assert not words & (secret | {"ConnectionString", "InstrumentationKey", "value", "properties.value"})
        assert not re.search(r"\blist\w*\(|getSecret", written[0])
        assert "_KEY" not in name.replace("AZURE_KEY_VAULT_NAME", "")


def test_a_key_is_handed_on_as_secure_all_the_way() -> None:
    for document in DOCUMENTS.values():
        for module in document.modules:
            for name, given in module.params.items():
                if given in ("masterKey", "idSecret"):
                    assert {"type": "secure"} in DOCUMENTS[module.path].parameters[name]["decorators"]
                    assert {"type": "secure"} in document.parameters[given]["decorators"]
