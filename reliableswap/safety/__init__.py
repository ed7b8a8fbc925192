"""Refuse nudity, and faces of people who may be under 18. docs/safety.md has the measured error rates."""
