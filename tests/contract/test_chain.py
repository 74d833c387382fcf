"""What stands around every call, and in which order."""

import grpc

from tests.fixtures.servers import Running

ORDER = {
    "InFlight": "outermost: a call is over when all that stands around it is",
    "RequestLog": "around all the rest: whatever becomes of a call, there is one line of it, with the whole time",
    "Metrics": "outside of the refusals: it counts the code that the caller is answered",
    "Refusals": "around all that decides: nothing rises past it",
    "Shedding": "inside of the refusals, which carry its own; before any work is done",
    "Deadline": "around all that may wait, the token's check included",
    "Access": "on the metadata alone, before the body is parsed",
    "Validation": "innermost: only who may call learns what is wrong with a body",
}


async def test_the_interceptors_stand_in_their_order(server: Running) -> None:
    """Moving one breaks the promise beside it."""
    interceptors = server.application.interceptors
    assert [type(each).__name__ for each in interceptors] == list(ORDER)
    assert all(isinstance(each, grpc.aio.ServerInterceptor) for each in interceptors)
