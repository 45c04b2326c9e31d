"""DLMS/COSEM (IEC 62056-5-3, -6-2, -47): a sans-io codec and, beside it, its socket.

`wrapper`, `data`, `acse`, `xdlms` turn bytes into values and back; `connection`
and `server` are the two state machines over them; `cosem` reads the objects a
meter has; `client` alone opens sockets. A ciphered association changes the
bytes of an APDU between `xdlms` and `wrapper` and adds a mechanism to `acse`;
nothing else knows of it.
"""
