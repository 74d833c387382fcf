"""Calls of methods that change something, and the audit entries that each leaves."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from backroom.commerce.v1 import order_service_pb2
from storage.frame.records import NOBODY
from tests.contract.methods import METHODS, Method
from tests.fixtures.mailboxes import TOKEN, Collected
from tests.fixtures.servers import Api
from tests.fixtures.trading import Shop, eventually
from tests.identity.records import events

BY_NAME = {method.name: method for method in METHODS}


@dataclass
class Scenario:
    """Calls methods, and checks the audit entries that each leaves."""

    shop: Shop
    mails: Collected
    admin: Api
    called: set[str] = field(default_factory=set)

    @property
    def anonymous(self) -> Api:
        return self.shop.server.anonymous

    async def change(
        self, api: Api, name: str, request: Message, *resources: str | Callable[[Any], str], caller: UUID | None = None
    ) -> Any:
        """Calls a method, and repeats it if possible; `{...}` in a resource is a field of the response.

        There must be one entry for each resource, with this caller and this call, and none for the repetition.
        """
        method = BY_NAME[name]
        call_id = f"{name}-{uuid4()}"
        answer = await self._sent(api, method, request, call_id)
        expected = sorted(each.format(answer=answer) if isinstance(each, str) else each(answer) for each in resources)
        found = [event.entry for event in await events(self.shop.server.database) if event.entry.call_id == call_id]
        assert sorted(entry.resource for entry in found) == expected, name
        for entry in found:
            assert entry.caller_id == (caller or api.account_id or NOBODY), name
            assert (entry.action, entry.address, entry.result) == (method.path[1:], "127.0.0.1", "OK")
        if carried_request_id(request):
            again = f"again-{uuid4()}"
            assert await self._sent(api, method, request, again) == answer, name
            calls = [event.entry.call_id for event in await events(self.shop.server.database)]
            assert again not in calls, name
        self.called.add(name)
        return answer

    async def token(self, to: str) -> str:
        """The token in the last mail to an address; waits for the mail."""

        async def look() -> str | None:
            texts = [letter.text for letter in self.mails.letters if letter.to == to]
            found = TOKEN.search(texts[-1]) if texts else None
            return found.group() if found and found.group() not in self._seen else None

        token = await eventually(look, bool)
        assert token is not None
        self._seen.add(token)
        return token

    _seen: set[str] = field(default_factory=set)

    async def _sent(self, api: Api, method: Method, request: Message, call_id: str) -> Any:
        metadata = [("x-request-id", call_id)]
        metadata += [("authorization", f"Bearer {api.token}")] if api.token else []
        stub: Any = api.channel.unary_stream(method.path)
        call = stub(request.SerializeToString(), metadata=metadata, timeout=30)
        answers = [answer async for answer in call]
        return GetMessageClass(method.descriptor.output_type).FromString(answers[0])


def carried_request_id(request: Any) -> str:
    carried = request.order if isinstance(request, order_service_pb2.PlaceOrdersRequest) else request
    return str(getattr(carried, "request_id", ""))


def fresh() -> str:
    return str(uuid4())
