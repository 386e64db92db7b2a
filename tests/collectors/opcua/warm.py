"""Imported by the process that test servers are forked from, so that each starts at once."""

from tests.collectors.opcua.server import standard_nodes

standard_nodes()
