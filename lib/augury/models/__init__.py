"""Models: architectures and closed-form fits, each in its own module."""
