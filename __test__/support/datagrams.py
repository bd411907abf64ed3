"""Sends datagrams, with or without descriptors, as Node cannot: to the unix socket that NOTIFY_SOCKET names."""
import os
import socket
import sys


def connected():
    name = os.environ['NOTIFY_SOCKET']
    sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    sender.connect('\0' + name[1:] if name.startswith('@') else name)
    return sender


def send(text, descriptors=0):
    """`descriptors`: so many, each a pipe's end."""
    ends = [end for _ in range(descriptors // 2) for end in os.pipe()]
    data = text if isinstance(text, bytes) else text.encode()
    socket.send_fds(connected(), [data], ends)
    for end in ends:
        os.close(end)


def barrier():
    """Returns once all that was sent before has been heard."""
    reading, writing = os.pipe()
    socket.send_fds(connected(), [b'BARRIER=1'], [writing])
    os.close(writing)
    os.read(reading, 1)
    os.close(reading)


def say(text):
    sys.stdout.write(text + '\n')
    sys.stdout.flush()
