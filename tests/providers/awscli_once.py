"""Runs Debian's real `aws` command without importing it for each call, because that takes it most of a second of
processor time, and the tests call it hundreds of times.

This is no stand-in: one process imports awscli and reads its models of the services. For each call it forks a child,
in which the code of /usr/bin/aws runs with the caller's arguments, environment, directory and standard streams. In the
PATH of the tests, `aws` is awscli_client, which sends these and ends as the child ends. When a client is killed, its
child is killed at once. Tests of how the command itself starts call /usr/bin/aws."""

import contextlib
import gc
import marshal
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import traceback

AWS = "/usr/bin/aws"
SERVICES = ("ec2", "ssm")
HERE = os.path.dirname(os.path.abspath(__file__))


@contextlib.contextmanager
def awscli_once():
    """Starts the process, and ends it afterward. Returns the folder for PATH whose `aws` uses it."""
    with tempfile.TemporaryDirectory() as folder:
        os.symlink(os.path.join(HERE, "awscli_client"), os.path.join(folder, "aws"))
        # awscli reads some of the environment while it is imported, so it gets one without settings.
        server = subprocess.Popen(["/usr/bin/python3", "-B", os.path.abspath(__file__), os.path.join(folder, "socket")], cwd="/",
                                  env={"LC_ALL": "C.UTF-8", "HOME": folder, "PATH": "/usr/bin:/bin"}, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            assert server.stdout.read(1) == b"+", "awscli could not be imported"
            yield folder
        finally:
            server.stdin.close()
            server.wait()
            server.stdout.close()


def ready():
    """Imports awscli and returns the code of /usr/bin/aws. The children find in the loader what it reads here."""
    import awscli.clidriver
    import awscli.handlers  # noqa: F401  which it imports only when it runs
    import botocore.loaders
    import botocore.session
    import distro
    distro.id()  # which starts a shell script
    distro.major_version()
    path = os.environ["AWS_DATA_PATH"]  # which awscli sets
    loader = botocore.loaders.create_loader(path)
    for data in ("cli", "endpoints", "partitions"):
        loader.load_data_with_path(data)
    for service in SERVICES:
        loader.load_service_model(service, type_name="service-2")
        for kind in ("service-2", "waiters-2", "paginators-1", "endpoint-rule-set-1"):
            loader.load_service_model(service, kind)
    create = botocore.session.create_loader
    botocore.session.create_loader = lambda wanted=None: loader if wanted == path else create(wanted)
    with open(AWS, encoding="utf-8") as f:
        return compile(f.read(), AWS, "exec")


def receive(client):
    """Takes over the client's streams and directory. Returns its arguments and environment."""
    size, fds, _, _ = socket.recv_fds(client, 4, 4)
    for number, fd in enumerate(fds[:3]):
        os.dup2(fd, number)
    os.fchdir(fds[3])
    for fd in fds:
        os.close(fd)
    return marshal.loads(client.recv(int.from_bytes(size, sys.byteorder), socket.MSG_WAITALL))


def run(client, program, own):
    """Runs the command in this child, and ends it. `own` is what awscli added to the environment when it was imported."""
    try:
        arguments, environment = receive(client)
        os.environ.clear()
        os.environ.update(own)
        os.environb.update(environment)
        sys.argv = [AWS, *arguments]
        exec(program, {"__name__": "__main__"})
    except SystemExit as end:
        sys.stdout.flush()
        os._exit(end.code)  # at once: the interpreter would first remove all that was imported
    except BaseException:
        traceback.print_exc()
        os._exit(1)


class Call:
    """A client and the child that runs its command."""

    def __init__(self, client, pid):
        self.client, self.pid, self.child = client, pid, os.pidfd_open(pid)

    def end(self):
        """Kills the child if it still runs, and tells the client how it ended."""
        os.kill(self.pid, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        with contextlib.suppress(BrokenPipeError):
            self.client.send(status.to_bytes(4, sys.byteorder, signed=True))
        self.client.close()
        os.close(self.child)


def serve(listener, run_for):
    """Forks a child for each client, which calls `run_for`, until stdin ends."""
    calls, watched = {}, select.poll()
    watched.register(listener, select.POLLIN)
    watched.register(sys.stdin, select.POLLIN)
    while True:
        fd = watched.poll()[0][0]
        if fd == listener.fileno():
            client, _ = listener.accept()
            pid = os.fork()
            if pid == 0:
                run_for(client)
            call = Call(client, pid)
            for source, event in ((client.fileno(), select.POLLRDHUP), (call.child, select.POLLIN)):
                calls[source] = call
                watched.register(source, event)
        elif fd in calls:  # the child has ended, or its client
            call = calls[fd]
            for source in (call.client.fileno(), call.child):
                del calls[source]
                watched.unregister(source)
            call.end()
        else:
            return [call.end() for call in set(calls.values())]


def main(path):
    before = dict(os.environ)
    program = ready()
    own = {key: value for key, value in os.environ.items() if key not in before}
    gc.freeze()  # so that a child's garbage collection does not touch, and thereby copy, what is here
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(64)
        os.write(1, b"+")
        serve(listener, lambda client: run(client, program, own))


if __name__ == "__main__":
    main(sys.argv[1])
