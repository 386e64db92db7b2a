"""A second foreign peer of the OPC UA tests: a server of open62541, in C, with a machine tool and variables.

`python server.py PORT` writes one JSON object per line ({"event": "ready"}, "done" or "failed"), and reads commands:
{"write": [[name, value, ms], …]}: variables of namespace urn:km0:open62541 take values at source times since the epoch.
Every value is kept in its history. The names are Counter, State and N0 … N99.
"""

import json
import sys
from datetime import UTC, datetime
from typing import Any

import o6
from o6.ns import di, ia, isa95_jobcontrol_v2, machine_tool, machinery, machinery_jobs

NAMES = ("Counter", "State", *(f"N{number}" for number in range(100)))


def say(**event: Any) -> None:
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def value_at(value: float, ms: int) -> Any:
    return o6.DataValue(value=o6.Double(value), sourceTimestamp=datetime.fromtimestamp(ms / 1000, UTC))


def main() -> None:
    server = o6.Server(port=int(sys.argv[1]), applicationUri="urn:km0:open62541")
    server.config.setHistoryDatabase(capacity=100_000)
    for nodeset in (di, ia, machinery, isa95_jobcontrol_v2, machinery_jobs, machine_tool):
        server.ns.append(nodeset)
    for name in NAMES:
        server.addVariable(name, server.objectsNode, 0.0, nodeId=f"ns=1;s={name}", historizing=True)
    server.start()
    machine = o6.NodeId(machine_tool.objtypes.MachineToolType)
    server.addObject("Mill", o6.NodeId("ns=machinery;i=1001"), nodeId="ns=1;s=Mill", typeDefinition=machine)
    say(event="ready")
    for line in sys.stdin:
        try:
            for name, value, ms in json.loads(line)["write"]:
                server.write(f"ns=1;s={name}", value_at(value, ms))
            say(event="done")
        except Exception as error:
            say(event="failed", why=repr(error))


main()
