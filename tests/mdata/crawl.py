"""Debian's DataSourceSmartOS, unmodified, from start to end; JSON on stdout.

    crawl.py DEVICE TIMEOUT [FOLDER]

With FOLDER everything that it writes goes there, and it is told that it is in a
KVM guest. Without it, it must find that out itself.
"""
import json
import os
import stat
import sys

import cloudinit.sources.DataSourceSmartOS as smartos
from cloudinit import helpers

device, timeout = sys.argv[1], float(sys.argv[2])
folder = sys.argv[3] if len(sys.argv) > 3 else ""
if folder:
    smartos.get_smartos_environ = lambda *a, **k: "kvm"
    smartos.LEGACY_USER_D = folder + "/db"
paths = helpers.Paths({"cloud_dir": folder + "/cloud", "run_dir": folder + "/run"})
config = {"datasource": {"SmartOS": {"serial_device": device, "serial_timeout": timeout}}}
source = smartos.DataSourceSmartOS(config, None, paths)
if not source._get_data():
    sys.exit("cloud-init does not think that this is SmartOS")
files = {}
for top in (folder + "/cloud", smartos.LEGACY_USER_D):
    for where, _, names in os.walk(top):
        for name in names:
            path = os.path.join(where, name)
            st = os.lstat(path)
            files[name] = ["link" if stat.S_ISLNK(st.st_mode) else oct(st.st_mode & 0o777),
                           open(path).read()]
print("CRAWL " + json.dumps({"metadata": source.metadata, "userdata": source.userdata_raw,
                             "network": source.network_config, "files": files}))
