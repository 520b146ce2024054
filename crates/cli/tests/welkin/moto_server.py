"""moto's server, with what the documentation of AWS says of NAT gateways, route tables and load balancers and moto does not do.

- "Deleting a public NAT gateway disassociates its Elastic IP address"
  (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteNatGateway.html>): moto keeps the association for ever, and the gateway's network interface
  too, also that of a gateway which it refused to make.
- They are found by their tags (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeNatGateways.html>): moto passes over those filters.
- A subnet that is associated with another route table is Resource.AlreadyAssociated (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>,
  as EC2 answered it in <https://github.com/hashicorp/terraform-provider-aws/issues/38960>): moto answers the id of that association, as if it had done what it was asked.
- Routes have one destination each, of IPv6 too (RouteAlreadyExists, in the same list): moto puts a new one in the place of the old.
- Load balancers, target groups and listeners are made once with the same settings (<https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateLoadBalancer.html>
  and its like: "This operation is idempotent"), and a port has one listener (DuplicateListener): moto makes a second load balancer and listener, and refuses a second target group.
- A load balancer that is protected is not deleted (OperationNotPermitted, in API_DeleteLoadBalancer): moto notes the attribute alone.
- A listener can become one of any protocol of its load balancer (API_ModifyListener): moto knows HTTP, HTTPS and TCP.

And of the signature of a request without a body (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>): it is that of
an empty one. moto takes the parameters of the query for the body, so that no GET of Route 53 would have a good signature.
"""

import sys

sys.path.pop(0)  # where a moto.py is that is not the package

from moto.ec2.exceptions import EC2ClientError, RouteAlreadyExistsError
from moto.ec2.models.nat_gateways import NatGatewayBackend
from moto.ec2.models.route_tables import RouteBackend
from moto.ec2.utils import generic_filter
from moto.elbv2.exceptions import DuplicateListenerError, DuplicateLoadBalancerName, ELBClientError
from moto.elbv2.models import ELBv2Backend
from moto.iam.access_control import IAMRequestBase
from moto.server import main

create, delete, describe = NatGatewayBackend.create_nat_gateway, NatGatewayBackend.delete_nat_gateway, NatGatewayBackend.describe_nat_gateways
associate, route = RouteBackend.associate_route_table, RouteBackend.create_route


def create_nat_gateway(self, *args, **kwargs):
    before = set(self.enis)
    try:
        return create(self, *args, **kwargs)
    except Exception:
        for interface in set(self.enis) - before:
            self.delete_network_interface(interface)
        raise


def delete_nat_gateway(self, nat_gateway_id):
    gateway = delete(self, nat_gateway_id)
    for address in gateway.address_set:
        if address.get("associationId"):
            self.disassociate_address(association_id=address.pop("associationId"))
    if gateway._eni.id in self.enis:
        self.delete_network_interface(gateway._eni.id)
    return gateway


def describe_nat_gateways(self, filters, nat_gateway_ids):
    tagged = {name: values for name, values in (filters or {}).items() if name.startswith("tag:")}
    return generic_filter(tagged, describe(self, filters, nat_gateway_ids))


def associate_route_table(self, route_table_id, gateway_id=None, subnet_id=None):
    if any(subnet_id in table._associations.values() for table in self.route_tables.values() if subnet_id and table.id != route_table_id):
        why = f"the specified association for route table {route_table_id} conflicts with an existing association"
        raise EC2ClientError("Resource.AlreadyAssociated", why)
    return associate(self, route_table_id, gateway_id, subnet_id)


def create_route(self, route_table_id, destination_cidr_block, destination_ipv6_cidr_block=None, *args, **kwargs):
    routes = self.get_route_table(route_table_id).routes
    if destination_ipv6_cidr_block and any(r.destination_ipv6_cidr_block == destination_ipv6_cidr_block for r in routes):
        raise RouteAlreadyExistsError(destination_ipv6_cidr_block)
    return route(self, route_table_id, destination_cidr_block, destination_ipv6_cidr_block, *args, **kwargs)


balancer, delete_balancer = ELBv2Backend.create_load_balancer, ELBv2Backend.delete_load_balancer
target_group, listener, modify_listener = ELBv2Backend.create_target_group, ELBv2Backend.create_listener, ELBv2Backend.modify_listener


def create_load_balancer(self, name, security_groups, subnet_ids, subnet_mappings=None, *args, **kwargs):
    there = next((b for b in self.load_balancers.values() if b.name == name), None)
    if there:
        asked = list(subnet_ids) + [m["SubnetId"] for m in subnet_mappings or []]
        if there.security_groups != security_groups or [s.id for s in there.subnets] != asked:
            raise DuplicateLoadBalancerName()
        return there
    return balancer(self, name, security_groups, subnet_ids, subnet_mappings, *args, **kwargs)


def delete_load_balancer(self, arn):
    there = self.load_balancers.get(arn)
    if there and there.attrs.get("deletion_protection.enabled") == "true":
        raise ELBClientError("OperationNotPermitted", f"Load balancer '{arn}' cannot be deleted because deletion protection is enabled")
    return delete_balancer(self, arn)


def create_target_group(self, name, **kwargs):
    there = next((g for g in self.target_groups.values() if g.name == name), None)
    same = there and (there.protocol, str(there.port), there.vpc_id) == (kwargs.get("protocol"), str(kwargs.get("port")), kwargs.get("vpc_id"))
    return there if same else target_group(self, name, **kwargs)


def create_listener(self, load_balancer_arn, protocol, port, *args, **kwargs):
    balancer = self.load_balancers.get(load_balancer_arn)
    there = next((one for one in balancer.listeners.values() if str(one.port) == str(port)), None) if balancer else None
    if there and there.protocol != protocol:
        raise DuplicateListenerError()
    return there or listener(self, load_balancer_arn, protocol, port, *args, **kwargs)


def modify_any_listener(self, arn, port=None, protocol=None, *args, **kwargs):
    changed = modify_listener(self, arn, port, None, *args, **kwargs)
    changed.protocol = protocol or changed.protocol
    return changed


signed = IAMRequestBase._create_aws_request


def create_aws_request(self):
    request = signed(self)
    if self._service == "route53" and not self._body:
        request.data = b""
    return request


IAMRequestBase._create_aws_request = create_aws_request
NatGatewayBackend.create_nat_gateway = create_nat_gateway
NatGatewayBackend.delete_nat_gateway = delete_nat_gateway
NatGatewayBackend.describe_nat_gateways = describe_nat_gateways
RouteBackend.associate_route_table = associate_route_table
RouteBackend.create_route = create_route
ELBv2Backend.create_load_balancer = create_load_balancer
ELBv2Backend.delete_load_balancer = delete_load_balancer
ELBv2Backend.create_target_group = create_target_group
ELBv2Backend.create_listener = create_listener
ELBv2Backend.modify_listener = modify_any_listener
main(sys.argv[1:])
