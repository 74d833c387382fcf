"""The use cases of identity, a file for each kind of thing; each public method is one transaction."""

from server.identity.service.access import AccessControl
from server.identity.service.accounts import Accounts
from server.identity.service.api_keys import ApiKeys
from server.identity.service.auditing import Auditing
from server.identity.service.deleting import Deleting
from server.identity.service.exporting import Exporting
from server.identity.service.handles import Handles
from server.identity.service.key_rotation import KeyRotation, ListedKey
from server.identity.service.mailing import Mailing
from server.identity.service.recovery import Recovery
from server.identity.service.refusal_audit import RefusalAudit
from server.identity.service.roles import Roles
from server.identity.service.sessions import Sessions, SignedIn
from server.identity.service.showing_keys import ShownKeys
from server.identity.service.signing_in import SigningIn
from server.identity.service.throttling import Throttling

__all__ = [
    "AccessControl",
    "Accounts",
    "ApiKeys",
    "Auditing",
    "Deleting",
    "Exporting",
    "Handles",
    "KeyRotation",
    "ListedKey",
    "Mailing",
    "Recovery",
    "RefusalAudit",
    "Roles",
    "Sessions",
    "ShownKeys",
    "SignedIn",
    "SigningIn",
    "Throttling",
]
