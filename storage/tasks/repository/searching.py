"""Tasks by words: in the caller's projects alone, by one index over words and projects."""

from typing import Any
from uuid import UUID

from sqlalchemy import Double, Select, Text, cast, func, literal, literal_column, select, true, tuple_
from sqlalchemy.dialects.postgresql import TSQUERY

from storage.tasks.repository.rows import whole_tasks
from storage.tasks.tables import folded, members, tasks


def searched(
    account_id: UUID, query: str, project_id: UUID | None, after: tuple[float, UUID] | None, limit: int
) -> Select[Any]:
    """A page of what matches, the most relevant first; any text is a query, and one without words finds nothing."""
    given = select(literal(query, Text).label("query")).cte("given")
    words = literal_column(f"websearch_to_tsquery('simple'::regconfig, {folded('given.query')})", TSQUERY)
    asked = select(words.label("words")).select_from(given).cte("asked")
    mine = members.c.account_id == account_id
    if project_id is not None:
        mine &= members.c.project_id == project_id
    names = func.string_agg("'project " + cast(members.c.project_id, Text) + "'", " | ")
    projects = select(cast(names, TSQUERY).label("names")).where(mine).cte("projects")
    of_mine = select(asked.c.words.op("&&")(projects.c.names)).select_from(asked.join(projects, true()))
    wanted = select(asked.c.words).scalar_subquery()
    relevance = cast(func.ts_rank(tasks.c.search, wanted), Double)
    statement = whole_tasks().add_columns(relevance.label("relevance"))
    statement = statement.where(func.numnode(wanted) > 0, tasks.c.search.op("@@")(of_mine.scalar_subquery()))
    if after is not None:
        statement = statement.where(tuple_(relevance, tasks.c.id) < after)
    return statement.order_by(relevance.desc(), tasks.c.id.desc()).limit(limit)
