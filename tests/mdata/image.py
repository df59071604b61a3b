"""The initramfs of a guest that asks for metadata: a kernel's (tools/kernel.sh),
Python and cloud-init if they are wanted (tools/cloudinit.sh), guest-init and our
tools, one archive behind the other, as Linux takes them."""
import pathlib
import shutil
import subprocess
import tempfile

HERE = pathlib.Path(__file__).resolve().parent


def build(target, linux, tool, cloudinit=None):
    with tempfile.TemporaryDirectory(prefix="zhyve-mdata.") as tmp, open(target, "wb") as out:
        def add(source):
            shutil.copyfileobj(source, out)
            out.write(bytes(-out.tell() % 512))

        top = pathlib.Path(tmp)
        (top / "mdata").mkdir()
        shutil.copy(HERE / "guest-init", top / "init")
        (top / "init").chmod(0o755)
        shutil.copy(tool, top / "mdata/mdata-guest")
        for name in ("get", "put", "list", "delete"):
            (top / f"mdata/mdata-{name}").symlink_to("mdata-guest")
        for name in ("crawl.py", "network.py"):
            shutil.copy(HERE / name, top / "mdata")
        parts = [pathlib.Path(linux) / "initrd.img"]
        parts += [pathlib.Path(cloudinit) / "guest.cpio"] if cloudinit else []
        for part in parts:
            with open(part, "rb") as f:
                add(f)
        names = "\n".join(str(p.relative_to(top)) for p in sorted(top.rglob("*")))
        p = subprocess.Popen(["cpio", "-o", "-H", "newc", "--quiet", "-R", "0:0"], cwd=top,
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        p.stdin.write(names.encode() + b"\n")
        p.stdin.close()
        add(p.stdout)
        if p.wait() != 0:
            raise OSError("cpio failed")
    return target
