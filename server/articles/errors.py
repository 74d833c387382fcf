"""Why articles refuses."""

from server.frame.errors import Code, Refusal


class ArticleNotFound(Refusal):
    """No article that you can see has this id, or this slug in this language."""

    code = Code.NOT_FOUND


class RevisionNotFound(Refusal):
    """The article has no revision {revision}."""

    code = Code.NOT_FOUND


class NotTheAuthor(Refusal):
    """Only the article's author, and who has the permission {permission}, may change it."""

    code = Code.PERMISSION_DENIED


class SlugTaken(Refusal):
    """Another article in this language has the slug {slug}, or had it."""

    code = Code.ALREADY_EXISTS


class TranslationExists(Refusal):
    """The article has a version in the language {language} already."""

    code = Code.ALREADY_EXISTS


class ArticleStateConflict(Refusal):
    """The article is {state}, and this call needs it to be {needed}."""

    code = Code.FAILED_PRECONDITION


class ArticleNotScheduled(Refusal):
    """The article is not scheduled."""

    code = Code.FAILED_PRECONDITION


class ReviewRequired(Refusal):
    """A review is required: have revision {revision} approved first."""

    code = Code.FAILED_PRECONDITION


class ReviewStateConflict(Refusal):
    """The review of revision {revision} is {state}, and this call needs it to be {needed}."""

    code = Code.FAILED_PRECONDITION


class OwnRevision(Refusal):
    """A review is required, and nobody approves what they wrote or saved themselves."""

    code = Code.PERMISSION_DENIED
