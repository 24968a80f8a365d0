# Runs on hosts by whatever Python from 3.8 they have: old forms on purpose.
# mypy: ignore-errors
"""The rows of a table as one short answer that doesn't depend on their order.

The sum of the rows' digests: rows that occur twice count twice. To say how many differ, a
table of up to `EACH` rows keeps a part of every digest (until `KEPT` of one look are used
up); a larger one keeps a sum for each of 256 groups of rows, which says how many differ at
least. A sum can't be steered by who knows no second row of the same digest.
"""

import base64

EACH = 20000
KEPT = 200000
PART = 6  # bytes of a digest that are kept


class Budget:
    """How many rows' digests may still be kept in one look."""

    def __init__(self, left=KEPT):
        self.left = left


class Rows:
    """Takes digests (32 bytes), in any order; `said` is what is answered."""

    def __init__(self, budget=None, each=EACH):
        self.budget = budget or Budget()
        self.most = min(each, self.budget.left)
        self.sums = [0] * 256
        self.counts = [0] * 256
        self.kept = []

    def add(self, digests):
        """`digests`: a list, not too long a one."""
        sums, counts, number = self.sums, self.counts, int.from_bytes
        for digest in digests:
            group = digest[0]
            sums[group] += number(digest, "big")
            counts[group] += 1
        if self.kept is not None:
            self.kept += [digest[1 : 1 + PART] for digest in digests]
            if len(self.kept) > self.most:
                self.kept = None

    def said(self):
        total = sum(self.counts)
        answer = {"rows": total, "digest": "%064x" % (sum(self.sums) % (1 << 256))}
        if self.kept is not None:
            self.budget.left -= len(self.kept)
            answer["each"] = base64.b64encode(b"".join(sorted(self.kept))).decode()
        else:
            low = 1 << (8 * PART)
            answer["groups"] = [
                [count, "%x" % (one % low)] for count, one in zip(self.counts, self.sums)
            ]
        return answer
