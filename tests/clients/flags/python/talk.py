"""A client of OpenFeature's in Python: commands come in, answers and events go out, each as a line of JSON."""

import json
import os
import sys
from threading import Lock

from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEvent

_WRITING = Lock()


def say(line):
    with _WRITING:
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


def flagd(settings):
    from openfeature.contrib.provider.flagd import FlagdProvider
    from openfeature.contrib.provider.flagd.config import ResolverType

    return FlagdProvider(
        host="127.0.0.1",
        port=settings["port"],
        resolver_type=ResolverType(settings["mode"]),
        selector=settings.get("selector"),
        # The machine may be busy: the client's own deadline is half a second.
        deadline_ms=15_000,
        retry_backoff_ms=200,
        retry_backoff_max_ms=1000,
        # Only behind this the provider forgets what it has cached: by default after 10 seconds without a server.
        retry_grace_period=1,
    )


def ofrep(settings):
    from openfeature.contrib.provider.ofrep import OFREPProvider

    return OFREPProvider(settings["url"], headers_factory=lambda: dict(settings["headers"]), timeout=15)


def main():
    settings = json.loads(os.environ["CLIENT"])
    for event in ProviderEvent:
        api.add_handler(event, lambda details, event=event: say({"event": event.value, "flags": details.flags_changed}))
    api.set_provider_and_wait({"flagd": flagd, "ofrep": ofrep}[settings["provider"]](settings))
    client = api.get_client()
    say({"ready": True})
    for line in sys.stdin:
        command = json.loads(line)
        context = dict(command.get("context") or {})
        asked = EvaluationContext(context.pop("targetingKey", None), context)
        found = getattr(client, f"get_{command['type']}_details")(command["key"], command["default"], asked)
        said = {"value": found.value, "reason": found.reason, "variant": found.variant or None}
        error = found.error_code.value if found.error_code else None
        say({"answer": {**said, "error": error, "metadata": dict(found.flag_metadata)}})
    os._exit(0)


main()
