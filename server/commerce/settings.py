"""What is set for commerce: for how long stock is reserved, and who takes the money."""

from collections.abc import Iterator, Mapping
from typing import Literal

from server.frame.settings import DeclaredSettings, Deployment, Shown, setting
from storage.commerce.records import PAYMENT_SOURCES, PaymentProvider


class CommerceSettings(DeclaredSettings):
    """The module `commerce`: reservations, and payment providers."""

    hold_seconds: float = setting(
        "BACKROOM_HOLD_SECONDS",
        900.0,
        "for how long an order reserves its stock unless it is paid, where its caller does not say;"
        " longer needs `orders.hold_more`",
        ge=1,
        le=30 * 86_400,
    )
    max_unpaid_orders: int = setting(
        "BACKROOM_MAX_UNPAID_ORDERS",
        20,
        "how many orders a customer may have unpaid at a time, without `orders.hold_more`",
        ge=1,
        le=1_000_000,
    )
    max_held_pieces: int = setting(
        "BACKROOM_MAX_HELD_PIECES",
        1000,
        "how many pieces a customer's unpaid orders may reserve together, without `orders.hold_more`",
        ge=1,
        le=10**12,
    )
    payment_provider: Literal[PaymentProvider, "none"] | None = setting(
        "BACKROOM_PAYMENT_PROVIDER",
        None,
        f"who takes the money: {', '.join(f'`{each}`' for each in PAYMENT_SOURCES)} or `none`",
        unset="a `sandbox` of its own on the embedded PostgreSQL, else `none`",
    )
    stripe_key: str | None = setting("BACKROOM_STRIPE_KEY", None, "Stripe's secret key", secret=True)
    sandbox_url: str | None = setting(
        "BACKROOM_SANDBOX_URL",
        None,
        "where a sandbox answers that `backroom sandbox-provider` runs",
        example="http://localhost:8090",
    )
    sandbox_key: str | None = setting(
        "BACKROOM_SANDBOX_KEY", None, "the key that the sandbox and Backroom share", secret=True
    )

    def production_problems(self) -> Iterator[str]:
        if self.payment_provider == "sandbox":
            yield "BACKROOM_PAYMENT_PROVIDER: sandbox moves no money; set it to stripe, or to none"

    @property
    def lacks(self) -> str:
        """What the payment provider needs that is not set; empty where nothing is missing."""
        if self.payment_provider == "stripe" and not self.stripe_key:
            return "BACKROOM_STRIPE_KEY"
        if self.payment_provider == "sandbox" and not (self.sandbox_url and self.sandbox_key):
            return "BACKROOM_SANDBOX_URL and BACKROOM_SANDBOX_KEY"
        return ""

    def shown(self, deployment: Deployment) -> Mapping[str, Shown]:
        brought = deployment.embedded and not self.sandbox_url
        chosen = self.payment_provider or ("sandbox" if brought else "none")
        fix = f"set {self.lacks}" if self.lacks and not (brought and chosen == "sandbox") else ""
        return {"BACKROOM_PAYMENT_PROVIDER": Shown(chosen, fix)}
