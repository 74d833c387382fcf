"""What must hold of what tasks keeps, in addition to what the database itself refuses."""

from collections.abc import Sequence

from storage.laws import Law

_TASKS = "SELECT count(*) FROM tasks.tasks"

LAWS: Sequence[Law] = (
    Law(
        "I21",
        "each number of a project was given to one task that exists, and none is above the last one given",
        "SELECT count(*) FROM tasks.numbers",
        """
        SELECT numbers.project_id || ' ' || numbers.number FROM tasks.numbers
            JOIN tasks.projects ON projects.id = numbers.project_id LEFT JOIN tasks.tasks ON tasks.id = task_id
        WHERE tasks.id IS NULL OR numbers.number > last_number
        """,
    ),
    Law(
        "I22",
        "no task is above itself",
        "SELECT count(*) FROM tasks.tasks WHERE parent_id IS NOT NULL",
        """
        WITH RECURSIVE above AS (
            SELECT id, parent_id FROM tasks.tasks WHERE parent_id IS NOT NULL
            UNION SELECT above.id, tasks.parent_id FROM above JOIN tasks.tasks ON tasks.id = above.parent_id
            WHERE tasks.parent_id IS NOT NULL
        )
        SELECT id FROM above WHERE id = parent_id
        """,
    ),
    Law(
        "I22",
        "no task waits for itself",
        "SELECT count(*) FROM tasks.blockers",
        """
        WITH RECURSIVE awaited AS (
            SELECT blocked_id, blocker_id FROM tasks.blockers
            UNION SELECT awaited.blocked_id, blockers.blocker_id
            FROM awaited JOIN tasks.blockers ON blockers.blocked_id = awaited.blocker_id
        )
        SELECT blocked_id FROM awaited WHERE blocked_id = blocker_id
        """,
    ),
    Law(
        "I23",
        "each version of each task has one entry in its activity, and its update time is that of the last",
        _TASKS,
        """
        SELECT tasks.id FROM tasks.tasks LEFT JOIN tasks.activities
            ON activities.task_id = tasks.id AND activities.version IS NOT NULL
        GROUP BY tasks.id
        HAVING count(activities.id) <> tasks.version OR min(activities.version) <> 1
            OR NOT bool_or(activities.version = tasks.version AND activities.create_time = tasks.update_time)
        """,
    ),
    Law(
        "I24",
        "each entry in the activity has one event, of the same kind, as long as events are kept",
        "SELECT count(*) FROM tasks.activities",
        """
        SELECT activities.id FROM tasks.activities LEFT JOIN (
            SELECT data::json->>'activity_id' AS activity_id, count(*) AS told, min(type) AS type FROM frame.events
            WHERE type LIKE 'task.%' OR type LIKE 'project.%' GROUP BY 1
        ) AS events ON activity_id = activities.id::text
        WHERE (coalesce(told, 0) <> 1 OR events.type <> kind)
            AND activities.create_time > (SELECT min(create_time) FROM frame.events)
        """,
    ),
    Law(
        "I25",
        "each project has an owner",
        "SELECT count(*) FROM tasks.projects",
        "SELECT id FROM tasks.projects WHERE NOT EXISTS (SELECT FROM tasks.members WHERE project_id = id AND role = 4)",
    ),
)
