from collections.abc import Callable

import pyarrow as pa
import pytest

from app.contracts.lake import TYPED_SCHEMA
from app.fingerprints import Fingerprints, fingerprints
from app.validation.transaction import validate
from tests.support.landing import record
from tests.support.validation import landing_table

KEY = bytes(range(16))

# The vectors that the authors of SipHash publish: key 00 to 0f, messages of the bytes 00, 00 01, and so on, from empty to 63 long.
SIPHASH_64 = """
310e0edd47db6f72 fd67dc93c539f874 5a4fa9d909806c0d 2d7efbd796666785 b7877127e09427cf 8da699cd64557618 cee3fe586e46c9cb 37d1018bf50002ab
6224939a79f5f593 b0e4a90bdf82009e f3b9dd94c5bb5d7a a7ad6b22462fb3f4 fbe50e86bc8f1e75 903d84c02756ea14 eef27a8e90ca23f7 e545be4961ca29a1
db9bc2577fcc2a3f 9447be2cf5e99a69 9cd38d96f0b3c14b bd6179a71dc96dbb 98eea21af25cd6be c7673b2eb0cbf2d0 883ea3e395675393 c8ce5ccd8c030ca8
94af49f6c650adb8 eab8858ade92e1bc f315bb5bb835d817 adcf6b0763612e2f a5c91da7acaa4dde 716595876650a2a6 28ef495c53a387ad 42c341d8fa92d832
ce7cf2722f512771 e37859f94623f3a7 381205bb1ab0e012 ae97a10fd434e015 b4a31508beff4d31 81396229f0907902 4d0cf49ee5d4dcca 5c73336a76d8bf9a
d0a704536ba93e0e 925958fcd6420cad a915c29bc8067318 952b79f3bc0aa6d4 f21df2e41d4535f9 87577519048f53a9 10a56cf5dfcd9adb eb75095ccd986cd0
51a9cb9ecba312e6 96afadfc2ce666c7 72fe52975a4364ee 5a1645b276d592a1 b274cb8ebf87870a 6f9bb4203de7b381 eaecb2a30b22a87f 9924a43cc1315724
bd838d3aafbf8db7 0b1a2a3265d51aea 135079a3231ce660 932b2846e4d70666 e1915f5cb1eca46c f325965ca16d629f 575ff28e60381be5 724506eb4c328a95
"""

SIPHASH_128 = """
a3817f04ba25a8e66df67214c7550293 da87c1d86b99af44347659119b22fc45 8177228da4a45dc7fca38bdef60affe4 9c70b60c5267a94e5f33b6b02985ed51
f88164c12d9c8faf7d0f6e7c7bcd5579 1368875980776f8854527a07690e9627 14eeca338b208613485ea0308fd7a15e a1f1ebbed8dbc153c0b84aa61ff08239
3b62a9ba6258f5610f83e264f31497b4 264499060ad9baabc47f8b02bb6d71ed 00110dc378146956c95447d3f3d0fbba 0151c568386b6677a2b4dc6f81e5dc18
d626b266905ef35882634df68532c125 9869e247e9c08b10d029934fc4b952f7 31fcefac66d7de9c7ec7485fe4494902 5493e99933b0a8117e08ec0f97cfc3d9
6ee2a4ca67b054bbfd3315bf85230577 473d06e8738db89854c066c47ae47740 a426e5e423bf4885294da481feaef723 78017731cf65fab074d5208952512eb1
9e25fc833f2290733e9344a5e83839eb 568e495abe525a218a2214cd3e071d12 4a29b54552d16b9a469c10528eff0aae c9d184ddd5a9f5e0cf8ce29a9abf691c
2db479ae78bd50d8882a8a178a6132ad 8ece5f042d5e447b5051b9eacb8d8f6f 9c0b53b4b3c307e87eaee08678141f66 abf248af69a6eae4bfd3eb2f129eeb94
0664da1668574b88b935f3027358aef4 aa4b9dc4bf337de90cd4fd3c467c6ab7 ea5c7f471faf6bde2b1ad7d4686d2287 2939b0183223fafc1723de4f52c43d35
7c3956ca5eeafc3e363e9d556546eb68 77c6077146f01c32b6b69d5f4ea9ffcf 37a6986cb8847edf0925f0f1309b54de a705f0e69da9a8f907241a2e923c8cc8
3dc47d1f29c448461e9e76ed904f6711 0d62bf01e6fc0e1a0d3c4751c5d3692b 8c03468bca7c669ee4fd5e084bbee7b5 528a5bb93baf2c9c4473cce5d0d22bd9
df6a301e95c95dad97ae0cc8c6913bd8 801189902c857f39e73591285e70b6db e617346ac9c231bb3650ae34ccca0c5b 27d93437efb721aa401821dcec5adf89
89237d9ded9c5e78d8b1c9b166cc7342 4a6d8091bf5e7d651189fa94a250b14c 0e33f96055e7ae893ffc0e3dcf492902 e61c432b720b19d18ec8d84bdc63151b
f7e5aef549f782cf379055a608269b16 438d030fd0b7a54fa837f2ad201a6403 a590d3ee4fbf04e3247e0d27f286423f 5fe2c1a172fe93c4b15cd37caef9f538
2c97325cbd06b36eb2133dd08b3a017c 92c814227a6bca949ff0659f002ad39e dce850110bd8328cfbd50841d6911d87 67f14984c7da791248e32bb5922583da
1938f2cf72d54ee97e94166fa91d2a36 74481e9646ed49fe0f6224301604698e 57fca5de98a9d6d8006438d0583d8a1d 9fecde1cefdc1cbed4763674d9575359
e3040c00eb28f15366ca73cbd872e740 7697009a6a831dfecca91c5993670f7a 5853542321f567a005d547a4f04759bd 5150d1772f50834a503e069a973fbd7c
"""


def of(*changes: dict[str, str], key: bytes = KEY) -> Fingerprints:
    validated = validate(landing_table([record(1, **change) for change in changes]))
    assert not validated.rejected.any()
    return fingerprints(validated.typed, key)


def typed_with(**columns: pa.Array) -> pa.Table:
    """Typed rows that are null but for the columns given: fingerprints ask for types, not for sense."""
    rows = len(next(iter(columns.values())))
    return pa.table([columns.get(f.name, pa.nulls(rows, f.type)) for f in TYPED_SCHEMA], schema=TYPED_SCHEMA)


def test_the_identifier_has_the_published_128_bit_siphash() -> None:
    messages = [bytes(range(length)).decode("ascii") for length in range(64)]
    result = fingerprints(typed_with(transaction_id=pa.array(messages)), KEY)
    found = [int(h).to_bytes(8, "little") + int(low).to_bytes(8, "little") for h, low in zip(result.id_high, result.id_low, strict=True)]
    assert [one.hex() for one in found] == SIPHASH_128.split()


def scalar_siphash_64(key: bytes, message: bytes) -> bytes:
    """SipHash-2-4 as the paper's section 2.2 has it, one word at a time."""
    mask = 2**64 - 1

    def rotate(word: int, bits: int) -> int:
        return (word << bits | word >> (64 - bits)) & mask

    def mix(v: list[int], rounds: int) -> None:
        for _ in range(rounds):
            for a, b, bits in ((0, 1, 13), (2, 3, 16)):
                v[a] = (v[a] + v[b]) & mask
                v[b] = rotate(v[b], bits) ^ v[a]
            v[0] = rotate(v[0], 32)
            for a, b, bits in ((2, 1, 17), (0, 3, 21)):
                v[a] = (v[a] + v[b]) & mask
                v[b] = rotate(v[b], bits) ^ v[a]
            v[2] = rotate(v[2], 32)

    halves = [int.from_bytes(key[:8], "little"), int.from_bytes(key[8:], "little")]
    v = [int.from_bytes(b"somepseudorandomlygeneratedbytes"[i : i + 8], "big") ^ halves[i // 8 % 2] for i in range(0, 32, 8)]
    padded = message + bytes(7 - len(message) % 8) + bytes([len(message) % 256])
    for i in range(0, len(padded), 8):
        word = int.from_bytes(padded[i : i + 8], "little")
        v[3] ^= word
        mix(v, 2)
        v[0] ^= word
    v[2] ^= 0xFF
    mix(v, 4)
    return (v[0] ^ v[1] ^ v[2] ^ v[3]).to_bytes(8, "little")


def test_the_scalar_siphash_of_these_tests_has_the_published_64_bit_values() -> None:
    assert [scalar_siphash_64(KEY, bytes(range(length))).hex() for length in range(64)] == SIPHASH_64.split()


@pytest.mark.parametrize("length", [*range(40), 255, 256, 257, 5_000])
@pytest.mark.parametrize("later", ["", "5411"])
def test_the_content_is_the_siphash_of_numbers_lengths_and_texts_and_a_merchant_category(length: int, later: str) -> None:
    empty = {"channel": "", "counterparty_sort_code": "", "counterparty_account": ""}
    validated = validate(landing_table([record(1, description="x" * length, merchant_category=later, **empty)]))
    row = validated.typed.to_pylist()[0]
    names = ("sort_code", "account_number", "counterparty_sort_code", "counterparty_account", "counterparty_iban")
    texts = [(row[name] or "").encode() for name in (*names, "currency", "channel", "country", "description")]
    message = validated.typed["booked_at"].cast(pa.int64())[0].as_py().to_bytes(8, "little")
    message += row["amount_minor"].to_bytes(8, "little", signed=True)
    message += b"".join(len(text).to_bytes(4, "little") for text in texts) + b"".join(texts) + later.encode()
    assert int(fingerprints(validated.typed, KEY).content[0]).to_bytes(8, "little") == scalar_siphash_64(KEY, message)


@pytest.mark.parametrize(
    "change",
    [
        {"timestamp": "2026-03-02T01:01:00.000001Z"},
        {"sort_code": "990003"},
        {"account_number": "10000002"},
        {"counterparty_sort_code": "990003"},
        {"counterparty_account": "20000003"},
        {"counterparty_iban": "DE89370400440532013000"},
        {"amount": "1.01"},
        {"currency": "EUR"},
        {"channel": "BACS"},
        {"country": "FR"},
        {"description": "payment 2"},
        {"merchant_category": "5411"},
    ],
)
def test_a_change_of_any_column_changes_the_content_and_not_the_identifier(change: dict[str, str]) -> None:
    result = of({}, change)
    assert result.content[0] != result.content[1]
    assert (result.id_high[0], result.id_low[0]) == (result.id_high[1], result.id_low[1])


def test_text_does_not_flow_from_one_column_into_the_next() -> None:
    table = typed_with(currency=pa.array(["AB", "A"]), channel=pa.array(["C", "BC"]))
    content = fingerprints(table, KEY).content
    assert content[0] != content[1]


def test_other_ways_to_write_the_same_record_have_the_same_fingerprints() -> None:
    result = of({}, {"sort_code": "99-00-01", "timestamp": "2026-03-02 02:01:00+01:00", "amount": "-001.01"})
    assert result.content[0] == result.content[1]


def test_another_key_makes_other_fingerprints() -> None:
    one, other = of({}), of({}, key=bytes(16))
    assert one.id_high[0] != other.id_high[0]
    assert one.content[0] != other.content[0]


def test_null_and_empty_are_the_same() -> None:
    table = typed_with(description=pa.array([None, ""], pa.string()))
    content = fingerprints(table, KEY).content
    assert content[0] == content[1]


@pytest.mark.parametrize(
    "cut", [lambda t: t.slice(1, 2), lambda t: pa.concat_tables([t.slice(1, 1), t.slice(2, 1)])], ids=["slice", "chunks"]
)
def test_slices_and_chunks_change_nothing(cut: Callable[[pa.Table], pa.Table]) -> None:
    typed = validate(landing_table([record(i) for i in range(4)])).typed
    whole, part = fingerprints(typed, KEY), fingerprints(cut(typed), KEY)
    assert part.id_high.tolist() == whole.id_high[1:3].tolist()
    assert part.content.tolist() == whole.content[1:3].tolist()


def test_no_rows_have_no_fingerprints() -> None:
    assert fingerprints(TYPED_SCHEMA.empty_table(), KEY).content.size == 0


def test_a_key_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="15 bytes"):
        fingerprints(TYPED_SCHEMA.empty_table(), bytes(15))
