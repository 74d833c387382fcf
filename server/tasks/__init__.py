"""Tasks: projects whose members alone see them, in which no edit is lost and no change is told twice."""
