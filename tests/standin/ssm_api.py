#!/usr/bin/env python3
"""STAND-INS for the parameter store of AWS Systems Manager (JSON over HTTP) and for an instance's metadata service,
version 2, with the parts that providers/aws needs to pass a secret. Nothing is encrypted. A request with a session
token counts as one of the VM; its signature must be correct, which botocore in Debian's aws command computes."""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cloud import Api, Refused, answer_json  # noqa: E402
from ec2_api import KEY, Ec2Api  # noqa: E402

ROLE_KEY = {"AccessKeyId": "ASIASTANDIN", "SecretAccessKey": "stand-in/secret+key", "Token": "stand-in-session-token=="}


class SsmApi(Ec2Api):
    """Also serves EC2 at the same address, because the command has one endpoint for both."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.parameters = {}

    def parse(self, method, path, headers, body):
        target = headers.get("X-Amz-Target", "")
        if not target.startswith("AmazonSSM."):
            return super().parse(method, path, headers, body)
        if headers.get("X-Amz-Security-Token"):
            self.check_signature(method, path, headers, body)
        elif "Credential=%s/" % KEY not in headers.get("Authorization", ""):
            raise Refused(400, "UnrecognizedClientException")
        return "ssm " + target.partition(".")[2], {"body": json.loads(body), "role": bool(headers.get("X-Amz-Security-Token"))}

    def check_signature(self, method, path, headers, body):
        import awscli  # noqa: F401  it makes its own botocore known by that name
        import awscli.botocore.credentials  # noqa: F401
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials
        auth = SigV4Auth(Credentials(ROLE_KEY["AccessKeyId"], ROLE_KEY["SecretAccessKey"], ROLE_KEY["Token"]), "ssm", "eu-central-1")
        signed = headers["Authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
        request = AWSRequest(method, self.url + path, headers={name: headers[name] for name in signed}, data=body)
        request.context["timestamp"] = headers["X-Amz-Date"]
        text = auth.string_to_sign(request, auth.canonical_request(request))
        if headers["X-Amz-Security-Token"] != ROLE_KEY["Token"] or not headers["Authorization"].endswith("Signature=" + auth.signature(text, request)):
            raise Refused(400, "InvalidSignatureException", "The request signature we calculated does not match the signature you provided.")

    def error(self, refused):
        if refused.code.endswith("Exception") or refused.code.startswith("Parameter"):
            return answer_json(refused.status, {"__type": refused.code, "message": refused.message})
        return super().error(refused)

    def act(self, action, arguments):
        if not action.startswith("ssm "):
            return super().act(action, arguments)
        body, call = arguments["body"], action[4:]
        if arguments["role"] and call not in ("GetParameter", "DeleteParameter"):
            raise Refused(400, "AccessDeniedException", "not allowed to the role")
        if call == "PutParameter":
            if body["Name"] in self.parameters and not body.get("Overwrite"):
                raise Refused(400, "ParameterAlreadyExists", "The parameter already exists.")
            if body.get("Overwrite") and body.get("Tags"):
                raise Refused(400, "ValidationException", "tags and overwrite can't be used together")
            tags = body.get("Tags") or self.parameters.get(body["Name"], {}).get("Tags")
            self.parameters[body["Name"]] = {**body, "Tags": tags}
            return answer_json(200, {"Version": 1, "Tier": "Standard"})
        if call == "DescribeParameters":
            (chosen,) = body["ParameterFilters"]
            found = [n for n in self.parameters if n.startswith(chosen["Values"][0] + "/") and chosen["Key"] == "Path"]
            return answer_json(200, {"Parameters": [{"Name": n, "Type": "SecureString"} for n in found]})
        if call == "DeleteParameters":
            return answer_json(200, {"DeletedParameters": [n for n in body["Names"] if self.parameters.pop(n, None)], "InvalidParameters": []})
        name = body.get("Name") or body.get("ResourceId")
        if name not in self.parameters:
            raise Refused(400, "ParameterNotFound", name)
        if call == "ListTagsForResource":
            return answer_json(200, {"TagList": self.parameters[name]["Tags"]})
        if call == "GetParameter":
            return answer_json(200, {"Parameter": {"Name": name, "Value": self.parameters[name]["Value"], "Type": "SecureString"}})
        if call == "DeleteParameter":
            del self.parameters[name]
            return answer_json(200, {})
        raise Refused(400, "UnknownOperationException", call)


class MetadataApi(Api):
    def parse(self, method, path, headers, body):
        if method == "PUT" and path == "/latest/api/token" and headers.get("X-aws-ec2-metadata-token-ttl-seconds"):
            return "token", {}
        if headers.get("X-aws-ec2-metadata-token") != "metadata-token":
            raise Refused(401, "", "")
        return {"/latest/meta-data/iam/security-credentials/": "role", "/latest/meta-data/iam/security-credentials/bottle": "key"}[path], {}

    def act(self, action, arguments):
        return 200, "text/plain", {"token": b"metadata-token", "role": b"bottle", "key": json.dumps(ROLE_KEY).encode()}[action]

    def error(self, refused):
        return refused.status, "text/plain", b""
