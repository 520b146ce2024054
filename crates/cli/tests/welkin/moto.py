"""Prepares a strict moto for the black-box tests and looks into it from outside.

    moto.py credentials PORT POLICY_FILE   makes the user that the server runs as: exactly this policy; prints {"id": ..., "secret": ...}
    moto.py inventory PORT ID SECRET       prints what there is, by kind, with the number of objects that carry Welkin's mark
    moto.py plant PORT ID SECRET           makes a VPC that is not ours and prints its id

The first three calls need no credentials (INITIAL_NO_AUTH_ACTION_COUNT=3); the fourth on is checked, signature and policy.
"""

import json
import sys

import boto3

REGION = "eu-west-1"


def client(service, port, key="none", secret="none"):
    return boto3.client(service, region_name=REGION, endpoint_url=f"http://127.0.0.1:{port}", aws_access_key_id=key, aws_secret_access_key=secret)


def credentials(port, policy):
    iam = client("iam", port)
    iam.create_user(UserName="welkin")
    with open(policy, encoding="utf-8") as f:
        iam.put_user_policy(UserName="welkin", PolicyName="welkin", PolicyDocument=f.read())
    key = iam.create_access_key(UserName="welkin")["AccessKey"]
    print(json.dumps({"id": key["AccessKeyId"], "secret": key["SecretAccessKey"]}))


def inventory(port, key, secret):
    ec2 = client("ec2", port, key, secret)

    def marked(items):
        return sum(any(t["Key"] == "welkin.dev/uid" for t in i.get("Tags", [])) for i in items)

    def all_of(operation, key):
        return [item for page in ec2.get_paginator(operation).paginate() for item in page[key]]

    instances = [i for r in all_of("describe_instances", "Reservations") for i in r["Instances"] if i["State"]["Name"] not in ("terminated", "shutting-down")]
    print(
        json.dumps(
            {
                "vpc": marked(all_of("describe_vpcs", "Vpcs")),
                "subnet": marked(all_of("describe_subnets", "Subnets")),
                "internet_gateway": marked(all_of("describe_internet_gateways", "InternetGateways")),
                "instance": marked(instances),
                "key_pair": len(ec2.describe_key_pairs()["KeyPairs"]),
            }
        )
    )


def plant(port, key, secret):
    print(json.dumps(client("ec2", port, key, secret).create_vpc(CidrBlock="10.99.0.0/16")["Vpc"]["VpcId"]))


{"credentials": credentials, "inventory": inventory, "plant": plant}[sys.argv[1]](*sys.argv[2:])
