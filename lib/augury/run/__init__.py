"""The headless notebook runner and the command line."""
