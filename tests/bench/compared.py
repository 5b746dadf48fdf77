"""Measures other proxies in place of the guard, for `scripts/bench --compare`. Each is started on 127.0.0.1 with its
own configuration. The results are not figures; they are printed below the figures that they are compared with."""

import os
import shutil
import subprocess

from processes import free_port


def tinyproxy(field):
    if not shutil.which("tinyproxy"):
        return None
    port = free_port()
    config = field.path("tinyproxy.conf")
    with open(config, "w") as file:
        file.write("Port %d\nListen 127.0.0.1\nAllow 127.0.0.1\nTimeout 600\nMaxClients 200\nLogLevel Critical\nLogFile \"/dev/null\"\n" % port)
    return field.start("tinyproxy", ["tinyproxy", "-d", "-c", config], port)


def squid(field, inspecting=False):
    """Starts squid with one worker, no cache and no log. With `inspecting`, it ends TLS with certificates of its own
    authority, like the guard."""
    if not shutil.which("squid"):
        return None
    port = free_port()
    where = field.path("squid-%d" % port)
    os.makedirs(where)
    os.chmod(field.dir, 0o755)
    os.chmod(where, 0o777)  # it drops its root privileges
    listen, bump = "http_port 127.0.0.1:%d" % port, ""
    if inspecting:
        maker = "/usr/lib/squid/security_file_certgen"
        subprocess.run([maker, "-c", "-s", where + "/certs", "-M", "4MB"], check=True, capture_output=True)
        make = "cat ca.pem ca.key > %s/ca-both.pem; chmod -R a+rwX %s" % (where, where)
        subprocess.run(make, shell=True, check=True, cwd=field.dir)  # noqa: S602
        listen += " ssl-bump generate-host-certificates=on dynamic_cert_mem_cache_size=4MB tls-cert=%s/ca-both.pem" % where
        bump = "sslcrtd_program %s -s %s/certs -M 4MB\nsslcrtd_children 1\nssl_bump bump all\ntls_outgoing_options cafile=%s\n" % (
            maker, where, field.part("certificates"))
    with open(where + "/squid.conf", "w") as file:
        file.write("%s\n%shttp_access allow all\ncache deny all\ncache_mem 0\naccess_log none\ncache_log %s/cache.log\npid_filename %s/pid\n"
                   "shutdown_lifetime 0 seconds\nhosts_file %s/hosts\npinger_enable off\ncoredump_dir %s\n" % (listen, bump, where, where, where, where))
    with open(where + "/hosts", "w") as file:
        file.write("127.0.0.1 inspected.bench.example blind.bench.example\n")
    return field.start("squid-%d" % port, ["squid", "-N", "-f", where + "/squid.conf"], port)


def mitmproxy(field):
    """Starts mitmdump, which streams bodies and prints nothing."""
    if not shutil.which("mitmdump"):
        return None
    port = free_port()
    where = field.path("mitmproxy")
    os.makedirs(where)
    subprocess.run("cat ca.key ca.pem > %s/mitmproxy-ca.pem" % where, shell=True, check=True, cwd=field.dir)  # noqa: S602
    with open(field.path("hosts.py"), "w") as file:
        file.write("def server_connect(data):\n    data.server.address = ('127.0.0.1', data.server.address[1])\n")
    return field.start("mitmproxy", ["mitmdump", "-q", "--listen-host", "127.0.0.1", "--listen-port", str(port), "--set", "confdir=" + where,
                                     "--set", "stream_large_bodies=1", "--set", "connection_strategy=lazy", "--set", "ssl_verify_upstream_trusted_ca="
                                     + field.part("certificates"), "-s", field.path("hosts.py")], port)
