"""Prepares a strict moto for the black-box tests and looks into it from outside.

    moto.py PORT POLICY_FILE

makes an administrator, for itself, and the user that Welkin runs as, with exactly this policy and an instance profile `welkin-test`, and prints
that user's {"id": ..., "secret": ...}. Then it answers one line for each line of input, {"do": ..., ...}: {"ok": ...} or {"error": ...}.

    inventory               every Auto Scaling group, launch template, load balancer, target group, VPC, subnet, security group, instance, elastic IP, internet gateway, NAT gateway, hosted zone with its record sets, route table that is no main one, key pair and
                            volume that is no root volume of an instance, with the uid of its mark
    plant                   makes a {"what": "network" | "subnet" | "security-group" | "instance" | "elastic-ip" | "volume" | "natgateway" | "hostedzone" | "records" | "route-table" | "balancer" | "scaling-group", ...} with
                            {"tags": {...}}, and answers its id
    call                    calls {"operation": ...} of EC2 or another {"service": ...} through the proxy at this {"port": ...} {"with": {...}}, once, and answers what it did
    remove                  removes what has this {"id": ...}

Only the first three calls need no credentials (INITIAL_NO_AUTH_ACTION_COUNT=3); from the fourth on signature and policy are checked.
"""

import json
import pathlib
import sys
import time
import uuid
from urllib.parse import quote

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

REGION = "eu-west-1"
PROFILE = "welkin-test"
IAM_ROLE = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
ANYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


def client(service, port, key="none", secret="none", **more):
    return boto3.client(service, region_name=REGION, endpoint_url=f"http://127.0.0.1:{port}", aws_access_key_id=key, aws_secret_access_key=secret, **more)


def user(iam, name, *policies):
    iam.create_user(UserName=name)
    for number, policy in enumerate(policies):
        iam.put_user_policy(UserName=name, PolicyName=f"{name}-{number}", PolicyDocument=policy)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"]


class World:
    """What tests see of moto and do to it behind Welkin's back."""

    def __init__(self, port, *policy_files):
        self.admin = user(client("iam", port), "admin", json.dumps(ANYTHING))
        iam = client("iam", port, *self.admin)
        self.welkin = user(iam, "welkin", *(pathlib.Path(file).read_text(encoding="utf-8") for file in policy_files))
        iam.create_role(RoleName=PROFILE, AssumeRolePolicyDocument=json.dumps(IAM_ROLE))
        iam.create_instance_profile(InstanceProfileName=PROFILE)
        iam.add_role_to_instance_profile(InstanceProfileName=PROFILE, RoleName=PROFILE)
        self.ec2 = client("ec2", port, *self.admin)
        self.route53 = client("route53", port, *self.admin)
        self.elb = client("elbv2", port, *self.admin)
        self.scaling = client("autoscaling", port, *self.admin)

    def every(self, operation, key, **filters):
        return [item for page in self.ec2.get_paginator(operation).paginate(**filters) for item in page[key]]

    def inventory(self):
        # The groups first, so that none goes before its instances do.
        scaling = self.scaling_groups()
        group = lambda i: next((t["Value"] for t in i.get("Tags", []) if t["Key"] == "aws:autoscaling:groupName"), None)
        # moto never forgets what is terminated, and is slow to describe it.
        alive = [{"Name": "instance-state-name", "Values": ["pending", "running", "shutting-down", "stopping", "stopped"]}]
        every = [i for r in self.every("describe_instances", "Reservations", Filters=alive) for i in r["Instances"]]
        # What a group has made is a part of it, and so are its disks, until the group is gone.
        members = {i["InstanceId"] for i in every if group(i) in scaling}
        instances = [i for i in every if i["InstanceId"] not in members]
        # What an instance starts from is a part of it, also where it is left behind: it has a uid and no digest.
        roots = {(i["InstanceId"], i.get("RootDeviceName")) for i in instances}
        is_its = lambda a: a["InstanceId"] in members or (a["InstanceId"], a["Device"]) in roots
        volumes = [v for v in self.every("describe_volumes", "Volumes") if not any(is_its(a) for a in v["Attachments"])]
        keys = lambda item: {t["Key"] for t in item.get("Tags", [])}
        is_part = lambda item: "welkin.dev/uid" in keys(item) and "welkin.dev/digest" not in keys(item)
        security = [g for g in self.every("describe_security_groups", "SecurityGroups") if g["GroupName"] != "default"]
        rows = [
            ("VpcId", "networks", self.every("describe_vpcs", "Vpcs")),
            ("SubnetId", "subnets", self.every("describe_subnets", "Subnets")),
            ("GroupId", "securityGroups", [g for g in security if "welkin.dev/part-of" not in keys(g)]),
            ("GroupId", None, [g for g in security if "welkin.dev/part-of" in keys(g)]),
            ("InstanceId", "instances", instances),
            ("InternetGatewayId", None, self.every("describe_internet_gateways", "InternetGateways")),
            ("KeyName", None, self.ec2.describe_key_pairs()["KeyPairs"]),
            ("AllocationId", "addresses", self.ec2.describe_addresses()["Addresses"]),
            # What was deleted stays described for an hour.
            ("NatGatewayId", "natGateways", [g for g in self.every("describe_nat_gateways", "NatGateways") if g["State"] != "deleted"]),
            # The main one comes and goes with its VPC.
            ("RouteTableId", "routeTables", [t for t in self.every("describe_route_tables", "RouteTables") if not any(a["Main"] for a in t["Associations"])]),
            ("AutoScalingGroupARN", "instanceGroups", [g for g in scaling.values() if not g.get("Status")]),
            ("LaunchTemplateId", None, self.every("describe_launch_templates", "LaunchTemplates")),
            ("VolumeId", None, [v for v in volumes if is_part(v)]),
            ("VolumeId", "disks", [v for v in volumes if not is_part(v)]),
        ]
        balancers = [b for page in self.elb.get_paginator("describe_load_balancers").paginate() for b in page["LoadBalancers"]]
        groups = [g for page in self.elb.get_paginator("describe_target_groups").paginate() for g in page["TargetGroups"]]
        rows += [
            ("LoadBalancerArn", "loadBalancers", [self.tagged(b, b["LoadBalancerArn"]) for b in balancers]),
            ("TargetGroupArn", None, [self.tagged(g, g["TargetGroupArn"]) for g in groups]),
        ]
        zones = [z for page in self.route53.get_paginator("list_hosted_zones").paginate() for z in page["HostedZones"]]
        # Whose a zone is stands in what it was made with.
        marked = lambda z: z["CallerReference"].split(":")[2] if z["CallerReference"].startswith("welkin:") else None
        uid = lambda item: next((t["Value"] for t in item.get("Tags", []) if t["Key"] == "welkin.dev/uid"), None)
        found = [{"id": item[key], "collection": collection, "uid": uid(item)} for key, collection, items in rows for item in items]
        # Those that every zone has go with it.
        records = {self.record_id(s): None for z in zones for s in self.record_sets(z["Id"]) if not (s["Name"] == z["Name"] and s["Type"] in ("NS", "SOA"))}
        found += [{"id": id, "collection": "recordSets", "uid": None} for id in records]
        return found + [{"id": z["Id"].split("/")[-1], "collection": "dnsZones", "uid": marked(z)} for z in zones]

    def scaling_groups(self):
        """Also those that are being deleted."""
        return {g["AutoScalingGroupName"]: g for page in self.scaling.get_paginator("describe_auto_scaling_groups").paginate() for g in page["AutoScalingGroups"]}

    def record_sets(self, zone):
        return [s for page in self.route53.get_paginator("list_resource_record_sets").paginate(HostedZoneId=zone) for s in page["ResourceRecordSets"]]

    def record_id(self, s):
        """As Welkin calls it, as far as the trials' names need."""
        return f"{quote(s['Name'].rstrip('.').replace(chr(92) + '052', '*'), safe='')}~{s['Type']}"

    def tagged(self, item, arn):
        return {**item, "Tags": self.elb.describe_tags(ResourceArns=[arn])["TagDescriptions"][0]["Tags"]}

    def plant(self, what, tags=None, cidr=None, network=None, subnet=None, image=None, zone=None, dns_name=None, address=None):
        kind = {"network": "vpc"}.get(what, what)
        marks = {"TagSpecifications": [{"ResourceType": kind, "Tags": [{"Key": k, "Value": v} for k, v in tags.items()]}]} if tags else {}
        if what == "network":
            return self.ec2.create_vpc(CidrBlock=cidr, **marks)["Vpc"]["VpcId"]
        if what == "security-group":
            return self.ec2.create_security_group(GroupName="planted", Description="planted", VpcId=network, **marks)["GroupId"]
        if what == "subnet":
            return self.ec2.create_subnet(VpcId=network, CidrBlock=cidr, **marks)["Subnet"]["SubnetId"]
        if what == "elastic-ip":
            return self.ec2.allocate_address(Domain="vpc", **marks)["AllocationId"]
        if what == "volume":
            return self.ec2.create_volume(AvailabilityZone=zone or f"{REGION}a", Size=8, **marks)["VolumeId"]
        if what == "natgateway":
            return self.ec2.create_nat_gateway(SubnetId=subnet, ConnectivityType="private", **marks)["NatGateway"]["NatGatewayId"]
        if what == "route-table":
            return self.ec2.create_route_table(VpcId=network, **marks)["RouteTable"]["RouteTableId"]
        if what == "balancer":
            tags = {"Tags": [{"Key": k, "Value": v} for k, v in tags.items()]} if tags else {}
            made = self.elb.create_load_balancer(Name=f"planted-{uuid.uuid4().hex[:16]}", Subnets=[subnet], Scheme="internal", Type="network", **tags)
            return made["LoadBalancers"][0]["LoadBalancerArn"]
        if what == "scaling-group":
            name = f"planted-{uuid.uuid4().hex[:16]}"
            template = self.ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData={"ImageId": image, "InstanceType": "t3.small"})["LaunchTemplate"]
            tags = {"Tags": [{"Key": k, "Value": v, "PropagateAtLaunch": False} for k, v in tags.items()]} if tags else {}
            made_from = {"LaunchTemplateId": template["LaunchTemplateId"], "Version": "1"}
            self.scaling.create_auto_scaling_group(AutoScalingGroupName=name, LaunchTemplate=made_from, VPCZoneIdentifier=subnet, MinSize=0, MaxSize=1, **tags)
            return self.scaling_groups()[name]["AutoScalingGroupARN"]
        if what == "hostedzone":
            mark = {k.split("/")[1]: v for k, v in (tags or {}).items()}
            reference = f"welkin:{mark['owner']}:{mark['uid']}" if mark else f"planted-{uuid.uuid4()}"
            id = self.route53.create_hosted_zone(Name=dns_name, CallerReference=reference)["HostedZone"]["Id"].split("/")[-1]
            if mark:
                self.route53.change_tags_for_resource(ResourceType="hostedzone", ResourceId=id, AddTags=[{"Key": "welkin.dev/id", "Value": mark["id"]}])
            return id
        if what == "records":
            name, kind = dns_name.split("~")
            self.change_records(zone, "CREATE", {"Name": name, "Type": kind, "TTL": 300, "ResourceRecords": [{"Value": address}]})
            return dns_name
        run = self.ec2.run_instances(ImageId=image, SubnetId=subnet, InstanceType="t3.small", MinCount=1, MaxCount=1, **marks)
        return run["Instances"][0]["InstanceId"]

    def change_records(self, zone, action, *sets):
        self.route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": [{"Action": action, "ResourceRecordSet": s} for s in sets]})

    def call(self, port, operation, service="ec2", **more):
        through = client(service, port, *self.admin, config=Config(retries={"total_max_attempts": 1}))
        return getattr(through, operation)(**more.get("with", {}))

    def remove(self, id):
        if id.startswith("vpc-"):
            for gateway in self.ec2.describe_internet_gateways(Filters=[{"Name": "attachment.vpc-id", "Values": [id]}])["InternetGateways"]:
                self.ec2.detach_internet_gateway(InternetGatewayId=gateway["InternetGatewayId"], VpcId=id)
            self.ec2.delete_vpc(VpcId=id)
        elif id.startswith("sg-"):
            self.ec2.delete_security_group(GroupId=id)
        elif id.startswith("subnet-"):
            self.ec2.delete_subnet(SubnetId=id)
        elif id.startswith("nat-"):
            self.ec2.delete_nat_gateway(NatGatewayId=id)
        elif id.startswith("rtb-"):
            for association in self.ec2.describe_route_tables(RouteTableIds=[id])["RouteTables"][0]["Associations"]:
                self.ec2.disassociate_route_table(AssociationId=association["RouteTableAssociationId"])
            self.ec2.delete_route_table(RouteTableId=id)
        elif id.startswith("eipalloc-"):
            for address in self.ec2.describe_addresses(AllocationIds=[id])["Addresses"]:
                if address.get("AssociationId"):
                    self.ec2.disassociate_address(AssociationId=address["AssociationId"])
            self.ec2.release_address(AllocationId=id)
        elif id.startswith("lt-"):
            self.ec2.delete_launch_template(LaunchTemplateId=id)
        elif ":autoScalingGroup:" in id:
            name = id.split("/")[-1]
            self.scaling.delete_auto_scaling_group(AutoScalingGroupName=name, ForceDelete=True)
            if name.startswith("planted-"):
                self.ec2.delete_launch_template(LaunchTemplateName=name)
            # It goes with its instances, which somebody has to look at.
            while name in self.scaling_groups():
                time.sleep(0.05)
        elif ":loadbalancer/" in id:
            self.elb.modify_load_balancer_attributes(LoadBalancerArn=id, Attributes=[{"Key": "deletion_protection.enabled", "Value": "false"}])
            self.elb.delete_load_balancer(LoadBalancerArn=id)
        elif id.startswith("arn:"):
            self.elb.delete_target_group(TargetGroupArn=id)
        elif "~" in id:
            for zone in self.route53.list_hosted_zones()["HostedZones"]:
                its = [s for s in self.record_sets(zone["Id"]) if self.record_id(s) == id]
                if its:
                    self.change_records(zone["Id"], "DELETE", *its)
        elif "-" not in id:
            self.route53.delete_hosted_zone(Id=id)
        elif id.startswith("vol-"):
            for volume in self.ec2.describe_volumes(VolumeIds=[id])["Volumes"]:
                for attachment in volume["Attachments"]:
                    self.ec2.detach_volume(VolumeId=id, InstanceId=attachment["InstanceId"])
            self.ec2.delete_volume(VolumeId=id)
        else:
            self.ec2.modify_instance_attribute(InstanceId=id, DisableApiTermination={"Value": False})
            interfaces = self.ec2.describe_network_interfaces(Filters=[{"Name": "attachment.instance-id", "Values": [id]}])["NetworkInterfaces"]
            self.ec2.terminate_instances(InstanceIds=[id])
            # moto keeps them; on AWS they go with the instance that they were made with.
            for interface in interfaces:
                try:
                    self.ec2.delete_network_interface(NetworkInterfaceId=interface["NetworkInterfaceId"])
                except ClientError as e:
                    if e.response["Error"]["Code"] != "InvalidNetworkInterfaceID.NotFound":
                        raise


def main(port, *policy_files):
    world = World(port, *policy_files)
    print(json.dumps(dict(zip(("id", "secret"), world.welkin))), flush=True)
    for line in sys.stdin:
        wish = json.loads(line)
        try:
            answer = {"ok": getattr(world, wish.pop("do"))(**wish)}
        except Exception as e:  # told to the test, whatever it is
            answer = {"error": str(e)}
        print(json.dumps(answer, default=str), flush=True)


main(*sys.argv[1:])
