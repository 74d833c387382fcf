"""What bookings keeps: resources, bookings, and the places that they have."""
