import json

from backroom_client.channel import REPEATABLE, service_config
from backroom_client.contract import PROTECTED, SERVICES
from tests.contract.methods import SERVICES as DECLARED


def test_every_method_but_login_is_retried() -> None:
    """A new method of the contract must be classified."""
    methods = {f"{service.full_name}/{method.name}" for service in SERVICES for method in service.methods}
    retried = {f"{service}/{method}" for service, methods in REPEATABLE.items() for method in methods}
    assert methods - retried == {"backroom.identity.v1.IdentityService/Login"}
    assert retried - methods == {"grpc.health.v1.Health/Check"}


def test_the_client_has_every_service_of_the_contract() -> None:
    """A service is one line there, for both kinds of client; flagd's services have their own clients."""
    ours = {service.full_name for service in DECLARED if service.full_name.startswith("backroom.")}
    missing = ours - {service.full_name for service in SERVICES}
    assert not missing, "give each a line in Services, in client/backroom_client/contract.py"


def test_only_an_unavailable_server_is_retried() -> None:
    """Any other status is an answer."""
    (config,) = json.loads(service_config())["methodConfig"]
    assert config["retryPolicy"]["retryableStatusCodes"] == ["UNAVAILABLE", "CANCELLED"]
    assert config["retryPolicy"]["maxAttempts"] == 4


def test_the_contract_says_which_methods_need_a_token() -> None:
    """Signing in needs none, and every method that changes or shows anything does."""
    assert "/backroom.identity.v1.AccessService/ExchangeKey" not in PROTECTED
    assert "/backroom.identity.v1.IdentityService/Refresh" not in PROTECTED
    assert "/backroom.identity.v1.IdentityService/GetMe" in PROTECTED
    assert "/backroom.commerce.v1.OrderService/PlaceOrders" in PROTECTED
