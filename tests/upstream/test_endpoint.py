"""shared/upstream/endpoint.py: pasted addresses in, exact URLs out."""

import string
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.config import parse as parse_config
from shared.errors import ConfigError, NotFound
from shared.upstream.endpoint import DEPLOYMENT_PATHS, RESOURCE_PATHS, Endpoint, of_entries, parse

ROOT = "https://r.openai.azure.com"
CLASSIC = f"{ROOT}/openai/deployments/d/chat/completions?api-version="
DEFAULT = f"{CLASSIC}2025-04-01-preview"
V1 = f"{ROOT}/openai/v1/chat/completions"

SEGMENTS = st.text(string.ascii_letters + string.digits + "-_~.%/?#@é ", min_size=1, max_size=12).filter(
    lambda text: text.isprintable()
)
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True)
HOSTS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?){0,3}", fullmatch=True)


def chat_url(base: str, api_version: str | None = None, deployment: str = "d") -> str:
    endpoint, _ = parse(base, api_version=api_version, deployment=deployment)
    return endpoint.url("chat/completions", deployment)


def refusal(base: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(base, api_base_at="model_list[0].litellm_params.api_base")
    (problem,) = caught.value.problems
    assert problem.startswith("model_list[0].litellm_params.api_base: ")
    return problem


@pytest.mark.parametrize(
    ("base", "url"),
    [
        (ROOT, DEFAULT),
        (f"{ROOT}/", DEFAULT),
        (f"{ROOT}///", DEFAULT),
        (f"  {ROOT}\n", DEFAULT),
        ("r.openai.azure.com", DEFAULT),
        ("//r.openai.azure.com/", DEFAULT),
        ("HTTPS://R.OpenAI.Azure.COM", DEFAULT),
        (f"{ROOT}:443", DEFAULT),
        (f"{ROOT}./", DEFAULT),
        (f"{ROOT}/openai", DEFAULT),
        (f"{ROOT}/openai/", DEFAULT),
        (f"{ROOT}/OpenAI", DEFAULT),
        (f"{ROOT}/openai/deployments/d", DEFAULT),
        (f"{ROOT}/openai/deployments/d/", DEFAULT),
        (f"{ROOT}/openai/deployments/d/chat/completions", DEFAULT),
        (
            f"{ROOT}/openai/deployments/d/chat/completions?api-version=2024-08-01-preview",
            f"{CLASSIC}2024-08-01-preview",
        ),
        (f"{ROOT}/openai/deployments/d/embeddings?API-Version=2024-10-21", f"{CLASSIC}2024-10-21"),
        (f"{ROOT}/openai/responses?api-version=2025-03-01-preview", f"{CLASSIC}2025-03-01-preview"),
        (f"{ROOT}/openai/v1", V1),
        (f"{ROOT}/openai/v1/", V1),
        (f"{ROOT}/openai/v1/chat/completions", V1),
        (f"{ROOT}/openai/v1/responses?api-version=preview", f"{V1}?api-version=preview"),
        (f"{ROOT}?api-version=v1", V1),
        ("https://r.cognitiveservices.azure.com/", DEFAULT.replace("openai.azure", "cognitiveservices.azure")),
        ("https://r.services.ai.azure.com", DEFAULT.replace("openai.azure", "services.ai.azure")),
        ("https://r.services.ai.azure.com/api/projects/p", DEFAULT.replace("openai.azure", "services.ai.azure")),
        (
            "https://r.services.ai.azure.com/api/projects/p/openai/v1",
            "https://r.services.ai.azure.com/api/projects/p/openai/v1/chat/completions",
        ),
        ("http://127.0.0.1:9100/east", DEFAULT.replace(ROOT, "http://127.0.0.1:9100/east")),
        ("http://127.0.0.1:9100/east/openai/v1/", V1.replace(ROOT, "http://127.0.0.1:9100/east")),
        ("http://[::1]:9100/east", DEFAULT.replace(ROOT, "http://[::1]:9100/east")),
        ("https://apim.example/my-openai/openai", DEFAULT.replace(ROOT, "https://apim.example/my-openai")),
        ("https://apim.example/openai/openai/v1", V1.replace(ROOT, "https://apim.example/openai")),
        ("https://apim.example/a%2Fb/openai", DEFAULT.replace(ROOT, "https://apim.example/a%2Fb")),
    ],
)
def test_every_pasted_form_gives_the_same_address(base: str, url: str) -> None:
    assert chat_url(base) == url


@pytest.mark.parametrize("tail", ["", "/chat/completions"])
def test_extensions_stay(tail: str) -> None:
    base = f"{ROOT}/openai/deployments/d/extensions{tail}"
    assert chat_url(base, "2023-12-01-preview") == (
        f"{ROOT}/openai/deployments/d/extensions/chat/completions?api-version=2023-12-01-preview"
    )


def test_extensions_are_for_chat_only() -> None:
    endpoint, _ = parse(f"{ROOT}/openai/deployments/d/extensions")
    assert "/extensions" not in endpoint.url("embeddings", "d")


@pytest.mark.parametrize("path", sorted(DEPLOYMENT_PATHS))
def test_classic_inference_has_the_deployment_in_its_path(path: str) -> None:
    endpoint, _ = parse(ROOT)
    assert endpoint.url(path, "d", "2024-10-21") == f"{ROOT}/openai/deployments/d/{path}?api-version=2024-10-21"


@pytest.mark.parametrize("path", sorted(RESOURCE_PATHS))
def test_classic_resource_paths_have_no_deployment(path: str) -> None:
    endpoint, _ = parse(ROOT)
    assert endpoint.url(path, "d", "2024-10-21") == f"{ROOT}/openai/{path}?api-version=2024-10-21"


@pytest.mark.parametrize("path", sorted(DEPLOYMENT_PATHS | RESOURCE_PATHS))
@pytest.mark.parametrize(("version", "query"), [("v1", ""), ("latest", ""), ("preview", "?api-version=preview")])
def test_v1_has_no_deployment_and_only_preview_is_named(path: str, version: str, query: str) -> None:
    endpoint, _ = parse(ROOT)
    assert endpoint.url(path, "d", version) == f"{ROOT}/openai/v1/{path}{query}"


def test_a_v1_base_still_has_a_classic_surface_for_what_v1_lacks() -> None:
    endpoint, _ = parse(f"{ROOT}/openai/v1")
    assert endpoint.url("audio/speech", "d", "2025-04-01-preview") == (
        f"{ROOT}/openai/deployments/d/audio/speech?api-version=2025-04-01-preview"
    )


def test_ids_are_one_encoded_segment_each() -> None:
    endpoint, _ = parse(ROOT)
    assert endpoint.url("responses/{id}/cancel", "d", "v1", ids={"id": "a/b?c#d%2e"}) == (
        f"{ROOT}/openai/v1/responses/a%2Fb%3Fc%23d%252e/cancel"
    )


def test_a_query_is_added() -> None:
    endpoint, _ = parse(ROOT)
    assert endpoint.url("files", "d", "2024-10-21", query=[("after", "a&b"), ("in", "x"), ("in", "y")]) == (
        f"{ROOT}/openai/files?api-version=2024-10-21&after=a%26b&in=x&in=y"
    )


@pytest.mark.parametrize("text", ["", ".", ".."])
def test_an_id_that_would_walk_is_not_found(text: str) -> None:
    endpoint, _ = parse(ROOT)
    with pytest.raises(NotFound):
        endpoint.url("files/{id}", "d", ids={"id": text})


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a?b", "-a", "x" * 65])
def test_a_deployment_that_is_no_name_is_not_found(name: str) -> None:
    endpoint, _ = parse(ROOT)
    with pytest.raises(NotFound):
        endpoint.url("chat/completions", name)


@pytest.mark.parametrize(
    ("base", "url"),
    [
        (None, "https://api.openai.com/v1/chat/completions"),
        ("https://api.openai.com", "https://api.openai.com/v1/chat/completions"),
        ("https://api.openai.com/v1/", "https://api.openai.com/v1/chat/completions"),
        ("https://api.openai.com/v1/chat/completions", "https://api.openai.com/v1/chat/completions"),
        ("https://eu.api.openai.com/v1", "https://eu.api.openai.com/v1/chat/completions"),
        ("http://localhost:8000/v1", "http://localhost:8000/v1/chat/completions"),
        (f"{ROOT}/openai/v1/", f"{ROOT}/openai/v1/chat/completions"),
    ],
)
def test_openai_addresses(base: str | None, url: str) -> None:
    endpoint, warnings = parse(base, provider="openai")
    assert (endpoint.url("chat/completions", "gpt-4o"), warnings) == (url, ())


def test_an_azure_resource_without_azure_before_the_model_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected azure/ before the model, or /openai/v1 at the end"):
        parse(ROOT, provider="openai")


@pytest.mark.parametrize(
    ("base", "words"),
    [
        ("", "1 to 2048 characters"),
        ("x" * 3000, "1 to 2048 characters"),
        ("https://", "a host name"),
        ("https://<your-resource>.openai.azure.com", "a host name"),
        ("https://a..b", "a host name"),
        ("https://r.openai.azure.com:99999", "a valid host and port"),
        ("https://r.openai.azure.com:x", "a valid host and port"),
        ("https://[::1", "a valid host and port"),
        ("ftp://r.openai.azure.com", "https://, not ftp://"),
        ("https://user:hunter2@r.openai.azure.com", "without user name and password"),
        ("user:hunter2@r.openai.azure.com", "without user name and password"),
        (f"{ROOT}#hunter2", "without a # fragment"),
        (f"{ROOT}#", "without a # fragment"),
        (f"{ROOT}/a b", "printable ASCII"),
        (f"{ROOT}\\@evil", "printable ASCII"),
        ("https://ｒ.openai.azure.com", "printable ASCII"),
        (f"{ROOT}/a/../b", "without . and .."),
        (f"{ROOT}/a/%2e%2E/b", "without . and .."),
        (f"{ROOT}/a%0d%0ab", "control characters"),
        (f"{ROOT}/a%ff", "UTF-8"),
        (f"{ROOT}/openai/elsewhere", "one of the paths /openai"),
        (f"{ROOT}/openai/deployments", "one of the paths /openai"),
        (f"{ROOT}/openai/deployments/d/elsewhere", "one of the paths /openai"),
        (f"{ROOT}/openai/deployments/-d", "a deployment name"),
        (f"{ROOT}/openai/deployments/a%2Fb", "a deployment name"),
        (f"{ROOT}?api-version=hunter2", "its api-version to be a date"),
        ("https://r.services.ai.azure.com/models", "Foundry's inference API"),
        (
            "https://r.services.ai.azure.com/models/chat/completions?api-version=2024-05-01-preview",
            "Foundry's inference",
        ),
    ],
)
def test_what_cannot_be_an_endpoint_is_refused_in_words(base: str, words: str) -> None:
    problem = refusal(base)
    assert words in problem
    assert "hunter2" not in problem


def test_a_value_from_the_environment_is_not_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(f"{ROOT}/openai/hunter2", shown=False)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("base", "version", "effective", "warned"),
    [
        (ROOT, None, "2025-04-01-preview", False),
        (ROOT, "2024-10-21", "2024-10-21", False),
        (ROOT, "v1", "v1", False),
        (f"{ROOT}?api-version=2024-10-21", None, "2024-10-21", False),
        (f"{ROOT}?api-version=2024-10-21", "2024-10-21", "2024-10-21", False),
        (f"{ROOT}?api-version=2024-10-21", "2024-06-01", "2024-06-01", True),
        (f"{ROOT}/openai/v1", None, "v1", False),
        (f"{ROOT}/openai/v1", "preview", "preview", False),
        (f"{ROOT}/openai/v1", "latest", "latest", False),
        (f"{ROOT}/openai/v1", "2024-10-21", "v1", True),
        (f"{ROOT}/openai/v1?api-version=preview", None, "preview", False),
    ],
)
def test_which_api_version_is_in_effect(base: str, version: str | None, effective: str, warned: bool) -> None:
    endpoint, warnings = parse(base, api_version=version)
    assert (endpoint.api_version, bool(warnings)) == (effective, warned)


def test_the_environments_version_comes_after_the_urls() -> None:
    assert parse(ROOT, api_version_default="2024-06-01")[0].api_version == "2024-06-01"
    assert parse(f"{ROOT}?api-version=2024-10-21", api_version_default="2024-06-01")[0].api_version == "2024-10-21"
    assert parse(f"{ROOT}/openai/v1", api_version_default="2024-06-01") == (Endpoint("azure", ROOT, "", "v1"), ())


def test_the_deployment_in_the_url_is_used_and_the_other_named() -> None:
    endpoint, warnings = parse(f"{ROOT}/openai/deployments/mine", deployment="other")
    assert endpoint.deployment_for("other") == "mine"
    assert "/deployments/mine/" in endpoint.url("chat/completions", "other")
    assert warnings == ("api_base: names deployment mine, which is used; other in model is not.",)


@pytest.mark.parametrize("host", ["127.0.0.1:9100", "localhost", "[::1]:80", "sim.localhost"])
def test_plain_http_to_this_machine_is_silent(host: str) -> None:
    assert parse(f"http://{host}")[1] == ()


@pytest.mark.parametrize("host", ["10.0.0.1", "r.openai.azure.com", "127.0.0.1.example"])
def test_plain_http_to_elsewhere_is_warned_of(host: str) -> None:
    assert parse(f"http://{host}")[1] == ("api_base: is plain http: keys and prompts travel unencrypted.",)


def test_another_query_parameter_is_left_out_and_only_its_name_told() -> None:
    endpoint, warnings = parse(f"{ROOT}?subscription-key=hunter2")
    assert warnings == ("api_base: has the query parameter subscription-key, which is left out.",)
    assert "hunter2" not in endpoint.url("chat/completions", "d")


@pytest.mark.parametrize(
    ("base", "scope"),
    [
        (ROOT, "https://cognitiveservices.azure.com/.default"),
        (f"{ROOT}/openai/v1", "https://ai.azure.com/.default"),
        ("https://r.openai.azure.us", "https://cognitiveservices.azure.us/.default"),
        ("https://r.openai.azure.cn/openai/v1", "https://cognitiveservices.azure.cn/.default"),
    ],
)
def test_the_scope_follows_surface_and_cloud(base: str, scope: str) -> None:
    assert parse(base)[0].scope == scope


def test_openai_has_no_scope() -> None:
    assert parse(None, provider="openai")[0].scope is None


def test_every_form_of_one_resource_has_one_identity() -> None:
    forms = ["", "/", "/openai/v1/", "/openai/deployments/d/chat/completions?api-version=2024-10-21"]
    assert {parse(f"https://R.openai.azure.com:443{form}")[0].identity for form in forms} == {"r.openai.azure.com"}


def test_prefixes_are_different_resources() -> None:
    assert parse("http://127.0.0.1:9100/east/")[0].identity == "127.0.0.1:9100/east"


def test_all_entries_are_checked_before_the_start_is_refused() -> None:
    text = """
model_list:
  - {model_name: a, litellm_params: {model: azure/a, api_base: "ftp://x", api_key: k}}
  - {model_name: b, litellm_params: {model: azure/b, api_base: "https://r.openai.azure.com", api_key: k}}
  - {model_name: c, litellm_params: {model: azure/c, base_url: "https://x/openai/y", api_key: k}}
"""
    with pytest.raises(ConfigError) as caught:
        of_entries(parse_config(text, {}).entries)
    assert [problem.partition(": ")[0] for problem in caught.value.problems] == [
        "model_list[0].litellm_params.api_base",
        "model_list[2].litellm_params.base_url",
    ]


def test_a_bad_base_of_the_environment_names_its_variable_once() -> None:
    config = parse_config(
        "model_list: [{model_name: a, litellm_params: {model: azure/a}}]", {"AZURE_API_BASE": "ftp://x"}
    )
    with pytest.raises(ConfigError) as caught:
        of_entries(config.entries * 2)
    assert caught.value.problems == ("AZURE_API_BASE: expected https://, not ftp://.",)


def test_warnings_carry_the_path_of_the_entry() -> None:
    text = """
model_list:
  - {model_name: a, litellm_params: {model: azure/a, api_base: "https://r.openai.azure.com/openai/v1", api_key: k, api_version: 2024-10-21}}
"""  # noqa: E501
    _, warnings = of_entries(parse_config(text, {}).entries)
    assert warnings == (
        "model_list[0].litellm_params.api_version: is 2024-10-21, but api_base is /openai/v1; v1 is used.",
    )


@given(HOSTS, st.lists(NAMES.filter(lambda name: name.lower() not in ("openai", "models", "api")), max_size=3))
def test_an_endpoint_parsed_again_is_the_same(host: str, prefix: list[str]) -> None:
    first, _ = parse(f"https://{host}/{'/'.join(prefix)}")
    again, _ = parse(first.origin + first.prefix)
    assert again == first
    assert first.identity == "/".join([host, *prefix])


@given(HOSTS, NAMES, st.sampled_from(sorted(DEPLOYMENT_PATHS)))
def test_a_built_url_pasted_back_is_the_same_endpoint(host: str, deployment: str, path: str) -> None:
    url = parse(f"https://{host}")[0].url(path, deployment, "2024-10-21")
    endpoint, warnings = parse(url, deployment=deployment)
    assert (endpoint.identity, endpoint.deployment, endpoint.api_version, warnings) == (
        host,
        deployment,
        "2024-10-21",
        (),
    )


@given(SEGMENTS, st.sampled_from(["v1", "preview", "2024-10-21"]))
def test_no_id_escapes_its_segment(text: str, version: str) -> None:
    endpoint, _ = parse("http://127.0.0.1:9100/east")
    try:
        url = endpoint.url("responses/{id}/cancel", "d", version, ids={"id": text})
    except NotFound:
        assert text in (".", "..")
        return
    parts = urlsplit(url)
    before, after = parts.path.removesuffix("/cancel").rsplit("/", 1)
    assert (parts.netloc, parts.fragment, unquote(after)) == ("127.0.0.1:9100", "", text)
    assert before.endswith("/responses")


@given(st.text())
def test_any_text_is_an_endpoint_or_a_config_error(text: str) -> None:
    try:
        endpoint, _ = parse(text)
    except ConfigError:
        return
    parts = urlsplit(endpoint.url("chat/completions", "d"))
    assert parts.scheme in ("http", "https")
    assert parts.username is None
    assert not {".", ".."} & set(unquote(parts.path).split("/"))
