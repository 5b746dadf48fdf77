"""Makes EC2 instances with the `aws` command (version 1 or 2). It makes two things: an instance, and a security group
that admits only ssh.

The instance has no key pair (the user-data brings the key), no role, and metadata only by token and only one hop
away. `poweroff` inside terminates it. It has a role only with options.secret-profile, for the single purpose that
put_secret describes."""

import hashlib
import json
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
import hook  # noqa: E402
from hook import Failure, Stop  # noqa: E402

DEBIAN = "136693071363"  # the account that publishes Debian's images
TYPES = [("t3.small", 2, 2048), ("t3.medium", 2, 4096), ("t3.large", 2, 8192), ("t3.xlarge", 4, 16384), ("t3.2xlarge", 8, 32768)]
STATUS = {"pending": "pending", "running": "running", "shutting-down": "deleting", "stopping": "stopped", "stopped": "stopped",
          "terminated": "gone"}
CODES = [
    (hook.AGAIN, r"^(RequestLimitExceeded|Throttling\w*|RequestThrottled\w*|TooManyUpdates|ThrottledException|InternalError|InternalFailure|Unavailable"
                 r"|ServiceUnavailable|RequestTimeout|IncorrectInstanceState|IncorrectState|DependencyViolation|InvalidInstanceID.NotFound"
                 r"|IdempotentParameterMismatch|VolumeInUse|50\d)$"),
    (hook.CANNOT, r"^(InsufficientInstanceCapacity|InsufficientHostCapacity|InsufficientAddressCapacity|InsufficientFreeAddressesInSubnet"
                  r"|InstanceLimitExceeded|VcpuLimitExceeded|MaxSpotInstanceCountExceeded|SecurityGroupLimitExceeded|VolumeLimitExceeded"
                  r"|ResourceLimitExceeded|ParameterLimitExceeded|ParameterLimitExceededException|Unsupported)$"),
    (hook.DENIED, r"^(UnauthorizedOperation|AuthFailure|AccessDenied\w*|ExpiredToken\w*|RequestExpired|InvalidClientTokenId"
                  r"|UnrecognizedClientException|SignatureDoesNotMatch|OptInRequired|PendingVerification|Blocked|OperationNotPermitted)$"),
]
INSTALL = "install the AWS command-line tool (Debian: apt install awscli)"


def aws(*args, stdin=b"", service="ec2"):
    argv = [hook.tool("aws", INSTALL)]
    for key in ("region", "profile", "endpoint-url"):
        if hook.option(key):
            argv += ["--" + key, hook.option(key)]
    done = hook.run(argv + ["--output", "json", service] + list(args), stdin=stdin, more_env={"AWS_PAGER": ""})
    if done.code == 0:
        return done.json() if done.out.strip() else {}
    said = re.search(r"An error occurred \(([^)]+)\)", done.err)
    raise Failure(done.words(), said.group(1) if said else "")


def tolerate(codes, call):
    """Returns the call's answer, or None if it failed with one of these codes."""
    try:
        return call()
    except Failure as failure:
        if not re.match(codes, failure.code):
            raise
        return None


def tags(thing):
    return {tag["Key"]: tag["Value"] for tag in thing.get("Tags", [])}


def tagged(kind):
    pairs = "".join(",{Key=%s,Value=%s}" % pair for pair in hook.labels().items())
    return "ResourceType=%s,Tags=[{Key=Name,Value=%s}%s]" % (kind, hook.name(), pairs)


KINDS = {"instances": ("InstanceId", "i-"), "volumes": ("VolumeId", "vol-"), "security-groups": ("GroupId", "sg-")}
IDS = {"instances": "--instance-ids", "volumes": "--volume-ids", "security-groups": "--group-ids"}


def describe(kind, args):
    answer = aws("describe-" + kind, *args)  # the aws command follows NextToken by itself
    if kind == "instances":
        return [i for r in answer.get("Reservations", []) for i in r["Instances"]]
    return answer["Volumes" if kind == "volumes" else "SecurityGroups"]


def of(kind, name):
    """Returns the things with that VM's name, whoever made them."""
    return describe(kind, ["--filters", "Name=tag:%s,Values=%s" % (hook.VM, name), "Name=tag-key,Values=" + hook.SESSION])


def ours(kind, name):
    return hook.only_ours(of(kind, name), tags)


def alive(machines):
    return [machine for machine in machines if machine["State"]["Name"] != "terminated"]


class Aws:
    @staticmethod
    def place():
        region = hook.option("region") or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        if not region:
            profile = ["--profile", hook.option("profile")] if hook.option("profile") else []
            region = hook.run([hook.tool("aws", INSTALL), *profile, "configure", "get", "region"]).out.strip()
        return {"account": aws("get-caller-identity", service="sts")["Account"], "region": region}

    # ---- the existing things

    def find(self, kinds=tuple(KINDS)):
        """Returns the instances (not terminated), volumes and security groups of this VM, by its name and by its id.
        Returns only those that carry our labels."""
        name, vm_id = hook.known_name(), hook.known_id()
        found = {kind: [] for kind in KINDS}
        if name:
            found.update(zip(kinds, hook.together(*[lambda kind=kind: ours(kind, name) for kind in kinds]), strict=False))
        for kind, (key, prefix) in KINDS.items():
            if kind in kinds and vm_id.startswith(prefix) and vm_id not in [thing[key] for thing in found[kind]]:
                found[kind] += tolerate(r"Invalid\w+\.NotFound$", lambda kind=kind: describe(kind, [IDS[kind], vm_id])) or []  # noqa: B023
            for thing in found[kind]:
                hook.check_ours(thing[key], tags(thing))
        return [alive(found["instances"]), [v for v in found["volumes"] if v["State"] != "deleting"], found["security-groups"]]

    def status(self):
        machines, volumes, groups = self.find()
        if machines:
            return {"status": STATUS.get(machines[0]["State"]["Name"], "pending")}
        if volumes or groups or self.secrets():
            return {"status": "deleting"}  # the machine is gone, but something that was made for it still exists
        hook.check_nothing_in_flight()
        return {"status": "gone"}

    # ---- create

    def client_token(self, name, group):
        """Returns a token that is the same when `create` is repeated, and another one for a later VM of the same name,
        which has other keys: EC2 keeps a token for at least a day, and then refuses it with other parameters."""
        with open(hook.env("BOTTLE_USER_DATA"), "rb") as f:
            data = hashlib.sha256(f.read() + group.encode()).hexdigest()[:8]
        return "%s-%s-%s" % (name, hook.env("BOTTLE_OWNER"), data)

    def create(self):
        name = hook.name()
        there = [i for i in of("instances", name) if i["State"]["Name"] not in ("terminated", "shutting-down")]
        hook.check_free(there, tags)
        if there:
            return {"id": there[0]["InstanceId"]}
        image = self.image()
        vpc = ""
        if hook.option("subnet"):
            vpc = aws("describe-subnets", "--subnet-ids", hook.option("subnet"))["Subnets"][0]["VpcId"]
        group = self.security_group(name, vpc)
        disk = {"DeleteOnTermination": True, "Encrypted": True, "VolumeType": "gp3"}
        if hook.number("BOTTLE_VM_DISK_GB"):
            disk["VolumeSize"] = hook.number("BOTTLE_VM_DISK_GB")
        argv = ["run-instances", "--count", "1", "--image-id", image["ImageId"], "--instance-type", self.type(),
                "--client-token", self.client_token(name, group), "--security-group-ids", group,
                "--user-data", "file://" + hook.env("BOTTLE_USER_DATA"), "--instance-initiated-shutdown-behavior", "terminate",
                "--metadata-options", "HttpTokens=required,HttpPutResponseHopLimit=1,HttpEndpoint=enabled",
                "--block-device-mappings", json.dumps([{"DeviceName": image["RootDeviceName"], "Ebs": disk}]),
                "--tag-specifications", tagged("instance"), tagged("volume"), tagged("network-interface")]
        if hook.option("secret-profile"):
            argv += ["--iam-instance-profile", "Name=" + hook.option("secret-profile")]
        if hook.option("subnet"):
            argv += ["--subnet-id", hook.option("subnet")]
            argv += ["--no-associate-public-ip-address" if hook.option("address") == "private" else "--associate-public-ip-address"]
        made = aws(*argv)["Instances"][0]["InstanceId"]
        # Answers come from replicas that lag behind. Until they show the instance, `status` could say "gone".
        see = lambda: tolerate(r"InvalidInstanceID", lambda: describe("instances", ["--instance-ids", made]))  # noqa: E731
        if not hook.wait_for(see, 60):
            raise Stop(hook.AGAIN, "EC2 does not show %s yet" % made)
        return {"id": made}

    def image(self):
        wanted = hook.option("image")
        if wanted.startswith("ami-"):
            argv = ["--image-ids", wanted]
        else:
            argv = ["--owners", hook.option("image-owner", DEBIAN), "--filters", "Name=state,Values=available",
                    "Name=name,Values=" + (wanted or "debian-12-%s-*" % hook.option("arch", "amd64"))]
        images = sorted(aws("describe-images", *argv)["Images"], key=lambda image: image.get("CreationDate", ""))
        if not images:
            raise Stop(hook.NOT_SET_UP, "no image in this region matches options.image (%s)" % (wanted or "Debian 12"))
        return images[-1]

    def type(self):
        if hook.option("type"):
            return hook.option("type")
        cpus, memory = hook.number("BOTTLE_VM_CPUS"), hook.number("BOTTLE_VM_MEMORY_MB")
        for name, has_cpus, has_memory in TYPES:
            if has_cpus >= cpus and has_memory >= (memory or 4096):
                return name
        raise Stop(hook.NOT_SET_UP, "no default type has %d CPUs and %d MB; set options.type in the manifest" % (cpus, memory))

    def security_group(self, name, vpc):
        make = ["create-security-group", "--group-name", name, "--description", "bottle: ssh to " + name,
                "--tag-specifications", tagged("security-group")] + (["--vpc-id", vpc] if vpc else [])
        made = tolerate(r"InvalidGroup\.Duplicate$", lambda: aws(*make))
        if made is None:
            named = ours("security-groups", name)
            if not named:
                raise Stop(hook.FAILED, "there is already a security group %s, and bottle did not make it for this owner" % name)
            made = named[0]
        ports = [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": hook.option("ssh-from", "0.0.0.0/0")}]}]
        tolerate(r"InvalidPermission\.Duplicate$", lambda: aws("authorize-security-group-ingress", "--group-id", made["GroupId"],
                                                               "--ip-permissions", json.dumps(ports)))
        return made["GroupId"]

    # ---- the rest

    def ssh_info(self):
        machines = alive(ours("instances", hook.name()))
        if not machines:
            raise Stop(hook.AGAIN, "EC2 shows no instance of that name yet")
        machine = machines[0]
        host = machine.get("PrivateIpAddress" if hook.option("address") == "private" else "PublicIpAddress", "")
        if not host or machine["State"]["Name"] != "running":
            raise Stop(hook.AGAIN, "%s is %s and does not have an address yet" % (machine["InstanceId"], machine["State"]["Name"]))
        return {"host": host, "port": 22, "user": hook.user()}

    def destroy(self):
        machines, volumes, groups = self.find()
        secrets = self.secrets()
        if secrets:
            aws("delete-parameters", "--names", *secrets, service="ssm")
        going = [m["InstanceId"] for m in machines]
        if going:
            hook.found_here()
            tolerate(r"InvalidInstanceID\.NotFound$", lambda: aws("terminate-instances", "--instance-ids", *going))
            if not hook.wait_for(lambda: not alive(self.by_ids(going)), hook.patience()):
                return {"status": "deleting"}
            if volumes:  # a root volume is deleted on its own, a moment later
                volumes = self.find(["volumes"])[1]
        busy = [volume for volume in volumes if volume["State"] != "available"]
        for volume in volumes:
            if volume not in busy:
                tolerate(r"InvalidVolume\.NotFound$", lambda: aws("delete-volume", "--volume-id", volume["VolumeId"]))
        for group in groups:
            delete = lambda: aws("delete-security-group", "--group-id", group["GroupId"])  # noqa: E731
            try:
                tolerate(r"InvalidGroup\.NotFound$", delete)
            except Failure as failure:
                if failure.code != "DependencyViolation":
                    raise
                busy.append(group)  # in use until its network interface is gone
        if busy:
            return {"status": "deleting"}
        return hook.gone()

    @staticmethod
    def by_ids(ids):
        return tolerate(r"InvalidInstanceID\.NotFound$", lambda: describe("instances", ["--instance-ids", *ids])) or []

    def list_(self):
        of_bottle = ["--filters", "Name=tag-key,Values=" + hook.SESSION]
        machines, volumes, groups = hook.together(*[lambda kind=kind: describe(kind, of_bottle) for kind in KINDS])
        line = lambda thing, key, kind, status: hook.line(  # noqa: E731
            thing[key], kind, status, tags(thing), thing.get("LaunchTime") or thing.get("CreateTime"))
        vms = [line(m, "InstanceId", "vm", STATUS.get(m["State"]["Name"], "pending")) for m in alive(machines)]
        things = [line(v, "VolumeId", "volume", "running" if v["State"] == "in-use" else "stopped") for v in volumes]
        things += [line(g, "GroupId", "firewall", "running") for g in groups]
        things += [self.secret_line(name) for name in self.secrets(True)]
        return hook.leftovers(vms, things)

    # ---- secrets, in Systems Manager's parameter store; only if the operator gave the VM a role that may read them

    def secrets(self, of_all=False):
        """Returns the names of the parameters of this owner's VM, /bottle/VM/SECRET, or of all VMs."""
        name = hook.known_name()
        found = re.fullmatch(r"secret/([a-z0-9-]+)/([a-z0-9-]+)", hook.known_id())
        if not hook.option("secret-profile") or not (name or found or of_all):
            return []
        path = "/bottle" if of_all else "/bottle/" + (found[1] if found else name)
        filters = json.dumps([{"Key": "Path", "Option": "Recursive", "Values": [path]}])
        names = [p["Name"] for p in aws("describe-parameters", "--parameter-filters", filters, service="ssm").get("Parameters", [])]
        if of_all:
            return names
        # The path does not contain the owner.
        return hook.only_ours([n for n in names if not found or n == "/bottle/%s/%s" % found.groups()], self.labels_of_secret)

    @staticmethod
    def labels_of_secret(name):
        found = tolerate(r"InvalidResourceId$", lambda: aws("list-tags-for-resource", "--resource-type", "Parameter", "--resource-id", name, service="ssm"))
        return tags({"Tags": (found or {}).get("TagList", [])})

    def secret_line(self, name):
        labels = self.labels_of_secret(name)
        return {"id": "secret/" + name[len("/bottle/"):], "kind": "secret", "status": "running", "name": labels.get(hook.VM, ""),
                "session": labels.get(hook.SESSION, ""), "owner": labels.get(hook.OWNER, "")}

    def put_secret(self):
        """Puts the value from stdin into the parameter store, encrypted. fetch.py reads it from there on the VM. The
        value is never in an argument."""
        if not hook.option("secret-profile"):
            raise Stop(hook.NOT_SET_UP, "set options.secret-profile to the instance profile that lets the VM fetch it; see docs/providers.md")
        secret, value = hook.env("BOTTLE_SECRET_NAME"), sys.stdin.read(4097)
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}", secret):
            raise Stop(hook.FAILED, "%r cannot be a secret's name" % secret)
        if not 0 < len(value.encode()) <= 4096:
            raise Stop(hook.FAILED, "a parameter holds 1 to 4096 bytes")
        name = "/bottle/%s/%s" % (hook.name(), secret)
        labels = [{"Key": key, "Value": label} for key, label in hook.labels().items()]
        put = lambda *more: aws("put-parameter", "--name", name, "--type", "SecureString", "--value", "file:///dev/stdin", *more,  # noqa: E731
                                service="ssm", stdin=value.encode())
        if tolerate(r"ParameterAlreadyExists$", lambda: put("--tags", json.dumps(labels))) is None:
            hook.check_ours("the parameter " + name, self.labels_of_secret(name))
            put("--overwrite")
        region = hook.option("region") or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        if not region:
            raise Stop(hook.NOT_SET_UP, "set options.region, because the VM must know where to ask")
        with open(os.path.join(os.path.dirname(os.path.realpath(__file__)), "fetch.py"), encoding="ascii") as f:
            program = f.read()
        endpoint = hook.option("endpoint-url") or "https://ssm.%s.amazonaws.com" % region
        for key, text in (("@NAME@", name), ("@REGION@", region), ("@ENDPOINT@", endpoint)):
            if not re.fullmatch(r"[A-Za-z0-9:/._-]+", text):
                raise Stop(hook.FAILED, "%r cannot be written into a program" % text)
            program = program.replace(key, text)
        return {"fetch": "python3 -IB - <<'BOTTLE_END'\n%sBOTTLE_END\n" % program}

    @staticmethod
    def judge(failure):
        if failure.code:
            for status, pattern in CODES:
                if re.match(pattern, failure.code):
                    return status
            return hook.judge(failure.code) if failure.code.isdigit() else hook.FAILED
        if re.search(r"You must specify a region|Unable to locate credentials|config profile .* could not be found", failure.what):
            return hook.NOT_SET_UP if "credentials" not in failure.what else hook.DENIED
        return hook.judge(failure.what)


if __name__ == "__main__":
    hook.main(Aws)
