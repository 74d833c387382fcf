"""Projects and their members, tasks, what is said of them and done on them, and what was changed."""

from alembic import op

revision = "0020"
down_revision = "0019"

_PLAIN = r"regexp_replace(normalize({}, NFKD), '[\u0300-\u036f]+', '', 'g')"
FOLDED = f"translate(replace({_PLAIN}, 'ß', 'ss'), 'øØłŁđĐ', 'oOlLdD')"
"""A text without its accents."""


def upgrade() -> None:
    op.execute("CREATE SCHEMA tasks")
    _projects()
    _members()
    _numbers()
    _tasks()
    _blockers()
    _comments()
    _time_entries()
    _saved_filters()
    _recurring_tasks()
    _activities()


def downgrade() -> None:
    op.execute("DROP SCHEMA tasks CASCADE")


def _projects() -> None:
    op.execute(
        """
        CREATE TABLE tasks.projects (
            id UUID NOT NULL,
            key TEXT NOT NULL,
            name TEXT NOT NULL,
            description TEXT NOT NULL,
            custom_fields JSONB NOT NULL,
            archived BOOLEAN NOT NULL,
            last_number INTEGER NOT NULL,
            rank_epoch INTEGER NOT NULL,
            version INTEGER NOT NULL,
            create_time TIMESTAMP WITH TIME ZONE NOT NULL,
            update_time TIMESTAMP WITH TIME ZONE NOT NULL,
            CONSTRAINT pk_projects PRIMARY KEY (id),
            CONSTRAINT uq_projects_key UNIQUE (key),
            CONSTRAINT ck_projects_key CHECK (key ~ '^[A-Z][A-Z0-9]{1,9}$')
        )
        """
    )


def _members() -> None:
    op.execute(
        """
        CREATE TABLE tasks.members (
            project_id UUID NOT NULL,
            account_id UUID NOT NULL,
            role SMALLINT NOT NULL,
            create_time TIMESTAMP WITH TIME ZONE NOT NULL,
            update_time TIMESTAMP WITH TIME ZONE NOT NULL,
            CONSTRAINT pk_members PRIMARY KEY (project_id, account_id),
            CONSTRAINT ck_members_role CHECK (role BETWEEN 1 AND 4),
            CONSTRAINT fk_members_project_id FOREIGN KEY(project_id) REFERENCES tasks.projects (id)
        )
        """
    )
    op.execute("CREATE INDEX ix_members_by_account ON tasks.members (account_id, project_id)")


def _numbers() -> None:
    op.execute(
        """
        CREATE TABLE tasks.numbers (
            project_id UUID NOT NULL,
            number INTEGER NOT NULL,
            task_id UUID NOT NULL,
            CONSTRAINT pk_numbers PRIMARY KEY (project_id, number),
            CONSTRAINT uq_numbers_of_task UNIQUE (project_id, number, task_id),
            CONSTRAINT fk_numbers_project_id FOREIGN KEY(project_id) REFERENCES tasks.projects (id)
        )
        """
    )
    op.execute("CREATE INDEX ix_numbers_task ON tasks.numbers (task_id)")


def _tasks() -> None:
    op.execute(
        f"""
        CREATE TABLE tasks.tasks (
            id UUID NOT NULL,
            project_id UUID NOT NULL,
            number INTEGER NOT NULL,
            title TEXT NOT NULL,
            description TEXT NOT NULL,
            state TEXT NOT NULL,
            priority SMALLINT NOT NULL,
            assignee_id UUID,
            due_time TIMESTAMP WITH TIME ZONE NOT NULL,
            labels TEXT[] NOT NULL,
            parent_id UUID,
            custom_values JSONB NOT NULL,
            rank TEXT COLLATE "C" NOT NULL,
            recurring_task_id UUID,
            occurrence_time TIMESTAMP WITH TIME ZONE,
            creator_id UUID,
            version INTEGER NOT NULL,
            create_time TIMESTAMP WITH TIME ZONE NOT NULL,
            update_time TIMESTAMP WITH TIME ZONE NOT NULL,
            search TSVECTOR GENERATED ALWAYS AS (
                setweight(to_tsvector('simple'::regconfig, {FOLDED.format("title")}), 'A')
                || setweight(to_tsvector('simple'::regconfig, {FOLDED.format("description")}), 'B')
                || array_to_tsvector(ARRAY['project ' || project_id::text])
            ) STORED NOT NULL,
            CONSTRAINT pk_tasks PRIMARY KEY (id),
            CONSTRAINT uq_tasks_project_id_id UNIQUE (project_id, id),
            CONSTRAINT fk_tasks_number FOREIGN KEY(project_id, number, id)
                REFERENCES tasks.numbers (project_id, number, task_id),
            CONSTRAINT fk_tasks_parent FOREIGN KEY(project_id, parent_id)
                REFERENCES tasks.tasks (project_id, id),
            CONSTRAINT fk_tasks_assignee FOREIGN KEY(project_id, assignee_id)
                REFERENCES tasks.members (project_id, account_id),
            CONSTRAINT uq_tasks_number UNIQUE (project_id, number),
            CONSTRAINT uq_tasks_rank UNIQUE (project_id, rank) DEFERRABLE INITIALLY IMMEDIATE,
            CONSTRAINT uq_tasks_occurrence UNIQUE (recurring_task_id, occurrence_time),
            CONSTRAINT ck_tasks_state CHECK (state IN ('open', 'in_progress', 'in_review', 'done', 'canceled')),
            CONSTRAINT ck_tasks_priority CHECK (priority BETWEEN 1 AND 4),
            CONSTRAINT ck_tasks_parent CHECK (parent_id <> id),
            CONSTRAINT ck_tasks_number CHECK (number > 0),
            CONSTRAINT ck_tasks_rank CHECK (rank <> '' AND length(rank) <= 64),
            CONSTRAINT ck_tasks_occurrence CHECK ((recurring_task_id IS NULL) = (occurrence_time IS NULL)),
            CONSTRAINT fk_tasks_project_id FOREIGN KEY(project_id) REFERENCES tasks.projects (id)
        )
        """
    )
    op.execute(
        "CREATE INDEX ix_tasks_by_assignee ON tasks.tasks (project_id, assignee_id, create_time, id)"
        " WHERE assignee_id IS NOT NULL"
    )
    op.execute("CREATE INDEX ix_tasks_by_create_time ON tasks.tasks (project_id, create_time, id)")
    op.execute("CREATE INDEX ix_tasks_by_due_time ON tasks.tasks (project_id, due_time, id)")
    op.execute("CREATE INDEX ix_tasks_by_parent ON tasks.tasks (project_id, parent_id) WHERE parent_id IS NOT NULL")
    op.execute("CREATE INDEX ix_tasks_by_priority ON tasks.tasks (project_id, priority, id)")
    op.execute("CREATE INDEX ix_tasks_by_state ON tasks.tasks (project_id, state, rank)")
    op.execute("CREATE INDEX ix_tasks_by_state_in_time ON tasks.tasks (project_id, state, create_time, id)")
    op.execute("CREATE INDEX ix_tasks_by_update_time ON tasks.tasks (project_id, update_time, id)")
    op.execute("CREATE INDEX ix_tasks_labels ON tasks.tasks USING gin (labels)")
    op.execute("CREATE INDEX ix_tasks_search ON tasks.tasks USING gin (search)")


def _blockers() -> None:
    op.execute(
        """
        CREATE TABLE tasks.blockers (
            project_id UUID NOT NULL,
            blocker_id UUID NOT NULL,
            blocked_id UUID NOT NULL,
            CONSTRAINT pk_blockers PRIMARY KEY (blocked_id, blocker_id),
            CONSTRAINT fk_blockers_blocker FOREIGN KEY(project_id, blocker_id)
                REFERENCES tasks.tasks (project_id, id),
            CONSTRAINT fk_blockers_blocked FOREIGN KEY(project_id, blocked_id)
                REFERENCES tasks.tasks (project_id, id),
            CONSTRAINT ck_blockers_two CHECK (blocker_id <> blocked_id)
        )
        """
    )
    op.execute("CREATE INDEX ix_blockers_blocker ON tasks.blockers (blocker_id)")


def _comments() -> None:
    op.execute(
        """
        CREATE TABLE tasks.comments (
            id UUID NOT NULL,
            task_id UUID NOT NULL,
            author_id UUID NOT NULL,
            text TEXT NOT NULL,
            version INTEGER NOT NULL,
            create_time TIMESTAMP WITH TIME ZONE NOT NULL,
            update_time TIMESTAMP WITH TIME ZONE NOT NULL,
            CONSTRAINT pk_comments PRIMARY KEY (id),
            CONSTRAINT ck_comments_text CHECK (text <> ''),
            CONSTRAINT fk_comments_task_id FOREIGN KEY(task_id) REFERENCES tasks.tasks (id)
        )
        """
    )
    op.execute("CREATE INDEX ix_comments_by_task ON tasks.comments (task_id, create_time, id)")
    op.execute("CREATE INDEX ix_comments_by_author ON tasks.comments (author_id)")


def _time_entries() -> None:
    op.execute(
        """
        CREATE TABLE tasks.time_entries (
            id UUID NOT NULL,
            task_id UUID NOT NULL,
            author_id UUID NOT NULL,
            start_time TIMESTAMP WITH TIME ZONE NOT NULL,
            minutes INTEGER NOT NULL,
            note TEXT NOT NULL,
            version INTEGER NOT NULL,
            create_time TIMESTAMP WITH TIME ZONE NOT NULL,
            update_time TIMESTAMP WITH TIME ZONE NOT NULL,
            CONSTRAINT pk_time_entries PRIMARY KEY (id),
            CONSTRAINT ck_time_entries_minutes CHECK (minutes > 0),
            CONSTRAINT fk_time_entries_task_id FOREIGN KEY(task_id) REFERENCES tasks.tasks (id)
        )
        """
    )
    op.execute("CREATE INDEX ix_time_entries_by_task ON tasks.time_entries (task_id, create_time, id)")
    op.execute("CREATE INDEX ix_time_entries_by_author ON tasks.time_entries (author_id)")


def _saved_filters() -> None:
    op.execute(
        """
        CREATE TABLE tasks.saved_filters (
            id UUID NOT NULL,
            account_id UUID NOT NULL,
            name TEXT NOT NULL,
            filter JSONB NOT NULL,
            "order" TEXT NOT NULL,
            version INTEGER NOT NULL,
            create_time TIMESTAMP WITH TIME ZONE NOT NULL,
            update_time TIMESTAMP WITH TIME ZONE NOT NULL,
            CONSTRAINT pk_saved_filters PRIMARY KEY (id)
        )
        """
    )
    op.execute("CREATE INDEX ix_saved_filters_by_account ON tasks.saved_filters (account_id, create_time, id)")


def _recurring_tasks() -> None:
    op.execute(
        """
        CREATE TABLE tasks.recurring_tasks (
            id UUID NOT NULL,
            project_id UUID NOT NULL,
            title TEXT NOT NULL,
            description TEXT NOT NULL,
            priority SMALLINT NOT NULL,
            assignee_id UUID,
            labels TEXT[] NOT NULL,
            rule TEXT NOT NULL,
            local_start TIMESTAMP WITHOUT TIME ZONE NOT NULL,
            time_zone TEXT NOT NULL,
            due_after_minutes INTEGER NOT NULL,
            paused BOOLEAN NOT NULL,
            next_time TIMESTAMP WITH TIME ZONE,
            version INTEGER NOT NULL,
            create_time TIMESTAMP WITH TIME ZONE NOT NULL,
            update_time TIMESTAMP WITH TIME ZONE NOT NULL,
            CONSTRAINT pk_recurring_tasks PRIMARY KEY (id),
            CONSTRAINT ck_recurring_tasks_paused CHECK (NOT paused OR next_time IS NULL),
            CONSTRAINT fk_recurring_tasks_project_id FOREIGN KEY(project_id) REFERENCES tasks.projects (id)
        )
        """
    )
    op.execute("CREATE INDEX ix_recurring_tasks_by_project ON tasks.recurring_tasks (project_id, create_time, id)")
    op.execute("CREATE INDEX ix_recurring_tasks_due ON tasks.recurring_tasks (next_time) WHERE next_time IS NOT NULL")


def _activities() -> None:
    op.execute(
        """
        CREATE TABLE tasks.activities (
            id UUID NOT NULL,
            project_id UUID NOT NULL,
            task_id UUID,
            kind TEXT NOT NULL,
            actor_id UUID,
            version INTEGER,
            changes JSONB NOT NULL,
            create_time TIMESTAMP WITH TIME ZONE NOT NULL,
            CONSTRAINT pk_activities PRIMARY KEY (id),
            CONSTRAINT uq_activities_version UNIQUE (task_id, version),
            CONSTRAINT fk_activities_project_id FOREIGN KEY(project_id) REFERENCES tasks.projects (id),
            CONSTRAINT fk_activities_task_id FOREIGN KEY(task_id) REFERENCES tasks.tasks (id)
        )
        """
    )
    op.execute("CREATE INDEX ix_activities_by_project ON tasks.activities (project_id, create_time, id)")
    op.execute("CREATE INDEX ix_activities_by_task ON tasks.activities (task_id, create_time, id)")
    op.execute(
        "CREATE INDEX ix_activities_of_notes ON tasks.activities (actor_id)"
        " WHERE kind LIKE 'task.comment%' OR kind LIKE 'task.time%'"
    )
