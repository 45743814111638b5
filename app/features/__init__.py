"""Behaviour over time: what a payment looks like against the payments before it."""
