"""Commerce: never sells what is not there, never loses an order."""
