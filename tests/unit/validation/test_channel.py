import pytest

from app.contracts.landing import CHANNELS
from app.validation import channel
from tests.support.validation import names, text


def test_each_channel_of_the_contract_is_taken_and_so_is_none() -> None:
    assert names(channel.check(text(*CHANNELS, "", None))) == [None] * (len(CHANNELS) + 2)


@pytest.mark.parametrize(
    "written", ["PIGEON", "fps", "FP", "FPSX", "FPS ", " FPS", "\0FPS", "INTERNALS", "INTERNA", "BACSBACSBACS", "\uff26\uff30\uff33"]
)
def test_anything_else_is_unknown(written: str) -> None:
    assert names(channel.check(text(written))) == ["channel_unknown"]
