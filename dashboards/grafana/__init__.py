"""Boards, alert rules and data sources of Grafana, made from the plant file: rendered, provisioned or published."""
