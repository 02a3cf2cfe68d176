"""shared/config/load.py: a file or the environment to a Config, and every problem told at once."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from shared.config import Config, from_environment, load, parse
from shared.config.versions import EXPECTED
from shared.errors import ConfigError

DATA = Path(__file__).parent / "data"
ROOT = Path(__file__).parents[2]
ENVIRON = {
    "AZURE_API_KEY": "the-key",
    "AZURE_API_BASE": "https://r.openai.azure.com",
    "AZURE_API_VERSION": "2024-10-21",
    "AZURE_API_BASE_TTS": "https://tts.openai.azure.com",
    "AZURE_API_KEY_TTS": "the-tts-key",
    "AZURE_TENANT_ID": "the-tenant",
    "AZURE_CLIENT_ID": "the-client",
    "AZURE_CLIENT_SECRET": "the-client-secret",
    "AZURE_USERNAME": "the-user",
    "AZURE_PASSWORD": "the password",
    "OPENAI_API_KEY": "the-openai-key",
}
ENTRY = """
model_list:
  - model_name: gpt-4o
    litellm_params:
      model: azure/gpt-4o
      api_base: https://r.openai.azure.com
      api_key: k
"""


def example(name: str) -> Config:
    return parse((DATA / f"{name}.yaml").read_text(encoding="utf-8"), ENVIRON)


def problems(text: str, environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        parse(text, environ or {})
    return caught.value.problems


@pytest.mark.parametrize("path", sorted(DATA.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_example_of_the_page_loads(path: Path) -> None:
    assert parse(path.read_text(encoding="utf-8"), ENVIRON).entries


@pytest.mark.parametrize("path", sorted(DATA.glob("*.yaml")), ids=lambda path: path.stem)
def test_no_secret_is_in_the_repr(path: Path) -> None:
    config = parse(path.read_text(encoding="utf-8"), ENVIRON | {"SPILLWAY_MASTER_KEY": "the-master-key"})
    secrets = [v for k, v in ENVIRON.items() if "KEY" in k or "SECRET" in k or "PASSWORD" in k] + ["the-master-key"]
    assert not [secret for secret in secrets if secret in repr(config) or secret in str(config)]


def test_the_chat_example_reads_its_key_from_the_environment() -> None:
    (entry,) = example("chat").entries
    assert entry.model.deployment == "chatgpt-v-2"
    assert entry.api_version == "2023-05-15"
    assert entry.credentials.api_key is not None
    assert entry.credentials.api_key.get_secret_value() == "the-key"


def test_the_client_secret_example_has_all_three_parts() -> None:
    credentials = example("client_secret").entries[0].credentials
    assert (credentials.kind, credentials.tenant_id, credentials.client_id) == (
        "client_secret",
        "the-tenant",
        "the-client",
    )


def test_the_password_example_has_user_and_client() -> None:
    credentials = example("username_password").entries[0].credentials
    assert (credentials.kind, credentials.username, credentials.client_id) == (
        "username_password",
        "the-user",
        "the-client",
    )


def test_the_batch_example_is_read_whole() -> None:
    config = example("batch")
    assert config.entries[0].mode == "batch"
    assert config.litellm_settings.enable_loadbalancing_on_batch_endpoints
    assert config.warnings == ()


def test_base_model_is_read_from_litellm_params() -> None:
    assert example("image").entries[0].base_model == "dall-e-3"


def test_base_model_is_read_from_model_info() -> None:
    entry = example("base_model").entries[0]
    assert (entry.base_model, entry.base_model_name) == ("azure/gpt-4-1106-preview", "gpt-4-1106-preview")


def test_the_load_balancing_example_mixes_azure_and_openai() -> None:
    entries = example("load_balancing").entries
    assert [(e.model.provider, e.tpm, e.rpm) for e in entries] == [
        ("azure", 240_000, 1_800),
        ("azure", 240_000, 1_800),
        ("openai", 1_000_000, 9_000),
    ]


def test_the_sample_config_loads_without_a_warning() -> None:
    config = load({"SPILLWAY_CONFIG": str(ROOT / "config.yaml")})
    assert config.warnings == ()
    assert {"gpt-4o", "o4-mini", "gpt-5", "text-embedding-3-small", "tts", "whisper", "gpt-image-1"} <= set(
        config.model_names
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "config: is empty, expected a mapping with model_list."),
        ("[]", "config: found a list, expected a mapping with model_list."),
        ("hello", "config: found one value, expected a mapping with model_list."),
        ("router_settings: {}", "model_list: is missing, expected a list of deployments."),
        ("model_list:", "model_list: is missing, expected a list of deployments."),
        ("model_list: []", "model_list: is empty, expected at least one deployment."),
        ("model_list: 7", "model_list: found 7, expected a list of deployments."),
        ("model_list: [7]", "model_list[0]: found 7, expected a mapping."),
        (
            "model_list: [{model_name: a}]",
            "model_list[0].litellm_params: is missing, expected a mapping with at least model.",
        ),
    ],
)
def test_a_file_without_entries_says_what_is_expected(text: str, expected: str) -> None:
    assert problems(text) == (expected,)


def test_a_yaml_error_has_line_and_column_and_no_line_of_the_file() -> None:
    (problem,) = problems("model_list:\n  - api_key: 'sk-secret\n")
    assert problem.startswith("config, line 3, column 1: not valid YAML:")
    assert "sk-secret" not in problem


def test_a_tab_is_a_yaml_error_with_its_place() -> None:
    (problem,) = problems("model_list:\n\t- model_name: x\n")
    assert problem.startswith("config, line 2, column 1: not valid YAML:")


def test_a_control_character_is_a_yaml_error() -> None:
    (problem,) = problems("model_list:\n  - a\x00b")
    assert "not valid YAML" in problem


def test_a_key_that_is_written_twice_is_an_error() -> None:
    (problem,) = problems(ENTRY + "general_settings: {}\ngeneral_settings: {}\n")
    assert problem == "config, line 9, column 1: not valid YAML: the key 'general_settings' is written twice."


def test_a_yaml_merge_key_is_not_a_duplicate() -> None:
    text = """
x: &shared {api_base: https://r.openai.azure.com, api_key: k, model: azure/old}
model_list:
  - model_name: a
    litellm_params: {<<: *shared, model: azure/new}
"""
    assert parse(text, {}).entries[0].model.deployment == "new"


def test_a_document_that_contains_itself_is_refused() -> None:
    (problem,) = problems("model_list: &a [*a]")
    assert problem.startswith("config: nests too deep or holds more than")


def test_a_document_that_explodes_is_refused() -> None:
    lines = ["a: &a [1,1,1,1,1,1,1,1,1]"]
    lines += [f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)]
    (problem,) = problems("\n".join(lines))
    assert problem.startswith("config: nests too deep or holds more than")


def test_an_unquoted_date_is_an_api_version() -> None:
    assert parse(ENTRY + "      api_version: 2024-10-21\n", {}).entries[0].api_version == "2024-10-21"


def test_all_problems_are_told_at_once() -> None:
    text = """
model_list:
  - model_name: a
    litellm_params: {model: azur/a, api_base: https://r.openai.azure.com, api_key: k}
  - litellm_params: {model: azure/b, api_key: k, api_base: https://r.openai.azure.com, rpm: many}
router_settings: {num_retries: -1}
general_settings: {api_version_policy: sometimes}
"""
    assert [problem.partition(": ")[0] for problem in problems(text)] == [
        "router_settings.num_retries",
        "general_settings.api_version_policy",
        "model_list[0].litellm_params.model",
        "model_list[1].model_name",
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("rpm: many", "'many', expected a whole number (requests per minute)."),
        ("rpm: 1.5", "1.5, expected a whole number (requests per minute)."),
        ("rpm: 0", "0, expected a number above 0 (requests per minute)."),
        ("tpm: yes", "True, expected a number (tokens per minute)."),
        ("weight: [1]", "a list, expected a number (share of the traffic)."),
        ("weight: .inf", "inf, expected a finite number (share of the traffic)."),
        ("connect_timeout_s: 1e9", "'1e9', expected a number of at most 86400 (seconds for a connection)."),
        ("api_version: soon", f"'soon', expected {EXPECTED}."),
        ("api_version: 2024-13-01", f"'2024-13-01', expected {EXPECTED}."),
        ("api_version: 2024", f"2024, expected a string in quotes ({EXPECTED})."),
        (
            "api_version_policy: no",
            "False, expected one of 'upgrade' or 'exact' (what is done when api_version is too old).",
        ),
        ("tenant_id: ''", "'', expected a string that is not empty (an Entra tenant)."),
        ("client_secret: 5", "a value that is not shown, expected a string in quotes (a secret of client_id)."),
    ],
)
def test_a_wrong_value_says_where_what_and_what_is_expected(line: str, expected: str) -> None:
    path = f"model_list[0].litellm_params.{line.partition(':')[0]}"
    assert problems(ENTRY + f"      {line}\n") == (f"{path}: found {expected}",)


@pytest.mark.parametrize("key", ["azure_ad_token", "client_secret", "azure_password"])
def test_a_wrong_secret_is_not_shown(key: str) -> None:
    (problem,) = problems(ENTRY + f"      {key}: [hunter2]\n")
    assert "hunter2" not in problem


def test_a_key_with_a_line_break_is_refused_and_not_shown() -> None:
    (problem,) = problems(ENTRY.replace("api_key: k", 'api_key: "hunter2\\nx"'))
    assert problem == (
        "model_list[0].litellm_params.api_key: found a value that is not shown, expected a key in printable ASCII."
    )


def test_a_wrong_value_from_the_environment_is_not_shown() -> None:
    (problem,) = problems(ENTRY + "      rpm: os.environ/RPM\n", {"RPM": "hunter2"})
    assert problem == (
        "model_list[0].litellm_params.rpm: found the value of environment variable RPM (not shown), "
        "expected a whole number (requests per minute)."
    )


def test_a_long_value_is_shortened() -> None:
    (problem,) = problems(ENTRY + f"      rpm: {'x' * 500}\n")
    assert len(problem) < 200


def test_numbers_from_the_environment_are_numbers() -> None:
    assert parse(ENTRY + "      rpm: os.environ/RPM\n", {"RPM": " 60\n"}).entries[0].rpm == 60


def test_a_key_without_a_value_is_as_good_as_not_written() -> None:
    assert parse(ENTRY + "      rpm:\n", {}).entries[0].rpm is None


def test_the_same_id_twice_is_an_error() -> None:
    text = ENTRY + "    model_info: {id: one}\n"
    item = text.removeprefix("\nmodel_list:\n")
    assert problems(text + item) == (
        "model_list[1].model_info.id: is the same as model_list[0].model_info.id, "
        "expected a different id for each entry.",
    )


def test_an_id_may_be_a_number() -> None:
    assert parse(ENTRY + "    model_info: {id: 1}\n", {}).entries[0].id == "1"


def test_an_id_that_could_not_stand_in_a_header_is_an_error() -> None:
    assert problems(ENTRY + '    model_info: {id: "a\\nb"}\n')[0].startswith("model_list[0].model_info.id: found")


def test_another_provider_is_left_out_with_a_warning() -> None:
    text = ENTRY + "  - model_name: claude\n    litellm_params: {model: anthropic/claude, api_key: k}\n"
    config = parse(text, {})
    assert len(config.entries) == 1
    assert config.warnings == (
        "model_list[1]: claude is left out: provider anthropic is not served, only Azure OpenAI and OpenAI are.",
    )


def test_a_file_of_other_providers_only_is_an_error() -> None:
    text = "model_list: [{model_name: c, litellm_params: {model: anthropic/claude}}]"
    assert problems(text) == ("model_list: no entry is left, expected at least one for Azure OpenAI or OpenAI.",)


def test_api_base_and_base_url_are_one_key() -> None:
    config = parse(ENTRY.replace("api_base", "base_url"), {})
    assert config.entries[0].api_base == "https://r.openai.azure.com"
    assert config.warnings == ()


def test_two_different_bases_are_an_error() -> None:
    (problem,) = problems(ENTRY + "      base_url: https://other.openai.azure.com\n")
    assert problem.startswith("model_list[0].litellm_params.base_url:")


def test_an_azure_entry_without_a_base_says_what_to_set() -> None:
    text = "model_list: [{model_name: a, litellm_params: {model: azure/a, api_key: k}}]"
    assert problems(text) == ("model_list[0].litellm_params.api_base: is missing; write it or set AZURE_API_BASE.",)


def test_a_wrong_default_version_is_told_once() -> None:
    text = ENTRY + ENTRY.removeprefix("\nmodel_list:\n")
    (problem,) = problems(text, {"AZURE_API_VERSION": "hunter2"})
    assert problem.startswith("AZURE_API_VERSION: found another value")
    assert "hunter2" not in problem


def test_tpm_of_litellm_params_wins_over_the_top_level_with_a_warning() -> None:
    config = parse(ENTRY + "      tpm: 10\n    tpm: 20\n", {})
    assert config.entries[0].tpm == 10
    assert config.warnings == ("model_list[0].tpm: has no effect; model_list[0].litellm_params.tpm is used.",)


def test_base_model_of_model_info_wins_with_a_warning() -> None:
    config = parse(ENTRY + "      base_model: a\n    model_info: {base_model: b}\n", {})
    assert config.entries[0].base_model == "b"
    assert len(config.warnings) == 1


def test_an_alias_reaches_its_group() -> None:
    config = parse(ENTRY + "router_settings: {model_group_alias: {gpt-4: gpt-4o}}\n", {})
    assert [match.entry.model_name for match in config.matches("gpt-4")] == ["gpt-4o"]


def test_a_hidden_alias_is_served_and_not_listed() -> None:
    config = parse(ENTRY + "router_settings: {model_group_alias: {x: {model: gpt-4o, hidden: true}}}\n", {})
    assert config.matches("x")
    assert config.model_names == ("gpt-4o",)


def test_an_alias_to_nowhere_is_an_error() -> None:
    assert problems(ENTRY + "router_settings: {model_group_alias: {gpt-4: gpt-5}}\n") == (
        "router_settings.model_group_alias.gpt-4: found 'gpt-5', expected a model_name of model_list.",
    )


def test_retries_of_router_settings_win() -> None:
    text = ENTRY + "router_settings: {num_retries: 0}\nlitellm_settings: {num_retries: 5}\n"
    assert parse(text, {}).num_retries == 0


def test_retries_default_to_two() -> None:
    assert parse(ENTRY, {}).num_retries == 2


def test_timeouts_fall_from_entry_to_router_to_litellm_settings() -> None:
    second = ENTRY.removeprefix("\nmodel_list:\n") + "      timeout: 5\n      stream_timeout: 7\n"
    text = ENTRY + second + "router_settings: {timeout: 30}\nlitellm_settings: {request_timeout: 90}\n"
    first, own = (entry.timeouts for entry in parse(text, {}).entries)
    assert (first.total_s, first.first_byte_s, first.idle_s, first.connect_s) == (30, 30, 30, 5)
    assert (own.total_s, own.first_byte_s, own.idle_s) == (5, 7, 7)


def test_the_policy_of_an_entry_wins_over_general_settings() -> None:
    second = ENTRY.removeprefix("\nmodel_list:\n") + "      api_version_policy: upgrade\n"
    config = parse(ENTRY + second + "general_settings: {api_version_policy: exact}\n", {})
    assert [entry.api_version_policy for entry in config.entries] == ["exact", "upgrade"]


def test_the_body_limit_is_megabytes_of_1024_squared() -> None:
    assert (
        parse(ENTRY + "general_settings: {max_request_size_mb: 1.5}\n", {}).general_settings.body_bytes_max == 1572864
    )


def test_the_master_key_of_the_environment_wins() -> None:
    text = ENTRY + "general_settings: {master_key: sk-file}\n"
    assert parse(text, {}).master_key == "sk-file"
    assert parse(text, {"SPILLWAY_MASTER_KEY": "sk-env"}).master_key == "sk-env"


def test_no_master_key_is_none() -> None:
    assert parse(ENTRY, {}).master_key is None


def test_without_file_and_base_the_error_says_what_to_set() -> None:
    with pytest.raises(ConfigError, match=r"SPILLWAY_CONFIG: .* AZURE_API_BASE"):
        load({})


def test_the_environment_alone_serves_azure_text_and_bare_names() -> None:
    config = load({"AZURE_API_BASE": "https://r.openai.azure.com", "AZURE_API_KEY": "k"})
    found = {name: config.matches(name) for name in ("azure/d", "azure_text/d", "d", "azure/o_series/d")}
    assert {name: (m[0].model.provider, m[0].model.deployment, m[0].model.family) for name, m in found.items()} == {
        "azure/d": ("azure", "d", None),
        "azure_text/d": ("azure_text", "d", None),
        "d": ("azure", "d", None),
        "azure/o_series/d": ("azure", "d", "o_series"),
    }


@pytest.mark.parametrize(
    "name", ["../x", "azure/../x", "a/b", "", "*", "azure/*", "azure/", "a?b", "a%2Fb", ".", "x" * 65]
)
def test_a_wildcard_lets_nobody_write_a_path(name: str) -> None:
    assert from_environment({"AZURE_API_BASE": "https://r.openai.azure.com"}).matches(name) == ()


def test_an_exact_name_is_taken_before_a_wildcard() -> None:
    text = ENTRY + "  - model_name: '*'\n    litellm_params: {model: azure/*, api_base: https://w.openai.azure.com}\n"
    config = parse(text, {})
    assert [match.entry.path for match in config.matches("gpt-4o")] == ["model_list[0]"]
    assert [match.entry.path for match in config.matches("other")] == ["model_list[1]"]


def test_the_longest_wildcard_is_taken() -> None:
    text = """
model_list:
  - {model_name: "*", litellm_params: {model: azure/*, api_base: https://a.openai.azure.com}}
  - {model_name: "team/*", litellm_params: {model: azure/team-*, api_base: https://b.openai.azure.com}}
"""
    (match,) = parse(text, {}).matches("team/x")
    assert match.model.deployment == "team-x"


def test_a_wildcard_model_needs_a_wildcard_name() -> None:
    assert problems(ENTRY.replace("azure/gpt-4o", "azure/*")) == (
        "model_list[0].model_name: found 'gpt-4o', expected one *, as the model of this entry has one.",
    )


def test_a_file_is_found_next_to_the_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load({"SPILLWAY_CONFIG": "config.yaml"}).source == "config.yaml"


def test_a_file_of_the_working_directory_is_taken_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text(ENTRY.replace("gpt-4o", "mine"), encoding="utf-8-sig")
    assert load({"SPILLWAY_CONFIG": "config.yaml"}).model_names == ("mine",)


def test_a_missing_file_names_the_places_that_were_tried() -> None:
    with pytest.raises(ConfigError, match=r"SPILLWAY_CONFIG: no such file: .*nowhere\.yaml or .*nowhere\.yaml"):
        load({"SPILLWAY_CONFIG": "nowhere.yaml"})


def test_a_file_that_is_not_utf_8_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(b"model_list: \xff")
    with pytest.raises(ConfigError, match="is not UTF-8 at byte 12"):
        load({"SPILLWAY_CONFIG": str(path)})


def test_a_url_is_not_a_path() -> None:
    with pytest.raises(ConfigError, match="found a URL"):
        load({"SPILLWAY_CONFIG": "https://x.blob.core.windows.net/c/config.yaml"})


def test_config_imports_nothing_above_its_floor() -> None:
    code = (
        "import sys, shared.config; "
        "allowed = ('shared.config', 'shared.errors');"
        "own = [m for m in sys.modules if m.startswith('shared.') and not m.startswith(allowed)];"
        "sys.exit(repr(own) if own or 'azure' in sys.modules or 'httpx' in sys.modules else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("addition", "path"),
    [
        ("router_settings: {model_group_alias: {a: 5}}\n", "router_settings.model_group_alias.a"),
        ("router_settings: {model_group_alias: [a]}\n", "router_settings.model_group_alias"),
        ("router_settings: []\n", "router_settings"),
        ("general_settings: {disconnect_drain_s: -1}\n", "general_settings.disconnect_drain_s"),
        ("credential_list: {}\n", "credential_list"),
        ("credential_list: [{credential_name: a}]\n", "credential_list[0].credential_values"),
        (
            "credential_list: [{credential_name: a, credential_values: {api_version: x}}]\n",
            "credential_list[0].credential_values.api_version",
        ),
        (
            "credential_list: [&a {credential_name: a, credential_values: {}}, *a]\n",
            "credential_list[1].credential_name",
        ),
        ("environment_variables: [a]\n", "environment_variables"),
        ("    model_info: {1: 2}\n", "model_list[0].model_info"),
        ("    model_info: {mode: chatting}\n", "model_list[0].model_info.mode"),
    ],
)
def test_a_wrong_section_is_told_with_its_path(addition: str, path: str) -> None:
    (problem,) = problems(ENTRY + addition)
    assert problem.partition(": ")[0] == path


def test_a_wrong_named_credential_is_told_once_and_not_again_by_its_entries() -> None:
    text = """
credential_list: [{credential_name: a, credential_values: {api_version: x}}]
model_list: [{model_name: a, litellm_params: {model: azure/a, litellm_credential_name: a}}]
"""
    (problem,) = problems(text)
    assert problem.startswith("credential_list[0].credential_values.api_version: found 'x'")


def test_an_unknown_credential_name_is_shown() -> None:
    (problem,) = problems(ENTRY + "      litellm_credential_name: nobody\n")
    assert problem.endswith("found 'nobody', expected a credential_name of credential_list (none is defined).")


def test_variables_that_contain_themselves_are_refused() -> None:
    (problem,) = problems(ENTRY + "environment_variables: &a {x: *a}\n")
    assert problem.startswith("config: nests too deep")


def test_a_file_that_is_too_large_is_refused() -> None:
    (problem,) = problems("#" * (4 * 1024 * 1024 + 1))
    assert problem == "config: found 4194305 characters, expected at most 4194304."


def test_a_wildcard_name_may_lead_to_one_deployment() -> None:
    config = parse(ENTRY.replace("model_name: gpt-4o", "model_name: gpt-*"), {})
    assert [match.model.deployment for match in config.matches("gpt-5")] == ["gpt-4o"]


def test_a_wildcard_may_stand_in_the_middle() -> None:
    text = ENTRY.replace("model_name: gpt-4o", "model_name: a-*-z").replace("azure/gpt-4o", "azure/x-*")
    config = parse(text, {})
    assert [match.model.deployment for match in config.matches("a-b-z")] == ["x-b"]
    assert config.matches("a-z") == ()


def test_custom_llm_provider_is_a_prefix() -> None:
    text = ENTRY.replace("azure/gpt-4o", "gpt-4o") + "      custom_llm_provider: azure\n"
    assert parse(text, {}).entries[0].model.provider == "azure"


def test_a_base_model_without_prefix_is_its_own_name() -> None:
    assert parse(ENTRY + "      base_model: gpt-4o\n", {}).entries[0].base_model_name == "gpt-4o"
    assert parse(ENTRY, {}).entries[0].base_model_name is None
