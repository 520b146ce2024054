"""moto's server, with what the documentation of AWS says of instances, NAT gateways, route tables and load balancers and moto does not do.

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
- A network load balancer stands in one zone or more (API_SetSubnets): moto wants two.
- The target groups of a load balancer are those that its listeners lead to now (API_DescribeTargetGroups): moto keeps those of their creation.

- An instance type that there is not is InvalidParameterValue, in a dry run too ("Invalid value 't3.nano' for InstanceType", as EC2 answered it in
  <https://github.com/getmoto/moto/issues/1695>): moto looks at it after the dry run, if at all.

And of the signature of a request without a body (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>): it is that of
an empty one. moto takes the parameters of the query for the body, so that no GET of Route 53 would have a good signature.

And of changes of records (<https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html>): all of them are made or none, CREATE
is refused where there is one of that name, type and identifier, and DELETE where it is not exactly as it says. moto makes a second one, removes what has the
same identifier under any name, and does the first ones of a batch that it refuses.

Auto Scaling and launch templates are in moto_groups.py, Service Quotas in moto_quotas.py.

And what makes it slow: with each call it looks up all methods of a service, and its own folders; and for the tags of one object it looks through those of all
that ever were.
"""

import sys
from functools import cache
from types import SimpleNamespace

here = sys.path.pop(0)  # where a moto.py is that is not the package

import moto.backends
import moto.core.responses
from moto.ec2.exceptions import EC2ClientError, RouteAlreadyExistsError
from moto.ec2.models.instance_types import INSTANCE_TYPES
from moto.ec2.models.nat_gateways import NatGatewayBackend
from moto.ec2.models.route_tables import RouteBackend
from moto.ec2.models.tags import TagBackend
from moto.ec2.responses.instances import InstanceResponse
from moto.ec2.utils import generic_filter
from moto.elbv2.exceptions import DuplicateListenerError, DuplicateLoadBalancerName, ELBClientError
from moto.elbv2.models import ELBv2Backend
from moto.iam.access_control import IAMRequestBase
from moto.route53.exceptions import Route53ClientError
from moto.route53.models import RecordSet, Route53Backend
from moto.server import main

sys.path.append(here)
import moto_groups
import moto_quotas

create, delete, describe = NatGatewayBackend.create_nat_gateway, NatGatewayBackend.delete_nat_gateway, NatGatewayBackend.describe_nat_gateways
run_instances = InstanceResponse.run_instances
associate, route = RouteBackend.associate_route_table, RouteBackend.create_route
tagged, modules = TagBackend.describe_tags, moto.backends.list_of_moto_modules


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


def run_known_instances(self):
    machine_type = self._get_param("InstanceType")
    if machine_type and machine_type not in INSTANCE_TYPES:
        raise EC2ClientError("InvalidParameterValue", f"Invalid value '{machine_type}' for InstanceType.")
    return run_instances(self)


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
delete_listener, subnets_set = ELBv2Backend.delete_listener, ELBv2Backend.set_subnets


def create_load_balancer(self, name, security_groups, subnet_ids, subnet_mappings=None, *args, **kwargs):
    there = next((b for b in self.load_balancers.values() if b.name == name), None)
    if there:
        asked = list(subnet_ids) + [m["SubnetId"] for m in subnet_mappings or []]
        if there.security_groups != security_groups or [s.id for s in there.subnets] != asked:
            raise DuplicateLoadBalancerName()
        return there
    return balancer(self, name, security_groups, subnet_ids, subnet_mappings, *args, **kwargs)


def set_subnets(self, arn, subnets, subnet_mappings):
    there = self.load_balancers.get(arn)
    ids = list(subnets) + [m["SubnetId"] for m in subnet_mappings]
    if not there or there.type != "network" or len(ids) != 1:
        return subnets_set(self, arn, subnets, subnet_mappings)
    there.subnets = [self.ec2_backend.get_subnet(ids[0])]
    return there.availability_zones


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
    led_anew(self, changed.load_balancer_arn)
    return changed


def delete_any_listener(self, arn):
    balancers = [b.arn for b in self.load_balancers.values() if arn in b.listeners]
    delete_listener(self, arn)
    for balancer in balancers:
        led_anew(self, balancer)


def led_anew(self, balancer):
    actions = [action for one in self.load_balancers[balancer].listeners.values() for action in one.default_actions]
    led = {action.data.get("TargetGroupArn") for action in actions}
    for group in self.target_groups.values():
        group.load_balancer_arns = [arn for arn in group.load_balancer_arns if arn != balancer] + ([balancer] if group.arn in led else [])


signed = IAMRequestBase._create_aws_request


def create_aws_request(self):
    request = signed(self)
    if self._service == "route53" and not self._body:
        request.data = b""
    return request


def change_resource_record_sets(self, zoneid, change_list):
    zone, wrong = self.get_hosted_zone(zoneid), []
    sets = list(zone.rrsets)
    for change in change_list:
        said = change["ResourceRecordSet"]
        new = RecordSet({**said, "Name": said["Name"].rstrip(".").lower() + ".", "ResourceRecords": [r["Value"] for r in said.get("ResourceRecords", [])]})
        there = next((s for s in sets if (s.name, s.type, s.set_identifier) == (new.name, new.type, new.set_identifier)), None)
        what = f"resource record set [name='{new.name}', type='{new.type}']"
        if not f".{new.name}".endswith("." + zone.name.strip(".") + "."):
            wrong.append(f"RRSet with DNS name {new.name} is not permitted in zone {zone.name}")
        elif change["Action"] == "CREATE" and there:
            wrong.append(f"Tried to create {what} but it already exists")
        elif change["Action"] == "CREATE":
            sets.append(new)
        elif not there:
            wrong.append(f"Tried to delete {what} but it was not found")
        elif vars(there) != vars(new):
            wrong.append(f"Tried to delete {what} but the values provided do not match the current values")
        else:
            sets.remove(there)
    if wrong:
        raise Route53ClientError("InvalidChangeBatch", "; ".join(wrong))
    zone.rrsets = sets


def describe_tags(self, filters=None):
    ids = (filters or {}).get("resource-id", [])
    if list(filters or {}) != ["resource-id"] or any(c in id for id in ids for c in "*?"):
        return tagged(self, filters)
    few = SimpleNamespace(tags={id: self.tags[id] for id in ids if id in self.tags}, VALID_TAG_FILTERS=self.VALID_TAG_FILTERS)
    return tagged(few, filters)


moto_groups.mend()
moto_quotas.mend()
InstanceResponse.run_instances = run_known_instances
IAMRequestBase._create_aws_request = create_aws_request
Route53Backend.change_resource_record_sets = change_resource_record_sets
TagBackend.describe_tags = describe_tags
moto.core.responses.method_names_from_class = cache(moto.core.responses.method_names_from_class)
moto.backends.list_of_moto_modules = cache(lambda: frozenset(modules()))
NatGatewayBackend.create_nat_gateway = create_nat_gateway
NatGatewayBackend.delete_nat_gateway = delete_nat_gateway
NatGatewayBackend.describe_nat_gateways = describe_nat_gateways
RouteBackend.associate_route_table = associate_route_table
RouteBackend.create_route = create_route
ELBv2Backend.create_load_balancer = create_load_balancer
ELBv2Backend.delete_load_balancer = delete_load_balancer
ELBv2Backend.set_subnets = set_subnets
ELBv2Backend.create_target_group = create_target_group
ELBv2Backend.create_listener = create_listener
ELBv2Backend.modify_listener = modify_any_listener
ELBv2Backend.delete_listener = delete_any_listener
main(sys.argv[1:])
