"""What a training and the process of its slot say to each other: facts as JSON, tensors as safetensors; no pickles."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

from safetensors.torch import load, save
from torch import Tensor

LOG = "slots.log"  # of the process of the slots, in the folder of its socket
HEADER = struct.Struct("!II")  # bytes of facts and of tensors


class Message(NamedTuple):
    """Facts, and tensors by name."""

    facts: dict[str, Any]
    tensors: dict[str, Tensor]


def send(to: socket.socket, facts: Mapping[str, Any], tensors: Mapping[str, Tensor] | None = None) -> None:
    """Send a message whole."""
    ready = {name: tensor.detach().cpu().contiguous() for name, tensor in (tensors or {}).items()}
    parts = json.dumps(facts).encode(), save(ready) if ready else b""
    to.sendall(HEADER.pack(*map(len, parts)))
    for part in parts:
        to.sendall(part)


def receive(source: socket.socket) -> Message:
    """Wait for a message; raise ConnectionError where the other side is gone."""
    facts, tensors = (read(source, size) for size in HEADER.unpack(read(source, HEADER.size)))
    return Message(json.loads(facts), load(bytes(tensors)) if tensors else {})


def read(source: socket.socket, size: int) -> bytearray:
    """Read so many bytes."""
    data = bytearray(size)
    rest = memoryview(data)
    while rest:
        count = source.recv_into(rest)
        if not count:
            raise ConnectionError("the other side has closed the connection")
        rest = rest[count:]
    return data


def split(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Return tensors called kind/name by their kinds."""
    kinds: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        kind, _, name = key.partition("/")
        kinds.setdefault(kind, {})[name] = tensor
    return kinds


def joined(**kinds: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of kinds as one mapping, each called kind/name."""
    return {f"{kind}/{name}": tensor for kind, tensors in kinds.items() for name, tensor in tensors.items()}
