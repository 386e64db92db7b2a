"""The front door: the command line and the composition root. Nobody imports it."""

__version__ = "0.1.0"
