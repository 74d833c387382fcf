"""What articles keeps: articles with their slugs and schedules, revisions, reviews, tags, and what is searched."""
