"""The environment, read once: what every process is told, and each module."""

from collections.abc import Mapping, Sequence

from server.commerce.settings import CommerceSettings
from server.frame.environment import SettingsError, environment, parsed
from server.frame.environment import names as names_of
from server.frame.settings import DeclaredSettings, Deployment
from server.identity.settings import IdentitySettings
from server.settings.calling import CallingSettings
from server.settings.database import DatabaseSettings
from server.settings.edge import Address, EdgeSettings
from server.settings.process import ProcessSettings
from server.webhooks.settings import WebhooksSettings

__all__ = ["Address", "Settings", "SettingsError", "names", "read", "settings_of"]

OF_MODULES: Mapping[str, type[DeclaredSettings]] = {
    "identity": IdentitySettings,
    "commerce": CommerceSettings,
    "webhooks": WebhooksSettings,
}
"""What each module declares."""

OF_ALL: Sequence[type[DeclaredSettings]] = (DatabaseSettings, ProcessSettings, EdgeSettings, CallingSettings)
"""What is declared for every process."""


class Settings(
    DatabaseSettings,
    ProcessSettings,
    EdgeSettings,
    CallingSettings,
    IdentitySettings,
    CommerceSettings,
    WebhooksSettings,
):
    """Every setting, with its default."""

    @property
    def deployment(self) -> Deployment:
        """What a module's settings may have to know."""
        return Deployment(self.environment == "production", self.embedded, self.data_dir)

    @property
    def reflects(self) -> bool:
        """Whether the server tells its contract to anyone who asks: by default not in production."""
        return self.environment != "production" if self.reflection is None else self.reflection


def names() -> frozenset[str]:
    """The settings' names in the environment."""
    return names_of([*OF_ALL, *OF_MODULES.values()])


def read() -> Settings:
    """Reads the environment; raises SettingsError, which names each setting that is unknown or malformed."""
    return settings_of(environment())


def settings_of(given: Mapping[str, str]) -> Settings:
    """What these variables say, and nothing of the environment; raises SettingsError, as `read` does."""
    (found,) = parsed([Settings], given)
    return found
