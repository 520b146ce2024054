"""A whole life of an instance, with nothing but grpcio and the server's reflection: no generated code.

    pip install grpcio grpcio-reflection
    python instances.py [HOST:PORT [CLOUD LOCATION]]

Prints one line a step and ends with status 0 when everything it made is gone again.
"""

import sys

import grpc
from google.protobuf import descriptor_pool, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase


class Api:
    """Calls any method of any service that the server describes."""

    def __init__(self, channel):
        self.channel = channel
        self.pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(channel))

    def message(self, name, **fields):
        return message_factory.GetMessageClass(self.pool.FindMessageTypeByName(name))(**fields)

    def call(self, service, method, timeout=60, **fields):
        described = self.pool.FindServiceByName(service).FindMethodByName(method)
        request = message_factory.GetMessageClass(described.input_type)(**fields)
        answer = message_factory.GetMessageClass(described.output_type)
        stub = self.channel.unary_unary(
            f"/{service}/{method}",
            request_serializer=lambda m: m.SerializeToString(),
            response_deserializer=answer.FromString,
        )
        return stub(request, timeout=timeout)

    def finish(self, operation):
        """Waits for the end of an operation and answers its response."""
        while not operation.done:
            operation = self.call("google.longrunning.Operations", "WaitOperation", name=operation.name, timeout={"seconds": 30})
        if operation.HasField("error"):
            raise RuntimeError(f"{operation.name}: {operation.error.message}")
        kind = operation.response.type_url.rsplit("/", 1)[1]
        answer = self.message(kind)
        operation.response.Unpack(answer)
        return answer


def main(address="127.0.0.1:7750", cloud="sim", location="sim-1"):
    parent = f"clouds/{cloud}/locations/{location}"
    with grpc.insecure_channel(address) as channel:
        api = Api(channel)
        v1 = "welkin.v1."

        network = api.finish(api.call(v1 + "Networks", "CreateNetwork", parent=parent, network_id="py-net", network=api.message(v1 + "Network", cidrs=["10.7.0.0/16"])))
        print("created", network.name, network.vendor_id)
        subnet = api.finish(
            api.call(v1 + "Subnets", "CreateSubnet", parent=parent, subnet_id="py-sub", subnet=api.message(v1 + "Subnet", network=network.name, cidrs=["10.7.1.0/24"]))
        )
        print("created", subnet.name, "in zone", subnet.zone)
        wish = api.message(v1 + "Instance", subnet=subnet.name, image="debian-12", machine_type="small", labels={"made-by": "python"})
        instance = api.finish(api.call(v1 + "Instances", "CreateInstance", parent=parent, instance_id="py-web", instance=wish))
        print("created", instance.name, instance.provider_id)

        # The same request again is the same instance.
        again = api.finish(api.call(v1 + "Instances", "CreateInstance", parent=parent, instance_id="py-web", instance=wish))
        assert again.vendor_id == instance.vendor_id, (again.vendor_id, instance.vendor_id)

        for verb, state in [("Stop", "STATE_STOPPED"), ("Start", "STATE_RUNNING"), ("Reboot", "STATE_RUNNING")]:
            api.finish(api.call(v1 + "Instances", verb + "Instance", name=instance.name))
            now = api.call(v1 + "Instances", "GetInstance", name=instance.name)
            reached = now.DESCRIPTOR.fields_by_name["state"].enum_type.values_by_number[now.state].name
            assert reached == state, reached
            print(verb.lower(), "->", reached)

        listed, token = [], ""
        while True:
            page = api.call(v1 + "Instances", "ListInstances", parent="clouds/-/locations/-", filter="labels.made-by = python", page_size=1, page_token=token)
            listed += [i.name for i in page.instances]
            token = page.next_page_token
            if not token:
                break
        assert listed == [instance.name], listed
        print("listed", listed)

        # An error says which field is wrong.
        try:
            api.call(v1 + "Networks", "CreateNetwork", parent=parent, network_id="py-bad", network=api.message(v1 + "Network", cidrs=["10.7.0.1/16"]))
            raise AssertionError("a malformed range was accepted")
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.INVALID_ARGUMENT and "cidrs[0]" in error.details(), error
            print("refused:", error.details())

        for service, method, name in [("Instances", "DeleteInstance", instance.name), ("Subnets", "DeleteSubnet", subnet.name), ("Networks", "DeleteNetwork", network.name)]:
            api.finish(api.call(v1 + service, method, name=name))
            print("deleted", name)


if __name__ == "__main__":
    main(*sys.argv[1:])
