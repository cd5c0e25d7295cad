"""A TCP proxy between a hospital and its coordinator that misbehaves on request: it sees TLS and nothing inside, like any
box on the way. Standard library only."""
import contextlib
import random
import socket
import struct
import threading
import time

MODES = ("pass", "cut", "stall", "drop", "truncate", "delay", "limit", "change", "repeat")


class Proxy(threading.Thread):
    """Forwards 127.0.0.1:port to 127.0.0.1:target. `set` changes what happens to connections that stand and that come.

    pass       everything goes through
    cut        connections are refused with a reset, standing ones are reset
    stall      connections are taken, bytes are held back until the mode changes
    drop       a connection is reset after a random number of bytes
    truncate   a connection ends, properly, after a random number of bytes
    delay      every piece waits for up to `delay_s`
    limit      `rate` bytes a second in each direction
    change     one bit of one piece is changed, once for each connection
    repeat     what a client has sent is sent again by the proxy, on connections of its own, from the first byte on
    """

    def __init__(self, target, port=0, seed=0):
        super().__init__(daemon=True)
        self.target, self.rng = target, random.Random(seed)
        self.listener = socket.create_server(("127.0.0.1", port), backlog=512)
        self.port = self.listener.getsockname()[1]
        self.mode, self.delay_s, self.rate = "pass", 0.2, 100_000
        self.lock = threading.Lock()
        self.standing = set()
        self.connections = self.up = self.down = self.replays = 0
        self.closed = False
        self.start()

    def set(self, mode, delay_s=0.2, rate=100_000):
        assert mode in MODES, mode
        with self.lock:
            self.delay_s, self.rate, self.mode = delay_s, rate, mode
            standing = list(self.standing) if mode == "cut" else []
        for pair in standing:
            reset(*pair)

    def close(self):
        self.closed = True
        self.set("cut")
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts, so that the port is free
        self.listener.close()
        self.join(5)

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        if self.mode == "cut":
            return reset(client)
        try:
            server = socket.create_connection(("127.0.0.1", self.target), timeout=10)
        except OSError:
            return reset(client)
        server.settimeout(None)
        for s in (client, server):
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pair = (client, server)
        with self.lock:
            self.standing.add(pair)
            self.connections += 1
            limit = [self.rng.randrange(1, 40_000) for _ in pair]
        taped = bytearray()
        down = threading.Thread(target=self.pump, args=(server, client, limit[1], None, pair), daemon=True)
        down.start()
        self.pump(client, server, limit[0], taped, pair)
        down.join()
        with self.lock:
            self.standing.discard(pair)
        for s in pair:
            s.close()
        if taped:
            self.replay(bytes(taped))

    def pump(self, source, target, limit, taped, pair):
        done, changed = 0, False
        try:
            while True:
                piece = source.recv(65536)
                if not piece:
                    break
                while self.mode == "stall" and not self.closed:
                    time.sleep(0.02)
                mode = self.mode
                if mode == "cut":
                    return reset(*pair)
                if mode in ("drop", "truncate") and done + len(piece) > limit:
                    target.sendall(piece[:max(0, limit - done)])
                    if mode == "drop":
                        return reset(*pair)
                    break
                if mode == "delay":
                    time.sleep(self.rng.random() * self.delay_s)
                if mode == "limit":
                    time.sleep(len(piece) / self.rate)
                if mode == "change" and not changed and done + len(piece) > limit:
                    piece = bytearray(piece)
                    piece[self.rng.randrange(len(piece))] ^= 1 << self.rng.randrange(8)
                    changed = True
                if mode == "repeat" and taped is not None and len(taped) < 1 << 20:
                    taped += piece
                target.sendall(piece)
                done += len(piece)
                if taped is None:
                    self.down += len(piece)
                else:
                    self.up += len(piece)
        except OSError:
            pass
        for s in (source, target):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def replay(self, taped):
        """What was recorded, to the server: TLS must make nothing of it."""
        for part in (taped, taped[len(taped) // 2:]):
            try:
                with socket.create_connection(("127.0.0.1", self.target), timeout=2) as s:
                    s.settimeout(0.5)
                    s.sendall(part)
                    self.replays += 1
                    s.recv(65536)
            except OSError:
                pass


def reset(*sockets):
    """Close with RST, as a box that forgets a connection does."""
    for s in sockets:
        try:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        s.close()
