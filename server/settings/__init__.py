"""The environment, read once: what is set for every process, and for each module."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from pydantic import Field

from server.frame.environment import SettingsError, environment, parsed
from server.frame.environment import names as names_of
from server.frame.settings import Address, DatabaseApart, DeclaredSettings, Deployment
from server.modules import MODULES, settings_class
from server.settings.calling import CallingSettings
from server.settings.database import DatabaseSettings
from server.settings.edge import EdgeSettings
from server.settings.process import ProcessSettings

__all__ = ["OF_EVERY_PROCESS", "Address", "Settings", "SettingsError", "declarations", "names", "read", "settings_of"]

Kind = TypeVar("Kind", bound=DeclaredSettings)

OF_EVERY_PROCESS: Sequence[type[DeclaredSettings]] = (DatabaseSettings, ProcessSettings, EdgeSettings, CallingSettings)


class Settings(DatabaseSettings, ProcessSettings, EdgeSettings, CallingSettings):
    """What is set for every process, and what is set for modules in addition."""

    of_modules: Mapping[str, DeclaredSettings] = Field(default_factory=dict, exclude=True)
    """Each module's own by its name, also of those that this process does not serve."""

    def of(self, kind: type[Kind]) -> Kind:
        """A module's own, by their class."""
        (found,) = (each for each in self.of_modules.values() if isinstance(each, kind))
        return found

    def having(self, *changed: DeclaredSettings) -> "Settings":
        """The same but for these modules' own."""
        by_kind = {type(each): each for each in changed}
        of_modules = {name: by_kind.get(type(each), each) for name, each in self.of_modules.items()}
        return self.model_copy(update={"of_modules": of_modules})

    @property
    def further_grpc_addresses(self) -> Mapping[str, Address]:
        """Where modules that are served have some of their services answered beside `grpc_address`, by the settings'
        names."""
        served = (self.of_modules[name].grpc_addresses() for name in self.modules)
        return {name: address for found in served for name, address in found.items()}

    @property
    def all_databases_apart(self) -> Mapping[str, DatabaseApart]:
        """Databases of modules' own, by the names of what stands there, also of modules that are not served here."""
        return {name: each for kind in self.of_modules.values() for name, each in kind.databases_apart().items()}

    @property
    def deployment(self) -> Deployment:
        """What a module may have to know in addition to its own."""
        return Deployment(self.environment == "production", self.embedded, self.data_dir, self.issuer)

    @property
    def reflects(self) -> bool:
        """Whether the server describes its contract to anyone: by default not in production."""
        return self.environment != "production" if self.reflection is None else self.reflection


def declarations() -> Sequence[type[DeclaredSettings]]:
    """Of every process, and of every module that declares any."""
    return (*OF_EVERY_PROCESS, *(kind for kind in map(settings_class, MODULES) if kind.model_fields))


def names() -> frozenset[str]:
    """The settings' names in the environment."""
    return names_of(declarations())


def read() -> Settings:
    """Reads the environment; raises SettingsError, which names each setting that is unknown or malformed."""
    return settings_of(environment())


def settings_of(given: Mapping[str, str]) -> Settings:
    """What these variables say, and nothing of the environment; raises SettingsError, as `read` does."""
    kinds: Sequence[type[DeclaredSettings]] = [Settings, *map(settings_class, MODULES)]
    every, *own = parsed(kinds, given)
    assert isinstance(every, Settings)  # noqa: S101 - the first is of the first class
    return every.model_copy(update={"of_modules": dict(zip(MODULES, own, strict=True))})
