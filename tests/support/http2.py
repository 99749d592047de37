"""As much of gRPC over HTTP/2 (RFC 9113) as a test needs that decides by itself what it sends and what it reads: unary calls
over a plain socket, one after the other or never read."""

import socket
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS, GOAWAY = 0, 1, 4, 7
END_STREAM, ACK, END_HEADERS = 1, 1, 4
INITIAL_WINDOW_SIZE = 4


def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + struct.pack(">BBI", kind, flags, stream) + payload


def field(name, value):
    """A literal field, never indexed, without Huffman (RFC 7541, 6.2.2)."""
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


class Closed(Exception):
    """The server has ended the connection."""


class Connection:
    def __init__(self, port, window=None, timeout=20):
        """`window`: how much of each answer the server may send; 0: nothing of what is within."""
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        self.socket.settimeout(timeout)
        self.stream, self.received = -1, b""
        settings = b"" if window is None else struct.pack(">HI", INITIAL_WINDOW_SIZE, window)
        self._send(PREFACE + frame(SETTINGS, 0, 0, settings))

    def close(self):
        self.socket.close()

    def send(self, method, message, **metadata):
        """Begins a call, and returns the number of its stream."""
        self.stream += 2
        fields = {":method": "POST", ":scheme": "http", ":path": method, ":authority": "test", "content-type": "application/grpc",
                  "te": "trailers", **metadata}
        head = b"".join(field(name.encode(), value.encode()) for name, value in fields.items())
        body = b"\0" + struct.pack(">I", len(message)) + message
        self._send(frame(HEADERS, END_HEADERS, self.stream, head) + frame(DATA, END_STREAM, self.stream, body))
        return self.stream

    def read(self):
        """The next frame: (kind, flags, stream, payload). Settings are acknowledged beside."""
        while True:
            head = self._take(9)
            kind, flags, stream = struct.unpack(">BBI", head[3:])
            payload = self._take(int.from_bytes(head[:3], "big"))
            if kind == SETTINGS and not flags & ACK:
                self._send(frame(SETTINGS, ACK, 0))
            elif kind == GOAWAY:
                raise Closed(payload)
            else:
                return kind, flags, stream, payload

    def call(self, method, message, **metadata):
        """The bytes of the answer, once it has ended; None when it ended without one (an error)."""
        stream, answer = self.send(method, message, **metadata), b""
        while True:
            kind, flags, of, payload = self.read()
            if of != stream:
                continue
            if kind == DATA:
                answer += payload
            if kind not in (DATA, HEADERS):
                return None  # reset
            if flags & END_STREAM:
                return answer[5:] if answer else None

    def _send(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Closed from error

    def _take(self, size):
        while len(self.received) < size:
            try:
                piece = self.socket.recv(1 << 16)
            except ConnectionResetError as error:
                raise Closed from error
            if not piece:
                raise Closed
            self.received += piece
        taken, self.received = self.received[:size], self.received[size:]
        return taken
