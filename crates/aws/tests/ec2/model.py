"""What botocore's models of EC2, of Elastic Load Balancing, of Auto Scaling, of Service Quotas and of Route 53 say, for the tests of this folder.

    model.py answers FOLDER OPERATION...   every recorded answer on the wire, and what the model knows of its members
    model.py enums SHAPE...                the values of these enumerations
    model.py requests                      judges the requests on standard input, one a line: form bodies, and those of Route 53 and Service Quotas as JSON
    model.py zones FOLDER OPERATION...     every recorded answer of Route 53 on the wire, and one more
    model.py zone-members OPERATION...     what the model knows of their members

boto3 decodes answers, so what it recorded is put into EC2's wire form again. That this form is right is checked by botocore's own parser, which has
to read the same answer from it.
"""

import base64, binascii, datetime, itertools, json, pathlib, re, sys
from urllib.parse import parse_qsl
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import botocore
from botocore import xform_name
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.parsers import EC2QueryParser

import elb, quotas, route53, scaling

NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"
EC2 = ServiceModel(Loader().load_service_model("ec2", "service-2"), "ec2")


# Those whose answers lie in a wrapper.
SERVICES = (elb.SERVICE, scaling.SERVICE)


def operation_model(name):
    """Where another service has one of this name too, EC2's is read by nobody."""
    return next((s.model for s in SERVICES if name in s.model.operation_names), EC2).operation_model(name)


def wrapped(operation):
    """The service of an operation, if it is no other than EC2."""
    return next((s for s in SERVICES if operation.service_model is s.model), None)


# Answers

def decoded(value):
    """The recording's own form of a time is made a time again."""
    if isinstance(value, list):
        return [decoded(v) for v in value]
    if not isinstance(value, dict):
        return value
    if value.get("__class__") == "datetime":
        parts = ("year", "month", "day", "hour", "minute", "second", "microsecond")
        return datetime.datetime(*(value.get(p, 0) for p in parts), tzinfo=datetime.timezone.utc)
    # Some recordings hold a null where there was nothing.
    return {k: decoded(v) for k, v in value.items() if v is not None}


def timed(shape, value):
    """Some recordings hold a time as text, which other members are by right."""
    if shape.type_name == "structure":
        return {m: timed(shape.members[m], v) if m in shape.members else v for m, v in value.items()}
    if shape.type_name == "list":
        return [timed(shape.member, v) for v in value]
    if shape.type_name == "timestamp" and isinstance(value, str):
        return datetime.datetime.fromisoformat(value.replace("Z", "+00:00"))
    return value


def wire_name(name, shape):
    return shape.serialization.get("name", name)


def wire(name, shape, value, where):
    """One member as XML."""
    kind = shape.type_name
    if kind == "structure":
        unknown = set(value) - set(shape.members)
        assert not unknown, f"{where}: the model does not know {sorted(unknown)}"
        inner = "".join(wire(wire_name(m, shape.members[m]), shape.members[m], v, f"{where}.{m}") for m, v in value.items())
    elif kind == "list":
        flat = shape.serialization.get("flattened")
        item = name if flat else shape.member.serialization.get("name", "member")
        inner = "".join(wire(item, shape.member, v, f"{where}[]") for v in value)
        if flat:
            return inner
    elif kind == "boolean":
        inner = "true" if value else "false"
    elif kind == "timestamp":
        inner = value.strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03}Z"
    elif kind == "blob":
        inner = base64.b64encode(value).decode()
    else:
        inner = escape(str(value))
    return f"<{name}>{inner}</{name}>"


def encoded(operation, answer):
    """A whole answer as AWS sends it."""
    inner = wire("", operation.output_shape, answer, operation.name)[len("<>"):-len("</>")]
    if service := wrapped(operation):
        return service.envelope(operation, inner)
    root = f"{operation.name}Response"
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="{NAMESPACE}"><requestId>r</requestId>{inner}</{root}>'


def refusal(operation, error):
    if service := wrapped(operation):
        return service.refusal(error)
    code, message = escape(error.get("Code", "")), escape(error.get("Message", ""))
    return f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors><RequestID>r</RequestID></Response>"


def parsed(operation, xml):
    if service := wrapped(operation):
        return service.parsed(operation, xml)
    answer = EC2QueryParser().parse({"body": xml.encode(), "headers": {}, "status_code": 200}, operation.output_shape)
    answer.pop("ResponseMetadata")
    return answer


def plain(value):
    """For JSON, with times as Unix milliseconds."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(v) for v in value]
    if isinstance(value, datetime.datetime):
        return int(value.timestamp() * 1000)
    return value.decode() if isinstance(value, bytes) else value


def recorded(folder, operation):
    """The answers that boto3 decoded."""
    service = wrapped(operation)
    files = service.files(folder, operation) if service else folder.glob(f"aws-recorded/*/ec2.{operation.name}_*.json")
    for path in sorted(files):
        source = path.relative_to(folder).as_posix()
        record = json.loads(path.read_text())
        answer = decoded(record["data"])
        answer.pop("ResponseMetadata", None)
        error = answer.pop("Error", None)
        if record["status_code"] != 200 or error:
            yield {"operation": operation.name, "source": source, "status": record["status_code"], "xml": refusal(operation, error or {}), "answer": error}
            continue
        foreign = service and service.foreign(operation, answer)
        if foreign:
            yield {"operation": operation.name, "source": source, "left_out": foreign}
            continue
        answer = timed(operation.output_shape, answer)
        xml = encoded(operation, answer)
        assert parsed(operation, xml) == answer, f"{source}: botocore reads something else from the wire form"
        yield {"operation": operation.name, "source": source, "status": 200, "xml": xml, "answer": plain(answer)}


def samples(folder, operation):
    """libcloud's wire answers: trimmed or edited by hand, or from the documentation."""
    if service := wrapped(operation):
        for path in service.samples(folder, operation):
            xml = path.read_text()
            yield {"operation": operation.name, "source": path.relative_to(folder).as_posix(), "status": 200, "xml": xml, "answer": plain(parsed(operation, xml))}
        return
    for path in sorted(folder.glob(f"libcloud/compute/fixtures/ec2/{xform_name(operation.name)}*.xml")):
        source, xml = path.relative_to(folder).as_posix(), path.read_text()
        root = ElementTree.fromstring(xml).tag.partition("}")
        if root[2] == f"{operation.name}Response" and root[0].startswith("{http://ec2.amazonaws.com/"):
            answer = plain(parsed(operation, xml))
            if not all(a.get("AllocationId") for a in answer.get("Addresses", [])):
                yield {"operation": operation.name, "source": source, "left_out": "of EC2-Classic, which has ended: an address without an allocation id"}
                continue
            yield {"operation": operation.name, "source": source, "status": 200, "xml": xml, "answer": answer}
        elif root[2].startswith(f"{operation.name}Response"):
            yield {"operation": operation.name, "source": source, "left_out": f"not of EC2 but of {root[0].strip('{')}"}


# One answer of each operation, made from the model: every member once, with values that can be told apart.

# What the driver reads as more than text, by the end of a member's name; `n` is another number each time, `i` the place in the list.
TEXTS = [
    ("Ipv6CidrBlock", "2001:db8:{n:x}::/64"),
    ("CidrBlock", "10.{m}.{n}.0/24"),
    ("Ipv6Address", "2001:db8::{n:x}"),
    (("IpAddress", "PublicIp", "CarrierIp", "CustomerOwnedIp"), "10.1.{m}.{n}"),
    ("InstanceId", "i-0{n}"),
    ("ImageId", "ami-0{n}"),
    ("VpcId", "vpc-0{n}"),
    ("SubnetId", "subnet-0{n}"),
    ("VolumeId", "vol-0{n}"),
    ("AllocationId", "eipalloc-0{n}"),
    ("NatGatewayId", "nat-0{n}"),
    ("RouteTableId", "rtb-0{n}"),
    ("Arn", "arn:aws:iam::1:instance-profile/{n}"),
    ("AutoScalingGroupName", "g{i}"),
    ("HealthCheckType", "EC2,ELB"),
    ("HealthStatus", "Unhealthy"),
    ("AvailabilityZone", "eu-west-1a"),
    ("RootDeviceName", "/dev/xvda0"),
    ("DeviceName", "/dev/xvda{i}"),
    ("Output", base64.b64encode(b"login: ").decode()),
]
PLAIN = {"SourceDestCheck": False, "DeviceIndex": lambda i: i, "ZoneType": lambda i: ("availability-zone", "local-zone")[i]}


def made(shape, name, numbers, i=0, within=()):
    kind, n = shape.type_name, next(numbers)
    if kind == "structure":
        is_left_out = lambda m, s: s.name in within or s.type_name == "map" or m in ("NextToken", "NextMarker")
        inside = {m: s for m, s in shape.members.items() if not is_left_out(m, s)}
        return {m: made(s, m, numbers, i, (*within, shape.name)) for m, s in inside.items()}
    if kind == "list":
        return [made(shape.member, name, numbers, at, within) for at in (0, 1)]
    if name in PLAIN:
        value = PLAIN[name]
        return value(i) if callable(value) else value
    if kind == "timestamp":
        return datetime.datetime.fromtimestamp(n, datetime.timezone.utc)
    if kind in ("integer", "long"):
        return n
    if kind in ("float", "double"):
        return float(n)
    if kind == "boolean":
        return True
    words = next((s.WORDS[shape.name] for s in SERVICES if shape.name in s.WORDS), None)
    if words:
        return words[i]
    enumerated = getattr(shape, "enum", None)
    if enumerated:
        return enumerated[-i]
    named = next((s.NAMED[shape.name] for s in SERVICES if shape.name in s.NAMED), None)
    form = named or next((form for ends, form in TEXTS if name.endswith(ends)), name + "-{n}")
    return form.format(n=n % 256, m=n // 256, i=i)


def specimen(operation):
    answer = made(operation.output_shape, operation.name, itertools.count(1))
    xml = encoded(operation, answer)
    assert parsed(operation, xml) == answer, f"{operation.name}: botocore reads something else from the wire form"
    return {"operation": operation.name, "source": "botocore", "status": 200, "xml": xml, "answer": plain(answer)}


def members(shape, path="", wired="", within=()):
    """Every leaf below a shape: its path, its path on the wire, and what it is."""
    if shape.type_name == "structure" and shape.name not in within:
        for name, member in shape.members.items():
            yield from members(member, f"{path}.{name}".lstrip("."), f"{wired}/{wire_name(name, member)}".lstrip("/"), (*within, shape.name))
    elif shape.type_name == "list":
        flat = shape.serialization.get("flattened")
        item = wired if flat else f"{wired}/{shape.member.serialization.get('name', 'member')}"
        yield from members(shape.member, f"{path}[]", item, within)
    else:
        yield {"path": path, "wire": wired, "kind": "enum" if getattr(shape, "enum", None) else shape.type_name}


def answers(folder, names):
    operations = [operation_model(n) for n in names]
    found = [a for o in operations for source in (recorded, samples) for a in source(pathlib.Path(folder), o)]
    found += map(specimen, operations)
    return {
        "botocore": botocore.__version__,
        "answers": [a for a in found if "left_out" not in a],
        "left_out": [a for a in found if "left_out" in a],
        "members": {o.name: list(members(o.output_shape, wired=wrapped(o).wrapper(o) if wrapped(o) else "")) for o in operations},
    }


# Requests

def parameter(name, shape):
    """EC2's own rule for the name of a parameter."""
    given = shape.serialization.get("queryName")
    if given:
        return given
    located = shape.serialization.get("name")
    return located[0].upper() + located[1:] if located else name


def tree(body):
    """`A.1.B=x` as nested dictionaries."""
    root = {}
    for key, value in parse_qsl(body, keep_blank_values=True, strict_parsing=True):
        at, parts = root, key.split(".")
        for part in parts[:-1]:
            at = at.setdefault(part, {})
        assert parts[-1] not in at, f"{key} is there twice"
        at[parts[-1]] = value
    return root


def is_within(shape, size):
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    return (low is None or size >= low) and (high is None or size <= high)


def structure(shape, value, where):
    known = {parameter(n, m): (n, m) for n, m in shape.members.items()}
    for key in value:
        if key not in known:
            yield f"{where}{key}: the model does not know it"
    for key, (name, member) in known.items():
        if key in value:
            yield from wrong(member, value[key], f"{where}{key}")
        elif name in shape.required_members:
            yield f"{where}{key}: required and not there"


def scalar(shape, text, where):
    kind = shape.type_name
    if kind in ("integer", "long"):
        if not re.fullmatch(r"-?\d+", text):
            yield f"{where}: {text!r} is no {kind}"
        elif not is_within(shape, int(text)):
            yield f"{where}: {text} is out of range"
    elif kind in ("float", "double"):
        try:
            float(text)
        except ValueError:
            yield f"{where}: {text!r} is no {kind}"
    elif kind == "boolean" and text not in ("true", "false"):
        yield f"{where}: {text!r} is no boolean"
    elif kind == "timestamp" and not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", text):
        yield f"{where}: {text!r} is no timestamp"
    elif kind == "blob":
        try:
            base64.b64decode(text, validate=True)
        except binascii.Error:
            yield f"{where}: no base64"
    elif kind == "string":
        if shape.enum and text not in shape.enum:
            yield f"{where}: {text!r} is none of the enumerated values"
        if not is_within(shape, len(text)):
            yield f"{where}: {len(text)} characters are out of range"
        # What Python calls letters, digits and white space.
        pattern = shape.metadata.get("pattern", "").replace(r"\p{L}\p{Z}\p{N}", r"\w\s")
        # And what it has no pairs for.
        pattern = pattern.replace(r"\uD800\uDC00-\uDBFF\uDFFF", r"\U00010000-\U0010FFFF")
        if pattern and not re.search(pattern, text):
            yield f"{where}: {text!r} does not fit {pattern}"


def wrong(shape, value, where):
    """What is wrong with one member."""
    if shape.type_name == "structure":
        if not isinstance(value, dict):
            yield f"{where}: no structure"
        else:
            yield from structure(shape, value, f"{where}.")
    elif shape.type_name == "list":
        if not isinstance(value, dict) or set(value) != {str(n + 1) for n in range(len(value))}:
            yield f"{where}: no list that counts from 1"
            return
        if not is_within(shape, len(value)):
            yield f"{where}: {len(value)} items are out of range"
        for n, item in value.items():
            yield from wrong(shape.member, item, f"{where}.{n}")
    elif isinstance(value, dict):
        yield f"{where}: no single value"
    else:
        yield from scalar(shape, value, where)


def judged(body):
    service = next((s.model for s in SERVICES if f"Version={s.model.api_version}" in body.split("&")), EC2)
    # These call the items of a list members (botocore's `QuerySerializer`).
    given = tree(body if service is EC2 else body.replace(".member.", "."))
    action, version = given.pop("Action", None), given.pop("Version", None)
    if action not in service.operation_names:
        return {"action": action, "wrong": ["the model does not know this operation"]}
    found = [] if version == service.api_version else [f"Version: {version} is not {service.api_version}"]
    shape = service.operation_model(action).input_shape
    return {"action": action, "wrong": found + list(structure(shape, given, ""))}


def judged_json(request):
    return (quotas if "target" in request else route53).judged(request, structure)


def main(command, *rest):
    if command == "answers":
        answer = answers(rest[0], rest[1:])
    elif command == "enums":
        answer = {name: EC2.shape_for(name).enum for name in rest}
    elif command == "zones":
        answer = route53.answers(pathlib.Path(rest[0]), rest[1:], decoded, timed, plain)
    elif command == "zone-members":
        answer = {name: list(members(route53.MODEL.operation_model(name).output_shape)) for name in rest}
    else:
        answer = [judged_json(json.loads(line)) if line.startswith("{") else judged(line.strip()) for line in sys.stdin]
    json.dump(answer, sys.stdout)


main(*sys.argv[1:])
