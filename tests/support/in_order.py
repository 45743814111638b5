"""Clients that ask the service at the same time, but about the payments of one account one after the other: so one answer is right."""

import json
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Any

from tests.support.served import Record, body

Answer = dict[str, Any]
SCORE = "/v1/transactions/score"


@dataclass
class Clients:
    """Threads, over connections that stay; every answer has to be 200."""

    port: int
    threads: int = 4
    key: str | None = None
    answers: dict[str, Answer] = field(default_factory=dict)
    _free: list[HTTPConnection] = field(default_factory=list)

    def ask_alone(self, records: Iterable[Record], again: int = 7) -> None:
        """Ask about each payment, and about every so many-th one twice; what is answered the second time is what was the first time."""
        self._ask_all([[record] * (2 if number % again == 0 else 1) for number, record in enumerate(records)], self._alone)

    def ask_by(self, size: int, records: Sequence[Record], again: int = 7) -> None:
        """The same in requests with so many payments."""
        parts = [records[begin : begin + size] for begin in range(0, len(records), size)]
        for number, part in enumerate(parts):
            self._ask_all([part], self._together)
            if number % again == 0:
                self._ask_all([part], self._together)

    def _ask_all(self, units: Sequence[Sequence[Record]], ask: Any) -> None:
        """A unit is asked about when all before it that share an account with it are answered."""
        last: dict[str, Future[None]] = {}
        with ThreadPoolExecutor(self.threads) as pool:
            every = []
            for unit in units:
                accounts = {account for record in unit for account in accounts_of(record)}
                before = [last[account] for account in accounts if account in last]
                every.append(pool.submit(self._when, before, ask, unit))  # taken up in this order, so those before are under way
                last.update(dict.fromkeys(accounts, every[-1]))
        for connection in self._free:
            connection.close()
        self._free.clear()
        for one in every:
            one.result()

    def _when(self, before: Sequence["Future[None]"], ask: Any, unit: Sequence[Record]) -> None:
        for one in before:
            one.result()
        ask(unit)

    def _alone(self, unit: Sequence[Record]) -> None:
        for record in unit:
            self._note([self.post(json.dumps(record).encode())])

    def _together(self, unit: Sequence[Record]) -> None:
        self._note(self.post(body(list(unit)))["transactions"])

    def _note(self, answers: Sequence[Answer]) -> None:
        for answer in answers:
            assert self.answers.setdefault(answer["transaction_id"], answer) == answer

    def post(self, document: bytes) -> Any:
        """A good answer, over a connection that is free."""
        try:
            connection = self._free.pop()
        except IndexError:
            connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"content-type": "application/json"} | ({} if self.key is None else {"authorization": f"Bearer {self.key}"})
        connection.request("POST", SCORE, document, headers)
        with connection.getresponse() as response:
            found = response.read()
            assert response.status == 200, (response.status, found)
        self._free.append(connection)
        return json.loads(found)


def accounts_of(record: Record) -> set[str]:
    """The accounts that a payment names."""
    names = ("counterparty_iban", "counterparty_sort_code", "counterparty_account")
    other = "".join(record.get(name, "") for name in names)
    return {record["sort_code"] + record["account_number"], *([other] if other else [])}
