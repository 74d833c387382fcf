"""What people did one after the other: funnels and retention, by the subjects of events."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text

from storage.base import Reader
from storage.events.measures import Funnel, FunnelCounts, FunnelPerson, Returned, Span, Step
from storage.events.repository.counting import Parameters, group_of, json_of, passes, within


class PeopleReader(Reader):
    """Counts people."""

    async def count_funnel(self, funnel: Funnel, top: int) -> Sequence[FunnelCounts]:
        """How many people reached each step: by the breakdown, the groups with the most people first and up to `top`
        of them, and all others together last, if there are any."""
        parameters = Parameters()
        reached = ", ".join(f"count(*) FILTER (WHERE reached >= {step})" for step in range(1, len(funnel.steps) + 1))
        statement = f"""
            WITH {_reached(funnel, parameters)},
            sized AS (SELECT value, reached, count(*) OVER (PARTITION BY value) AS size FROM reached),
            ranked AS (
                SELECT value, reached, dense_rank() OVER (ORDER BY size DESC, value COLLATE "C") AS rank FROM sized
            ),
            placed AS (
                SELECT CASE WHEN rank <= {parameters.of(top, "int")} THEN rank ELSE 0 END AS place, value, reached
                FROM ranked
            )
            SELECT place, min(value) AS value, ARRAY[{reached}] AS people
            FROM placed GROUP BY place ORDER BY place = 0, place
        """
        rows = await self._connection.execute(text(statement), parameters.values)
        return [FunnelCounts(row.value if row.place else None, row.place, tuple(row.people)) for row in rows]

    async def list_funnel(
        self, funnel: Funnel, step: int, group: tuple[str | None] | None, *, after: str | None, limit: int
    ) -> Sequence[FunnelPerson]:
        """The people who reached a step, in the order of their subjects; of one group, or of all where that is None."""
        parameters = Parameters()
        conditions = f"reached >= {parameters.of(step, 'int')}"
        if group is not None:
            conditions += f" AND value IS NOT DISTINCT FROM {parameters.of(group[0], 'text')}"
        if after is not None:
            conditions += f' AND subject COLLATE "C" > {parameters.of(after, "text")}'
        statement = f"""
            WITH {_reached(funnel, parameters)}
            SELECT subject, reached FROM reached WHERE {conditions}
            ORDER BY subject COLLATE "C" LIMIT {parameters.of(limit, "int")}
        """
        rows = await self._connection.execute(text(statement), parameters.values)
        return [FunnelPerson(row.subject, row.reached) for row in rows]

    async def count_retention(
        self, first: Step, returning: Step, starts: Sequence[datetime], end: datetime
    ) -> Sequence[Returned]:
        """How many people of each cohort came back in which bucket; the buckets begin as given, and the last one ends
        with `end`."""
        parameters, period = Parameters(), Span(starts[0], end)
        buckets = parameters.of(list(starts), "timestamptz[]")
        statement = f"""
            WITH firsts AS MATERIALIZED (
                SELECT subject, min(time) AS time FROM ({_step(first, period, parameters)}) AS done GROUP BY subject
            ),
            later AS (
                SELECT firsts.subject, width_bucket(firsts.time, {buckets}) AS cohort,
                    width_bucket(done.time, {buckets}) - width_bucket(firsts.time, {buckets}) AS later
                FROM firsts JOIN ({_step(returning, period, parameters)}) AS done
                    ON done.subject = firsts.subject AND done.time >= firsts.time
                GROUP BY 1, 2, 3
            )
            SELECT width_bucket(time, {buckets}) - 1 AS cohort, NULL::int AS later, count(*) AS people
            FROM firsts GROUP BY 1
            UNION ALL
            SELECT cohort - 1, later, count(*) FROM later GROUP BY 1, 2
        """
        rows = await self._connection.execute(text(statement), parameters.values)
        return [Returned(row.cohort, row.later, row.people) for row in rows]


def _step(step: Step, span: Span, parameters: Parameters, *columns: str) -> str:
    """The events of a step, as `subject` and `time` and these columns."""
    _, where = within([span], parameters)
    filters = passes(step.filters, parameters, lambda name: json_of(name, parameters))
    return f"""
        SELECT {", ".join(("e.subject", "e.time", *columns))} FROM events.events AS e
        WHERE e.type = {parameters.of(step.event_type, "text")} AND e.subject <> '' AND {where}{filters}
    """


def _reached(funnel: Funnel, parameters: Parameters) -> str:
    """CTEs that end in `reached`: each person once, with the `value` of the breakdown and the last step `reached`.

    A step's events are kept with the latest time at which a way to them can have begun: that of the latest event of the
    step before which is earlier than they are. So each step is one pass over two steps' events in order of time.
    """
    value = "NULL::text"
    if funnel.breakdown:
        value = f"({group_of(json_of(funnel.breakdown, parameters))})"
    order = "e.source || ' ' || e.id"
    first = _step(
        funnel.steps[0],
        Span(funnel.start, funnel.end),
        parameters,
        "e.time AS began",
        f"{value} AS value",
        f"{order} AS key",
    )
    tables = [f"step1 AS MATERIALIZED ({first})"]
    window = parameters.of(funnel.window, "interval")
    for number, step in enumerate(funnel.steps[1:], 2):
        events = _step(step, Span(funnel.start, funnel.end + funnel.window), parameters)
        # Of one time, an event comes before those of the step before: it has to be later than they are.
        tables.append(f"""
            step{number} AS MATERIALIZED (
                SELECT subject, time, began FROM (
                    SELECT subject, time, before, max(began) OVER (
                        PARTITION BY subject ORDER BY time, before ROWS UNBOUNDED PRECEDING
                    ) AS began
                    FROM (
                        SELECT subject, time, began, 1 AS before FROM step{number - 1}
                        UNION ALL SELECT subject, time, NULL, 0 FROM ({events}) AS done
                    ) AS both_steps
                ) AS ways
                WHERE before = 0 AND time <= began + {window}
            )
        """)
    later = " ".join(
        f"UNION ALL SELECT DISTINCT subject, {number} FROM step{number}" for number in range(2, len(funnel.steps) + 1)
    )
    tables.append(f"""
        reached AS MATERIALIZED (
            SELECT subject, value, reached FROM (
                SELECT DISTINCT ON (subject) subject, value FROM step1 ORDER BY subject, time, key COLLATE "C"
            ) AS began JOIN (
                SELECT subject, max(step) AS reached
                FROM (SELECT DISTINCT subject, 1 AS step FROM step1 {later}) AS steps GROUP BY subject
            ) AS ended USING (subject)
        )
    """)
    return ", ".join(tables)
