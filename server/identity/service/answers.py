"""The answers of identity that are kept for repeated requests; none of them contains a secret."""

from datetime import datetime
from typing import cast

from server.frame.answers import AnswerKind
from server.identity.rules.devices import KeptDevice
from server.identity.rules.roles import KnownRole
from storage.frame.records import AccountDeletion
from storage.identity.records import Account, ApiKey

ACCOUNT = AnswerKind("identity.account", Account)
API_KEY = AnswerKind("identity.api_key", ApiKey)
DELETION = AnswerKind("identity.deletion", AccountDeletion)
DEVICE = AnswerKind("identity.device", cast("type[KeptDevice]", KeptDevice))
ENDED_SESSIONS = AnswerKind("identity.ended_sessions", int)
EXPORT_TIME = AnswerKind("identity.export_time", datetime)
MAIL_REQUESTED = AnswerKind("identity.mail_asked", bool)
ROLE = AnswerKind("identity.role", KnownRole)
ROLE_NAMES = AnswerKind("identity.role_names", tuple[str, ...])
