"""The configuration: LiteLLM's YAML, or the AZURE_* variables alone, read into one frozen `Config`."""

from shared.config.config import Config
from shared.config.entry import CredentialKind, Credentials, Entry, Match, Timeouts
from shared.config.load import from_environment, load, parse
from shared.config.models import Family, ModelRef, Provider, parse_model, valid_deployment_name
from shared.config.settings import GeneralSettings, LitellmSettings, RouterSettings, Strategy
from shared.config.versions import DEFAULT_API_VERSION, Policy, Surface, surface_of

__all__ = [
    "DEFAULT_API_VERSION",
    "Config",
    "CredentialKind",
    "Credentials",
    "Entry",
    "Family",
    "GeneralSettings",
    "LitellmSettings",
    "Match",
    "ModelRef",
    "Policy",
    "Provider",
    "RouterSettings",
    "Strategy",
    "Surface",
    "Timeouts",
    "from_environment",
    "load",
    "parse",
    "parse_model",
    "surface_of",
    "valid_deployment_name",
]
