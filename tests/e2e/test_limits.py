"""The limits for what a bottle takes from its machine: /dev/shm, the guard's processor."""

from look import containers, running


def test_limits_of_the_containers(operator, until):
    process = operator.background("df -B1 --output=size /dev/shm | tail -1; sleep 60", resources={"shm": "300m"})
    running(operator, until)
    try:
        [guard] = [operator.world.engine("GET", "/containers/%s/json" % c["Id"])["HostConfig"] for c in containers(operator.world, "guard")]
        assert guard["NanoCpus"] == 10**9 and guard["Memory"] == 256 << 20 and guard["PidsLimit"] == 64
    finally:
        operator.bottle("stop")
        out, err = process.communicate(timeout=60)
    assert str(300 << 20) in out, (out, err)
