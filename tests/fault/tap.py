"""Reads what a hospital and its coordinator say inside TLS: a proxy that has, as nobody else may, the keys of both. For tests
that look for what must not be said."""
import os
import select
import socket
import ssl
import threading


class Tap(threading.Thread):
    """127.0.0.1:port takes the hospital's connections as the coordinator would; `up` and `down` are all bytes so far."""

    def __init__(self, fed, name, port):
        super().__init__(daemon=True)
        self.fed, self.lock, self.up, self.down = fed, threading.Lock(), bytearray(), bytearray()
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.minimum_version = ssl.TLSVersion.TLSv1_3
        self.server.load_cert_chain(os.path.join(fed.kit("coordinator"), "tls.pem"),
                                    os.path.join(fed.kit("coordinator"), "tls.key"))
        self.server.load_verify_locations(os.path.join(fed.kits, "ca", "ca.pem"))
        self.server.verify_mode = ssl.CERT_REQUIRED
        self.client = fed.context(name)
        self.listener = socket.create_server(("127.0.0.1", port), backlog=64)
        self.start()

    def close(self):
        self.listener.close()

    def run(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(conn,), daemon=True).start()

    def serve(self, raw):
        try:
            with self.server.wrap_socket(raw, server_side=True) as a:
                with socket.create_connection(("127.0.0.1", self.fed.port), timeout=30) as plain:
                    with self.client.wrap_socket(plain, server_hostname="localhost") as b:
                        self.pump(a, b)
        except (OSError, ssl.SSLError):
            pass

    def pump(self, a, b):
        while True:
            ready = [s for s in (a, b) if s.pending()] or select.select([a, b], [], [], 60)[0]
            if not ready:
                return
            for s in ready:
                data = s.recv(65536)
                if not data:
                    return
                with self.lock:
                    (self.up if s is a else self.down).extend(data)
                (b if s is a else a).sendall(data)
