"""The decisions of bookings: when a resource is open, what of it is free, and who may change what."""
