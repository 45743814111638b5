import re
import secrets

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from app import subjects
from app.contracts.lake import TOKEN
from app.subjects import Register, embedding, minted, named, read

KEY = bytes(range(16))
NAMES = st.lists(st.from_regex(r"[0-9]{6}-[0-9]{8}|[A-Z]{2}[0-9]{2}[0-9A-Z]{11,30}", fullmatch=True), unique=True, max_size=30)


def register(names: list[str], secret: bytes = bytes(32)) -> Register:
    return minted(pa.array(names, pa.string()), KEY, secret)


@given(NAMES, NAMES)
def test_everybody_is_found_at_his_place_and_nobody_else(names: list[str], others: list[str]) -> None:
    found = register(names).find(pa.array([*names, *others], pa.string())).tolist()
    assert found == [*range(len(names)), *(names.index(one) if one in names else -1 for one in others)]


@given(NAMES, NAMES)
def test_joined_registers_have_each_subject_once_as_the_first_has_it(names: list[str], others: list[str]) -> None:
    first, second = register(names), register(others, secrets.token_bytes(32))
    both = first.joined(second)
    assert sorted(both.identifiers.to_pylist()) == sorted({*names, *others})
    places = both.find(pa.array(names, pa.string()))
    assert np.array_equal(both.tokens[places], first.tokens)
    assert both.of_tokens(both.tokens).tolist() == list(range(len(both)))


@given(NAMES)
def test_who_is_taken_out_is_gone_and_all_others_are_found(names: list[str]) -> None:
    left = register(names).without(names[::2])
    assert left.identifiers.to_pylist() == names[1::2]
    assert (left.find(pa.array(names[::2], pa.string())) == -1).all()
    assert left.find(pa.array(names[1::2], pa.string())).tolist() == list(range(len(left)))


def test_tokens_are_written_as_the_contract_says_and_read_again() -> None:
    made = register([f"990001-{number:08d}" for number in range(1000)])
    written = made.written.to_pylist()
    assert len(set(written)) == 1000
    assert all(re.fullmatch(TOKEN, one) for one in written)
    assert [read(one) for one in written] == [one.tobytes() for one in made.tokens]


def test_tasks_of_one_run_give_one_account_one_token_and_another_run_gives_another() -> None:
    secret = secrets.token_bytes(32)
    one, same, other = (register(["990001-00000001"], of) for of in (secret, secret, secrets.token_bytes(32)))
    assert np.array_equal(one.tokens, same.tokens)
    assert np.array_equal(one.secrets, same.secrets)
    assert not np.array_equal(one.tokens, other.tokens)


def test_a_token_stands_for_an_account_number_and_a_party_keeps_its_sort_code() -> None:
    made = register(["990001-12345678", "DE89370400440532013000"])
    account, iban = made.written.to_pylist()
    assert made.parties.to_pylist() == [f"990001-{account}", iban]
    texts = pa.array([account, f"990001-{account}", iban, f"from 990001-{account} to {iban}.", "none", None, "~abc"], pa.string())
    assert named(texts, made).to_pylist() == [
        "12345678", "990001-12345678", "DE89370400440532013000", "from 990001-12345678 to DE89370400440532013000.", "none", None, "~abc"
    ]  # fmt: skip


def test_a_token_that_is_nobodys_stays() -> None:
    made = register(["990001-12345678", "990001-87654321"])
    texts = made.parties
    assert named(texts, made.without(["990001-12345678"])).to_pylist() == [texts[0].as_py(), "990001-87654321"]


def test_the_ibans_of_an_account_are_found() -> None:
    names = pa.array(["GB29NWBK60161331926819", "GB29NWBK60161331926810", "601613-31926819", "DE60161331926819"], pa.string())
    assert embedding("601613-31926819", names) == ["GB29NWBK60161331926819"]


def test_nobody_is_in_an_empty_register() -> None:
    none = subjects.empty(KEY)
    assert none.find(pa.array(["990001-12345678"], pa.string())).tolist() == [-1]
    assert len(none.joined(register(["990001-12345678"]))) == 1
