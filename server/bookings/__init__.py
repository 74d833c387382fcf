"""Bookings: rooms, people and slots that a crowd books at once, and never twice."""
