"""What must hold of articles: what readers see, search and are told is what was published, and nothing is lost."""

from collections.abc import Sequence

from storage.laws import Law

_ARTICLES = "SELECT count(*) FROM articles.articles"
_PUBLISHED = "SELECT count(*) FROM articles.articles WHERE state = 'published'"

LAWS: Sequence[Law] = (
    Law(
        "I26",
        "each article has its revisions from the first to the latest, the published and the scheduled one among them",
        _ARTICLES,
        """
        SELECT id FROM articles.articles LEFT JOIN articles.revisions ON article_id = id
        GROUP BY id
        HAVING count(number) <> revision OR coalesce(max(number), 0) <> revision
        """,
    ),
    Law(
        "I27",
        "each article is reached by the slug that it has, and no slug is of an article in another language",
        _ARTICLES,
        """
        SELECT articles.id FROM articles.articles LEFT JOIN articles.slugs
            ON slugs.article_id = articles.id AND (slugs.language, slugs.slug) = (articles.language, articles.slug)
        WHERE slugs.article_id IS NULL
        UNION
        SELECT articles.id FROM articles.articles JOIN articles.slugs ON slugs.article_id = articles.id
        WHERE slugs.language <> articles.language
        """,
    ),
    Law(
        "I28",
        "each published article is searched as its published revision has it, and no other article is found",
        _PUBLISHED,
        """
        SELECT coalesce(articles.id, search_documents.article_id)
        FROM (SELECT * FROM articles.articles WHERE state = 'published') AS articles
        FULL JOIN articles.search_documents ON search_documents.article_id = articles.id
        LEFT JOIN articles.revisions ON revisions.article_id = articles.id AND number = published_revision
        WHERE articles.id IS NULL OR search_documents.article_id IS NULL
            OR (search_documents.publish_time, search_documents.language, search_documents.plain)
                IS DISTINCT FROM (articles.publish_time, articles.language, revisions.plain)
        """,
    ),
    Law(
        "I29",
        "each article is filed under the tags of its latest revision and of its published one, and under no others",
        _ARTICLES,
        """
        SELECT article_id FROM (
            (
                SELECT id AS article_id, 'latest' AS listing, unnest(tags) AS tag, articles.create_time AS time
                FROM articles.articles JOIN articles.revisions ON article_id = id AND number = revision
                UNION ALL
                SELECT id, 'published', unnest(tags), publish_time
                FROM articles.articles JOIN articles.revisions ON article_id = id AND number = published_revision
                WHERE state = 'published'
            )
            EXCEPT SELECT article_id, listing, tag, time FROM articles.taggings
        ) AS missing
        UNION
        SELECT article_id FROM (
            SELECT article_id, listing, tag, time FROM articles.taggings
            EXCEPT (
                SELECT id, 'latest', unnest(tags), articles.create_time
                FROM articles.articles JOIN articles.revisions ON article_id = id AND number = revision
                UNION ALL
                SELECT id, 'published', unnest(tags), publish_time
                FROM articles.articles JOIN articles.revisions ON article_id = id AND number = published_revision
                WHERE state = 'published'
            )
        ) AS left_over
        """,
    ),
    Law(
        "I30",
        "no article waits for 5 seconds past the time that it is scheduled for, and past its last change",
        "SELECT count(*) FROM articles.articles WHERE schedule_time IS NOT NULL",
        """
        SELECT id FROM articles.articles
        WHERE schedule_time IS NOT NULL AND greatest(schedule_time, update_time) < now() - interval '5 seconds'
        """,
    ),
    Law(
        "I31",
        "each change of an article has one event",
        _ARTICLES,
        """
        SELECT id FROM articles.articles LEFT JOIN (
            SELECT subject_id, count(*) AS told, count(DISTINCT (data::jsonb ->> 'version')::int) AS versions,
                max((data::jsonb ->> 'version')::int) AS last
            FROM frame.events WHERE type LIKE 'article.%' GROUP BY subject_id
        ) AS changes ON subject_id = id
        WHERE (told IS NULL OR told <> versions OR last <> version OR versions <> version)
            AND articles.create_time > (SELECT min(create_time) FROM frame.events)
        """,
    ),
)
