# This program runs on the VM; `put-secret` returns it in its answer. It prints the parameter's value and deletes the
# parameter. It needs only Python 3, which cloud-init needs too. It signs the requests itself, because the VM has no AWS
# tool: https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html
import datetime
import hashlib
import hmac
import json
import sys
import urllib.error
import urllib.parse
import urllib.request

NAME, REGION, ENDPOINT = "@NAME@", "@REGION@", "@ENDPOINT@"
METADATA = "http://169.254.169.254/latest/"
# Uses no proxy, because no other machine may see the metadata requests and the signed request.
OPEN = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


def metadata(path, token=None):
    headers = {"X-aws-ec2-metadata-token": token} if token else {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    request = urllib.request.Request(METADATA + path, headers=headers, method="GET" if token else "PUT")
    with OPEN(request, timeout=5) as answer:
        return answer.read().decode()


def ssm(action, body, key):
    body, host = json.dumps(body).encode(), urllib.parse.urlsplit(ENDPOINT).netloc
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    headers = {"content-type": "application/x-amz-json-1.1", "host": host, "x-amz-date": now, "x-amz-security-token": key["Token"],
               "x-amz-target": "AmazonSSM." + action}
    signed = ";".join(sorted(headers))
    canonical = "\n".join(["POST", "/", "", *["%s:%s" % pair for pair in sorted(headers.items())], "", signed, hashlib.sha256(body).hexdigest()])
    scope = "%s/%s/ssm/aws4_request" % (now[:8], REGION)
    secret = ("AWS4" + key["SecretAccessKey"]).encode()
    for part in scope.split("/"):
        secret = hmac.new(secret, part.encode(), hashlib.sha256).digest()
    text = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    headers["authorization"] = "AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s" % (
        key["AccessKeyId"], scope, signed, hmac.new(secret, text.encode(), hashlib.sha256).hexdigest())
    with OPEN(urllib.request.Request(ENDPOINT + "/", data=body, headers=headers, method="POST"), timeout=20) as answer:
        return json.loads(answer.read() or b"{}")


try:
    token = metadata("api/token")
    role = metadata("meta-data/iam/security-credentials/", token).split()[0]
    key = json.loads(metadata("meta-data/iam/security-credentials/" + role, token))
    value = ssm("GetParameter", {"Name": NAME, "WithDecryption": True}, key)["Parameter"]["Value"]
    ssm("DeleteParameter", {"Name": NAME}, key)
except (OSError, ValueError, KeyError, IndexError) as error:
    body = error.read().decode(errors="replace")[:300] if isinstance(error, urllib.error.HTTPError) else ""
    sys.exit("fetching %s: %s %s" % (NAME, error, body))
sys.stdout.write(value)
