"""The same of Route 53, whose requests are paths with XML behind them."""

import json, re
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.parsers import RestXMLParser

MODEL = ServiceModel(Loader().load_service_model("route53", "service-2"), "route53")
NAMESPACE = "https://route53.amazonaws.com/doc/2013-04-01/"
# What libcloud calls its samples.
SAMPLES = {"CreateHostedZone": "create_zone", "GetHostedZone": "get_zone", "ListHostedZones": "list_zones", "ListResourceRecordSets": "list_records"}


# Answers

def wire(name, shape, value):
    """One member as XML."""
    kind = shape.type_name
    if kind == "structure":
        assert not set(value) - set(shape.members), f"{name}: the model does not know all of {set(value)}"
        inner = "".join(wire(m.serialization.get("name", n), m, value[n]) for n, m in shape.members.items() if n in value and "location" not in m.serialization)
    elif kind == "list":
        item = shape.member.serialization.get("name", "member")
        inner = "".join(wire(item, shape.member, v) for v in value)
    elif kind == "boolean":
        inner = "true" if value else "false"
    elif kind == "timestamp":
        inner = value.strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03}Z"
    else:
        inner = escape(str(value))
    return f"<{name}>{inner}</{name}>"


def encoded(operation, answer):
    inner = wire("", operation.output_shape, answer)[len("<>"):-len("</>")]
    root = f"{operation.name}Response"
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="{NAMESPACE}">{inner}</{root}>'


def parsed(operation, xml):
    answer = RestXMLParser().parse({"body": xml.encode(), "headers": {}, "status_code": 200}, operation.output_shape)
    answer.pop("ResponseMetadata")
    return answer


def refusal(error):
    code, message = escape(error.get("Code", "")), escape(error.get("Message", ""))
    return f'<ErrorResponse xmlns="{NAMESPACE}"><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error><RequestId>r</RequestId></ErrorResponse>'


def answers(folder, names, decoded, timed, plain):
    found = []
    for operation in map(MODEL.operation_model, names):
        for path in sorted(folder.glob(f"aws-recorded/*/route53.{operation.name}_*.json")):
            record = json.loads(path.read_text())
            answer = decoded(record["data"])
            answer.pop("ResponseMetadata", None)
            error = answer.pop("Error", None)
            source = {"operation": operation.name, "source": path.relative_to(folder).as_posix(), "status": record["status_code"]}
            if error:
                found.append({**source, "xml": refusal(error), "answer": error})
                continue
            answer = timed(operation.output_shape, answer)
            xml = encoded(operation, answer)
            back = parsed(operation, xml)
            assert {k: v for k, v in back.items() if k in answer} == answer, f"{path}: botocore reads something else from the wire form"
            found.append({**source, "xml": xml, "answer": plain(answer)})
        sample = folder / "libcloud/dns/fixtures/route53" / f"{SAMPLES.get(operation.name)}.xml"
        if sample.is_file():
            # Of an older version of the API, whose members are the same.
            xml = sample.read_text()
            found.append({"operation": operation.name, "source": sample.relative_to(folder).as_posix(), "status": 200, "xml": xml, "answer": plain(parsed(operation, xml))})
        if operation.name in SPECIMENS:
            xml = encoded(operation, SPECIMENS[operation.name])
            assert parsed(operation, xml) == SPECIMENS[operation.name], f"{operation.name}: botocore reads something else from the wire form"
            found.append({"operation": operation.name, "source": "botocore", "status": 200, "xml": xml, "answer": SPECIMENS[operation.name]})
    return found


# Answers with what nobody has recorded: policies, networks, and whatever else a read shows.

def record(name, of, *values, **more):
    return {"Name": name, "Type": of, **more, "TTL": 60, "ResourceRecords": [{"Value": v} for v in values]}


def zone(n, **more):
    return {"Id": f"/hostedzone/Z{n}", "Name": f"z{n}.example.", "CallerReference": f"r-{n}", "Config": {"Comment": f"c-{n}", "PrivateZone": True}, "ResourceRecordSetCount": n, **more}


ALIAS = {"HostedZoneId": "Z9", "DNSName": "web-0123.elb.eu-west-1.amazonaws.com.", "EvaluateTargetHealth": True}
SPECIMENS = {
    "ListResourceRecordSets": {
        "ResourceRecordSets": [
            record("example.com.", "SOA", "ns-1.awsdns-00.com. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400"),
            record("example.com.", "TXT", '"v=spf1 -all"', '"a" "b"'),
            {"Name": "alias.example.com.", "Type": "A", "AliasTarget": ALIAS},
            record("\\052.example.com.", "AAAA", "2001:0DB8:0:0::1", "2001:db8::2"),
            record("sub.example.com.", "NS", "NS1.Example.net.", "ns2.example.net"),
            record("weighted.example.com.", "A", "192.0.2.1", SetIdentifier="a", Weight=1, HealthCheckId="h-1"),
            record("weighted.example.com.", "A", "192.0.2.2", "192.0.2.3", SetIdentifier="b", Weight=0),
            record("near.example.com.", "CNAME", "A.example.net.", SetIdentifier="a", Region="eu-west-1"),
            record("near.example.com.", "CNAME", "b.example.net", SetIdentifier="b", Region="us-east-1"),
            record("country.example.com.", "MX", "10 Mail.example.net.", SetIdentifier="a", GeoLocation={"CountryCode": "*"}),
            record("country.example.com.", "MX", "5 mail.example.net.", SetIdentifier="b", GeoLocation={"CountryCode": "DE"}),
            record("failover.example.com.", "A", "192.0.2.4", SetIdentifier="a", Failover="PRIMARY", HealthCheckId="h-2"),
            record("failover.example.com.", "A", "192.0.2.5", SetIdentifier="b", Failover="SECONDARY"),
            record("all.example.com.", "A", "192.0.2.6", SetIdentifier="a", MultiValueAnswer=True),
            record("all.example.com.", "A", "192.0.2.7", SetIdentifier="b", MultiValueAnswer=True),
        ],
        "IsTruncated": False,
        "MaxItems": "300",
    },
    "ListHostedZones": {"HostedZones": [zone(1), zone(2, LinkedService={"ServicePrincipal": "s", "Description": "d"})], "Marker": "", "IsTruncated": False, "MaxItems": "100"},
    "GetHostedZone": {
        "HostedZone": zone(1),
        "DelegationSet": {"NameServers": ["ns-1.awsdns-00.com", "ns-2.awsdns-00.net"]},
        "VPCs": [{"VPCRegion": "eu-west-1", "VPCId": "vpc-1"}, {"VPCRegion": "us-east-1", "VPCId": "vpc-2"}],
    },
}

# Requests

def located(name, shape):
    return shape.serialization.get("name", name)


def called(method, path):
    """The operation, and what stands in its path."""
    for name in MODEL.operation_names:
        operation = MODEL.operation_model(name)
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", operation.http["requestUri"].split("?")[0])
        # Some end with a slash that not every client sends.
        match = re.fullmatch(pattern.rstrip("/"), path.rstrip("/"))
        if match and operation.http["method"] == method:
            return operation, {k: unquote(v) for k, v in match.groupdict().items()}
    return None, {}


def tree(shape, element, where):
    """An element as what the judge of structures reads, and what it cannot."""
    if shape.type_name == "structure":
        out, members = {}, {located(n, m): (n, m) for n, m in shape.members.items() if "location" not in m.serialization}
        for child in element:
            tag = child.tag.removeprefix("{" + NAMESPACE + "}")
            name, member = members.get(tag, (tag, None))
            assert name not in out, f"{where}{tag} is there twice"
            out[name] = (child.text or "") if member is None else tree(member, child, f"{where}{tag}.")
        return out
    if shape.type_name == "list":
        item = shape.member.serialization.get("name", "member")
        tags = [child.tag.removeprefix("{" + NAMESPACE + "}") for child in element]
        assert tags == [item] * len(tags), f"{where}: {tags} are not {item}"
        return {str(n + 1): tree(shape.member, child, f"{where}{n}.") for n, child in enumerate(element)}
    return element.text or ""


class Plain:
    """A shape under the names of its members, where the judge would look for those of EC2's query."""

    def __init__(self, shape):
        self.shape = shape

    def __getattr__(self, name):
        return getattr(self.shape, name)

    @property
    def members(self):
        return {n: Plain(m) for n, m in self.shape.members.items()}

    @property
    def member(self):
        return Plain(self.shape.member)

    @property
    def serialization(self):
        return {}


def judged(request, structure):
    url = urlsplit(request["path"])
    operation, given = called(request["method"], url.path)
    if operation is None:
        return {"action": url.path, "wrong": ["the model does not know this operation"]}
    shape, found = operation.input_shape, []
    names = {located(n, m): n for n, m in shape.members.items()}
    of = {n: m.serialization.get("location") for n, m in shape.members.items()}
    value = {names[k]: v for k, v in given.items()}
    for key, text in parse_qsl(url.query, keep_blank_values=True):
        if of.get(names.get(key)) == "querystring":
            value[names[key]] = text
        elif key != "x-id":
            found.append(f"{key}: the model does not know it in the query")
    if request["body"]:
        element = ElementTree.fromstring(request["body"])
        if element.tag != "{" + NAMESPACE + "}" + f"{operation.name}Request":
            found.append(f"{element.tag} is no {operation.name}Request")
        value.update(tree(shape, element, ""))
    elif any(place is None and name in shape.required_members for name, place in of.items()):
        found.append("the body is not there")
    return {"action": operation.name, "wrong": found + list(structure(Plain(shape), value, ""))}
