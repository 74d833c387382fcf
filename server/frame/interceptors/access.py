"""Who may call, decided on the metadata: the body of a refused call is never parsed."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Protocol

from server.frame.call import Call
from server.frame.caller import ANONYMOUS, Caller
from server.frame.contract import AccessRule
from server.frame.errors import PermissionMissing, TokenInvalid
from server.frame.interceptors.base import Handler, Interceptor


class Doorkeeper(Protocol):
    """Knows whom an access token stands for."""

    async def caller_of(self, token: str) -> Caller:
        """Raises TokenInvalid where it stands for nobody."""
        ...


class Access(Interceptor):
    """Holds each method's rule of the contract against the caller's token.

    A public method ignores a token, so that an expired one keeps nobody from signing in again.
    A method without a rule does not exist; the next interceptor says so.
    """

    def __init__(self, rules: Mapping[str, AccessRule], doorkeeper: Doorkeeper) -> None:
        self._rules = rules
        self._doorkeeper = doorkeeper

    @asynccontextmanager
    async def around(self, call: Call, handler: Handler) -> AsyncIterator[None]:
        rule = self._rules.get(call.method)
        if rule is not None and not rule.public:
            call.caller = await self._admitted(call, rule)
        yield

    async def _admitted(self, call: Call, rule: AccessRule) -> Caller:
        caller = await self._doorkeeper.caller_of(bearer_token(call))
        if caller is ANONYMOUS:
            raise TokenInvalid
        if rule.permission is not None and not caller.may(rule.permission):
            raise PermissionMissing(permission=rule.permission)
        return caller


def bearer_token(call: Call) -> str:
    """The token of the one authorization header; raises TokenInvalid where there is none, or more than one."""
    sent = [value for name, value in call.invocation_metadata() or () if name == "authorization"]
    scheme, _, token = sent[0].partition(" ") if len(sent) == 1 and isinstance(sent[0], str) else ("", "", "")
    if scheme.lower() != "bearer" or not token:
        raise TokenInvalid
    return str(token)
