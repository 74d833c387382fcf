"""Articles: a crowd of readers reads them one by one, and searches them."""

from bench.measurements.article_sides import our_articles, usual_articles
from bench.measurements.sides import CALLERS, calling, usual_rows
from bench.rounds import rounds
from bench.row import Row
from bench.setting import Bench

_MANY, _MANY_IN_SHORT = 100_000, 5_000
_SEARCHERS = 16
"""Of whom none waits so long that the database is asked for more than it can do at once."""


async def articles(bench: Bench) -> list[Row]:
    count = _MANY if bench.long else _MANY_IN_SHORT
    found: list[Row] = []
    async with (
        our_articles(bench, "articles", count) as ours,
        usual_articles(bench, "articles_usual", count) as usual,
    ):
        for method, our_call, usual_call, callers in (
            ("GetArticle", ours.get, usual.get, CALLERS),
            ("SearchArticles", ours.search, usual.search, _SEARCHERS),
        ):
            backroom = calling(bench, "Backroom", our_call, ours.pid, callers=callers)
            stack = calling(bench, "the usual stack (ORM)", usual_call, usual.pid, callers=callers)
            await rounds(bench, backroom, stack)
            measured = f"{method}, {count:,} articles, {callers} callers"
            found += usual_rows(measured, "calls/s", backroom, stack)
    return found
