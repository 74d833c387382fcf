"""Articles: drafts, revisions and reviews, published at once or on time, and found again."""
