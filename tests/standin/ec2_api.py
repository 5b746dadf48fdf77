#!/usr/bin/env python3
"""STAND-IN for Amazon EC2's Query API, with the part that the real `aws` command needs to create, show and terminate
one instance with a security group and a volume. It checks the key's name but no signatures, and boots nothing. Like the
real API, it has the same names of calls, parameters, errors and states, answers in pages of two, keeps a group as long
as an instance is in it, and takes time to start and to terminate an instance."""

import base64
import os
import re
import sys
import time
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cloud import Api, Refused, serve_forever  # noqa: E402

KEY = "AKIASTANDIN"
PAGE = 2


class Ec2Api(Api):
    def __init__(self, port=0, start_seconds=0, end_seconds=0, types=("t3.small", "t3.medium", "t3.large")):
        super().__init__(port)
        self.start_seconds, self.end_seconds, self.types = start_seconds, end_seconds, types
        self.instances, self.volumes, self.groups, self.tokens, self.count = {}, {}, {}, {}, 0
        self.account = "111122223333"
        self.keep_volume = False  # as when a volume's deletion fails at the cloud
        self.images = [
            {"imageId": "ami-0001", "name": "debian-12-amd64-20250101-1", "creationDate": "2025-01-01T00:00:00.000Z", "rootDeviceName": "/dev/xvda"},
            {"imageId": "ami-0002", "name": "debian-12-amd64-20260101-1", "creationDate": "2026-01-01T00:00:00.000Z", "rootDeviceName": "/dev/xvda"}]

    # ---- the wire

    def parse(self, method, path, headers, body):
        if "Credential=%s/" % KEY not in headers.get("Authorization", ""):
            raise Refused(401, "AuthFailure", "AWS was not able to validate the provided access credentials")
        arguments = dict(parse_qsl(body.decode(), keep_blank_values=True))
        return arguments.pop("Action", ""), arguments

    def error(self, refused):
        text = "<Response><Errors><Error><Code>%s</Code><Message>%s</Message></Error></Errors><RequestID>stand-in</RequestID></Response>"
        return refused.status, "text/xml", (text % (escape(refused.code), escape(refused.message))).encode()

    def act(self, action, arguments):
        if action == "GetCallerIdentity":  # of another service, which answers in another form
            text = ("<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult><Account>%s</Account>"
                    "</GetCallerIdentityResult></GetCallerIdentityResponse>")
            return 200, "text/xml", (text % self.account).encode()
        call = getattr(self, "do_" + action, None)
        if not call:
            raise Refused(400, "InvalidAction", "the stand-in does not know " + action)
        for instance in self.instances.values():
            self.grow(instance)
        fields = call(Tree(arguments))
        body = "<%sResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>stand-in</requestId>%s</%sResponse>"
        return 200, "text/xml", (body % (action, xml(fields), action)).encode()

    # ---- changes over time

    def grow(self, instance):
        age = time.time() - instance["_since"]
        if instance["state"] == "pending" and age >= self.start_seconds:
            instance.update(state="running", address="203.0.113.%d" % (int(instance["instanceId"][2:], 16) % 200 + 1))
        if instance["state"] == "shutting-down" and age >= self.end_seconds:
            instance.update(state="terminated", address="")
            for volume in [v for v in self.volumes.values() if v["instance"] == instance["instanceId"]]:
                volume.update(instance="", status="available")
                if volume["deleteOnTermination"] and not self.keep_volume:
                    del self.volumes[volume["volumeId"]]

    def new(self, prefix):
        self.count += 1
        return "%s%017x" % (prefix, self.count)

    # ---- the calls

    def do_DescribeImages(self, ask):
        patterns = ask.filters().get("name", ["*"])
        found = [i for i in self.images if (i["imageId"] in ask.list("ImageId") or not ask.list("ImageId"))
                 and any(re.fullmatch(p.replace("*", ".*"), i["name"]) for p in patterns)]
        return {"imagesSet": [dict(i, imageState="available") for i in found]}

    def do_DescribeSubnets(self, ask):
        return {"subnetSet": [{"subnetId": ask.list("SubnetId")[0], "vpcId": "vpc-1"}]}

    def do_CreateSecurityGroup(self, ask):
        if any(g["groupName"] == ask.get("GroupName") for g in self.groups.values()):
            raise Refused(400, "InvalidGroup.Duplicate", "The security group already exists")
        group = {"groupId": self.new("sg-"), "groupName": ask.need("GroupName"), "groupDescription": ask.need("GroupDescription"),
                 "vpcId": ask.get("VpcId") or "vpc-0", "tagSet": ask.tags("security-group"), "ipPermissions": []}
        self.groups[group["groupId"]] = group
        return {"return": "true", "groupId": group["groupId"], "tagSet": group["tagSet"]}

    def do_AuthorizeSecurityGroupIngress(self, ask):
        group = self.find(self.groups, ask.need("GroupId"), "InvalidGroup.NotFound")
        rule = {k: ask.need("IpPermissions.1." + k2) for k, k2 in
                (("ipProtocol", "IpProtocol"), ("fromPort", "FromPort"), ("toPort", "ToPort"), ("cidrIp", "IpRanges.1.CidrIp"))}
        if rule in group["ipPermissions"]:
            raise Refused(400, "InvalidPermission.Duplicate", "the specified rule already exists")
        group["ipPermissions"].append(rule)
        return {"return": "true"}

    def do_DescribeSecurityGroups(self, ask):
        return self.page(ask, "securityGroupInfo", self.chosen(ask, self.groups, "GroupId", "InvalidGroup.NotFound"),
                         lambda g: {k: g[k] for k in ("groupId", "groupName", "groupDescription", "vpcId", "tagSet")})

    def do_DeleteSecurityGroup(self, ask):
        group = self.find(self.groups, ask.need("GroupId"), "InvalidGroup.NotFound")
        if any(group["groupId"] in i["groups"] and i["state"] != "terminated" for i in self.instances.values()):
            raise Refused(400, "DependencyViolation", "resource %s has a dependent object" % group["groupId"])
        del self.groups[group["groupId"]]
        return {"return": "true"}

    def do_RunInstances(self, ask):
        token = ask.get("ClientToken")
        if token in self.tokens:  # EC2 keeps a token for a day at least, also after the instance has ended
            made, asked = self.tokens[token]
            if asked != ask.arguments:
                raise Refused(400, "IdempotentParameterMismatch", "the client token was used with other parameters")
            return self.reservation([self.instances[made]])
        if ask.need("InstanceType") not in self.types:
            raise Refused(400, "InvalidParameterValue", "Invalid value '%s' for InstanceType" % ask.get("InstanceType"))
        if ask.need("ImageId") not in [image["imageId"] for image in self.images]:
            raise Refused(400, "InvalidAMIID.NotFound", "The image id does not exist")
        groups = ask.list("SecurityGroupId") or ask.list("NetworkInterface.1.SecurityGroupId")
        for group in groups:
            self.find(self.groups, group, "InvalidGroup.NotFound")
        instance = {"instanceId": self.new("i-"), "state": "pending", "address": "", "groups": groups, "tagSet": ask.tags("instance"),
                    "type": ask.get("InstanceType"), "userData": base64.b64decode(ask.get("UserData")).decode(), "_since": time.time(),
                    "launchTime": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()), "asked": dict(ask.arguments)}
        self.instances[instance["instanceId"]] = instance
        volume = {"volumeId": self.new("vol-"), "size": ask.get("BlockDeviceMapping.1.Ebs.VolumeSize") or "8", "status": "in-use",
                  "deleteOnTermination": ask.get("BlockDeviceMapping.1.Ebs.DeleteOnTermination") == "true",
                  "instance": instance["instanceId"], "tagSet": ask.tags("volume"), "createTime": instance["launchTime"]}
        self.volumes[volume["volumeId"]] = volume
        if token:
            self.tokens[token] = instance["instanceId"], dict(ask.arguments)
        return self.reservation([instance])

    def do_DescribeInstances(self, ask):
        chosen = self.chosen(ask, self.instances, "InstanceId", "InvalidInstanceID.NotFound")
        return self.page(ask, "reservationSet", chosen, lambda i: self.reservation([i]))

    def do_TerminateInstances(self, ask):
        for vm_id in ask.list("InstanceId"):
            instance = self.find(self.instances, vm_id, "InvalidInstanceID.NotFound")
            if instance["state"] not in ("shutting-down", "terminated"):
                instance.update(state="shutting-down", _since=time.time())
        return {"instancesSet": [{"instanceId": i} for i in ask.list("InstanceId")]}

    def do_DescribeVolumes(self, ask):
        return self.page(ask, "volumeSet", self.chosen(ask, self.volumes, "VolumeId", "InvalidVolume.NotFound"),
                         lambda v: {k: v[k] for k in ("volumeId", "size", "status", "tagSet", "createTime")})

    def do_DeleteVolume(self, ask):
        volume = self.find(self.volumes, ask.need("VolumeId"), "InvalidVolume.NotFound")
        if volume["status"] != "available":
            raise Refused(400, "VolumeInUse", "Volume is attached")
        del self.volumes[volume["volumeId"]]
        return {"return": "true"}

    # ---- shared by the calls

    @staticmethod
    def find(things, key, code):
        if key not in things:
            raise Refused(400, code, "'%s' does not exist" % key)
        return things[key]

    def chosen(self, ask, things, parameter, code):
        ids = ask.list(parameter)
        found = [self.find(things, key, code) for key in ids] if ids else list(things.values())
        for name, values in ask.filters().items():
            if name == "tag-key":
                found = [t for t in found if any(tag["key"] in values for tag in t["tagSet"])]
            elif name.startswith("tag:"):
                found = [t for t in found if any(tag["key"] == name[4:] and tag["value"] in values for tag in t["tagSet"])]
            else:
                raise Refused(400, "InvalidParameterValue", "The filter '%s' is invalid" % name)
        return found

    @staticmethod
    def page(ask, field, found, show):
        begin = int(ask.get("NextToken") or 0)
        more = {"nextToken": str(begin + PAGE)} if begin + PAGE < len(found) else {}
        return {field: [show(thing) for thing in found[begin:begin + PAGE]], **more}

    @staticmethod
    def reservation(instances):
        return {"reservationId": "r-1", "instancesSet": [{
            "instanceId": i["instanceId"], "instanceState": {"code": "16", "name": i["state"]}, "instanceType": i["type"],
            "launchTime": i["launchTime"], "privateIpAddress": "10.0.0.9", "tagSet": i["tagSet"],
            **({"ipAddress": i["address"]} if i["address"] else {})} for i in instances]}


class Tree:
    """Query parameters such as `Filter.1.Value.2=x`, as a tree."""

    def __init__(self, arguments):
        self.arguments = arguments

    def get(self, key):
        return self.arguments.get(key, "")

    def need(self, key):
        if not self.get(key):
            raise Refused(400, "MissingParameter", "The request must contain the parameter " + key)
        return self.get(key)

    def list(self, key):
        return [v for k, v in self.arguments.items() if re.fullmatch(re.escape(key) + r"\.\d+", k)]

    def filters(self):
        names = {k.split(".")[1]: v for k, v in self.arguments.items() if re.fullmatch(r"Filter\.\d+\.Name", k)}
        return {name: self.list("Filter.%s.Value" % n) for n, name in names.items()}

    def tags(self, kind):
        for n in range(1, 10):
            if self.get("TagSpecification.%d.ResourceType" % n) == kind:
                prefix = "TagSpecification.%d.Tag." % n
                return [{"key": self.get("%s%d.Key" % (prefix, m)), "value": self.get("%s%d.Value" % (prefix, m))}
                        for m in range(1, 51) if self.get("%s%d.Key" % (prefix, m))]
        return []


def xml(value):
    if isinstance(value, dict):
        return "".join("<%s>%s</%s>" % (k, xml(v), k) for k, v in value.items())
    if isinstance(value, list):
        return "".join("<item>%s</item>" % xml(v) for v in value)
    return escape(str(value))


if __name__ == "__main__":
    serve_forever(Ec2Api)
