"""The shapes of Azure's resource types, from the packages in which Microsoft publishes them for Python.

Each `azure-mgmt-*` package is generated from the same specification as the service and says its api-version. Its
models are read as text and never imported: `_attribute_map` has the JSON names and types, `_validation` what is
required or read-only, and the docstring names the enumeration of a property.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

_PLAIN = {
    "str": "string",
    "int": "int",
    "long": "int",
    "float": "int",
    "bool": "bool",
    "object": "any",
    "iso-8601": "string",
    "rfc-1123": "string",
    "duration": "string",
    "bytearray": "string",
}


@dataclass(frozen=True)
class Source:
    """Where one resource type is published: a package with its version, its folder of models, the model's class."""

    package: str
    version: str
    folder: str
    model: str

    def __str__(self) -> str:
        return f"{self.package} {self.version}, {self.model}"


_WEB = ("azure-mgmt-web", "10.0.0", "web")
_STORAGE = ("azure-mgmt-storage", "24.0.1", "storage")
_VAULT = ("azure-mgmt-keyvault", "12.1.1", "keyvault")
_OPENAI = ("azure-mgmt-cognitiveservices", "13.7.0", "cognitiveservices")
_NETWORK = ("azure-mgmt-network", "30.2.0", "network")
_DNS = ("azure-mgmt-privatedns", "1.2.0", "privatedns")
SOURCES: Mapping[str, Source] = {
    "Microsoft.Resources/resourceGroups@2024-11-01": Source(
        "azure-mgmt-resource", "24.0.0", "resource/resources/v2024_11_01", "ResourceGroup"
    ),
    "Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30": Source(
        "azure-mgmt-msi", "7.1.0", "msi/v2024_11_30", "Identity"
    ),
    "Microsoft.Authorization/roleAssignments@2022-04-01": Source(
        "azure-mgmt-authorization", "4.0.0", "authorization/v2022_04_01", "RoleAssignmentCreateParameters"
    ),
    "Microsoft.OperationalInsights/workspaces@2025-07-01": Source(
        "azure-mgmt-loganalytics", "13.1.1", "loganalytics", "Workspace"
    ),
    "Microsoft.Insights/components@2020-02-02": Source(
        "azure-mgmt-applicationinsights",
        "4.1.0",
        "applicationinsights/v2020_02_02",
        "ApplicationInsightsComponent",
    ),
    "Microsoft.Insights/diagnosticSettings@2021-05-01-preview": Source(
        "azure-mgmt-monitor", "6.0.2", "monitor/v2021_05_01_preview", "DiagnosticSettingsResource"
    ),
    "Microsoft.Storage/storageAccounts@2025-06-01": Source(*_STORAGE, "StorageAccountCreateParameters"),
    "Microsoft.Storage/storageAccounts/blobServices@2025-06-01": Source(*_STORAGE, "BlobServiceProperties"),
    "Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01": Source(*_STORAGE, "BlobContainer"),
    "Microsoft.Storage/storageAccounts/tableServices@2025-06-01": Source(*_STORAGE, "TableServiceProperties"),
    "Microsoft.Storage/storageAccounts/tableServices/tables@2025-06-01": Source(*_STORAGE, "Table"),
    "Microsoft.KeyVault/vaults@2025-05-01": Source(*_VAULT, "VaultCreateOrUpdateParameters"),
    "Microsoft.KeyVault/vaults/secrets@2025-05-01": Source(*_VAULT, "SecretCreateOrUpdateParameters"),
    "Microsoft.CognitiveServices/accounts@2025-06-01": Source(*_OPENAI, "Account"),
    "Microsoft.CognitiveServices/accounts/deployments@2025-06-01": Source(*_OPENAI, "Deployment"),
    "Microsoft.Web/serverfarms@2024-11-01": Source(*_WEB, "AppServicePlan"),
    "Microsoft.Web/sites@2024-11-01": Source(*_WEB, "Site"),
    "Microsoft.Web/sites/config@2024-11-01": Source(*_WEB, "StringDictionary"),
    "Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-11-01": Source(
        *_WEB, "CsmPublishingCredentialsPoliciesEntity"
    ),
    "Microsoft.Network/networkSecurityGroups@2025-05-01": Source(*_NETWORK, "NetworkSecurityGroup"),
    "Microsoft.Network/virtualNetworks@2025-05-01": Source(*_NETWORK, "VirtualNetwork"),
    "Microsoft.Network/privateEndpoints@2025-05-01": Source(*_NETWORK, "PrivateEndpoint"),
    "Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2025-05-01": Source(*_NETWORK, "PrivateDnsZoneGroup"),
    "Microsoft.Network/privateDnsZones@2024-06-01": Source(*_DNS, "PrivateZone"),
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01": Source(*_DNS, "VirtualNetworkLink"),
}
"""Every resource type that infra/ uses. A new one, or another api-version, needs its line here."""


class Models:
    """The models of one folder of a package."""

    def __init__(self, package_folder: Path, source: Source) -> None:
        self.folder = package_folder / "azure" / "mgmt" / source.folder

    def api_versions(self) -> set[str]:
        """The api-versions that the clients of this folder send."""
        version = r'"(20\d\d-\d\d-\d\d(?:-preview)?)"'
        places = [*(self.folder / "operations").glob("*.py"), *self.folder.glob("_configuration.py")]
        text = "".join(path.read_text(encoding="utf-8") for path in places)
        return set(re.findall(rf"api.version[^\n]*{version}", text))

    def shape(self, model: str, wanted: Collection[tuple[str, ...]], path: tuple[str, ...] = ()) -> Any:
        """The shape of a model, with the objects at `wanted` written out; `path` is where it stands."""
        if path not in wanted:
            return "object"
        attributes, validation, words = self._model(model)
        root: dict[str, Any] = {"object": {}}
        for attribute, entry in attributes.items():
            *above, name = (part.replace("\\", "") for part in re.split(r"(?<!\\)\.", entry["key"]))
            rules = validation.get(attribute, {})
            if rules.get("readonly"):
                continue
            place = root
            for one in above:
                place = place["object"].setdefault(one, {"object": {}})
            place["object"][name] = self._shape_of(entry["type"], words.get(attribute), wanted, (*path, *above, name))
            if rules.get("required"):
                place.setdefault("required", []).append(name)
        return root

    def _shape_of(
        self, written: str, enum: str | None, wanted: Collection[tuple[str, ...]], path: tuple[str, ...]
    ) -> Any:
        if written.startswith("["):
            return {"array": self._shape_of(written[1:-1], enum, wanted, (*path, "[]"))}
        if written.startswith("{"):
            return {"map": self._shape_of(written[1:-1], enum, wanted, path) if written != "{object}" else "any"}
        if written == "str" and enum in self._enums:
            return self._enums[enum]
        return _PLAIN[written] if written in _PLAIN else self.shape(written, wanted, path)

    def _model(self, name: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, str]]:
        """A class's attributes, their rules, and the enumeration that its docstring names for each."""
        node = self._classes[name]
        found: dict[str, Any] = {"_attribute_map": {}, "_validation": {}}
        for base in node.bases:
            if isinstance(base, ast.Name) and base.id in self._classes:
                attributes, rules, _ = self._model(base.id)
                found = {"_attribute_map": dict(attributes), "_validation": dict(rules)}
        for statement in node.body:
            target = statement.targets[0] if isinstance(statement, ast.Assign) else None
            if isinstance(target, ast.Name) and target.id in found:
                assert isinstance(statement, ast.Assign)
                found[target.id].update(ast.literal_eval(statement.value))
        doc = " ".join((ast.get_docstring(node) or "").split())
        words = dict(re.findall(r":vartype (\w+): (?:list\[)?str or ~[\w.]+\.(\w+)", doc))
        return found["_attribute_map"], found["_validation"], words

    @cached_property
    def _classes(self) -> dict[str, ast.ClassDef]:
        [path] = (self.folder / "models").glob("_models_py3.py")
        return {node.name: node for node in _parsed(path) if isinstance(node, ast.ClassDef)}

    @cached_property
    def _enums(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for path in (self.folder / "models").glob("*_enums.py"):
            for node in _parsed(path):
                if isinstance(node, ast.ClassDef):
                    values = [one.value for one in node.body if isinstance(one, ast.Assign)]
                    found[node.name] = [str(one.value) for one in values if isinstance(one, ast.Constant)]
        return found


def _parsed(path: Path) -> list[ast.stmt]:
    return ast.parse(path.read_text(encoding="utf-8")).body
