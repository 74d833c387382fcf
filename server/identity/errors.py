"""Why identity refuses."""

from server.frame.errors import Code, Refusal


class CredentialsInvalid(Refusal):
    """These credentials sign nobody in."""

    code = Code.UNAUTHENTICATED
    reason = "CREDENTIALS_INVALID"


class EmailTaken(Refusal):
    """An account with this email exists."""

    code = Code.ALREADY_EXISTS
    reason = "EMAIL_TAKEN"


class NameTaken(Refusal):
    """A service account with this name exists."""

    code = Code.ALREADY_EXISTS
    reason = "NAME_TAKEN"


class AccountNotFound(Refusal):
    """No account has this id."""

    code = Code.NOT_FOUND
    reason = "ACCOUNT_NOT_FOUND"


class RoleNotFound(Refusal):
    """No role has this name."""

    code = Code.NOT_FOUND
    reason = "ROLE_NOT_FOUND"


class LastAdmin(Refusal):
    """This account is the last that holds the admin role: nobody would be left to grant roles."""

    code = Code.FAILED_PRECONDITION
    reason = "LAST_ADMIN"


class PasswordAbsent(Refusal):
    """A service account has no password."""

    code = Code.FAILED_PRECONDITION
    reason = "PASSWORD_ABSENT"


class SessionNotFound(Refusal):
    """You have had no session of this id."""

    code = Code.NOT_FOUND
    reason = "SESSION_NOT_FOUND"


class KeyNotFound(Refusal):
    """No key has this id."""

    code = Code.NOT_FOUND
    reason = "KEY_NOT_FOUND"


class KeysExhausted(Refusal):
    """A service account has two keys at most: delete one first."""

    code = Code.FAILED_PRECONDITION
    reason = "KEYS_EXHAUSTED"


class RoleExists(Refusal):
    """A role has this name."""

    code = Code.ALREADY_EXISTS
    reason = "ROLE_EXISTS"


class RoleBuiltIn(Refusal):
    """This role comes with Backroom, and stays as it is."""

    code = Code.FAILED_PRECONDITION
    reason = "ROLE_BUILT_IN"


class RoleHeld(Refusal):
    """An account holds this role: revoke it first, or set force."""

    code = Code.FAILED_PRECONDITION
    reason = "ROLE_HELD"


class PermissionUnknown(Refusal):
    """No method of the contract asks for this permission."""

    code = Code.INVALID_ARGUMENT
    reason = "PERMISSION_UNKNOWN"


class PermissionNotHeld(Refusal):
    """Nobody gives, changes or takes away a permission that he does not hold himself."""

    code = Code.PERMISSION_DENIED
    reason = "PERMISSION_NOT_HELD"


class TooManyAttempts(Refusal):
    """Too many attempts: try again later."""

    code = Code.RESOURCE_EXHAUSTED
    reason = "TOO_MANY_ATTEMPTS"


class PasswordCommon(Refusal):
    """Many others use this password: take another one."""

    code = Code.INVALID_ARGUMENT
    reason = "PASSWORD_COMMON"


class MailTokenInvalid(Refusal):
    """This token is malformed, used, replaced, or too old: ask for another mail."""

    code = Code.FAILED_PRECONDITION
    reason = "MAIL_TOKEN_INVALID"
