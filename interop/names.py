"""A name server for tests: answers from a table, over UDP, on loopback."""

import socket
import struct
import threading

A, SRV = 1, 33


class NameServer:
    """Answers A and SRV questions; names that are not in the table do not exist."""

    def __init__(self, address: str):
        self.records: dict[tuple[str, int], bytes] = {}
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 0))
        self.address = address
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def add_host(self, name: str, address: str):
        self.records[name, A] = socket.inet_aton(address)

    def add_service(self, name: str, port: int, target: str):
        self.records[name, SRV] = struct.pack("!HHH", 0, 5, port) + encoded(target)

    def _serve(self):
        while True:
            question, peer = self.socket.recvfrom(4096)
            try:
                self.socket.sendto(self._answer(question), peer)
            except (IndexError, struct.error, UnicodeDecodeError):
                continue

    def _answer(self, query: bytes) -> bytes:
        labels, at = [], 12
        while length := query[at]:
            labels.append(query[at + 1 : at + 1 + length].decode().lower())
            at += 1 + length
        name, question = ".".join(labels), query[12 : at + 5]
        (kind,) = struct.unpack("!H", query[at + 1 : at + 3])
        data = self.records.get((name, kind))
        exists = any(known == name or known.endswith("." + name) for known, _ in self.records)
        # Authoritative, recursion as asked; NXDOMAIN for what is not there.
        flags = 0x8580 if exists else 0x8583
        header = query[:2] + struct.pack("!HHHHH", flags, 1, int(data is not None), 0, 0)
        if data is None:
            return header + question
        return header + question + b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 60, len(data)) + data


def encoded(name: str) -> bytes:
    """A name as it stands in a message."""
    labels = [label.encode() for label in name.split(".")]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
