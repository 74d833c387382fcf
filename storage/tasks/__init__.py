"""What tasks keeps: projects and their members, tasks, what is said of them and done on them, and what was changed."""
