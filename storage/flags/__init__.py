"""Storage of flags: flags and segments with their versions, proposals, schedules, and usage counts."""
