"""What the influence measure is said to have over influence values (Sections 1 and 2), and where that holds."""
