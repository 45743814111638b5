"""The sample bank: a synthetic UK building society whose landing files hold planted defects and planted typologies."""

from pipelines.sample.bank import Written, write

__all__ = ["Written", "write"]
