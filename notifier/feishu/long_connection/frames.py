"""Frames of the long connection: the protobuf message `pbbp2.Frame`, with the official protobuf runtime.

The SDK contains an old copy of protobuf in pure Python, which takes 20 times as long for a frame and its response.
Source of the fields: lark_oapi/ws/pb/pbbp2_pb2.py of lark-oapi 1.7.5.
"""

import base64
import json
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

CONTROL = 0
"""The method of pings and pongs."""


def _make_message_class() -> Any:  # noqa: ANN401 - made at run time
    """Return the class of `pbbp2.Frame`. Its own pool keeps it apart from other definitions of the same name."""
    file = FileDescriptorProto(name="pbbp2.proto", package="pbbp2", syntax="proto2")
    header, frame = file.message_type.add(name="Header"), file.message_type.add(name="Frame")
    for number, name in enumerate(("key", "value"), 1):
        header.field.add(name=name, number=number, type=Field.TYPE_STRING, label=Field.LABEL_REQUIRED)
    for number, name, kind, label in (
        (1, "SeqID", Field.TYPE_UINT64, Field.LABEL_REQUIRED),
        (2, "LogID", Field.TYPE_UINT64, Field.LABEL_REQUIRED),
        (3, "service", Field.TYPE_INT32, Field.LABEL_REQUIRED),
        (4, "method", Field.TYPE_INT32, Field.LABEL_REQUIRED),
        (6, "payload_encoding", Field.TYPE_STRING, Field.LABEL_OPTIONAL),
        (7, "payload_type", Field.TYPE_STRING, Field.LABEL_OPTIONAL),
        (8, "payload", Field.TYPE_BYTES, Field.LABEL_OPTIONAL),
        (9, "LogIDNew", Field.TYPE_STRING, Field.LABEL_OPTIONAL),
    ):
        frame.field.add(name=name, number=number, type=kind, label=label)
    frame.field.add(
        name="headers",
        number=5,
        type=Field.TYPE_MESSAGE,
        label=Field.LABEL_REPEATED,
        type_name=".pbbp2.Header",
    )
    pool = DescriptorPool()
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName("pbbp2.Frame"))


_Message = _make_message_class()


@dataclass(frozen=True, slots=True)
class ReceivedFrame:
    """A received frame."""

    method: int
    """CONTROL, or 1 for data."""
    headers: dict[str, str]
    """Transport headers. The last one of a repeated key counts."""
    payload: bytes
    """JSON, or a part of it."""
    _message: Any

    def encode_response(self, code: int, *, data: str | None, elapsed_ms: int) -> bytes:
        """Return the response to this frame: the frame itself, with another payload and one more header.

        data: the response document as JSON, or None. elapsed_ms: time since the frame arrived. Call it once.
        """
        message = self._message
        message.headers.add(key="biz_rt", value=str(elapsed_ms))
        body: dict[str, object] = {"code": code}
        if data is not None:
            body["data"] = base64.b64encode(data.encode()).decode()
        message.payload = json.dumps(body).encode()
        encoded: bytes = message.SerializeToString()
        return encoded


def decode_frame(raw: bytes) -> ReceivedFrame:
    """Decode a frame. Raises ValueError or DecodeError if it is invalid or a required field is missing."""
    message = _Message.FromString(raw)
    if not message.IsInitialized():
        raise ValueError(f"without {', '.join(message.FindInitializationErrors())}")
    headers = {header.key: header.value for header in message.headers}
    return ReceivedFrame(message.method, headers, message.payload, message)


def encode_ping(service_id: int) -> bytes:
    """Return a ping. service_id: from the address of the connection."""
    message = _Message(SeqID=0, LogID=0, service=service_id, method=CONTROL)
    message.headers.add(key="type", value="ping")
    encoded: bytes = message.SerializeToString()
    return encoded
