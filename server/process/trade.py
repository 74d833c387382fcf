"""The payment providers that the settings name, opened for a command."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

from server.commerce.providers.port import PaymentProvider
from server.process.data_dir.own_sandbox import Sandbox
from server.process.failure import Failure
from server.settings import Settings
from server.webhooks.rules.sources import Source
from server.wiring import Trade


@asynccontextmanager
async def opened_trade(configured: Settings, sandbox: Sandbox | None) -> AsyncIterator[Trade]:
    """How commerce is done by these settings, and by a sandbox that runs beside; its connections end with the block."""
    providers: dict[str, PaymentProvider] = {}
    async with AsyncExitStack() as stack:
        for provider in _providers(configured, sandbox):
            providers[provider.name] = provider
            stack.push_async_callback(provider.close)
        chosen = configured.payment_provider or ("sandbox" if sandbox else "none")
        if chosen != "none" and chosen not in providers:
            needed = "BACKROOM_SANDBOX_URL and BACKROOM_SANDBOX_KEY" if chosen == "sandbox" else "BACKROOM_STRIPE_KEY"
            raise Failure(f"BACKROOM_PAYMENT_PROVIDER: {chosen} needs {needed}")
        hold = timedelta(seconds=configured.hold_seconds)
        bounds = (configured.max_unpaid_orders, configured.max_held_pieces)
        yield Trade(hold, providers, None if chosen == "none" else chosen, *bounds)


def sources_of(configured: Settings, sandbox: Sandbox | None) -> Sequence[Source]:
    """Who may send webhooks: those that the settings name, and the sandbox by the secret that it shares."""
    secret = sandbox.webhook_secret if sandbox else configured.sandbox_webhook_secret
    named = configured.webhook_sources
    if not secret or any(source.name == "sandbox" for source in named):
        return named
    return (*named, Source("sandbox", "standard", (secret,)))


def _providers(configured: Settings, sandbox: Sandbox | None) -> list[PaymentProvider]:
    """Imported as they are needed: Stripe's library alone takes a second."""
    found: list[PaymentProvider] = []
    if configured.stripe_key:
        from server.commerce.providers.stripe import StripeProvider

        found.append(StripeProvider(configured.stripe_key))
    url, key = configured.sandbox_url, configured.sandbox_key
    if sandbox is not None or (url and key):
        from server.commerce.providers.sandbox import SandboxProvider

        found.append(SandboxProvider(sandbox.url, sandbox.key) if sandbox else SandboxProvider(url or "", key or ""))
    return found
