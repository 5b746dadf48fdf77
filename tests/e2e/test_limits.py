"""The limits for what a bottle takes from its machine: /dev/shm, the guard's processor."""

from look import containers
from test_allow import Watched


def test_limits_of_the_containers(operator, until):
    session = Watched(operator, until, "df -B1 --output=size /dev/shm | tail -1; sleep 60", resources={"shm": "300m"})
    try:
        assert session.sees("%d\n" % (300 << 20), 60), session.text
        [guard] = [operator.world.engine("GET", "/containers/%s/json" % c["Id"])["HostConfig"] for c in containers(operator.world, "guard")]
        assert guard["NanoCpus"] == 10**9 and guard["Memory"] == 256 << 20 and guard["PidsLimit"] == 64
    finally:
        session.stop()
