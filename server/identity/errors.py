"""Why identity refuses."""

from server.frame.errors import Code, Refusal


class CredentialsInvalid(Refusal):
    """These credentials are wrong or expired, or their account may not sign in."""

    code = Code.UNAUTHENTICATED
    reason = "CREDENTIALS_INVALID"


class EmailTaken(Refusal):
    """An account with this email exists."""

    code = Code.ALREADY_EXISTS
    reason = "EMAIL_TAKEN"


class NameTaken(Refusal):
    """A service account with the name {name} exists."""

    code = Code.ALREADY_EXISTS
    reason = "NAME_TAKEN"


class AccountNotFound(Refusal):
    """No account to which this applies has the id {account_id}."""

    code = Code.NOT_FOUND
    reason = "ACCOUNT_NOT_FOUND"


class RoleNotFound(Refusal):
    """No role has the name {role}."""

    code = Code.NOT_FOUND
    reason = "ROLE_NOT_FOUND"


class LastAdmin(Refusal):
    """This account is the last that holds the admin role: nobody would be left to grant roles."""

    code = Code.FAILED_PRECONDITION
    reason = "LAST_ADMIN"


class PasswordAbsent(Refusal):
    """A service account has no password: it signs in with a key."""

    code = Code.FAILED_PRECONDITION
    reason = "PASSWORD_ABSENT"


class SessionNotFound(Refusal):
    """None of your sessions has the id {session_id}."""

    code = Code.NOT_FOUND
    reason = "SESSION_NOT_FOUND"


class KeyNotFound(Refusal):
    """No key has the id {key_id}."""

    code = Code.NOT_FOUND
    reason = "KEY_NOT_FOUND"


class KeysExhausted(Refusal):
    """A service account has two keys at most: delete one first."""

    code = Code.FAILED_PRECONDITION
    reason = "KEYS_EXHAUSTED"


class RoleExists(Refusal):
    """A role with the name {role} exists."""

    code = Code.ALREADY_EXISTS
    reason = "ROLE_EXISTS"


class RoleBuiltIn(Refusal):
    """The role {role} comes with Backroom, and can be neither changed nor deleted."""

    code = Code.FAILED_PRECONDITION
    reason = "ROLE_BUILT_IN"


class RoleHeld(Refusal):
    """An account holds the role {role}: revoke it first, or set force."""

    code = Code.FAILED_PRECONDITION
    reason = "ROLE_HELD"


class PermissionUnknown(Refusal):
    """There is no permission {permission}."""

    code = Code.INVALID_ARGUMENT
    reason = "PERMISSION_UNKNOWN"


class PermissionNotHeld(Refusal):
    """You do not hold the permission {permission}, and so cannot give, change or take it away."""

    code = Code.PERMISSION_DENIED
    reason = "PERMISSION_NOT_HELD"


class TooManyAttempts(Refusal):
    """Too many attempts: try again in {seconds} s."""

    code = Code.RESOURCE_EXHAUSTED
    reason = "TOO_MANY_ATTEMPTS"


class PasswordCommon(Refusal):
    """The password is one that many use, or is easy to guess: choose another one."""

    code = Code.INVALID_ARGUMENT
    reason = "PASSWORD_COMMON"


class MailTokenInvalid(Refusal):
    """The token is malformed, used, replaced or expired: ask for another mail."""

    code = Code.FAILED_PRECONDITION
    reason = "MAIL_TOKEN_INVALID"
