"""The load generator: calls as cheap as Python can make them, loops that measure them, and operations on a shop."""
