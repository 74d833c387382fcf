"""What can go wrong between us and a provider, beside that it does not answer."""

from server.commerce.providers.port import ProviderUnavailable


class ProviderKeyRefused(ProviderUnavailable):
    """The provider does not take our key, and did nothing: what was asked goes through once the setting is mended."""


class ProviderMisunderstood(Exception):
    """The provider answered what cannot come of a right question: a defect of the adapter."""
