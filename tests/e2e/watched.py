"""Sessions in the background that a test watches while they run, and their guards."""

import os
import re
import signal

try:
    from prometheus_client.parser import text_string_to_metric_families as parse
except ImportError:  # the check below is also strict
    def parse(_):
        return []

# Ends with the session, long after the test is over on any machine.
LOOP = ("for i in $(seq 2000); do curl -sS -m 20 https://%s/$i >/tmp/out 2>/dev/null && grep -q hello /tmp/out && state=open || state=shut; "
        "[ $state = \"$last\" ] || echo \"now $state\"; last=$state; [ -e /workspace/stop ] && break; sleep 0.3; done; true")
SITE = "inspected.example.org"


class Watched:
    """A session in the background. A test can wait for its output."""

    def __init__(self, operator, until, script, **config):
        self.log = os.path.join(operator.home, "out")
        self.process = operator.background(script, **config)
        self.until, self.operator, self.text = until, operator, ""
        os.set_blocking(self.process.stdout.fileno(), False)

    def sees(self, text, seconds=40):
        def there():
            try:
                self.text += os.read(self.process.stdout.fileno(), 65536).decode()
            except BlockingIOError:
                pass
            return text in self.text
        return self.until(there, seconds)

    def ends_with(self, text):
        """Returns whether the output so far ends with the text."""
        self.sees("", 0)
        return self.text.endswith(text)

    def stop(self):
        self.operator.bottle("stop", *self.operator.sessions())
        os.set_blocking(self.process.stdout.fileno(), True)
        out, err = self.process.communicate(timeout=360)
        self.text += out
        return err


def metrics(operator, name):
    """Returns the counters of a running session's guard."""
    done = operator.bottle("egress", "metrics", name)
    assert done.returncode == 0, done
    assert all(sample.labels["session"] == name for family in parse(done.stdout) for sample in family.samples)
    samples = {}
    for line in done.stdout.splitlines():
        if line.startswith("#"):
            assert re.fullmatch(r"# (HELP [a-z_]+ .+|TYPE [a-z_]+ (counter|gauge))", line), line
            continue
        sample, value = re.fullmatch(r'([a-z_]+\{session="[^"]+"(?:,[a-z_]+="[^"]*")*\}) (\d+)', line).groups()
        samples[sample] = int(value)
    return samples


def guard_of(world):
    """Returns the id of the only guard's container, or None."""
    found = [c for c in world.engine("GET", "/containers/json") if c["Labels"].get("bottle.role") == "guard"]
    return found[0]["Id"] if found else None


def kill_guard(world, guard):
    """Kills the process of a guard's container."""
    pid = world.engine("GET", "/containers/%s/json" % guard)["State"]["Pid"]
    assert pid, "the guard does not run"  # 0 would be this process and its group
    os.kill(pid, signal.SIGKILL)


def wait_for_mark(name):
    """Returns shell commands that wait for the file /tmp/NAME."""
    return "while [ ! -e /tmp/%s ]; do sleep 0.1; done; " % name
