"""The protobuf messages of Sparkplug B 3.0.0, from the field numbers of its specification, and its typed values. Pure.

The descriptors are made here instead of being generated, so that no generated file is tied to one protobuf runtime.
"""

import struct
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError as ProtobufError

from collectors.mqtt.decoder import Fault, MessageError

_PACKAGE: Final = "org.eclipse.tahu.protobuf"

_FIELDS: Final = {
    "Payload": "1 timestamp uint64, 2 metrics Metric*, 3 seq uint64, 4 uuid string, 5 body bytes",
    "Metric": "1 name string, 2 alias uint64, 3 timestamp uint64, 4 datatype uint32, 5 is_historical bool, "
    "6 is_transient bool, 7 is_null bool, 8 metadata MetaData, 9 properties PropertySet, 10 int_value uint32, "
    "11 long_value uint64, 12 float_value float, 13 double_value double, 14 boolean_value bool, "
    "15 string_value string, 16 bytes_value bytes, 17 dataset_value bytes, 18 template_value bytes",
    "MetaData": "1 is_multi_part bool",
    "PropertySet": "1 keys string*, 2 values PropertyValue*",
    "PropertyValue": "1 type uint32, 2 is_null bool, 3 int_value uint32, 4 long_value uint64, 5 float_value float, "
    "6 double_value double, 7 boolean_value bool, 8 string_value string",
}
"""Number, name and type of the fields that are read; * is repeated. Data sets and templates are left as bytes."""

_VALUES: Final = ("int_value", "long_value", "float_value", "double_value", "boolean_value", "string_value")

BD_SEQ: Final = "bdSeq"
REBIRTH: Final = "Node Control/Rebirth"

INT64: Final = 4
BOOLEAN: Final = 11
DATASET: Final = 16
TEMPLATE: Final = 19
SIGNED_BITS: Final = {1: 8, 2: 16, 3: 32, 4: 64}
_INTEGERS: Final = frozenset((1, 2, 3, 4, 5, 6, 7, 8, 13))
NUMBER_FIELDS: Final = {
    **dict.fromkeys((1, 2, 3, 5, 6, 7), "int_value"),
    **dict.fromkeys((4, 8), "long_value"),
    9: "float_value",
    10: "double_value",
}
"""The field that holds a number of a data type."""

TYPE_NAMES: Final = {16: "DataSet", 17: "Bytes", 18: "File", 19: "Template", 20: "PropertySet", 21: "PropertySetList"}
_ARRAYS: Final = {22: "b", 23: "h", 24: "i", 25: "q", 26: "B", 27: "H", 28: "I", 29: "Q", 30: "f", 31: "d", 34: "Q"}


def _types() -> dict[str, Any]:
    field_type = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="km0_sparkplug_b.proto", package=_PACKAGE, syntax="proto2")
    for message, fields in _FIELDS.items():
        described = file.message_type.add(name=message)
        if message == "Metric":
            described.oneof_decl.add(name="value")
        for entry in fields.split(", "):
            number, name, kind = entry.split()
            many, kind = kind.endswith("*"), kind.removesuffix("*")
            added = described.field.add(
                name=name,
                number=int(number),
                label=field_type.LABEL_REPEATED if many else field_type.LABEL_OPTIONAL,
            )
            if kind in _FIELDS:
                added.type, added.type_name = field_type.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
            else:
                added.type = field_type.Type.Value(f"TYPE_{kind.upper()}")
            if message == "Metric" and int(number) >= 10:
                added.oneof_index = 0
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in _FIELDS}


_TYPES: Final = _types()


def parse(payload: bytes) -> Any:
    """The Payload message. Raises MessageError when the bytes are none."""
    try:
        return _TYPES["Payload"].FromString(payload)
    except ProtobufError:
        raise MessageError(Fault.SYNTAX, "not a Sparkplug B payload (protobuf)") from None


def value_of(metric: Any, datatype: int) -> object:
    """The value of a Metric: number, boolean, text, or None for null. Raises MessageError when it is none of these.

    Integers are two's complement in fields that protobuf calls unsigned. Some publishers sign-extend an Int8 to 32
    bits, others do not: only the bits of the type count. An array has the value of its only element.
    """
    if metric.is_null:
        return None
    field = metric.WhichOneof("value")
    if field is None:
        raise MessageError(Fault.SHAPE, "has no value and does not say that it is null")
    if datatype in TYPE_NAMES or field in ("dataset_value", "template_value"):
        raise MessageError(Fault.SHAPE, f"is a {TYPE_NAMES.get(datatype, field)}, which has no single value")
    value = getattr(metric, field)
    if field == "string_value" and not isinstance(value, str):  # proto2 gives a string that is no UTF-8 as its bytes
        raise MessageError(Fault.SYNTAX, "is a string that is not UTF-8")
    if field == "bytes_value":
        return _only_element(value, datatype)
    bits = SIGNED_BITS.get(datatype)
    if bits is not None and isinstance(value, int):
        value &= (1 << bits) - 1
        return value - (1 << bits) if value >> (bits - 1) else value
    if datatype in _INTEGERS and not isinstance(value, int):
        raise MessageError(Fault.SHAPE, f"is said to be an integer and has a {field}")
    return value


def _only_element(data: bytes, datatype: int) -> object:
    code = _ARRAYS.get(datatype)
    if code is None:
        raise MessageError(Fault.SHAPE, "is bytes, which have no single value")
    if len(data) != struct.calcsize(code):
        raise MessageError(Fault.SHAPE, f"is an array of {len(data) // struct.calcsize(code)}: one value is expected")
    return struct.unpack(f"<{code}", data)[0]


def quality_of(metric: Any) -> int | None:
    """The code of the property "Quality" (0 BAD, 192 GOOD, 500 STALE), or None."""
    if not metric.HasField("properties"):
        return None
    for key, value in zip(metric.properties.keys, metric.properties.values, strict=False):
        if key == "Quality" and not value.is_null:
            return int(value.int_value if value.HasField("int_value") else value.long_value)
    return None


def rebirth_request(now_ms: int) -> bytes:
    """The payload of an NCMD that asks an edge node for its births."""
    payload = _TYPES["Payload"](timestamp=now_ms)
    payload.metrics.add(name=REBIRTH, timestamp=now_ms, datatype=BOOLEAN, boolean_value=True)
    encoded: bytes = payload.SerializeToString()
    return encoded
