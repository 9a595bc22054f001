"""Sends the requests that `stateward setup aws --emit json` writes, as a script of its user's would.

    aws-calls FILE

The endpoint, the credentials and the Region, where a request names none, are boto3's to find. What the document leaves open is filled in: the account and the
partition from who is asking, the key from the answer to the request that made it.
"""

import json
import sys

import boto3
from botocore import xform_name
from botocore.config import Config


def main(path):
    with open(path, encoding="utf-8") as file:
        items = json.load(file)["items"]
    clients = {}

    def client(service, region=None):
        if (service, region) not in clients:
            path_style = Config(s3={"addressing_style": "path"})
            clients[service, region] = boto3.client(service, region_name=region, config=path_style)
        return clients[service, region]

    caller = client("sts").get_caller_identity()
    known = {"account": caller["Account"], "partition": caller["Arn"].split(":")[1]}
    for item in items:
        parameters = json.dumps(item["parameters"])
        for name, value in known.items():
            parameters = parameters.replace("${%s}" % name, value)
        call = getattr(client(item["service"], item.get("region")), xform_name(item["operation"]))
        answer = call(**json.loads(parameters))
        if item["operation"] == "CreateKey":
            known["key_id"] = answer["KeyMetadata"]["KeyId"]


main(sys.argv[1])
