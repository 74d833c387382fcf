"""The payment providers that the settings name."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from server.commerce.providers.port import PaymentProvider
from server.commerce.settings import CommerceSettings
from server.frame.module import SettingMissing
from storage.commerce.records import Price


@dataclass(frozen=True)
class Providers:
    """All that payments may have been made with, and the one that new ones are made with."""

    by_name: Mapping[str, PaymentProvider] = field(default_factory=dict)
    chosen: str | None = None
    """None where no payments are made."""

    def payable(self, name: str, amount: Price) -> bool:
        """Whether a provider can pay an amount; of one that is not configured any more, it is not known."""
        return name not in self.by_name or self.by_name[name].payable(amount)

    def payable_by_chosen(self, amount: Price) -> bool:
        return self.chosen is None or self.payable(self.chosen, amount)

    async def aclose(self) -> None:
        """Ends the connections to them."""
        for provider in self.by_name.values():
            await provider.close()


def providers_of(settings: CommerceSettings) -> Providers:
    """Raises SettingMissing where the chosen one cannot be reached by these settings."""
    if settings.lacks:
        raise SettingMissing(f"BACKROOM_PAYMENT_PROVIDER: {settings.payment_provider} needs {settings.lacks}")
    found = {provider.name: provider for provider in _opened(settings)}
    chosen = settings.payment_provider
    return Providers(found, None if chosen == "none" else chosen)


def _opened(settings: CommerceSettings) -> list[PaymentProvider]:
    """Imported as they are needed: Stripe's library alone takes a second."""
    found: list[PaymentProvider] = []
    if settings.stripe_key:
        from server.commerce.providers.stripe import StripeProvider

        found.append(StripeProvider(settings.stripe_key))
    if settings.sandbox_url and settings.sandbox_key:
        from server.commerce.providers.sandbox import SandboxProvider

        found.append(SandboxProvider(settings.sandbox_url, settings.sandbox_key))
    return found
