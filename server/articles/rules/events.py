"""The events that others learn of: the types of the events of articles, and what each one says."""

from collections.abc import Mapping
from typing import Any

import orjson

from server.frame.events import EventType
from storage.articles.records import ListedArticle, Review, Schedule
from storage.frame.records import Event

_READ = ("articles.edit",)

EVENT_TYPES: Mapping[str, EventType] = {
    "article.created": EventType("An article was created, as a draft.", _READ),
    "article.changed": EventType("A revision of an article was saved, or its slug or its author has changed.", _READ),
    "article.review_requested": EventType("A review of a revision was requested.", _READ),
    "article.approved": EventType("A revision was approved.", _READ),
    "article.rejected": EventType("A revision was rejected.", _READ),
    "article.scheduled": EventType("A revision is to be published at a time.", _READ),
    "article.unscheduled": EventType("An article was taken out of its schedule.", _READ),
    "article.published": EventType("A revision was published, at once or on time.", _READ),
    "article.unpublished": EventType("An article was taken back from its readers.", _READ),
    "article.deleted": EventType("An article was deleted with all its revisions.", _READ),
}


def article_event(happened: str, listed: ListedArticle) -> Event:
    """What happened to an article, and the article after it with its latest revision, but not what that says."""
    article, head = listed.article, listed.head
    data = {
        "article_id": article.id,
        "original_id": article.original_id,
        "language": article.language,
        "author_id": article.author_id,
        "slug": article.slug,
        "state": article.state,
        "revision": article.revision,
        "published_revision": article.published_revision,
        "publish_time": article.publish_time,
        "schedule": _schedule(article.schedule),
        "link_version": article.link_version,
        "title": head.title,
        "summary": head.summary,
        "tags": head.tags,
        "saved_by": head.saved_by,
        "restored_revision": head.restored_revision,
        "save_time": head.create_time,
        "review": _review(listed.review),
        "version": article.version,
        "create_time": article.create_time,
        "update_time": article.update_time,
    }
    return Event(f"article.{happened}", article.id, orjson.dumps(data).decode(), article.update_time)


def _schedule(schedule: Schedule | None) -> Mapping[str, Any] | None:
    if schedule is None:
        return None
    return {"schedule_id": schedule.id, "revision": schedule.revision, "publish_time": schedule.publish_time}


def _review(review: Review | None) -> Mapping[str, Any] | None:
    if review is None:
        return None
    names = ("state", "requested_by", "request_time", "decided_by", "decide_time", "comment")
    return {name: getattr(review, name) for name in names}
