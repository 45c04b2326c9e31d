"""Runs inside dlms-cosem's own environment: encodes the cases given on standard input.

Each case is a kind and its facts; the answer is the list of their bytes in hex. What is
``opened`` or ``decoded`` came from us: the answer is what it holds.
"""

import json
import sys
from datetime import UTC, datetime

from dlms_cosem import cosem, dlms_data, enumerations, security
from dlms_cosem.cosem.capture_object import CaptureObject
from dlms_cosem.cosem.obis import Obis
from dlms_cosem.cosem.selective_access import RangeDescriptor
from dlms_cosem.hdlc import address, frames
from dlms_cosem.protocol import acse, wrappers, xdlms
from dlms_cosem.protocol.acse.user_information import UserInformation
from dlms_cosem.protocol.xdlms import conformance
from dlms_cosem.protocol.xdlms.invoke_id_and_priority import InvokeIdAndPriority

CLASSES = {
    6: dlms_data.DoubleLongUnsignedData,
    5: dlms_data.DoubleLongData,
    9: dlms_data.OctetStringData,
    15: dlms_data.IntegerData,
    16: dlms_data.LongData,
    17: dlms_data.UnsignedIntegerData,
    18: dlms_data.UnsignedLongData,
    20: dlms_data.Long64Data,
    21: dlms_data.UnsignedLong64Data,
    22: dlms_data.EnumData,
}


def attribute(case):
    code = Obis(*bytes.fromhex(case["obis"]))
    return cosem.CosemAttribute(enumerations.CosemInterface(case["class"]), code, case["index"])


def invoke(case):
    return InvokeIdAndPriority(case["invoke_id"], True, True)


def selection(case):
    if "since_s" not in case:
        return None
    since, until = (datetime.fromtimestamp(case[name], UTC) for name in ("since_s", "until_s"))
    clock = cosem.CosemAttribute(enumerations.CosemInterface.CLOCK, Obis(0, 0, 1, 0, 0, 255), 2)
    return RangeDescriptor(CaptureObject(clock), since, until)


def get(case):
    return xdlms.GetRequestNormal(attribute(case), invoke(case), selection(case)).to_bytes()


def get_next(case):
    return xdlms.GetRequestNext(case["number"], invoke(case)).to_bytes()


def set_(case):
    value = bytes.fromhex(case["value"])
    return xdlms.SetRequestNormal(
        attribute(case), value, invoke_id_and_priority=invoke(case)
    ).to_bytes()


def action(case):
    code = Obis(*bytes.fromhex(case["obis"]))
    method = cosem.CosemMethod(enumerations.CosemInterface(case["class"]), code, case["index"])
    value = bytes.fromhex(case["value"])
    return xdlms.ActionRequestNormal(method, value, invoke(case)).to_bytes()


def initiate(case):
    key = bytes.fromhex(case["key"]) or None
    return xdlms.InitiateRequest(
        conformance.Conformance(**dict.fromkeys(case["services"], True)),
        client_max_receive_pdu_size=case["max_pdu"],
        dedicated_key=key,
    )


def control(case):
    return security.SecurityControlField(case["suite"], authenticated=True, encrypted=True)


def keys(case):
    return {name: bytes.fromhex(case[name]) for name in ("key", "auth_key", "system_title")}


def sealed(case, plain):
    return security.encrypt(
        control(case), invocation_counter=case["counter"], plain_text=plain, **keys(case)
    )


def aarq(case):
    request = initiate(case["initiate"])
    if not case["ciphered"]:
        return acse.ApplicationAssociationRequest(UserInformation(request)).to_bytes()
    ciphered = xdlms.GlobalCipherInitiateRequest(
        control(case), case["counter"], sealed(case, request.to_bytes())
    )
    return acse.ApplicationAssociationRequest(
        UserInformation(ciphered),
        system_title=bytes.fromhex(case["system_title"]),
        authentication=enumerations.AuthenticationMechanism.HLS_GMAC,
        ciphered=True,
        authentication_value=bytes.fromhex(case["challenge"]),
    ).to_bytes()


def general(case):
    title = bytes.fromhex(case["system_title"])
    text = sealed(case, bytes.fromhex(case["plain"]))
    return xdlms.GeneralGlobalCipher(title, control(case), case["counter"], text).to_bytes()


def opened(case):
    apdu = xdlms.GeneralGlobalCipher.from_bytes(bytes.fromhex(case["apdu"]))
    return apdu.to_plain_apdu(bytes.fromhex(case["key"]), bytes.fromhex(case["auth_key"]))


def gmac(case):
    how = security.SecurityControlField(case["suite"], authenticated=True)
    challenge = bytes.fromhex(case["challenge"])
    return security.gmac(how, invocation_counter=case["counter"], challenge=challenge, **keys(case))


def data(case):
    return _value(case["value"]).to_bytes()


def _value(typed):
    tag, value = typed
    if tag == 2:
        return dlms_data.DataStructure([_value(one) for one in value])
    return CLASSES[tag](bytes.fromhex(value) if tag == 9 else value)


def decoded(case):
    (value,) = dlms_data.DlmsDataParser().parse(bytes.fromhex(case["octets"]))
    return value.to_python()


def hdlc(case):
    server = address.HdlcAddress(case["logical"], case["physical"], "server")
    client = address.HdlcAddress(case["client"], None, "client")
    return frames.InformationFrame(
        server,
        client,
        payload=bytes.fromhex(case["payload"]),
        segmented=case["segmented"],
        final=case["final"],
        send_sequence_number=case["sent"],
        receive_sequence_number=case["received"],
    ).to_bytes()


def wrapper(case):
    payload = bytes.fromhex(case["payload"])
    header = wrappers.WrapperHeader(case["source"], case["destination"], len(payload))
    return wrappers.WrapperProtocolDataUnit(payload, header).to_bytes()


KINDS = {
    "get": get,
    "get_next": get_next,
    "set": set_,
    "action": action,
    "initiate": lambda case: initiate(case).to_bytes(),
    "aarq": aarq,
    "general": general,
    "opened": opened,
    "gmac": gmac,
    "data": data,
    "decoded": decoded,
    "hdlc": hdlc,
    "wrapper": wrapper,
}


def plain(value):
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).hex()
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value


json.dump([plain(KINDS[case["kind"]](case)) for case in json.load(sys.stdin)], sys.stdout)
