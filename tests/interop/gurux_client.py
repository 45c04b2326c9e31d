"""Runs inside the Gurux client's own environment: asks a meter, prints what it said as JSON.

The task comes on standard input: where the meter is, how it lets clients in, what to ask.
"""

import datetime
import json
import socket
import sys

from gurux_dlms import GXByteBuffer, GXDateTime, GXReplyData
from gurux_dlms.enums import Authentication, Conformance, DataType, InterfaceType, Security
from gurux_dlms.objects import (
    GXDLMSData,
    GXDLMSDisconnectControl,
    GXDLMSImageTransfer,
    GXDLMSProfileGeneric,
)
from gurux_dlms.secure import GXDLMSSecureClient

AUTHENTICATIONS = {
    "none": Authentication.NONE,
    "lls": Authentication.LOW,
    "hls-gmac": Authentication.HIGH_GMAC,
}


class Reader:
    """One association over one socket."""

    def __init__(self, task):
        self.task = task
        link = InterfaceType.HDLC if task["link"] == "hdlc" else InterfaceType.WRAPPER
        auth = AUTHENTICATIONS[task["auth"]]
        self.client = GXDLMSSecureClient(
            True, task["client"], 1, auth, task["password"].encode() or None, link
        )
        self.client.maxReceivePDUSize = task["max_pdu"]
        if task["auth"] == "hls-gmac":
            cipher = self.client.ciphering
            cipher.systemTitle = bytearray.fromhex(task["title"])
            cipher.blockCipherKey = bytearray.fromhex(task["encryption_key"])
            cipher.authenticationKey = bytearray.fromhex(task["authentication_key"])
            cipher.security = Security.AUTHENTICATION_ENCRYPTION
            cipher.invocationCounter = task["counter"]
        self.socket = socket.create_connection(("127.0.0.1", task["port"]), timeout=10)
        self.frames = 0
        self.longest = 0

    def exchange(self, octets, reply):
        """Send one frame and take whole answers until the client is content."""
        if not octets:
            return
        self.socket.sendall(bytes(octets))
        received = GXByteBuffer()
        while not self.client.getData(received, reply, None):
            chunk = self.socket.recv(65536)
            if not chunk:
                raise SystemExit("the meter left")
            received.set(chunk)
        self.frames += 1
        self.longest = max(self.longest, received.size)

    def ask(self, messages):
        """Send messages, with all that follows; return the reply."""
        reply = GXReplyData()
        for message in messages if isinstance(messages, list) else [messages]:
            reply.clear()
            self.exchange(message, reply)
            while reply.isMoreData():
                self.exchange(self.client.receiverReady(reply), reply)
        if reply.error:
            raise SystemExit(f"the meter refuses: {reply.getErrorMessage()}")
        return reply

    def open(self):
        client = self.client
        if snrm := client.snrmRequest():
            client.parseUAResponse(self.ask([snrm]).data)
        client.parseAareResponse(self.ask(client.aarqRequest()).data)
        if client.isAuthenticationRequired:
            answer = self.ask(client.getApplicationAssociationRequest())
            client.parseApplicationAssociationResponse(answer.data)

    def close(self):
        self.ask(self.client.releaseRequest())
        if request := self.client.disconnectRequest():
            self.ask([request])
        self.socket.close()


def plain(value):
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).hex()
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, GXDateTime):
        raise SystemExit("a date-time was turned into local time")
    return value


def long_values(reader, value):
    """Write, read and act with a value that no APDU of the meter has room for."""
    data, image = GXDLMSData("0.0.96.1.0.255"), GXDLMSImageTransfer("0.0.44.0.0.255")
    data.value = value
    data.setDataType(2, DataType.OCTET_STRING)
    reader.ask(reader.client.write(data, 2))
    if reader.task["general"]:
        return {}  # taking general blocks ends in an AttributeError of the library
    acted = reader.ask(reader.client.method(image, 3, value, DataType.OCTET_STRING))
    got = reader.ask(reader.client.read(data, 2)).value
    return {"got": plain(got), "acted": bytes(acted.data.array()).hex()}


def main():
    task = json.load(sys.stdin)
    answer, sys.stdout = sys.stdout, sys.stderr  # the library prints
    reader = Reader(task)
    client = reader.client
    if task.get("general"):
        general = client.proposedConformance | Conformance.GENERAL_BLOCK_TRANSFER
        client.proposedConformance = Conformance(general)
    reader.open()
    if task.get("long"):
        said = long_values(reader, bytes.fromhex(task["long"]))
        reader.close()
        json.dump(said, answer)
        return
    said = {}
    objects = client.parseObjects(reader.ask(client.getObjectsRequest()).data, False)
    said["objects"] = sorted([int(one.objectType), one.logicalName] for one in objects)
    profile = GXDLMSProfileGeneric("1.0.99.1.0.255")
    columns = reader.ask(client.read(profile, 3))
    client.updateValue(profile, 3, columns.value)
    since, until = (
        datetime.datetime.fromtimestamp(task[name], datetime.UTC) for name in ("since_s", "until_s")
    )
    said["range"] = plain(reader.ask(client.readRowsByRange(profile, since, until)).value)
    some = [profile.captureObjects[place] for place in task["columns"]]
    said["columns"] = plain(reader.ask(client.readRowsByRange(profile, since, until, some)).value)
    first, count = task["entries"]
    said["entries"] = plain(reader.ask(client.readRowsByEntry(profile, first, count)).value)
    control = GXDLMSDisconnectControl("0.0.96.3.10.255")
    said["output"] = [reader.ask(client.read(control, 2)).value]
    for method in (control.remoteDisconnect, control.remoteReconnect):
        reader.ask(method(client))
        said["output"].append(reader.ask(client.read(control, 2)).value)
    said["longest_frame"] = reader.longest
    reader.close()
    json.dump(said, answer)


main()
