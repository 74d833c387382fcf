"""Who may call, decided on the metadata: the body of a refused call is never parsed."""

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol

from server.frame.addresses import is_within
from server.frame.call import Call
from server.frame.caller import ANONYMOUS, Caller
from server.frame.contract import AccessRule
from server.frame.errors import AccessChanged, PermissionMissing, TokenInvalid
from server.frame.interceptors.base import Behavior, Method, unknown
from server.frame.interceptors.stream_guard import StreamGuard
from storage.errors import StoreError
from storage.frame.records import NOBODY

_RETRY_SECONDS = 1.0
"""How soon a database that is away is asked again what the caller of a stream may do."""


class Authenticator(Protocol):
    """Knows which caller an access token authenticates."""

    async def caller_of(self, token: str, *, while_away: bool = False) -> Caller:
        """Raises TokenInvalid where it authenticates nobody.

        With `while_away`, what was known of it last is enough where the database does not say what it is now.
        """
        ...

    async def changed(self, caller: Caller) -> Caller:
        """Waits until what the caller may do is no longer this, and returns what it is; raises TokenInvalid."""
        ...


class Access:
    """Checks each method's access rule against the caller's token.

    A public method ignores a token, so that an expired one keeps nobody from signing in again.
    A method without a rule is none: whatever handles it is not called. Nor is there one where another server of this
    process has it, and nobody is asked for a token.
    A stream ends once its caller may no longer call its method, or loses anything else that it may do: what the stream
    sends may depend on that.
    Where a rule is open to the caller's network, a token is ignored as well, and the caller holds what the method asks
    for.
    """

    def __init__(self, rules: Mapping[str, AccessRule], authenticator: Authenticator) -> None:
        self._rules = rules
        self._authenticator = authenticator

    def around(self, method: Method, proceed: Behavior) -> Behavior:
        rule = self._rules.get(method.path)
        if rule is None or not method.answered:
            return unknown
        if rule.public:
            return proceed
        go_on = self._checked(rule, proceed) if method.streams else proceed
        unnamed = Caller(NOBODY, frozenset({rule.permission} if rule.permission else ()))

        async def admitted(request: Any, call: Call) -> Any:
            if rule.open_to and is_within(call.address, rule.open_to):
                call.caller = unnamed
                return await proceed(request, call)
            caller = await self._authenticator.caller_of(bearer_token(call), while_away=rule.while_away)
            _check(rule, caller)
            call.caller = caller
            return await go_on(request, call)

        return admitted

    def _checked(self, rule: AccessRule, proceed: Behavior) -> Behavior:
        async def permitted(request: Any, call: Call) -> Any:
            async with StreamGuard(lambda: self._wait_for_loss(call.caller, rule)) as within:
                call.writing = within.outside
                return await proceed(request, call)

        return permitted

    async def _wait_for_loss(self, caller: Caller, rule: AccessRule) -> None:
        while True:
            held = caller.permissions
            try:
                caller = await self._authenticator.changed(caller)
            except StoreError:
                if not rule.while_away:
                    raise
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            _check(rule, caller)
            if not held <= caller.permissions:
                raise AccessChanged


def _check(rule: AccessRule, caller: Caller) -> None:
    if caller is ANONYMOUS:
        raise TokenInvalid
    if rule.permission is not None and not caller.may(rule.permission):
        raise PermissionMissing(permission=rule.permission)


def bearer_token(call: Call) -> str:
    """The token of the one authorization header; raises TokenInvalid where there is none, or more than one."""
    sent = call.sent("authorization")
    scheme, _, token = sent[0].partition(" ") if len(sent) == 1 else ("", "", "")
    if scheme.lower() != "bearer" or not token:
        raise TokenInvalid
    return token
