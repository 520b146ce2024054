"""Service Quotas as AWS's documentation has it (<https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/>), of which moto has two calls.

moto knows the defaults of VPC alone, and tells them as the applied ones, too; of other services it has none. Here all of them are applied as they are, but for one
that AWS tells a default of and nothing else, as the catalogue in <https://github.com/klaffka/aws-quota-monitor> has it; and lists have pages.
"""

import json

from moto.servicequotas.exceptions import NoSuchResource
from moto.servicequotas.responses import ServiceQuotasResponse

# Characters per VPC endpoint policy.
UNAPPLIED = {"L-3248932A"}


def asked(self):
    return json.loads(self.body)


def page(self, quotas):
    wish = asked(self)
    start, size = int(wish.get("NextToken", 0)), int(wish.get("MaxResults", 100))
    more = {"NextToken": str(start + size)} if start + size < len(quotas) else {}
    return json.dumps({"Quotas": quotas[start : start + size], **more})


def defaults(self):
    return self.backend.list_aws_default_service_quotas(asked(self)["ServiceCode"])


def applied(self):
    return [quota for quota in defaults(self) if quota["QuotaCode"] not in UNAPPLIED]


def one(self, quotas):
    found = [quota for quota in quotas if quota["QuotaCode"] == asked(self)["QuotaCode"]]
    if not found:
        raise NoSuchResource()
    return json.dumps({"Quota": found[0]})


def mend():
    ServiceQuotasResponse.list_service_quotas = lambda self: page(self, applied(self))
    ServiceQuotasResponse.list_aws_default_service_quotas = lambda self: page(self, defaults(self))
    ServiceQuotasResponse.get_service_quota = lambda self: one(self, applied(self))
    ServiceQuotasResponse.get_aws_default_service_quota = lambda self: one(self, defaults(self))
