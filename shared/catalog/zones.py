"""Azure's data zones, and the regions in them (learn.microsoft.com, deployment types: data zone standard)."""

from __future__ import annotations

_REGIONS = {
    "us": "centralus eastus eastus2 northcentralus southcentralus westcentralus westus westus2 westus3",
    "eu": "austriaeast belgiumcentral denmarkeast francecentral francesouth germanynorth germanywestcentral italynorth"
    " northeurope polandcentral spaincentral swedencentral swedensouth westeurope",
    "apac": "australiacentral australiaeast australiasoutheast centralindia eastasia indonesiacentral"
    " japaneast japanwest koreacentral koreasouth malaysiawest newzealandnorth southeastasia southindia westindia",
    "us_gov": "usgovarizona usgovtexas usgovvirginia",
}
_ZONES = {region: zone for zone, regions in _REGIONS.items() for region in (zone, *regions.split())}


def zone_of(region: str | None) -> str | None:
    """`us`, `eu`, `apac` or `us_gov` for a region (`swedencentral`, `Sweden Central`) or a zone; None for any other."""
    return _ZONES.get(region.lower().replace(" ", "").replace("-", "_")) if region is not None else None
