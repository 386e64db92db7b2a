"""The boards, one function each, in the order of the questions they answer. To add one, write it and name it here."""

from collections.abc import Callable
from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.grafana.boards.data_path import data_path
from dashboards.grafana.boards.energy import energy
from dashboards.grafana.boards.losses import losses
from dashboards.grafana.boards.machine import machine
from dashboards.grafana.boards.network import network
from dashboards.grafana.boards.shift import shift
from dashboards.grafana.boards.wall import wall
from dashboards.grafana.texts import Texts
from telemetry.plant import Plant

Board = Callable[[Plant, Texts], Dashboard]

BOARDS: Final[tuple[Board, ...]] = (wall, machine, losses, shift, network, data_path, energy)
