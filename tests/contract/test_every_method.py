"""Properties of every method that the contract declares and the frame enforces."""

import grpc
from buf.validate import validate_pb2

from backroom.common.v1 import rules_pb2
from server.frame.contract import rules_of
from tests.contract.hostile import filled
from tests.contract.methods import LISTS, METHODS, SERVICES, Method, message_sent, sent
from tests.contract.proto_comments import documented
from tests.fixtures.roles import PERMISSIONS
from tests.fixtures.servers import Api, Refused, Running, refusal, refused

_UNREPEATABLE = {"Login", "Refresh", "Logout", "ExchangeKey", "ConfirmPayment"}
"""Each opens or ends a session, issues a token or reads: repeating it is described without a request_id."""

MUTATING = [method for method in METHODS if method.changes and method.name not in _UNREPEATABLE]
_UNDER_REQUEST_IDS = [method for method in MUTATING if not method.judges_one_by_one]
"""Where each element of a list has a key of its own, repeating the whole needs none."""


async def answer(api: Api, method: Method, body: bytes = b"") -> Refused | None:
    """The refusal of a call; None if it succeeded."""
    try:
        await sent(api, method, body)
    except grpc.aio.AioRpcError as error:
        return refused(error)
    return None


async def reason(api: Api, method: Method, body: bytes = b"") -> str:
    refused_as = await answer(api, method, body)
    return refused_as.reason if refused_as else "OK"


async def test_every_service_of_the_contract_is_served(server: Running) -> None:
    """This finds a service that is declared but not wired."""
    assert {service.name for service in server.application.services} == {each.full_name for each in SERVICES}


def test_every_method_says_who_may_call_it() -> None:
    """Each has a rule, and at least one role has the permission."""
    assert len(rules_of(SERVICES, PERMISSIONS)) == len(METHODS) > 0


async def test_without_a_token_only_public_methods_answer(server: Running) -> None:
    """All others require a token; public ones get as far as parsing the body."""
    reasons = {str(method): await reason(server.anonymous, method) for method in METHODS}
    asked_for_a_token = {path for path, found in reasons.items() if found == "TOKEN_INVALID"}
    assert asked_for_a_token == {str(method) for method in METHODS if not method.rule.public}


async def test_without_roles_every_permission_is_missing(server: Running) -> None:
    """The refusal names the permission that the contract requires."""
    for method in METHODS:
        refused_as = await answer(await server.sign_in(), method)  # one of them ends its caller's sessions
        if method.rule.permission is None:
            assert refused_as is None or refused_as.reason != "PERMISSION_MISSING", method
        else:
            assert refused_as is not None, method
            assert refused_as.code is grpc.StatusCode.PERMISSION_DENIED, method
            assert refused_as.reason == "PERMISSION_MISSING", method
            assert refused_as.metadata == {"permission": method.rule.permission}, method


async def test_a_body_is_not_read_before_access_is_decided(server: Running, powerless: Api) -> None:
    """A caller without access who sends garbage gets the refusal of access."""
    for method in METHODS:
        if method.rule.permission is not None:
            assert await reason(server.anonymous, method, b"\xff") == "TOKEN_INVALID", method
            assert await reason(powerless, method, b"\xff") == "PERMISSION_MISSING", method


def test_every_change_can_be_repeated_under_a_request_id() -> None:
    """Each mutating request, or a message that it holds, has a request_id that is a UUID or empty."""
    for method in _UNDER_REQUEST_IDS:
        fields = method.takes.fields_by_name
        nested = fields["order"].message_type if "order" in fields else None
        field = (nested.fields_by_name if nested else fields)["request_id"]
        rules = field.GetOptions().Extensions[validate_pb2.field]
        assert rules.string.Extensions[rules_pb2.optional_uuid], method


async def test_a_request_id_that_is_no_uuid_is_refused(admin: Api) -> None:
    """Every mutating method that takes one names the field."""
    for method in _UNDER_REQUEST_IDS:
        given = {"request_id": "canary"}
        message = method.request(**given if "request_id" in method.takes.fields_by_name else {"order": given})
        refused_as = await refusal(message_sent(admin, method, message))
        assert refused_as.reason == "FIELD_INVALID", method
        assert {path.rpartition(".")[2] for path in refused_as.fields} >= {"request_id"}, method


async def test_a_list_refuses_a_negative_page_size(admin: Api) -> None:
    """Every List method names the field."""
    assert LISTS
    for method in LISTS:
        refused_as = await refusal(message_sent(admin, method, filled(method.takes, page_size=-1)))
        assert refused_as.code is grpc.StatusCode.INVALID_ARGUMENT, method
        assert refused_as.reason == "FIELD_INVALID", method
        assert list(refused_as.fields) == ["page_size"], method


async def test_a_list_refuses_a_page_token_that_it_did_not_give(admin: Api) -> None:
    """The token is not base64, not a message, or a message of another list."""
    for method in LISTS:
        for token in ("canary", "====", "Zm9v", "CgEx", "\N{SNOWMAN}", "x" * 1024):
            refused_as = await refusal(message_sent(admin, method, filled(method.takes, page_token=token)))
            assert refused_as.code is grpc.StatusCode.INVALID_ARGUMENT, method
            assert refused_as.reason == "PAGE_TOKEN_INVALID", (method, token)


async def test_a_plain_request_is_answered_as_the_comment_says(server: Running) -> None:
    """The simplest valid request succeeds, or is refused for a reason that the method's comment lists."""
    admin = await server.sign_in("admin")
    for method in METHODS:
        # The caller gets another session each time: the request may end all sessions of its caller.
        api = await server.sign_in("admin") if "Session" in method.name else admin
        refused_as = await answer(api, method, filled(method.takes).SerializeToString())
        if refused_as is not None:
            assert documented()[str(method)].get(refused_as.reason) == refused_as.code.name, (method, refused_as)
