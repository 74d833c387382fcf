"""Tasks by words: in the caller's projects alone, by one index over words and projects."""

from typing import Any
from uuid import UUID

from sqlalchemy import Double, Select, Text, cast, func, literal, literal_column, select, true, tuple_
from sqlalchemy.dialects.postgresql import TSQUERY

from storage.tasks.repository.rows import whole_tasks
from storage.tasks.tables import folded, members, tasks


def understood(account_id: UUID, query: str, project_id: UUID | None) -> Select[*tuple[Any, ...]]:
    """What a text asks for, `words`, and the same `within` the caller's projects; any text asks for something.

    No row, or nothing within, where nothing can be found: there is no word in it, or no project.
    """
    given = select(literal(query, Text).label("query")).cte("given")
    parsed = literal_column(f"websearch_to_tsquery('simple'::regconfig, {folded('given.query')})", TSQUERY)
    asked = select(parsed.label("words")).select_from(given).cte("asked")
    mine = members.c.account_id == account_id
    if project_id is not None:
        mine &= members.c.project_id == project_id
    names = func.string_agg("'project " + cast(members.c.project_id, Text) + "'", " | ")
    projects = select(cast(names, TSQUERY).label("names")).where(mine).cte("projects")
    within = asked.c.words.op("&&")(projects.c.names)
    statement = select(cast(asked.c.words, Text).label("words"), cast(within, Text).label("within"))
    return statement.select_from(asked.join(projects, true())).where(func.numnode(asked.c.words) > 0)


def matching(words: str, within: str, after: tuple[float, UUID] | None, limit: int) -> Select[Any]:
    """A page of what was understood, the most relevant first.

    In a statement of its own, so that the planner knows which words they are, and how many tasks have them.
    """
    relevance = cast(func.ts_rank(tasks.c.search, cast(words, TSQUERY)), Double)
    statement = whole_tasks().add_columns(relevance.label("relevance"))
    statement = statement.where(tasks.c.search.bool_op("@@")(cast(within, TSQUERY)))
    if after is not None:
        statement = statement.where(tuple_(relevance, tasks.c.id) < after)
    return statement.order_by(relevance.desc(), tasks.c.id.desc()).limit(limit)
