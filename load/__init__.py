"""The load generator: calls as cheap as Python can make them, loops that measure them, and works on a shop."""
