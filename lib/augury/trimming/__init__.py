"""Data trimming by influence (Section 5.1 of the influence measure paper, ICLR 2025): which points to leave out."""
