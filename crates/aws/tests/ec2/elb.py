"""Elastic Load Balancing, for model.py."""

from xml.etree import ElementTree

from query import Service


class Balancing(Service):
    NAMED = {
        "LoadBalancerArn": "arn:aws:elasticloadbalancing:eu-west-1:1:loadbalancer/net/b{i}/0123456789abcdef",
        "ResourceArn": "arn:aws:elasticloadbalancing:eu-west-1:1:loadbalancer/net/b{i}/0123456789abcdef",
        "TargetGroupArn": "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/g{i}/0123456789abcdef",
        "IPv6Address": "2001:db8::{n:x}",
        "PrivateIPv4Address": "10.1.{m}.{n}",
        "HealthCheckPort": "{n}",
        "TargetId": "i-0{n}",
    }
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

    def foreign(self, operation, answer):
        """Classic Load Balancers are another service, with calls of the same names; botocore has one name for both."""
        unknown = [m for m in answer if m not in operation.output_shape.members]
        by_name = [t for t in answer.get("TagDescriptions", []) if "LoadBalancerName" in t]
        return "of Classic Load Balancers, which are another service" if unknown or by_name else None

    def samples(self, folder, operation):
        """By what they are: not all are called after it."""
        for path in sorted(folder.glob("libcloud/loadbalancer/fixtures/alb/*.xml")):
            if ElementTree.parse(path).getroot().tag == "{" + self.namespace + "}" + f"{operation.name}Response":
                yield path


SERVICE = Balancing("elbv2", "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/", "elasticloadbalancing")
