"""Why identity refuses."""

from server.frame.errors import Code, Refusal


class CredentialsInvalid(Refusal):
    """The credentials are wrong or expired, or the account may not sign in."""

    code = Code.UNAUTHENTICATED


class EmailTaken(Refusal):
    """An account with this email already exists."""

    code = Code.ALREADY_EXISTS


class NameTaken(Refusal):
    """A service account named {name} already exists."""

    code = Code.ALREADY_EXISTS


class AccountNotFound(Refusal):
    """No matching account has the id {account_id}."""

    code = Code.NOT_FOUND


class RoleNotFound(Refusal):
    """There is no role named {role}."""

    code = Code.NOT_FOUND


class LastAdmin(Refusal):
    """This is the last account with the admin role: without it, nobody could grant roles."""

    code = Code.FAILED_PRECONDITION


class PasswordAbsent(Refusal):
    """A service account has no password: it signs in with a key."""

    code = Code.FAILED_PRECONDITION


class SessionNotFound(Refusal):
    """You have no session with the id {session_id}."""

    code = Code.NOT_FOUND


class KeyNotFound(Refusal):
    """No key has the id {key_id}."""

    code = Code.NOT_FOUND


class TooManyKeys(Refusal):
    """The service account already has two keys, the maximum: delete one first."""

    code = Code.FAILED_PRECONDITION


class RoleExists(Refusal):
    """A role named {role} already exists."""

    code = Code.ALREADY_EXISTS


class RoleBuiltIn(Refusal):
    """The role {role} is built in: it can be neither changed nor deleted."""

    code = Code.FAILED_PRECONDITION


class RoleInUse(Refusal):
    """At least one account has the role {role}: revoke it first, or set force."""

    code = Code.FAILED_PRECONDITION


class PermissionUnknown(Refusal):
    """There is no permission {permission}."""

    code = Code.INVALID_ARGUMENT


class PermissionNotHeld(Refusal):
    """You do not have the permission {permission} yourself, so you cannot grant, change or revoke it."""

    code = Code.PERMISSION_DENIED


class TooManyAttempts(Refusal):
    """Too many attempts: try again in {seconds} s."""

    code = Code.RESOURCE_EXHAUSTED


class PasswordTooWeak(Refusal):
    """The password is too common or too easy to guess: choose another one."""

    code = Code.INVALID_ARGUMENT


class AccountNotPermitted(Refusal):
    """Without the permission {permission}, this can be done with your own account only."""

    code = Code.PERMISSION_DENIED


class HandleReserved(Refusal):
    """Nobody can have this handle, since it would be taken for the service's own: choose another one."""

    code = Code.INVALID_ARGUMENT


class HandleTaken(Refusal):
    """Another account has this handle, or had it: choose another one."""

    code = Code.ALREADY_EXISTS


class TooManyHandles(Refusal):
    """The account already has {most} handles, earlier ones included: set one of those again."""

    code = Code.FAILED_PRECONDITION


class ProfileNotFound(Refusal):
    """No account with a profile has this id, or has or had this handle."""

    code = Code.NOT_FOUND


class MailTokenInvalid(Refusal):
    """The token is malformed, used, replaced or expired: request a new email."""

    code = Code.FAILED_PRECONDITION
