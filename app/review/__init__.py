"""Quarantine and those who review it: what lies there, what may be proposed, and how decisions are kept."""
