"""Unmodified clients of OpenFeature's, each in a process of its own, against a server in its own."""
