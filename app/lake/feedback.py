"""What analysts have decided about payments, as the lake keeps it."""

import numpy as np
import pyarrow as pa

from app.contracts.lake import FEEDBACK
from app.lake.lake import Lake


def last_decisions(lake: Lake) -> pa.Table:
    """The rows of control/feedback that count: of each payment the last."""
    rows = lake.table(FEEDBACK).to_pyarrow_table().sort_by([("sequence", "descending")])
    # The first row of each payment is its last decision.
    first = np.unique(rows["transaction_id"].combine_chunks().dictionary_encode().indices.to_numpy(), return_index=True)[1]
    return rows.take(pa.array(np.sort(first)))
