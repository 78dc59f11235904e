"""Reports: a notebook's section and what it records, published numbers beside ours, the generated summaries."""

from augury.report.published import compare, find, published, rank_agreement, works
from augury.report.readme import map_table, readme_map
from augury.report.section import Section
from augury.report.shown import Sheet
from augury.report.summary import verdicts, write_report

__all__ = [
    "Section",
    "Sheet",
    "compare",
    "find",
    "map_table",
    "published",
    "rank_agreement",
    "readme_map",
    "verdicts",
    "works",
    "write_report",
]
