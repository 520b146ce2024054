"""A service of the query protocol, whose answers lie in a wrapper of their own and whose lists are of members: what model.py asks of it."""

from xml.sax.saxutils import escape

from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.parsers import QueryParser


class Service:
    # What the driver reads as more than text, by its shape; `n` and `i` are as in model.py. None of EC2's shapes is called so.
    NAMED = {}
    # The values of a list of two, by the shape: where the first or the last of an enumeration is none of ours, and what attributes are called.
    WORDS = {}

    def __init__(self, name, namespace, recorded_as):
        self.model = ServiceModel(Loader().load_service_model(name, "service-2"), name)
        self.namespace, self.recorded_as = namespace, recorded_as

    def wrapper(self, operation):
        """What an answer's members lie in."""
        return operation.output_shape.serialization["resultWrapper"]

    def envelope(self, operation, inner):
        result = self.wrapper(operation)
        rest = "<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata>"
        head = '<?xml version="1.0" encoding="UTF-8"?>\n'
        return f'{head}<{operation.name}Response xmlns="{self.namespace}"><{result}>{inner}</{result}>{rest}</{operation.name}Response>'

    def refusal(self, error):
        code, message = escape(error.get("Code", "")), escape(error.get("Message", ""))
        inner = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error><RequestId>r</RequestId>"
        return f'<ErrorResponse xmlns="{self.namespace}">{inner}</ErrorResponse>'

    def parsed(self, operation, xml):
        answer = QueryParser().parse({"body": xml.encode(), "headers": {}, "status_code": 200}, operation.output_shape)
        answer.pop("ResponseMetadata")
        return answer

    def files(self, folder, operation):
        return folder.glob(f"aws-recorded/*/{self.recorded_as}.{operation.name}_*.json")

    def foreign(self, operation, answer):
        """Why an answer is not of this service, if it is not."""

    def samples(self, folder, operation):
        """libcloud's."""
        return []
