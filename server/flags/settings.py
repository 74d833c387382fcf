"""What is set for flags: who evaluates them without a token, how, and where flagd's clients find them."""

from collections.abc import Mapping
from typing import Literal

from pydantic import field_validator

from server.frame.addresses import Network, read_networks
from server.frame.environment import read_origins
from server.frame.settings import Address, DeclaredSettings, setting


class FlagsSettings(DeclaredSettings):
    """The module `flags`: who evaluates without a token, and where flagd's and OFREP's clients find their flags."""

    flags_open_to: tuple[Network, ...] = setting(
        "BACKROOM_FLAGS_OPEN_TO",
        (),
        "networks whose callers evaluate and sync flags without a token, as with flagd; `0.0.0.0/0,::/0` for everybody",
        unset="every caller needs a token",
        example="10.0.0.0/8,127.0.0.1/32",
        page="docs/flags.md",
    )
    flags_fractional: Literal["v2", "v3"] = setting(
        "BACKROOM_FLAGS_FRACTIONAL",
        "v3",
        "which version of flagd's `fractional` puts people into buckets: `v3`, as in flagd's specification and Python's"
        " clients, or `v2`, as in flagd's Go and JavaScript",
        page="docs/decisions/0029-fractional.md",
    )
    flags_approval: bool = setting(
        "BACKROOM_FLAGS_APPROVAL",
        False,
        "whether a change of a flag is only proposed, and made once another account has approved it",
    )
    flags_exposures: bool = setting(
        "BACKROOM_FLAGS_EXPOSURES",
        False,
        "whether the first time on a day that a person is served a variant is told to the module events, which counts"
        " it where BACKROOM_EVENTS_FROM_MODULES has `flags`",
        page="docs/event-sources.md#who-was-served-what",
    )
    flagd_address: Address | None = setting(
        "BACKROOM_FLAGD_ADDRESS",
        None,
        "where `flagd.evaluation` alone is answered, for flagd's clients that evaluate by its port, 8013, and in less"
        " time than at BACKROOM_GRPC_ADDRESS",
        unset="at BACKROOM_GRPC_ADDRESS alone",
        example="127.0.0.1:8013",
    )
    flagd_sync_address: Address | None = setting(
        "BACKROOM_FLAGD_SYNC_ADDRESS",
        None,
        "where `flagd.sync` alone is answered, for flagd's clients that sync by its port, 8015",
        unset="at BACKROOM_GRPC_ADDRESS alone",
        example="127.0.0.1:8015",
    )
    flags_cors_origins: tuple[str, ...] = setting(
        "BACKROOM_FLAGS_CORS_ORIGINS",
        (),
        "the origins of web pages that may evaluate flags by OFREP, with commas between",
        unset="none",
        example="https://shop.example.com",
    )
    ofrep_calls_per_second: float = setting(
        "BACKROOM_OFREP_CALLS_PER_SECOND",
        100.0,
        "how often one caller may evaluate by OFREP in each process in the long run; `0` limits nobody",
        ge=0,
        le=1e6,
    )

    def grpc_addresses(self) -> Mapping[str, Address]:
        named = {"BACKROOM_FLAGD_ADDRESS": self.flagd_address, "BACKROOM_FLAGD_SYNC_ADDRESS": self.flagd_sync_address}
        return {name: address for name, address in named.items() if address is not None}

    @field_validator("flags_open_to", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        return read_networks(value) if isinstance(value, str) else value

    @field_validator("flagd_address", "flagd_sync_address", mode="before")
    @classmethod
    def _address(cls, value: object) -> object:
        return Address(value) if isinstance(value, str) else value

    @field_validator("flags_fractional", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("flags_cors_origins", mode="before")
    @classmethod
    def _origins(cls, value: object) -> object:
        return read_origins(value)
