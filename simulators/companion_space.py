"""The address space of machine tools and PackML machines: types of the specifications, a vendor's instances.

A tree is written as lines "path type": objects with the type that defines them, variables with their data type. Of each
type only its place among its super-types and, of state machines, its states are declared: what a client needs to
recognise a machine and to understand what it says.
"""

from collections.abc import Collection, Iterator
from typing import Any, Final

from asyncua import ua
from asyncua.server.server import Server
from asyncua.ua.object_ids import ObjectIds

from simulators.companion import (
    DI,
    IA,
    ITEM_STATES,
    MACHINE_TOOL,
    MACHINERY,
    OPERATION_MODES,
    PACKML,
    PACKML_BASE,
    PACKML_EXECUTE,
    PACKML_MACHINE,
    PROGRAM_STATES,
    TOOL_LASTS,
    Address,
    Speech,
)  # fmt: skip
from simulators.speeches import VENDOR

_OBJECT: Final = ("", 58)
_FOLDER: Final = ("", 61)
_STATE_MACHINE: Final = ("", 2771)

_TYPES: Final[dict[Address, tuple[str, Address]]] = {
    (MACHINERY, 1002): ("MachineryItemState_StateMachineType", _STATE_MACHINE),
    (MACHINERY, 1008): ("MachineryOperationModeStateMachineType", _STATE_MACHINE),
    (MACHINERY, 1012): ("MachineIdentificationType", _OBJECT),
    (MACHINE_TOOL, 1003): ("MachineOperationModeStateMachineType", (MACHINERY, 1008)),
    (MACHINE_TOOL, 7): ("NotificationType", _OBJECT),
    (MACHINE_TOOL, 11): ("MachineToolIdentificationType", (MACHINERY, 1012)),
    (MACHINE_TOOL, 12): ("EquipmentType", _OBJECT),
    (MACHINE_TOOL, 13): ("MachineToolType", _OBJECT),
    (MACHINE_TOOL, 14): ("MonitoringType", _OBJECT),
    (MACHINE_TOOL, 15): ("ProductionProgramStateMachineType", (MACHINE_TOOL, 24)),
    (MACHINE_TOOL, 16): ("ChannelMonitoringType", _OBJECT),
    (MACHINE_TOOL, 20): ("ProductionStatisticsType", _OBJECT),
    (MACHINE_TOOL, 21): ("ProductionType", _OBJECT),
    (MACHINE_TOOL, 22): ("SpindleMonitoringType", _OBJECT),
    (MACHINE_TOOL, 24): ("ProductionStateMachineType", _STATE_MACHINE),
    (MACHINE_TOOL, 26): ("MachineOperationMonitoringType", _OBJECT),
    (MACHINE_TOOL, 29): ("ProductionJobType", _OBJECT),
    (MACHINE_TOOL, 30): ("ProductionJobListType", _OBJECT),
    (MACHINE_TOOL, 39): ("AlertType", ("", 2041)),
    (MACHINE_TOOL, 44): ("ToolListType", _OBJECT),
    (MACHINE_TOOL, 50): ("ToolType", _OBJECT),
    (IA, 1002): ("BasicStacklightType", _OBJECT),
    (IA, 1006): ("StackElementLightType", _OBJECT),
    (MACHINE_TOOL, 32): ("ProductionActiveProgramType", _OBJECT),
    (PACKML, 1): ("PackMLExecuteStateMachineType", _STATE_MACHINE),
    (PACKML, 2): ("PackMLMachineStateMachineType", _STATE_MACHINE),
    (PACKML, 3): ("PackMLBaseStateMachineType", _STATE_MACHINE),
    (PACKML, 4): ("PackMLStatusObjectType", _OBJECT),
    (PACKML, 5): ("PackMLAdminObjectType", _OBJECT),
    (PACKML, 6): ("PackMLBaseObjectType", _OBJECT),
}
"""Address → name and super-type. Where a specification has steps between, they are left out."""

_STATES: Final[dict[Address, tuple[str, dict[str, int]]]] = {
    (MACHINERY, 1002): (MACHINERY, ITEM_STATES),
    (MACHINE_TOOL, 1003): (MACHINE_TOOL, OPERATION_MODES),
    (MACHINE_TOOL, 24): (MACHINE_TOOL, PROGRAM_STATES),
    (PACKML, 3): (PACKML, PACKML_BASE),
    (PACKML, 2): (PACKML, PACKML_MACHINE),
    (PACKML, 1): (PACKML, PACKML_EXECUTE),
}

ALERT: Final[Address] = (MACHINE_TOOL, 39)
"""OPC 40501-1's type of a machine tool's alerts."""

_ROOT: Final[dict[str, Address]] = {"machine-tool": (MACHINE_TOOL, 13), "packml": (PACKML, 6)}

_TREES: Final[dict[str, str]] = {
    "machine-tool": f"""
        di:Identification            tool:11
        tool:Monitoring              tool:14
        tool:Monitoring/tool:MachineTool                              tool:26
        tool:Monitoring/tool:MachineTool/tool:OperationMode           Int32
        tool:Monitoring/tool:MachineTool/machinery:MachineryItemState      machinery:1002
        tool:Monitoring/tool:MachineTool/machinery:MachineryOperationMode  tool:1003
        tool:Monitoring/own:Channel1              tool:16
        tool:Monitoring/own:Channel1/tool:FeedOverride                Double
        tool:Monitoring/own:Spindle1              tool:22
        tool:Production              tool:21
        tool:Production/tool:ActiveProgram        tool:32
        tool:Production/tool:ActiveProgram/tool:Name                  String
        tool:Production/tool:ActiveProgram/tool:State                 tool:15
        tool:Production/tool:ActiveProgram/tool:State/:CurrentState/:Number    UInt32
        tool:Production/tool:ProductionPlan       tool:30
        tool:Production/tool:ProductionPlan/own:Job                   tool:29
        tool:Production/tool:ProductionPlan/own:Job/tool:OrderIdentifier   String
        tool:Production/tool:ProductionPlan/own:Job/tool:PartsGood    UInt32
        tool:Production/tool:Statistics           tool:20
        tool:Production/tool:Statistics/tool:PartsProducedInLifetime  UInt32
        tool:Monitoring/tool:Stacklight           ia:1002
        tool:Monitoring/tool:Stacklight/own:Red   ia:1006
        tool:Monitoring/tool:Stacklight/own:Red/ia:SignalOn           Boolean
        tool:Monitoring/tool:Stacklight/own:Red/ia:SignalColor        Int32=1
        tool:Monitoring/tool:Stacklight/own:Yellow                    ia:1006
        tool:Monitoring/tool:Stacklight/own:Yellow/ia:SignalOn        Boolean
        tool:Monitoring/tool:Stacklight/own:Yellow/ia:SignalColor     Int32=4
        tool:Monitoring/tool:Stacklight/own:Green                     ia:1006
        tool:Monitoring/tool:Stacklight/own:Green/ia:SignalOn         Boolean
        tool:Monitoring/tool:Stacklight/own:Green/ia:SignalColor      Int32=2
        tool:Equipment               tool:12
        tool:Equipment/tool:Tools    tool:44
        tool:Equipment/tool:Tools/own:T1          tool:50
        tool:Equipment/tool:Tools/own:T1/tool:ControlIdentifier1      UInt32=1
        tool:Equipment/tool:Tools/own:T1/tool:ToolLife                :58
        tool:Equipment/tool:Tools/own:T1/tool:ToolLife/own:Life       UInt32
        tool:Equipment/tool:Tools/own:T1/tool:ToolLife/own:Life/tool:StartValue    UInt32=0
        tool:Equipment/tool:Tools/own:T1/tool:ToolLife/own:Life/tool:LimitValue    UInt32={TOOL_LASTS}
        tool:Notification            tool:7
        """,
    "packml": """
        pack:Admin                   pack:5
        pack:Admin/pack:ProdProcessedCount        Structure
        pack:Admin/pack:ProdDefectiveCount        Structure
        pack:Status                  pack:4
        pack:Status/pack:UnitModeCurrent          Int32
        pack:Status/pack:EquipmentBlocked         Boolean
        pack:Status/pack:EquipmentStarved         Boolean
        pack:BaseStateMachine        pack:3
        pack:BaseStateMachine/pack:MachineState   pack:2
        pack:BaseStateMachine/pack:MachineState/pack:ExecuteState     pack:1
        """,
}
_PREFIXES: Final = {
    "": "", "di": DI, "machinery": MACHINERY, "tool": MACHINE_TOOL, "pack": PACKML, "ia": IA, "own": VENDOR
}  # fmt: skip
_DATA_TYPES: Final = {
    "Int32": (6, ua.VariantType.Int32, 0), "UInt32": (7, ua.VariantType.UInt32, 0),
    "Double": (11, ua.VariantType.Double, 0.0), "String": (12, ua.VariantType.String, ""),
    "Boolean": (1, ua.VariantType.Boolean, False), "NodeId": (17, ua.VariantType.NodeId, ua.NodeId()),
    "LocalizedText": (21, ua.VariantType.LocalizedText, ua.LocalizedText()),
}  # fmt: skip
_PLATE: Final = {"Manufacturer": "ACME Machines", "Model": "MT 500"}
_FIRST_OWN: Final = 50_000
_ROOM: Final = 1000
"""Numbers of a machine's own nodes."""

_READ_AND_HISTORY: Final = 0b101


class CompanionSpace:
    """Builds machines into a server that is not started. `index` has the number of each namespace, once built.

    `moved`: machines whose nodes the vendor numbers otherwise, as after an update of his software.
    """

    def __init__(self, server: Server, moved: Collection[str] = ()) -> None:
        self._server = server
        self._moved = moved
        self._next = _FIRST_OWN
        self._known: set[Address] = set()
        self._machines: ua.NodeId | None = None
        self.index: Final[dict[str, int]] = {"": 0}
        self.tops: Final[dict[str, ua.NodeId]] = {}
        """The machines that raise alarms."""

    async def add(
        self, path: str, speech: Speech, vendor_nodes: dict[str, tuple[str, ua.VariantType]]
    ) -> dict[str, ua.NodeId]:
        """A machine named by the last part of its asset path; returns its variables by their path in the machine.

        `vendor_nodes`: identifiers in the vendor's namespace and types of what the specification has no place for.
        """
        uris = (DI, MACHINERY, IA, MACHINE_TOOL, PACKML, VENDOR)
        for uri in uris:
            if uri not in self.index:
                self.index[uri] = await self._server.register_namespace(uri)
        if self._machines is None:
            self._machines = self._id((MACHINERY, 1001))
            await self._object(
                self._machines, (MACHINERY, "Machines"), self._id(("", 85)), _FOLDER, ObjectIds.Organizes
            )
        name = path.rpartition("/")[2]
        self._next += _ROOM - self._next % _ROOM + (_ROOM // 2 if path in self._moved else 0)
        await self._type(_ROOT[speech])
        top = await self._object(None, (VENDOR, name), self._machines, _ROOT[speech], ObjectIds.Organizes)
        objects: dict[str, ua.NodeId] = {"": top}
        variables: dict[str, ua.NodeId] = {}
        for line in _TREES[speech].strip().splitlines():
            place, kind = line.split()
            names = [
                (_PREFIXES[prefix], word) for prefix, _, word in (part.partition(":") for part in place.split("/"))
            ]
            plain = [word for _, word in names]
            key, owner = "/".join(plain), objects.get("/".join(plain[:-1]))
            if owner is None:
                owner = variables["/".join(plain[:-1])]
            kind, _, constant = kind.partition("=")
            if constant:
                await self._variable(names[-1], owner, kind, 68, value=int(constant))
                continue
            if kind in _DATA_TYPES or kind == "Structure":
                variables[key] = await self._variable(names[-1], owner, kind)
                continue
            prefix, _, number = kind.partition(":")
            address = _PREFIXES[prefix], int(number)
            await self._type(address)
            objects[key] = await self._object(None, names[-1], owner, address, ObjectIds.HasComponent)
            if _machine_of_states(address):
                current = f"{key}/CurrentState"
                variables[current] = await self._variable(("", "CurrentState"), objects[key], "LocalizedText", 2760)
                variables[f"{current}/Id"] = await self._variable(("", "Id"), variables[current], "NodeId", 68)
        if speech == "machine-tool":
            self.tops[path] = top
            await self._type(ALERT)
            await self._plate(objects["Identification"], name)
        for metric, (identifier, kind_of) in vendor_nodes.items():
            node = ua.NodeId(ua.String(identifier), ua.Int16(self.index[VENDOR]))
            word = next(name for name, (_, one, _) in _DATA_TYPES.items() if one is kind_of)
            variables[metric] = await self._variable((VENDOR, identifier.rpartition("/")[2]), top, word, node=node)
        return variables

    async def _plate(self, owner: ua.NodeId, name: str) -> None:
        for word, text in (*_PLATE.items(), ("SerialNumber", name), ("ProductInstanceUri", f"{VENDOR}{name}")):
            localized = word in _PLATE
            kind = "LocalizedText" if localized else "String"
            value: Any = ua.LocalizedText(ua.String(text)) if localized else text
            await self._variable((DI, word), owner, kind, 68, value=value)

    async def _type(self, address: Address) -> None:
        """The type, its super-types and its states."""
        if address[0] == "" or address in self._known:
            return
        self._known.add(address)
        name, parent = _TYPES[address]
        await self._type(parent)
        await self._add(
            self._id(address), (address[0], name), self._id(parent), ObjectIds.HasSubtype, None,
            ua.NodeClass.ObjectType, ua.ObjectTypeAttributes(),
        )  # fmt: skip
        uri, states = _STATES.get(address, ("", {}))
        for state, number in states.items():
            known = self._id((uri, number))
            owner = MACHINERY if uri == MACHINE_TOOL and states is OPERATION_MODES else uri
            await self._object(known, (owner, state), self._id(address), ("", 2307), ObjectIds.HasComponent)

    async def _object(
        self, node: ua.NodeId | None, name: tuple[str, str], owner: ua.NodeId, kind: Address, reference: int
    ) -> ua.NodeId:
        made = node or self._own()
        attributes = ua.ObjectAttributes()
        await self._add(made, name, owner, reference, self._id(kind), ua.NodeClass.Object, attributes)
        return made

    async def _variable(
        self, name: tuple[str, str], owner: ua.NodeId, kind: str, definition: int = 63, *,
        node: ua.NodeId | None = None, value: Any = None,
    ) -> ua.NodeId:  # fmt: skip
        attributes = ua.VariableAttributes()
        if kind == "Structure":
            attributes.DataType, attributes.ValueRank = self._id((PACKML, 14)), ua.Int32(1)
            attributes.Value = ua.Variant([], ua.VariantType.ExtensionObject, is_array=True)
        else:
            number, variant, empty = _DATA_TYPES[kind]
            attributes.DataType, attributes.ValueRank = self._id(("", number)), ua.Int32(-1)
            attributes.Value = ua.Variant(empty if value is None else value, variant)
        if value is None:
            attributes.AccessLevel = attributes.UserAccessLevel = ua.Byte(_READ_AND_HISTORY)
            attributes.Historizing = True
        made = node or self._own()
        reference = ObjectIds.HasProperty if definition == 68 else ObjectIds.HasComponent
        await self._add(made, name, owner, reference, self._id(("", definition)), ua.NodeClass.Variable, attributes)
        return made

    async def _add(
        self, node: ua.NodeId, name: tuple[str, str], owner: ua.NodeId, reference: int,
        definition: ua.NodeId | None, kind: ua.NodeClass, attributes: Any,
    ) -> None:  # fmt: skip
        uri, word = name
        attributes.DisplayName = ua.LocalizedText(ua.String(word))
        item = ua.AddNodesItem()
        item.RequestedNewNodeId = node
        item.BrowseName = ua.QualifiedName(ua.String(word), ua.UInt16(self.index[uri]))
        item.ParentNodeId, item.ReferenceTypeId = owner, self._id(("", reference))
        item.NodeClass, item.NodeAttributes = kind, attributes
        if definition is not None:
            item.TypeDefinition = definition
        (result,) = await self._server.iserver.isession.add_nodes([item])
        result.StatusCode.check()

    def _own(self) -> ua.NodeId:
        self._next += 1
        return ua.NodeId(ua.Int32(self._next), ua.Int16(self.index[VENDOR]))

    def _id(self, address: Address) -> ua.NodeId:
        return ua.NodeId(ua.Int32(address[1]), ua.Int16(self.index[address[0]]))


def _machine_of_states(address: Address) -> bool:
    return any(one in _STATES for one in _lineage(address))


def _lineage(address: Address) -> Iterator[Address]:
    while address[0]:
        yield address
        address = _TYPES[address][1]
