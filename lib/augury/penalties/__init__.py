"""The penalties that ablated augmentation imposes (Liu, Najmi and Sundararajan, 2020)."""
