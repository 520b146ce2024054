"""The same of Service Quotas, whose requests are JSON behind a header that names the operation."""

from botocore.loaders import Loader
from botocore.model import ServiceModel

MODEL = ServiceModel(Loader().load_service_model("service-quotas", "service-2"), "service-quotas")


def judged(request, structure):
    """All that is sent is flat, and is judged as text."""
    prefix, _, action = request["target"].partition(".")
    if action not in MODEL.operation_names:
        return {"action": action, "wrong": ["the model does not know this operation"]}
    found = [] if prefix == MODEL.metadata["targetPrefix"] else [f"{prefix} is not {MODEL.metadata['targetPrefix']}"]
    given = {name: str(value) for name, value in request["body"].items()}
    return {"action": action, "wrong": found + list(structure(MODEL.operation_model(action).input_shape, given, ""))}
