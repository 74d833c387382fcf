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
