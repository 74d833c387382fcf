"""What `backroom verify` asks the payment providers."""

from collections.abc import Sequence
from contextlib import aclosing

from server.commerce.providers.configured import providers_of
from server.commerce.providers.port import PaymentProvider, ProviderUnavailable
from server.commerce.service.comparing import Comparing
from server.commerce.settings import CommerceSettings
from server.frame.module import Unchecked
from storage.commerce.store import CommerceStore
from storage.laws import Finding

_NAMED = 20


async def compared_with_providers(store: CommerceStore, settings: CommerceSettings) -> Sequence[Finding | Unchecked]:
    """How each provider's ledger and ours agree; raises SettingMissing."""
    async with aclosing(providers_of(settings)) as providers:
        return [await _compared(store, provider) for provider in providers.by_name.values()]


async def _compared(store: CommerceStore, provider: PaymentProvider) -> Finding | Unchecked:
    try:
        comparison = await Comparing(store).compare(provider)
    except ProviderUnavailable:
        return Unchecked(f"I7 was not checked: the provider {provider.name} does not answer")
    law = f"the ledger of the provider {provider.name} equals ours"
    differing = comparison.differing
    return Finding("I7", law, comparison.compared, len(differing), differing[:_NAMED])
