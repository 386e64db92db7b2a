"""Network links, measured by STAMP test packets (RFC 8762)."""

from collectors.probe.config import ProbeConfig

__all__ = ["ProbeConfig"]
