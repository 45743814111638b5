"""The work in DuckDB: one SQL statement that checks, then two that write."""

import sys
from collections.abc import Iterable
from functools import reduce
from pathlib import Path

from tests.bench import rules
from tests.bench.peer import Counts, report, timer


def _in(values: Iterable[str]) -> str:
    return "(" + ",".join(f"'{value}'" for value in values) + ")"


def _map(values: dict[str, int]) -> str:
    return "map {" + ",".join(f"'{key}': {value}" for key, value in values.items()) + "}"


_DIGITS = reduce(lambda sql, pair: f"replace({sql}, '{pair[0]}', '{pair[1]}')", rules.LETTERS.items(), "substr(i, 5) || substr(i, 1, 4)")
_MOD_97 = reduce(lambda sql, piece: f"((({sql})::varchar || substr(d, {piece[0]}, {piece[1]}))::bigint % 97)", rules.PIECES, "''")


def _checked(source: str) -> str:
    return f"""
        create temp table checked as
        with exponents as (select unnest(map_keys(m)) as code, unnest(map_values(m)) as exponent
                           from (select {_map(rules.exponents())} as m)),
             lengths as (select unnest(map_keys(m)) as iban_country, unnest(map_values(m)) as iban_length
                         from (select {_map(rules.iban_lengths())} as m)),
             source as (select *, counterparty_iban as i, {_DIGITS.replace("substr(i", "substr(counterparty_iban")} as d
                        from read_csv('{source}', all_varchar = true, header = true, nullstr = ''))
        select * exclude (i, d, code, iban_country, iban_length),
            case when transaction_id is null then 'transaction_id_missing'
                 when timestamp is null or not regexp_matches(timestamp, '{rules.TIMESTAMP}')
                      or try_cast(timestamp as timestamptz) is null then 'timestamp'
                 when sort_code is null or not regexp_matches(sort_code, '{rules.SORT_CODE}') then 'sort_code'
                 when account_number is null or not regexp_matches(account_number, '{rules.ACCOUNT}') then 'account_number'
                 when not regexp_matches(counterparty_sort_code, '{rules.SORT_CODE}') then 'counterparty_sort_code'
                 when not regexp_matches(counterparty_account, '{rules.ACCOUNT}') then 'counterparty_account'
                 when exponent is null then 'currency'
                 when amount is null or not regexp_matches(amount, '{rules.AMOUNT}') then 'amount_format'
                 when length(split_part(amount, '.', 2)) > exponent then 'amount_precision'
                 when channel not in {_in(rules.channels())} then 'channel'
                 when country is null or country not in {_in(rules.countries())} then 'country'
                 when i is not null and (not regexp_matches(i, '{rules.IBAN}') or iban_length is null or length(i) <> iban_length)
                      then 'iban_length'
                 when i is not null and {_MOD_97.replace("(''::varchar || ", "(")} <> 1 then 'iban_checksum'
            end as reason
        from source left join exponents on code = currency left join lengths on iban_country = substr(i, 1, 2)
    """


_ACCEPTED = """
    copy (select distinct on (transaction_id) * exclude (reason, timestamp, amount, exponent), timestamp::timestamptz as booked_at,
                 (amount::decimal(20, 4) * 10000)::bigint // [10000, 1000, 100, 10, 1][exponent + 1] as amount_minor
          from checked where reason is null) to '{}' (format parquet, compression zstd)
"""


def main(landing: Path, out: Path) -> None:
    """Do the work."""
    import duckdb

    connection = duckdb.connect(str(out / "work.duckdb"), config={"threads": 2})
    elapsed = timer()
    connection.execute(_checked(str(landing / "*.csv")))
    (rows, bad), *_ = connection.execute("select count(*), count(reason) from checked").fetchall()
    connection.execute(_ACCEPTED.format(out / "accepted.parquet"))
    connection.execute(
        f"copy (select * from checked where reason is not null) to '{out / 'quarantine.parquet'}' (format parquet, compression zstd)"
    )
    (accepted,), *_ = connection.execute(f"select count(*) from '{out / 'accepted.parquet'}'").fetchall()
    report(Counts(rows, accepted, bad, rows - bad - accepted), elapsed())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
