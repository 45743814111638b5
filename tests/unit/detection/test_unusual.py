import numpy as np
import pytest

from app.detection import unusual
from app.detection.money import money
from app.detection.unusual import NAMES, Scored
from app.features import timeline
from app.features.payments import DAY_US

HOUR = 3_600 * 1_000_000


def scored(currency: str = "GBP", **facts: int) -> Scored:
    found = timeline.nothing(1)[0]
    for name, value in facts.items():
        found[getattr(timeline, name)] = value
    return Scored(DAY_US + 3 * HOUR + 12 * 60_000_000, 123_456, currency, tuple(found.tolist()), (1, 0, 0, 0, 4, 0, 0, 0))


def test_every_feature_has_a_sentence_for_a_payment_of_which_nothing_is_known() -> None:
    for name in NAMES:
        sentence = unusual.sentence(name, scored(), 1.0)
        assert sentence[0].isupper() or sentence[0] in "0123456789£"
        assert sentence.endswith(".")
        assert "None" not in sentence
        assert "-1" not in sentence
    assert unusual.code("log_amount") == "unusual_log_amount"


@pytest.mark.parametrize(
    ("feature", "payment", "typical", "said"),
    [
        ("log_amount", scored(), np.log1p(5_000), "It is £1,234.56; typically £50.00."),
        ("hour_cos", scored(), 0.0, "It was booked at 03:12 UTC."),
        ("payer_out_1h", scored(PAYER_OUT_1H=7, PAYER_OUT_7D=14), 0.0,
         "7 payments left the payer in the hour before; 2.0 a day in the 7 days before."),
        ("payer_payees_7d", scored(PAYER_PAYEES_7D=17), np.log1p(2),
         "17 accounts were paid by the payer in the 7 days before; typically 2."),
        ("payee_payers_7d", scored(PAYEE_PAYERS_7D=1), np.log1p(2), "1 account paid the payee in the 7 days before; typically 2."),
        ("payer_since_out", scored(PAYER_SINCE_OUT=3 * DAY_US), np.log1p(5), "The payer last paid 3 days before; typically 5 hours."),
        ("payer_since_out", scored(), 0.0, "The payer had not paid for 180 days or more."),
        ("payer_age", scored(), 0.0, "It is the payer's first payment in 180 days."),
        ("new_counterparty", scored(), 0.0, "The payer has not paid this payee in the 180 days before."),
        ("new_counterparty", scored(PAYER_PAID_PAYEE=1), 0.0, "The payer has paid this payee once in the 180 days before."),
        ("new_counterparty", scored(PAYER_PAID_PAYEE=2), 0.0, "The payer has paid this payee 2 times in the 180 days before."),
        ("payer_pass_through", scored(PAYER_OUT_SUM_24H=100, PAYER_IN_SUM_24H=200), 0.0,
         "With it £1,235.56 left the payer in 24 hours; £2.00 had come to it."),
        ("payer_amount_z", scored(PAYER_OUTS=4, PAYER_OUT_LOGS=4 * 8_412), 0.0,
         "It is £1,234.56; the 4 payments that left the payer before were about £45.00."),
        ("payer_suspicious_out", scored(), 0.0, "Of 4 judged payments that left the payer, 1 was suspicious."),
        ("payer_out_sum_24h", scored("JPY", PAYER_OUT_SUM_24H=3_000, PAYER_OUT_SUM_30D=3_000), 0.0,
         "3,000 JPY left the payer in the 24 hours before; 100 JPY a day in the 30 days before."),
    ],
)  # fmt: skip
def test_a_sentence_has_the_accounts_own_numbers(feature: str, payment: Scored, typical: float, said: str) -> None:
    assert unusual.sentence(feature, payment, typical) == said


@pytest.mark.parametrize(
    ("minor", "currency", "said"),
    [(5, "GBP", "£0.05"), (123_456_789, "GBP", "£1,234,567.89"), (1_234, "JPY", "1,234 JPY"), (1_234_567, "KWD", "1,234.567 KWD")],
)
def test_money_has_its_currencys_decimals(minor: int, currency: str, said: str) -> None:
    assert money(minor, currency) == said
