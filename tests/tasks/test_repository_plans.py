"""How PostgreSQL reads lists and searches: by indexes, and no more rows than a page has."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy.dialects import postgresql

from storage.tasks.records import TaskFilter, TaskOrder, TaskState
from storage.tasks.repository.listing import listing
from storage.tasks.repository.searching import matching, understood

_ACCOUNT, _PROJECT = UUID(int=1), UUID(int=2)
_TASKS = 20_000
_PAGE = 51
_INDEXES = {
    TaskOrder.RANK: "uq_tasks_rank",
    TaskOrder.CREATE_TIME: "ix_tasks_by_create_time",
    TaskOrder.UPDATE_TIME: "ix_tasks_by_update_time",
    TaskOrder.DUE_TIME: "ix_tasks_by_due_time",
    TaskOrder.PRIORITY: "ix_tasks_by_priority",
    TaskOrder.NUMBER: "uq_tasks_number",
}

FILL = f"""
    INSERT INTO tasks.projects SELECT ('00000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid, 'P' || n, '', '',
        '[]', false, 0, 0, 1, now(), now() FROM generate_series(2, 4) AS n;
    INSERT INTO tasks.members SELECT id, '00000000-0000-0000-0000-000000000001', 4, now(), now()
        FROM tasks.projects WHERE key <> 'P4';
    SET session_replication_role = replica;
    INSERT INTO tasks.tasks (id, project_id, number, title, description, state, priority, due_time, labels,
        custom_values, rank, version, create_time, update_time)
    SELECT gen_random_uuid(), ('00000000-0000-0000-0000-00000000000' || 2 + n % 3)::uuid, n,
        'word' || n % 997 || ' common', '', CASE WHEN n % 100 = 0 THEN 'open' ELSE 'done' END, 1 + n % 4,
        now() + n * interval '1 minute', ARRAY['label' || n % 499], '[]', 'V' || lpad(n::text, 12, '0'), 1,
        now() - n * interval '1 second', now() - n * interval '1 second'
    FROM generate_series(1, {_TASKS}) AS n;
    SET session_replication_role = origin;
"""
"""Three projects with as many tasks each; the account is a member of two."""


@pytest.fixture
def filled(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database_url, autocommit=True, cursor_factory=psycopg.ClientCursor) as connection:
        connection.execute(FILL)
        # What was just written waits beside an index of words until it is vacuumed.
        connection.execute("VACUUM ANALYZE tasks.projects, tasks.members, tasks.tasks, tasks.blockers")
        yield connection


def rendered(statement: Any, values: Mapping[str, Any] | None = None) -> tuple[Any, Any]:
    """A statement's text, and its values."""
    compiled = statement.compile(dialect=postgresql.dialect(), compile_kwargs={"render_postcompile": True})  # type: ignore[no-untyped-call]
    return str(compiled).encode(), {**compiled.params, **(values or {})}


def plan(
    connection: psycopg.Connection[Any], statement: Any, values: Mapping[str, Any] | None = None
) -> Mapping[str, Any]:
    """The plan of a statement that was executed, by the nodes' names, with the rows that each read in all."""
    text, given = rendered(statement, values)
    row = connection.execute(b"EXPLAIN (ANALYZE, FORMAT JSON) " + text, given).fetchone()
    assert row is not None
    nodes: dict[str, float] = {}

    def walk(node: Mapping[str, Any]) -> None:
        name = node.get("Index Name") or f"{node['Node Type']} {node.get('Relation Name', '')}".strip()
        rows = (
            node["Actual Rows"] + node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
        )
        nodes[name] = nodes.get(name, 0) + rows * node["Actual Loops"]
        for child in node.get("Plans", ()):
            walk(child)

    walk(row[0][0]["Plan"])
    return nodes


def check_no_scan(nodes: Mapping[str, float]) -> None:
    assert "Seq Scan tasks" not in nodes, nodes


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "heads"])
@pytest.mark.parametrize("order", TaskOrder)
def test_a_page_of_each_order_is_read_by_its_index(
    filled: psycopg.Connection[Any], order: TaskOrder, whole: bool
) -> None:
    """From its beginning and from its middle, of one project and of all: as many rows as there are on the page."""
    now = filled.execute("SELECT now()").fetchone()
    assert now is not None
    middle: dict[TaskOrder, tuple[Any, ...]] = {
        TaskOrder.RANK: ("V000000010000",),
        TaskOrder.PRIORITY: (2, uuid4()),
        TaskOrder.NUMBER: (_TASKS // 2, uuid4()),
    }
    for after in (None, middle.get(order, (now[0], uuid4()))):
        nodes = plan(filled, *listing(_ACCOUNT, TaskFilter(project_id=_PROJECT), order, after, _PAGE, whole=whole))
        check_no_scan(nodes)
        assert nodes[_INDEXES[order]] <= _PAGE + 1, nodes
        if order is not TaskOrder.RANK:
            nodes = plan(filled, *listing(_ACCOUNT, TaskFilter(), order, after, _PAGE, whole=whole))
            check_no_scan(nodes)
            assert nodes[_INDEXES[order]] <= 2 * (_PAGE + 1), nodes


@pytest.mark.parametrize(
    ("order", "index"),
    [(TaskOrder.RANK, "ix_tasks_by_state"), (TaskOrder.CREATE_TIME, "ix_tasks_by_state_in_time")],
    ids=["by hand", "by time"],
)
def test_a_state_is_read_in_its_order(filled: psycopg.Connection[Any], order: TaskOrder, index: str) -> None:
    """A column of a board, or what is open, though nearly all tasks before it in the order have another state."""
    filled.execute("UPDATE tasks.tasks SET state = 'in_review' WHERE number % 150 = 1 AND number < 2000")
    filled.execute("ANALYZE tasks.tasks")
    wanted = TaskFilter(project_id=_PROJECT, states=(TaskState.DONE,))
    for each in (wanted, replace(wanted, states=(TaskState.IN_REVIEW,))):
        nodes = plan(filled, *listing(_ACCOUNT, each, order, None, _PAGE))
        check_no_scan(nodes)
        assert max(nodes.values()) <= _PAGE + 1, nodes
    assert index in nodes, nodes


@pytest.mark.parametrize(
    "wanted",
    [
        TaskFilter(project_id=_PROJECT, states=(TaskState.OPEN,)),
        TaskFilter(project_id=_PROJECT, assignee_id=_ACCOUNT),
        TaskFilter(project_id=_PROJECT, parent_id=UUID(int=3)),
        TaskFilter(project_id=_PROJECT, labels=("label7",)),
        TaskFilter(labels=("label7",)),
        TaskFilter(assignee_id=_ACCOUNT),
    ],
    ids=["state", "assignee", "parent", "label", "label of all projects", "assignee of all projects"],
)
def test_a_filter_that_few_tasks_match_reads_few(filled: psycopg.Connection[Any], wanted: TaskFilter) -> None:
    """By an index of the filter, and not through all tasks of the project."""
    nodes = plan(filled, *listing(_ACCOUNT, wanted, TaskOrder.CREATE_TIME, None, _PAGE))
    check_no_scan(nodes)
    assert max(nodes.values()) <= _TASKS // 40, nodes


def test_a_search_reads_what_matches_in_the_callers_projects(filled: psycopg.Connection[Any]) -> None:
    """By one index: neither what other projects have of the word, nor what else there is."""
    for project_id, projects in ((_PROJECT, 1), (None, 2)):
        found = filled.execute(*rendered(understood(_ACCOUNT, "word5", project_id))).fetchone()
        assert found is not None
        words, within = found
        nodes = plan(filled, matching(words, within, None, _PAGE))
        check_no_scan(nodes)
        assert 0 < nodes["ix_tasks_search"] <= projects * _TASKS / 997 / 3 + 2, nodes
    nobodys = filled.execute(*rendered(understood(uuid4(), "common", None))).fetchone()
    assert nobodys == ("'common'", None)
