"""Who may call, decided on the metadata: the body of a refused call is never parsed."""

import inspect
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol

import grpc

from server.frame.call import Call
from server.frame.caller import ANONYMOUS, Caller
from server.frame.contract import AccessRule
from server.frame.errors import AccessChanged, PermissionMissing, TokenInvalid
from server.frame.interceptors.base import Behaviour, Continuation, Handler, Interceptor, behaviour_of, rebuilt
from server.frame.interceptors.permitted import Permitted


class Doorkeeper(Protocol):
    """Knows whom an access token stands for."""

    async def caller_of(self, token: str) -> Caller:
        """Raises TokenInvalid where it stands for nobody."""
        ...

    async def changed(self, caller: Caller) -> Caller:
        """Waits until what the caller may do is no longer this, and returns what it is; raises TokenInvalid."""
        ...


class Access(Interceptor):
    """Holds each method's rule of the contract against the caller's token.

    A public method ignores a token, so that an expired one keeps nobody from signing in again.
    A method without a rule does not exist; the next interceptor says so.
    A stream ends once its caller may no longer call its method, or loses anything else that it may do: what the stream
    tells may hang on that.
    """

    def __init__(self, rules: Mapping[str, AccessRule], doorkeeper: Doorkeeper) -> None:
        self._rules = rules
        self._doorkeeper = doorkeeper

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler:
        rule = self._rules.get(handler_call_details.method)

        async def kept(details: grpc.HandlerCallDetails) -> Handler | None:
            handler = await continuation(details)
            if handler is None or rule is None or rule.public:
                return handler
            if not (handler.request_streaming or handler.response_streaming):
                return handler
            return rebuilt(handler, self._kept(behaviour_of(handler), rule))

        return await super().intercept_service(kept, handler_call_details)

    @asynccontextmanager
    async def around(self, call: Call, handler: Handler) -> AsyncIterator[None]:
        rule = self._rules.get(call.method)
        if rule is not None and not rule.public:
            call.caller = await self._admitted(call, rule)
        yield

    async def _admitted(self, call: Call, rule: AccessRule) -> Caller:
        caller = await self._doorkeeper.caller_of(bearer_token(call))
        _hold(rule, caller)
        return caller

    def _kept(self, behaviour: Behaviour, rule: AccessRule) -> Behaviour:
        def permitted(call: Call) -> Permitted:
            return Permitted(lambda: self._until_lost(call.caller, rule))

        async def answering(request: Any, call: Call) -> Any:
            async with permitted(call):
                return await behaviour(request, call)

        async def streaming(request: Any, call: Call) -> AsyncIterator[Any]:
            async with permitted(call) as within:
                async for response in behaviour(request, call):
                    with within.outside():
                        yield response

        return streaming if inspect.isasyncgenfunction(behaviour) else answering

    async def _until_lost(self, caller: Caller, rule: AccessRule) -> None:
        while True:
            held = caller.permissions
            caller = await self._doorkeeper.changed(caller)
            _hold(rule, caller)
            if not held <= caller.permissions:
                raise AccessChanged


def _hold(rule: AccessRule, caller: Caller) -> None:
    if caller is ANONYMOUS:
        raise TokenInvalid
    if rule.permission is not None and not caller.may(rule.permission):
        raise PermissionMissing(permission=rule.permission)


def bearer_token(call: Call) -> str:
    """The token of the one authorization header; raises TokenInvalid where there is none, or more than one."""
    sent = [value for name, value in call.invocation_metadata() or () if name == "authorization"]
    scheme, _, token = sent[0].partition(" ") if len(sent) == 1 and isinstance(sent[0], str) else ("", "", "")
    if scheme.lower() != "bearer" or not token:
        raise TokenInvalid
    return str(token)
