// The machines of server.js: what a builder of machine tools, of presses and of packers would show.
"use strict";
const {
  DataType, LocalizedText, NodeClass, NodeId, StatusCodes, coerceNodeId,
} = require("node-opcua");

const REFERENCES = ["HasComponent", "HasProperty", "Organizes", "HasAddIn", "HasOrderedComponent"];

function child(node, name) {
  for (const reference of REFERENCES) {
    for (const found of node.findReferencesExAsObject ? node.findReferencesExAsObject(reference) : []) {
      if (found.browseName.name === name) return found;
    }
  }
  throw new Error(`${node.browseName.name} has no ${name}`);
}

function setState(machine, name, at) {
  const type = machine.typeDefinitionObj;
  let state = null;
  for (let t = type; t && !state; t = t.subtypeOfObj) {
    state = t.findReferencesExAsObject("HasComponent").find((one) => one.browseName.name === name) || null;
  }
  if (!state) throw new Error(`${type.browseName.name} has no state ${name}`);
  const current = child(machine, "CurrentState");
  child(current, "Id").setValueFromSource({ dataType: DataType.NodeId, value: state.nodeId }, StatusCodes.Good, at);
  current.setValueFromSource({ dataType: DataType.LocalizedText, value: new LocalizedText({ text: name }) }, StatusCodes.Good, at);
  const numbered = state.findReferencesExAsObject("HasProperty").find((one) => one.browseName.name === "StateNumber");
  const number = current.findReferencesExAsObject("HasProperty").find((one) => one.browseName.name === "Number");
  if (number && numbered) {
    number.setValueFromSource({ dataType: DataType.UInt32, value: numbered.readValue().value.value }, StatusCodes.Good, at);
  }
}

const set = (variable, type, value) => variable.setValueFromSource({ dataType: DataType[type], value });
const toolTypes = (space) => space.getNamespaceIndex("http://opcfoundation.org/UA/MachineTool/");
const named = (space, name) => ({ name, namespaceIndex: space.getOwnNamespace().index });

function addJob(space, mill, [name, order]) {
  const plan = child(child(mill, "Production"), "ProductionPlan");
  const job = space.findObjectType("ProductionJobType", toolTypes(space)).instantiate({
    browseName: named(space, name), optionals: ["PartsCompleted", "PartsGood", "OrderIdentifier"],
  });
  plan.addReference({ referenceType: "HasOrderedComponent", nodeId: job.nodeId });
  set(child(job, "NumberInList"), "UInt16", 0);
  set(child(job, "OrderIdentifier"), "String", order);
  set(child(job, "PartsCompleted"), "UInt32", 0);
  set(child(job, "PartsGood"), "UInt32", 0);
  setState(child(job, "State"), "Initializing", new Date());
}

// One counts the parts it made up to a limit, one its minutes down to nothing.
function addTool(space, mill, [name, number, start, limit]) {
  const tool = space.findObjectType("ToolType", toolTypes(space)).instantiate({
    browseName: named(space, name), componentOf: child(child(mill, "Equipment"), "Tools"), optionals: ["Name", "ToolLife"],
  });
  set(child(tool, "Name"), "String", name);
  set(child(tool, "ControlIdentifier1"), "UInt32", number);
  const entry = space.findVariableType("ToolLifeType", toolTypes(space)).instantiate({
    browseName: named(space, "Life"), componentOf: child(tool, "ToolLife"), dataType: "Double",
    optionals: limit === null ? ["StartValue"] : ["LimitValue", "StartValue"], minimumSamplingInterval: 0,
  });
  if (limit !== null) set(child(entry, "LimitValue"), "Double", limit);
  set(child(entry, "StartValue"), "Double", start);
  set(child(entry, "IsCountingUp"), "Boolean", limit > start);
  set(entry, "Double", start);
}

// What the mill tells at first, and again when what was told since is to leave no trace: two jobs of the plan, two tools
// with their lives, the program, the states, nothing overridden, no lamp lit.
function anew(space, mill) {
  const [monitoring, production] = [child(mill, "Monitoring"), child(mill, "Production")];
  const plan = child(production, "ProductionPlan"), magazine = child(child(mill, "Equipment"), "Tools");
  for (const one of [
    ...plan.findReferencesExAsObject("HasOrderedComponent"), ...magazine.findReferencesExAsObject("HasComponent"),
  ]) {
    if (one.nodeClass === NodeClass.Object) space.deleteNode(one);
  }
  addJob(space, mill, ["Job1", "OF-1"]);
  addJob(space, mill, ["Job2", "OF-2"]);
  addTool(space, mill, ["Drill", 11, 0, 500]);
  addTool(space, mill, ["Cutter", 12, 90, 0]);
  const program = child(production, "ActiveProgram"), machine = child(monitoring, "MachineTool");
  set(child(program, "Name"), "String", "O1000");
  setState(child(program, "State"), "Running", new Date());
  setState(child(machine, "MachineryItemState"), "NotExecuting", new Date());
  setState(child(machine, "MachineryOperationMode"), "Processing", new Date());
  set(child(machine, "FeedOverride"), "Double", 100);
  set(child(child(monitoring, "Spindle"), "Override"), "Double", 100);
  set(child(child(monitoring, "Channel"), "RapidOverride"), "Double", 100);
  set(child(child(production, "Statistics"), "PartsProducedInLifetime"), "UInt32", 0);
  for (const lamp of ["Green", "Red"]) set(child(child(child(monitoring, "Stacklight"), lamp), "SignalOn"), "Boolean", false);
}

// A channel and an alert.
function shopFloor(space, own, mill, tools) {
  const channel = space.findObjectType("ChannelMonitoringType", tools).instantiate({
    browseName: named(space, "Channel"), componentOf: child(mill, "Monitoring"), optionals: ["RapidOverride"],
  });
  set(child(channel, "Name"), "String", "C1");
  const alert = own.instantiateAlarmCondition(space.findEventType("AlertType", tools), {
    browseName: named(space, "CoolantAlert"), conditionSource: mill, inputNode: NodeId.nullNodeId, organizedBy: mill,
  });
  return alert;
}

const URIS = {
  machinery: "http://opcfoundation.org/UA/Machinery/",
  tools: "http://opcfoundation.org/UA/MachineTool/",
  packml: "http://opcfoundation.org/UA/PackML/",
  ia: "http://opcfoundation.org/UA/IA/",
};

function addMill(space, folder) {
  const tools = space.getNamespaceIndex(URIS.tools);
  const own = space.getOwnNamespace();

  // A vendor's sub-type of the standard's type: recognised all the same.
  const acme = own.addObjectType({ browseName: "AcmeMillType", subtypeOf: space.findObjectType("MachineToolType", tools) });
  const mill = acme.instantiate({
    browseName: { name: "Mill", namespaceIndex: own.index },
    nodeId: "s=Mill",
    organizedBy: folder,
    eventSourceOf: space.rootFolder.objects.server,
    eventNotifier: 1,
    optionals: [
      "Monitoring.MachineTool.MachineryItemState",
      "Monitoring.MachineTool.MachineryOperationMode",
      "Monitoring.MachineTool.FeedOverride",
      "Monitoring.Stacklight",
      "Production.Statistics",
      "Production.Statistics.PartsProducedInLifetime",
      "Production.ProductionPlan",
      "Equipment.Tools",
      "Notification.Messages",
    ],
  });
  const spindle = space.findObjectType("SpindleMonitoringType", tools).instantiate({
    browseName: { name: "Spindle", namespaceIndex: own.index },
    componentOf: child(mill, "Monitoring"),
    optionals: ["Override"],
  });
  child(spindle, "Name").setValueFromSource({ dataType: DataType.String, value: "S1" });
  const ia = space.getNamespaceIndex(URIS.ia);
  const light = child(child(mill, "Monitoring"), "Stacklight");
  const lampType = space.findObjectType("StackElementLightType", ia);
  [["Green", 2], ["Red", 1]].forEach(([name, color], index) => {
    const lamp = lampType.instantiate({
      browseName: { name, namespaceIndex: own.index },
      optionals: ["SignalOn", "SignalColor", "StacklightMode"],
    });
    light.addReference({ referenceType: "HasOrderedComponent", nodeId: lamp.nodeId });
    child(lamp, "SignalColor").setValueFromSource({ dataType: DataType.Int32, value: color });
    child(lamp, "NumberInList").setValueFromSource({ dataType: DataType.UInt16, value: index });
  });

  const alert = shopFloor(space, own, mill, tools);
  const plate = child(mill, "Identification");
  child(plate, "Manufacturer").setValueFromSource({ dataType: DataType.LocalizedText, value: new LocalizedText({ text: "Acme" }) });
  child(plate, "SerialNumber").setValueFromSource({ dataType: DataType.String, value: "M-1" });
  anew(space, mill);
  return alert;
}

// A machine of Machinery alone: a plain object with the building blocks as add-ins.
function addPress(space, folder) {
  const machinery = space.getNamespaceIndex(URIS.machinery);
  const own = space.getOwnNamespace();
  const press = own.addObject({ browseName: "Press", nodeId: "s=Press", organizedBy: folder });
  own.addObject({
    browseName: { name: "MachineryBuildingBlocks", namespaceIndex: machinery },
    typeDefinition: "FolderType",
    componentOf: press,
  });
  number(space, press);
}

// Its building blocks have the numbers that come next: others, whenever this is done again.
function number(space, press) {
  const machinery = space.getNamespaceIndex(URIS.machinery);
  const blocks = child(press, "MachineryBuildingBlocks");
  for (const former of blocks.findReferencesExAsObject("HasAddIn")) space.deleteNode(former);
  for (const [name, type] of [
    ["MachineryItemState", "MachineryItemState_StateMachineType"],
    ["MachineryOperationMode", "MachineryOperationModeStateMachineType"],
  ]) {
    const built = space.findObjectType(type, machinery).instantiate({ browseName: { name, namespaceIndex: machinery } });
    blocks.addReference({ referenceType: "HasAddIn", nodeId: built.nodeId });
  }
  setState(child(blocks, "MachineryItemState"), "Executing", new Date());
  setState(child(blocks, "MachineryOperationMode"), "Processing", new Date());
}

function addPacker(space, folder) {
  const own = space.getOwnNamespace();
  const packml = space.getNamespaceIndex(URIS.packml);
  space.findObjectType("PackMLBaseObjectType", packml).instantiate({
    browseName: { name: "Packer", namespaceIndex: own.index },
    nodeId: "s=Packer",
    organizedBy: folder,
    optionals: ["Admin.ProdProcessedCount", "Admin.ProdDefectiveCount"],
  });
  return packml;
}

// All machines, or the press alone, for which a server needs few nodesets.
function machines(space, pressAlone) {
  const folder = space.findNode(coerceNodeId(`ns=${space.getNamespaceIndex(URIS.machinery)};i=1001`));
  const alert = pressAlone ? undefined : addMill(space, folder);
  addPress(space, folder);
  const packml = pressAlone ? undefined : addPacker(space, folder);
  return { folder, packml, alert };
}

module.exports = { child, setState, addJob, addTool, anew, number, machines };
