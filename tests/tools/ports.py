"""Ports for servers of tests that run beside each other."""
import random
import socket

_held = []  # until this process ends


def free_ports(n):
    """Ports that nobody listens on, below those that the system gives to outgoing connections, so that they stay ours while a
    server is down. A name that one process alone can hold stands for each: other tests look elsewhere. Linux only."""
    found, draw = [], random.SystemRandom()
    while len(found) < n:
        port = draw.randrange(20000, 32000)
        name, probe = socket.socket(socket.AF_UNIX), socket.socket()
        try:
            name.bind(f"\0msfl-test-port-{port}")
            probe.bind(("127.0.0.1", port))
        except OSError:
            name.close()
        else:
            _held.append(name)
            found.append(port)
        finally:
            probe.close()
    return found
