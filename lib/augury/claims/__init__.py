"""Claims: what a paper says, the tests it is put to over seeds, and the verdicts."""

from augury.claims.choice import best_of
from augury.claims.claim import VERDICTS, Claim, Part, holm, missing, trending, untied, within
from augury.claims.means import difference, equivalence, one_sample
from augury.claims.ranks import proportion, sign_test, spearman, trend
from augury.claims.result import Test
from augury.claims.variances import variance_ratio

__all__ = [
    "VERDICTS",
    "Claim",
    "Part",
    "Test",
    "best_of",
    "difference",
    "equivalence",
    "holm",
    "missing",
    "one_sample",
    "proportion",
    "sign_test",
    "spearman",
    "trend",
    "trending",
    "untied",
    "variance_ratio",
    "within",
]
