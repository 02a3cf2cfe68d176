from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from azure.identity.aio import ManagedIdentityCredential

from devtools.simulator import ControlClient


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=10) as client:
        yield client


HELLO = {"messages": [{"role": "user", "content": "hello"}], "model": "gpt-4o"}
CLASSIC = "/east/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"
V1 = "/east/openai/v1/chat/completions"
COGNITIVE = "https://cognitiveservices.azure.com"


@pytest.fixture
def anonymous(client: httpx.Client, sim: ControlClient) -> httpx.Client:
    return client


def token(client: httpx.Client, resource: str = COGNITIVE, **query: str) -> str:
    response = client.get(
        "/_sim/identity/token",
        params={"resource": resource, "api-version": "2019-08-01", **query},
        headers={"x-identity-header": "sim-identity-header"},
    )
    value: str = response.json()["access_token"]
    return value


def bearer(value: str) -> dict[str, str]:
    return {"authorization": f"Bearer {value}"}


def call(client: httpx.Client, path: str, headers: dict[str, str]) -> tuple[int, str]:
    response = client.post(path, json=HELLO, headers=headers)
    return response.status_code, response.json().get("error", {}).get("message", "")


@pytest.mark.parametrize("path", [CLASSIC, V1])
def test_a_key_opens_both_surfaces(anonymous: httpx.Client, path: str) -> None:
    assert call(anonymous, path, {"api-key": "sim-key-east"})[0] == 200


@pytest.mark.parametrize("headers", [
    {}, {"api-key": "sim-key-west"}, {"api-key": ""},
    {"authorization": "Basic abc"}, {"authorization": "Bearer"},
])  # fmt: skip
def test_no_key_or_anothers_is_401(anonymous: httpx.Client, headers: dict[str, str]) -> None:
    status, message = call(anonymous, CLASSIC, headers)
    assert status == 401
    assert message.startswith("Access denied due to invalid subscription key or wrong API endpoint.")


def test_a_key_as_bearer_opens_v1_only(anonymous: httpx.Client) -> None:
    assert call(anonymous, V1, bearer("sim-key-east"))[0] == 200
    status, message = call(anonymous, CLASSIC, bearer("sim-key-east"))
    assert status == 401
    assert message.startswith("Unauthorized. Access token is missing, invalid, audience is incorrect")


def test_a_resource_without_local_auth_refuses_its_key(anonymous: httpx.Client, sim: ControlClient) -> None:
    sim.call("PUT", "/resources/east", {"local_auth": False, "deployments": {"gpt-4o": {"model": "gpt-4o"}}})
    assert call(anonymous, CLASSIC, {"api-key": "sim-key-east"})[0] == 403
    assert call(anonymous, V1, bearer("sim-key-east"))[0] == 403
    assert call(anonymous, CLASSIC, bearer(token(anonymous)))[0] == 200


@pytest.mark.parametrize("audience", [COGNITIVE, COGNITIVE + "/", "https://ai.azure.com"])
@pytest.mark.parametrize("path", [CLASSIC, V1])
def test_an_entra_token_opens_both_surfaces(anonymous: httpx.Client, path: str, audience: str) -> None:
    assert call(anonymous, path, bearer(token(anonymous, audience)))[0] == 200


def test_a_token_for_another_audience_is_401(anonymous: httpx.Client) -> None:
    assert call(anonymous, CLASSIC, bearer(token(anonymous, "https://storage.azure.com")))[0] == 401


def test_a_token_expires(anonymous: httpx.Client, sim: ControlClient) -> None:
    sim.identity(lifetime_s=100)
    headers = bearer(token(anonymous))
    sim.advance(90)
    assert call(anonymous, CLASSIC, headers)[0] == 200
    sim.advance(11)
    assert call(anonymous, CLASSIC, headers)[0] == 401


def test_revoked_tokens_stop_working_and_new_ones_work(anonymous: httpx.Client, sim: ControlClient) -> None:
    headers = bearer(token(anonymous))
    assert sim.revoke() >= 1
    assert call(anonymous, CLASSIC, headers)[0] == 401
    assert call(anonymous, CLASSIC, bearer(token(anonymous)))[0] == 200


def test_a_reset_leaves_issued_tokens_valid(anonymous: httpx.Client, sim: ControlClient) -> None:
    headers = bearer(token(anonymous))
    sim.reset()
    assert call(anonymous, CLASSIC, headers)[0] == 200


def test_a_principal_without_the_role_is_denied(anonymous: httpx.Client, sim: ControlClient) -> None:
    headers = bearer(token(anonymous))
    sim.identity(role=None)
    response = anonymous.post(CLASSIC, json=HELLO, headers=headers)
    assert (response.status_code, response.json()) == (401, {"error": {
        "code": "PermissionDenied", "message": "Principal does not have access to API/Operation.",
    }})  # fmt: skip


def test_roles_are_per_client_id(anonymous: httpx.Client, sim: ControlClient) -> None:
    sim.identity(roles={"poor": None})
    assert call(anonymous, CLASSIC, bearer(token(anonymous, client_id="poor")))[0] == 401
    assert call(anonymous, CLASSIC, bearer(token(anonymous, client_id="rich")))[0] == 200


def test_an_unknown_role_is_refused(sim: ControlClient) -> None:
    with pytest.raises(httpx.HTTPStatusError, match="400"):
        sim.identity(role="Owner")


def test_the_identity_endpoint_answers_as_app_service_does(anonymous: httpx.Client) -> None:
    path = f"/_sim/identity/token?resource={COGNITIVE}&api-version=2019-08-01"
    assert anonymous.get(path).status_code == 401
    response = anonymous.get(path, headers={"X-IDENTITY-HEADER": "sim-identity-header"})
    answer = response.json()
    assert set(answer) == {"access_token", "expires_on", "resource", "token_type", "client_id"}
    assert isinstance(answer["expires_on"], str)
    assert answer["token_type"] == "Bearer"


@pytest.mark.parametrize("query", ["?api-version=2019-08-01", f"?resource={COGNITIVE}&api-version=2017-09-01"])
def test_the_identity_endpoint_refuses_a_malformed_request(anonymous: httpx.Client, query: str) -> None:
    headers = {"X-IDENTITY-HEADER": "sim-identity-header"}
    assert anonymous.get("/_sim/identity/token" + query, headers=headers).status_code == 400


async def test_azure_identity_really_gets_a_token(
    url: str, anonymous: httpx.Client, sim: ControlClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{url}/_sim/identity/token")
    monkeypatch.setenv("IDENTITY_HEADER", "sim-identity-header")
    async with ManagedIdentityCredential(client_id="app") as credential:
        issued = await credential.get_token(COGNITIVE + "/.default")
        again = await credential.get_token(COGNITIVE + "/.default")
    assert again.token == issued.token
    assert sim.call("GET", "/identity")["issued"] == 1
    assert call(anonymous, CLASSIC, bearer(issued.token))[0] == 200


def test_faults_strike_the_identity_endpoint(anonymous: httpx.Client, sim: ControlClient) -> None:
    sim.fault(operation="identity", status=429)
    sim.fault(operation="identity", status=200, body="not json")
    path = f"/_sim/identity/token?resource={COGNITIVE}&api-version=2019-08-01"
    headers = {"X-IDENTITY-HEADER": "sim-identity-header"}
    assert anonymous.get(path, headers=headers).status_code == 429
    assert anonymous.get(path, headers=headers).text == "not json"
    assert anonymous.get(path, headers=headers).json()["access_token"]


def test_a_fault_that_does_not_name_the_identity_endpoint_passes_it(
    anonymous: httpx.Client, sim: ControlClient
) -> None:
    sim.fault(status=500)
    headers = bearer(token(anonymous))
    assert [call(anonymous, CLASSIC, headers)[0] for _ in range(2)] == [500, 200]


def test_the_simulator_shares_no_code_with_the_gateway() -> None:
    package = Path(__file__).parents[2] / "devtools" / "simulator"
    sources = [path.read_text() for path in package.glob("*.py")]
    assert len(sources) > 20
    assert not [source for source in sources if "from shared" in source or "import shared" in source]
