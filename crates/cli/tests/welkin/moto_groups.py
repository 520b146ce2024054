"""Auto Scaling and launch templates as AWS's documentation has them, where moto's are something else.

moto's group makes all of its instances in its first subnet, of the template's default version and of no type of the overrides, forgets its policy with every
update, takes a name twice, and neither replaces what is stopped nor refreshes anything. Here a group comes to what it should be step by step, whenever
somebody calls Auto Scaling or describes instances (<https://docs.aws.amazon.com/autoscaling/ec2/APIReference/> for each call, and botocore's model):

- A name is taken once (AlreadyExists), also while the group of that name is being deleted; sizes hold together (ValidationError); an update changes nothing
  that it does not say (API_UpdateAutoScalingGroup).
- Instances are Pending before they are InService and Terminating before they are gone, spread over the subnets, of the first of the overrides ("prioritized"),
  on demand up to the base and the percentage above it, of the version that the group had then (API_InstancesDistribution, API_Instance). How the percentage
  is rounded is not documented: up.
- What is stopped or gone is replaced (<https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-health-checks.html>).
- A termination that decrements is refused at the smallest size (ValidationError), and is not said to be done once: asked again it decrements again.
- DeleteAutoScalingGroup needs ForceDelete where there are instances (ResourceInUse), and answers before they have gone.
- One instance refresh at a time, within its bounds (API_StartInstanceRefresh, API_RefreshPreferences).
- Activities are told, the last first (API_DescribeScalingActivities).
- What is in service is registered with the target groups that are attached, as long as they are (API_AttachLoadBalancerTargetGroups).

And of launch templates: a version is made from its source (API_CreateLaunchTemplateVersion), the template's own tags are none of its data, and lists are not cut
to 15, which the proxy does.
"""

import json
import math
import time
import uuid
from functools import wraps
from threading import RLock

from moto.autoscaling.exceptions import AutoscalingClientError, ValidationError
from moto.autoscaling.models import ASG_NAME_TAG, AutoScalingBackend, FakeAutoScalingGroup, InstanceState, autoscaling_backends
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult, BaseResponse, EmptyResult
from moto.core.utils import utcnow
from moto.ec2.exceptions import EC2ClientError, InvalidLaunchTemplateIdNotFound
from moto.ec2.models.launch_templates import LaunchTemplateBackend
from moto.ec2.responses.instances import InstanceResponse
from moto.ec2.responses.launch_templates import LaunchTemplates
from moto.ec2.utils import parse_user_data

# For so long an instance is Pending, and Terminating, in seconds; and after a launch that failed the next one waits.
STARTS, ENDS, RETRIES = 0.15, 0.1, 0.3
# The server has a thread for each call, and a group is one thing.
LOCK = RLock()


class Member(InstanceState):
    """An instance of a group, with what it was made from."""

    def __init__(self, instance, group, version):
        super().__init__(instance, autoscaling_group=group)
        self.version, self.since, self.leaves = version, time.monotonic(), None

    @property
    def launch_template(self):
        if self.version is None:
            return None
        template = self.auto_scaling_group.ec2_launch_template
        return {"LaunchTemplateId": template.id, "LaunchTemplateName": template.name, "Version": str(self.version)}

    @property
    def lifecycle_state(self):
        if self.leaves is not None:
            return "Terminating"
        return "Pending" if time.monotonic() < self.since + STARTS else "InService"

    @lifecycle_state.setter
    def lifecycle_state(self, state):
        """It follows from the times."""


class Group(FakeAutoScalingGroup):
    __module__ = FakeAutoScalingGroup.__module__  # moto files its models under it

    def __init__(self, *args, **kwargs):
        self.status, self.activities, self.refreshes, self.retries_at, self.registered = None, [], [], 0, set()
        super().__init__(*args, **kwargs)

    def set_desired_capacity(self, new_capacity):
        self.desired_capacity = self.min_size if new_capacity is None else new_capacity

    def notes(self, description, cause, subnet, zone, status="Successful", message=None):
        at = utcnow()
        activity = {
            "ActivityId": str(uuid.uuid4()),
            "AutoScalingGroupName": self.name,
            "Description": description,
            "Cause": f"At {at:%Y-%m-%dT%H:%M:%SZ} {cause}",
            "StartTime": at,
            "EndTime": at,
            "StatusCode": status,
            "StatusMessage": message,
            "Progress": 100,
            "Details": json.dumps({"Subnet ID": subnet, "Availability Zone": zone}),
            "AutoScalingGroupARN": self.arn,
        }
        self.activities.insert(0, activity)
        return activity

    def staying(self):
        return [m for m in self.instance_states if m.leaves is None]

    def policy(self):
        """The types, the base and the percentage above it that are on demand."""
        policy = self.mixed_instances_policy or {}
        distribution = policy.get("InstancesDistribution") or {}
        types = [o["InstanceType"] for o in (policy.get("LaunchTemplate") or {}).get("Overrides") or []]
        percent = distribution.get("OnDemandPercentageAboveBaseCapacity")
        return types, int(distribution.get("OnDemandBaseCapacity") or 0), 100 if percent is None else int(percent)

    def on_demand(self, size):
        _, base, percent = self.policy()
        return min(size, base) + math.ceil(max(0, size - base) * percent / 100)

    def template(self):
        """What new instances are made from, with the version's number where it is a template's."""
        if self.launch_config:
            config = self.launch_config
            return {"ImageId": config.image_id, "InstanceType": config.instance_type, "SecurityGroupIds": config.security_groups}, None
        template = self.ec2_backend.get_launch_template(self.ec2_launch_template.id)
        version = template.get_version(self.launch_template_version)
        return version.data, version.number

    # What happens by itself.

    def advance(self):
        now = time.monotonic()
        for member in list(self.instance_states):
            if member.leaves is None and member.instance.state != "running":
                self.leave(member, "an instance was taken out of service in response to an EC2 health check indicating it has been terminated or stopped.")
                member.health_status = "Unhealthy"
            if member.leaves is not None and (now >= member.leaves or member.instance.state == "terminated"):
                self.instance_states.remove(member)
                self.end(member.instance)
        if self.status:
            for member in self.staying():
                self.leave(member, "the group is deleted.")
            self.lead()
            return
        extra = self.refreshed()
        self.scale(self.desired_capacity + extra)
        self.lead()

    def lead(self):
        """What is in service is registered with the target groups that the group is attached to, and nothing else of it."""
        ready = {m.instance_id for m in self.staying() if m.lifecycle_state == "InService"}
        known = self.autoscaling_backend.elbv2_backend.target_groups
        self.target_group_arns = [arn for arn in self.target_group_arns if arn in known]
        for arn in self.target_group_arns:
            known[arn].register([{"Id": id} for id in ready if id not in known[arn].targets])
            self.let_go(known[arn], self.registered - ready)
        self.registered |= ready

    def let_go(self, target_group, ids):
        for id in ids:
            target_group.targets.pop(id, None)

    def leave(self, member, cause):
        member.leaves = time.monotonic() + ENDS
        return self.notes(f"Terminating EC2 instance: {member.instance_id}", cause, member.instance.subnet_id, member.availability_zone)

    def end(self, instance):
        if instance.state != "terminated":
            instance.terminate()
        # moto keeps them; on AWS they go with the instance that they were made with.
        for interface in instance.nics.values():
            if interface.id in self.ec2_backend.enis:
                self.ec2_backend.delete_network_interface(interface.id)

    def scale(self, size):
        while len(self.staying()) > size:
            there = self.staying()
            spot_is_much = sum(m.instance.lifecycle != "spot" for m in there) <= self.on_demand(size)
            zone = lambda m: sum(o.availability_zone == m.availability_zone for o in there)
            first = min(there, key=lambda m: ((m.instance.lifecycle == "spot") != spot_is_much, -zone(m), m.since))
            self.leave(first, "an instance was taken out of service in response to a difference between desired and actual capacity, shrinking the capacity.")
        while len(self.staying()) < size and time.monotonic() >= self.retries_at:
            if not self.launch(size):
                self.retries_at = time.monotonic() + RETRIES

    def launch(self, size):
        there, cause = self.staying(), "an instance was started in response to a difference between desired and actual capacity, increasing the capacity."
        subnets = (self.vpc_zone_identifier or "").split(",")
        subnet = min(subnets, key=lambda id: sum(m.instance.subnet_id == id for m in there))
        try:
            data, version = self.template()
            types, _, _ = self.policy()
            is_spot = sum(m.instance.lifecycle != "spot" for m in there) >= self.on_demand(size)
            instance = self.run(data, version, (types or [data.get("InstanceType")])[0], subnet, is_spot)
        except EC2ClientError as e:
            zone = self.ec2_backend.get_subnet(subnet).availability_zone if subnet else None
            self.notes("Launching a new EC2 instance", cause, subnet, zone, "Failed", f"{e.message} Launching EC2 instance failed.")
            return False
        self.instance_states.append(Member(instance, self, version))
        self.notes(f"Launching a new EC2 instance: {instance.id}", cause, instance.subnet_id, instance.availability_zone)
        return True

    def run(self, data, version, machine_type, subnet, is_spot):
        more = {"block_device_mappings": data["BlockDeviceMappings"]} if data.get("BlockDeviceMappings") else {}
        if version is not None:
            more["launch_template"] = {"LaunchTemplateId": self.ec2_launch_template.id, "Version": str(version)}
        interfaces = [{**i, "SubnetId": subnet} for i in data.get("NetworkInterfaces") or []]
        reservation = self.ec2_backend.run_instances(
            data.get("ImageId"),
            1,
            data.get("UserData"),
            [],
            instance_type=machine_type,
            is_instance_type_default=False,
            region_name=self.region,
            subnet_id=subnet if not interfaces else None,
            nics=interfaces,
            security_group_ids=data.get("SecurityGroupIds") or [],
            key_name=data.get("KeyName"),
            tags={"instance": {**self.get_propagated_tags(), ASG_NAME_TAG: self.name}},
            associate_public_ip=None,
            lifecycle="spot" if is_spot else None,
            metadata_options=data.get("MetadataOptions") or {},
            **more,
        )
        instance = reservation.instances[0]
        profile = data.get("IamInstanceProfile") or {}
        if profile:
            named = {f"iam_instance_profile_{key.lower()}": value for key, value in profile.items()}
            self.ec2_backend.associate_iam_instance_profile(instance_id=instance.id, **named)
        return instance

    def refresh(self):
        return next((r for r in self.refreshes if r["Status"] in ("Pending", "InProgress", "Cancelling")), None)

    def refreshed(self):
        """A step of the refresh that is under way, and how many more instances there may be for it than the group should have."""
        refresh = self.refresh()
        if not refresh:
            return 0
        left = [m for m in self.staying() if m.instance_id in refresh["targets"]]
        refresh["InstancesToUpdate"] = len(left)
        refresh["PercentageComplete"] = 100 - (100 * len(left) // len(refresh["targets"]) if refresh["targets"] else 0)
        ready = [m for m in self.staying() if m.lifecycle_state == "InService"]
        if refresh["Status"] == "Cancelling":
            self.refresh_ends(refresh, "Cancelled")
        elif not left and len(ready) == self.desired_capacity == len(self.staying()):
            self.refresh_ends(refresh, "Successful")
        else:
            refresh["Status"] = "InProgress"
            least, most = self.bounds(refresh["Preferences"])
            if len(left) and len(self.staying()) >= self.desired_capacity:
                for member in left[: max(0, len(ready) - least)]:
                    self.leave(member, "an instance was taken out of service in response to an instance refresh.")
                left = [m for m in left if m.leaves is None]
            return min(most - self.desired_capacity, len(left))
        return 0

    def bounds(self, preferences):
        """How many have to be in service, and how many there may be. Where neither leaves room, one is too many or missing, as API_RefreshPreferences has it."""
        size, most = self.desired_capacity, preferences.get("MaxHealthyPercentage")
        least = preferences.get("MinHealthyPercentage")
        least = math.ceil(size * (90 if least is None else int(least)) / 100)
        above = size if most is None else math.floor(size * int(most) / 100)
        if least >= size and above <= size:
            return (size - 1, size) if most is None else (size, size + 1)
        return least, above

    def refresh_ends(self, refresh, status):
        refresh.update(Status=status, EndTime=utcnow())

    # What is asked for.

    def update(self, availability_zones, desired_capacity, max_size, min_size, launch_config_name, launch_template, vpc_zone_identifier, *args, **kwargs):
        health = dict(zip(("health_check_period", "health_check_type"), args), **kwargs)
        low = self.min_size if min_size is None else min_size
        high = self.max_size if max_size is None else max_size
        size = desired_capacity
        if size is None:
            size = max(self.desired_capacity, low) if min_size is not None else self.desired_capacity
            size = min(size, high) if max_size is not None else size
        sizes_hold_together(low, size, high)
        policy = kwargs.get("mixed_instances_policy")
        if policy:
            before = self.mixed_instances_policy or {}
            policy = {part: {**(before.get(part) or {}), **(policy.get(part) or {})} for part in ("LaunchTemplate", "InstancesDistribution")}
            made_from(self.ec2_backend, policy["LaunchTemplate"].get("LaunchTemplateSpecification"))
        if vpc_zone_identifier or availability_zones:
            there(self.ec2_backend, vpc_zone_identifier)
            self._set_azs_and_vpcs(availability_zones, vpc_zone_identifier, update=True)
        if policy or launch_template or launch_config_name:
            self.mixed_instances_policy = policy
            self._set_launch_configuration(launch_config_name, launch_template, policy)
        self.min_size, self.max_size, self.desired_capacity, self.retries_at = low, high, size, 0
        if health.get("health_check_period") is not None:
            self.health_check_grace_period = health["health_check_period"]
        self.health_check_type = health.get("health_check_type") or self.health_check_type


def sizes_hold_together(low, size, high):
    if low > high:
        raise ValidationError(f"Max bound, {high}, must be greater than or equal to min bound, {low}")
    if not low <= size <= high:
        raise ValidationError(f"Desired capacity:{size} must be between the specified min size:{low} and max size:{high}")


def there(ec2, subnets):
    """Are these subnets there?"""
    for id in (subnets or "").split(","):
        if id and not any(s.id == id for s in ec2.describe_subnets()):
            raise ValidationError(f"The subnet ID '{id}' does not exist")


def made_from(ec2, specification):
    """Can instances be made from it, as far as it names what is there?"""
    said = specification or {}
    fault = "You must use a valid fully-formed launch template. "
    try:
        id, name = said.get("LaunchTemplateId"), said.get("LaunchTemplateName")
        template = ec2.get_launch_template(id) if id else ec2.get_launch_template_by_name(name)
        data = template.get_version(said.get("Version") or "$Default").data
        ec2.describe_images(ami_ids=[data["ImageId"]] if data.get("ImageId") else [])
        for group in [*(data.get("SecurityGroupIds") or []), *(g for i in data.get("NetworkInterfaces") or [] for g in i.get("Groups") or [])]:
            if ec2.get_security_group_from_id(group) is None:
                raise ValidationError(f"{fault}The security group '{group}' does not exist")
    except EC2ClientError as e:
        raise ValidationError(fault + e.message) from e


create_group, update_group, described = (
    AutoScalingBackend.create_auto_scaling_group,
    AutoScalingBackend.update_auto_scaling_group,
    AutoScalingBackend.describe_auto_scaling_groups,
)
call, describe_instances = AutoScalingResponse.call_action, InstanceResponse.describe_instances
create_template, delete_template, describe_templates = (
    LaunchTemplateBackend.create_launch_template,
    LaunchTemplateBackend.delete_launch_template,
    LaunchTemplateBackend.describe_launch_templates,
)


def advance(backend):
    for group in list(backend.autoscaling_groups.values()):
        group.advance()
        if group.status and not group.instance_states:
            backend.autoscaling_groups.pop(group.name, None)


def group_named(backend, name):
    group = backend.autoscaling_groups.get(name)
    if not group:
        raise ValidationError(f"AutoScalingGroup name not found - AutoScalingGroup '{name}' not found")
    return group


def create_auto_scaling_group(self, name, **kwargs):
    if name in self.autoscaling_groups:
        raise AutoscalingClientError("AlreadyExists", f"AutoScalingGroup by this name already exists - A group with the name {name} already exists")
    low, high, size = kwargs["min_size"] or 0, kwargs["max_size"], kwargs["desired_capacity"]
    sizes_hold_together(low, low if size is None else size, high)
    there(self.ec2_backend, kwargs["vpc_zone_identifier"])
    mixed = (kwargs["mixed_instances_policy"] or {}).get("LaunchTemplate") or {}
    specification = mixed.get("LaunchTemplateSpecification") or kwargs["launch_template"]
    if specification:
        made_from(self.ec2_backend, specification)
    group = create_group(self, name, **kwargs)
    group.health_check_grace_period = kwargs["health_check_period"] or 0
    return group


def update_auto_scaling_group(self, name, **kwargs):
    if group_named(self, name).status:
        raise ValidationError(f"AutoScalingGroup name not found - AutoScalingGroup '{name}' is pending delete")
    return update_group(self, name, **kwargs)


def describe_auto_scaling_groups(self, names, filters=None):
    # A token is a name, so that nothing is lost or shown twice when others come and go.
    return sorted(described(self, names, filters), key=lambda group: group.name)


def create_or_update_tags(self, tags):
    for tag in tags:
        group_named(self, tag["ResourceId"])
    return write_tags(self, tags)


def delete_tags(self, tags):
    for tag in tags:
        group_named(self, tag["ResourceId"])
    return erase_tags(self, tags)


write_tags, erase_tags = AutoScalingBackend.create_or_update_tags, AutoScalingBackend.delete_tags


def terminate_instance(self, instance_id, should_decrement):
    found = next(((g, m) for g in self.autoscaling_groups.values() for m in g.instance_states if m.instance_id == instance_id), None)
    if not found:
        raise ValidationError(f"Instance Id not found - No managed instance found for instance ID {instance_id}")
    group, member = found
    if should_decrement and group.desired_capacity <= group.min_size:
        why = f"Currently, desiredSize equals minSize ({group.min_size}). Terminating instance without replacement will violate group's min size constraint."
        raise ValidationError(f"{why} Either set shouldDecrementDesiredCapacity flag to false or lower group's min size.")
    group.desired_capacity -= bool(should_decrement)
    return group.leave(member, f"instance {instance_id} was taken out of service in response to a user request.")


def attach(self, group_name, target_group_arns):
    group = group_named(self, group_name)
    if not all(arn in self.elbv2_backend.target_groups for arn in target_group_arns):
        raise ValidationError("Provided Target Groups may not be valid. Please ensure they exist and try again.")
    group.append_target_groups([arn for arn in target_group_arns if arn not in group.target_group_arns])


def detach(self, group_name, target_group_arns):
    group = group_named(self, group_name)
    for arn in target_group_arns:
        if arn in self.elbv2_backend.target_groups:
            group.let_go(self.elbv2_backend.target_groups[arn], group.registered)
    group.target_group_arns = [arn for arn in group.target_group_arns if arn not in target_group_arns]


def call_action(self):
    with LOCK:
        advance(self.autoscaling_backend)
        answer = call(self)
        # What was asked for begins at once.
        advance(self.autoscaling_backend)
        return answer


def describe_groups(self):
    names, token = self._get_param("AutoScalingGroupNames", []), self._get_param("NextToken")
    groups = self.autoscaling_backend.describe_auto_scaling_groups(names, filters=self._get_param("Filters", []))
    return page(self, "AutoScalingGroups", [g for g in groups if not token or g.name > token], lambda group: group.name)


def page(self, key, items, token):
    most = self._get_int_param("MaxRecords", 50)
    return ActionResult({key: items[:most], "NextToken": token(items[most - 1]) if len(items) > most else None})


def delete_auto_scaling_group(self):
    group = group_named(self.autoscaling_backend, self._get_param("AutoScalingGroupName"))
    if group.instance_states and not self._get_bool_param("ForceDelete", False):
        raise AutoscalingClientError("ResourceInUse", "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still in the group.")
    group.status = "Delete in progress"
    return EmptyResult()


def describe_scaling_activities(self):
    name = self._get_param("AutoScalingGroupName")
    groups = self.autoscaling_backend.autoscaling_groups
    if name:
        groups = {name: group_named(self.autoscaling_backend, name)}
    every = sorted((a for group in groups.values() for a in group.activities), key=lambda a: a["StartTime"], reverse=True)
    ids = [a["ActivityId"] for a in every]
    token = self._get_param("NextToken")
    return page(self, "Activities", every[ids.index(token) + 1 if token in ids else 0 :], lambda activity: activity["ActivityId"])


def start_instance_refresh(self):
    group = group_named(self.autoscaling_backend, self._get_param("AutoScalingGroupName"))
    if group.refresh():
        raise AutoscalingClientError("InstanceRefreshInProgress", "An Instance Refresh is already in progress and blocks the execution of this Instance Refresh.")
    preferences = self._get_params().get("Preferences") or {}
    _, version = group.template()
    types, _, _ = group.policy()
    matches = lambda m: m.version == version and m.instance_type in (types or [m.instance_type])
    skips = preferences.get("SkipMatching") in (True, "true")
    refresh = {
        "InstanceRefreshId": str(uuid.uuid4()),
        "AutoScalingGroupName": group.name,
        "Status": "Pending",
        "StartTime": utcnow(),
        "PercentageComplete": 0,
        "InstancesToUpdate": 0,
        "Preferences": preferences,
        "targets": {m.instance_id for m in group.staying() if not (skips and matches(m))},
    }
    group.refreshes.insert(0, refresh)
    return ActionResult({"InstanceRefreshId": refresh["InstanceRefreshId"]})


def describe_instance_refreshes(self):
    group = group_named(self.autoscaling_backend, self._get_param("AutoScalingGroupName"))
    wanted, token = self._get_param("InstanceRefreshIds", []), self._get_param("NextToken")
    ids = [r["InstanceRefreshId"] for r in group.refreshes]
    rest = group.refreshes[ids.index(token) + 1 if token in ids else 0 :]
    shown = [{k: v for k, v in r.items() if k != "targets"} for r in rest if not wanted or r["InstanceRefreshId"] in wanted]
    return page(self, "InstanceRefreshes", shown, lambda refresh: refresh["InstanceRefreshId"])


def cancel_instance_refresh(self):
    group = group_named(self.autoscaling_backend, self._get_param("AutoScalingGroupName"))
    refresh = group.refresh()
    if not refresh:
        raise AutoscalingClientError("ActiveInstanceRefreshNotFound", "No in progress or pending Instance Refresh found for Auto Scaling group " + group.name)
    refresh["Status"] = "Cancelling"
    return ActionResult({"InstanceRefreshId": refresh["InstanceRefreshId"]})


@wraps(describe_instances)
def describe_any_instances(self):
    with LOCK:
        advance(autoscaling_backends[self.current_account][self.region])
        return describe_instances(self)


# Launch templates.


def create_launch_template(self, name, description, template_data, tag_spec):
    own = [spec for spec in template_data.get("TagSpecifications", []) if spec["ResourceType"] != "launch-template"]
    template_data = {key: value for key, value in template_data.items() if value is not None and key != "TagSpecifications"}
    return create_template(self, name, description, {**template_data, **({"TagSpecifications": own} if own else {})}, tag_spec)


def create_launch_template_version(self):
    id, name = self._get_param("LaunchTemplateId"), self._get_param("LaunchTemplateName")
    template = self.ec2_backend.get_launch_template(id) if id else self.ec2_backend.get_launch_template_by_name(name)
    source, data = self._get_param("SourceVersion"), self._get_param("LaunchTemplateData", {})
    if data.get("UserData"):
        data["UserData"] = parse_user_data(self._get_param("LaunchTemplateData.UserData"))
    self.error_on_dryrun()
    before = template.get_version(source).data if source else {}
    version = template.create_version({**before, **data}, self._get_param("VersionDescription"))
    shown = {
        "CreateTime": version.create_time,
        "DefaultVersion": template.is_default(version),
        "LaunchTemplateData": version.data,
        "LaunchTemplateId": template.id,
        "LaunchTemplateName": template.name,
        "VersionDescription": version.description,
        "VersionNumber": version.number,
    }
    return ActionResult({"LaunchTemplateVersion": shown})


def delete_launch_template(self, name, tid):
    if tid and tid not in self.launch_templates:
        raise InvalidLaunchTemplateIdNotFound(tid)
    return delete_template(self, name, tid)


def describe_launch_templates(self, template_names=None, template_ids=None, filters=None):
    for id in template_ids or []:
        self.get_launch_template(id)
    return describe_templates(self, template_names, template_ids, filters)


def uncut(self, param_name, if_none=None):
    """moto cuts these lists to what fits, and has no token for the rest."""
    is_cut = param_name == "MaxResults" and self._get_action().startswith("DescribeLaunchTemplate")
    return 1000 if is_cut else BaseResponse._get_int_param(self, param_name, if_none)


def mend():
    import moto.autoscaling.models

    moto.autoscaling.models.FakeAutoScalingGroup = Group
    for name, function in [
        ("create_auto_scaling_group", create_auto_scaling_group),
        ("update_auto_scaling_group", update_auto_scaling_group),
        ("describe_auto_scaling_groups", describe_auto_scaling_groups),
        ("create_or_update_tags", create_or_update_tags),
        ("delete_tags", delete_tags),
        ("terminate_instance", terminate_instance),
        ("attach_load_balancer_target_groups", attach),
        ("detach_load_balancer_target_groups", detach),
        ("update_attached_target_groups", lambda self, name: None),
        # Seen when the group is next looked at.
        ("notify_terminate_instances", lambda self, ids: None),
    ]:
        setattr(AutoScalingBackend, name, function)
    for name, function in [
        ("call_action", call_action),
        ("describe_auto_scaling_groups", describe_groups),
        ("delete_auto_scaling_group", delete_auto_scaling_group),
        ("describe_scaling_activities", describe_scaling_activities),
        ("start_instance_refresh", start_instance_refresh),
        ("describe_instance_refreshes", describe_instance_refreshes),
        ("cancel_instance_refresh", cancel_instance_refresh),
    ]:
        setattr(AutoScalingResponse, name, function)
    InstanceResponse.describe_instances = describe_any_instances
    LaunchTemplateBackend.create_launch_template = create_launch_template
    LaunchTemplateBackend.delete_launch_template = delete_launch_template
    LaunchTemplateBackend.describe_launch_templates = describe_launch_templates
    LaunchTemplates.create_launch_template_version = create_launch_template_version
    LaunchTemplates._get_int_param = uncut
