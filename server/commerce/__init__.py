"""Commerce: never sells what is not there, never charges twice, never loses an order."""
