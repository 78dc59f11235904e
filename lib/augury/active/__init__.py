"""Active learning by influence (Section 5.2 of the influence measure paper, ICLR 2025): which points to label next."""
