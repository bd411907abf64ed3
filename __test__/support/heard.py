"""A service manager: binds the socket that its argument names, and prints as JSON what it hears, by whom and with which
descriptors (their inodes, as in `socket:[inode]`). A barrier is answered, as every descriptor is, by being closed."""
import array
import json
import os
import socket
import struct
import sys

manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
manager.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
manager.bind(sys.argv[1])
print('bound', flush=True)
while True:
    data, control, _, _ = manager.recvmsg(4096, 2048)
    heard = {'text': data.decode(), 'inodes': []}
    for _, kind, value in control:
        if kind == socket.SCM_CREDENTIALS:
            heard['pid'] = struct.unpack('iii', value)[0]
        if kind == socket.SCM_RIGHTS:
            for descriptor in array.array('i', value):
                heard['inodes'].append(os.fstat(descriptor).st_ino)
                os.close(descriptor)
    print(json.dumps(heard), flush=True)
