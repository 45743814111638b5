"""The core of Leofric: pure functions over Arrow tables. No Ray, no HTTP, no clock, no environment variables."""
