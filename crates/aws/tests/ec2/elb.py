"""The same of Elastic Load Balancing, whose answers lie in a wrapper of their own."""

from xml.etree import ElementTree
from xml.sax.saxutils import escape

from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.parsers import QueryParser

MODEL = ServiceModel(Loader().load_service_model("elbv2", "service-2"), "elbv2")
NAMESPACE = "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/"


def wrapper(operation):
    """What an answer's members lie in."""
    return operation.output_shape.serialization["resultWrapper"]


def envelope(operation, inner):
    result = wrapper(operation)
    rest = "<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata>"
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{operation.name}Response xmlns="{NAMESPACE}"><{result}>{inner}</{result}>{rest}</{operation.name}Response>'


def refusal(error):
    code, message = escape(error.get("Code", "")), escape(error.get("Message", ""))
    return f'<ErrorResponse xmlns="{NAMESPACE}"><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error><RequestId>r</RequestId></ErrorResponse>'


def parsed(operation, xml):
    answer = QueryParser().parse({"body": xml.encode(), "headers": {}, "status_code": 200}, operation.output_shape)
    answer.pop("ResponseMetadata")
    return answer


def files(folder, operation):
    # botocore has one name for this service and for the one before it.
    return folder.glob(f"aws-recorded/*/elasticloadbalancing.{operation.name}_*.json")


def foreign(operation, answer):
    """Why an answer is not of this service, if it is not: Classic Load Balancers are another one, with calls of the same names."""
    unknown = [m for m in answer if m not in operation.output_shape.members]
    by_name = [t for t in answer.get("TagDescriptions", []) if "LoadBalancerName" in t]
    return "of Classic Load Balancers, which are another service" if unknown or by_name else None


def samples(folder, operation):
    """libcloud's, by what they are: not all are called after it."""
    for path in sorted(folder.glob("libcloud/loadbalancer/fixtures/alb/*.xml")):
        if ElementTree.parse(path).getroot().tag == "{" + NAMESPACE + "}" + f"{operation.name}Response":
            yield path


# What the driver reads as more than text, by its shape; `n` and `i` are as in model.py. None of EC2's shapes is called so.
NAMED = {
    "LoadBalancerArn": "arn:aws:elasticloadbalancing:eu-west-1:1:loadbalancer/net/b{i}/0123456789abcdef",
    "ResourceArn": "arn:aws:elasticloadbalancing:eu-west-1:1:loadbalancer/net/b{i}/0123456789abcdef",
    "TargetGroupArn": "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/g{i}/0123456789abcdef",
    "IPv6Address": "2001:db8::{n:x}",
    "PrivateIPv4Address": "10.1.{m}.{n}",
    "HealthCheckPort": "{n}",
    "TargetId": "i-0{n}",
}
# The values of a list of two, by the shape: where the first or the last of an enumeration is none of ours, and what attributes are called.
WORDS = {
    "LoadBalancerTypeEnum": ("network", "network"),
    "ProtocolEnum": ("TCP", "UDP"),
    "TargetTypeEnum": ("instance", "ip"),
    "TargetHealthStateEnum": ("unhealthy", "initial"),
    "LoadBalancerAttributeKey": ("deletion_protection.enabled", "load_balancing.cross_zone.enabled"),
    "LoadBalancerAttributeValue": ("true", "true"),
    "TargetGroupAttributeKey": ("preserve_client_ip.enabled", "stickiness.enabled"),
    "TargetGroupAttributeValue": ("false", "true"),
    "ListenerAttributeKey": ("tcp.idle_timeout.seconds", "tcp.other"),
    "ListenerAttributeValue": ("120", "1"),
}
