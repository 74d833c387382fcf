"""What must hold of what identity keeps."""

from collections.abc import Sequence

from storage.laws import Law

_DELETIONS = "SELECT count(*) FROM frame.account_deletions"

LAWS: Sequence[Law] = (
    Law(
        "I32",
        "a deleted account is gone, and nothing is left that lets anybody in as it: no role, session, key or token",
        _DELETIONS,
        """
        SELECT account_id FROM frame.account_deletions AS deletion
        WHERE EXISTS (SELECT FROM identity.accounts WHERE id = deletion.account_id)
            OR EXISTS (SELECT FROM identity.role_grants WHERE account_id = deletion.account_id)
            OR EXISTS (SELECT FROM identity.sessions WHERE account_id = deletion.account_id)
            OR EXISTS (SELECT FROM identity.api_keys WHERE account_id = deletion.account_id)
            OR EXISTS (SELECT FROM identity.mail_tokens WHERE account_id = deletion.account_id)
        """,
    ),
    Law(
        "I32",
        "the data of each deleted account is erased, or the job that does so is in the queue",
        _DELETIONS,
        """
        SELECT account_id FROM frame.account_deletions AS deletion WHERE complete_time IS NULL AND NOT EXISTS (
            SELECT FROM procrastinate_jobs
            WHERE task_name = 'identity.erase_account' AND status <> 'succeeded'
                AND args ->> 'account_id' = deletion.account_id::text
        )
        """,
    ),
    Law(
        "I33",
        "each handle that an account has is its own, and one that it took",
        "SELECT count(*) FROM identity.accounts WHERE handle IS NOT NULL",
        """
        SELECT id FROM identity.accounts WHERE handle IS NOT NULL
            AND NOT EXISTS (SELECT FROM identity.handles WHERE account_id = accounts.id)
        """,
    ),
)
