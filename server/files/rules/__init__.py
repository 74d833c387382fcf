"""files' decisions, without I/O: who may do what, which names and chunks are taken, and what is told of a change."""
