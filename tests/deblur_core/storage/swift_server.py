"""A real OpenStack Swift with its S3 interface, in one process on loopback: `python swift_server.py DATA_DIR PORT`.

The four Swift servers (account, container, object and the proxy that speaks S3 through `s3api`) run as green threads
over one disk folder with one replica. It prints `ready http://127.0.0.1:PORT` once it answers; PORT 0 takes a free one.
With `--while-parent-lives` it ends when the process that started it does, however that one died.
It knows nothing of pytest and nothing of this project. The one account is `test:tester` with the secret
`canary-of-the-store`, a word that is found wherever it should not be.
DATA_DIR must lie on a filesystem with user extended attributes (ext4, xfs), where Swift keeps its metadata.
"""

import warnings

warnings.simplefilter("ignore")  # eventlet's word about its own future

import eventlet  # type: ignore[import-untyped]  # noqa: E402

eventlet.monkey_patch()

import os  # noqa: E402 (eventlet must patch the standard library before anything else imports it)
import sys  # noqa: E402
from pathlib import Path  # noqa: E402

from eventlet import wsgi  # noqa: E402

SWIFT_CONF = """
[swift-hash]
swift_hash_path_prefix = restore
swift_hash_path_suffix = archive
[storage-policy:0]
name = single
default = yes
"""

BACKEND_CONF = """
[DEFAULT]
devices = {devices}
mount_check = false
swift_dir = {data_dir}
log_level = CRITICAL
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
"""

PROXY_CONF = """
[DEFAULT]
swift_dir = {data_dir}
log_level = CRITICAL
[pipeline:main]
pipeline = catch_errors listing_formats s3api tempauth slo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = canary-of-the-store .admin
[filter:slo]
use = egg:swift#slo
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
"""


def serve(data_dir: Path, port: int) -> int:
    """Start every server over `data_dir`; returns the port on which S3 is spoken."""
    devices = data_dir / "devices"
    (devices / "disk").mkdir(parents=True, exist_ok=True)
    (data_dir / "swift.conf").write_text(SWIFT_CONF)

    # Swift reads swift.conf while its modules are imported.
    from swift.common import utils  # type: ignore[import-untyped]

    utils.set_swift_dir(str(data_dir))
    from swift.common.ring import RingBuilder  # type: ignore[import-untyped]

    for kind in ("account", "container", "object"):
        socket = eventlet.listen(("127.0.0.1", 0))
        ring = RingBuilder(4, 1, 0)
        where = {"region": 1, "zone": 1, "ip": "127.0.0.1", "port": socket.getsockname()[1], "device": "disk"}
        ring.add_dev({**where, "weight": 1, "id": 0})
        ring.rebalance()
        ring.get_ring().save(str(data_dir / f"{kind}.ring.gz"))
        start(socket, data_dir / f"{kind}.conf", BACKEND_CONF.format(kind=kind, devices=devices, data_dir=data_dir))

    socket = eventlet.listen(("127.0.0.1", port))
    start(socket, data_dir / "proxy.conf", PROXY_CONF.format(data_dir=data_dir))
    return int(socket.getsockname()[1])


def start(socket: object, conf: Path, text: str) -> None:
    """Write one server's settings and serve it on `socket` in a green thread."""
    from swift.common.wsgi import SwiftHttpProtocol, loadapp  # type: ignore[import-untyped]

    conf.write_text(text)
    app = loadapp(str(conf), global_conf={"__file__": str(conf), "log_name": conf.stem})
    pool = eventlet.GreenPool(64)
    eventlet.spawn(wsgi.server, socket, app, log_output=False, protocol=SwiftHttpProtocol, custom_pool=pool)


if __name__ == "__main__":
    parent = os.getppid()
    port = serve(Path(sys.argv[1]).resolve(), int(sys.argv[2]))
    print(f"ready http://127.0.0.1:{port}", flush=True)
    while "--while-parent-lives" not in sys.argv or os.getppid() == parent:
        eventlet.sleep(1)
