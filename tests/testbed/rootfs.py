"""Root file systems for test images, made of the Debian packages installed on this machine."""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile

from oci_images import Layer

HERE = os.path.dirname(os.path.abspath(__file__))

# Debian's busybox package, not busybox-static: its shell runs commands by path instead of
# preferring its own applets, which is what makes masking /bin/ls visible.
BUSYBOX = "/bin/busybox"
# What conformance tests run inside the container and busybox lacks.
TOOLS = ["/usr/bin/ipcs", "/usr/bin/pgrep", "/usr/bin/getent"]
NGINX = "/usr/sbin/nginx"

PATH_VARIABLE = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

PASSWD = """\
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
bin:x:2:2:bin:/bin:/bin/false
sys:x:3:3:sys:/dev:/bin/false
mail:x:8:8:mail:/var/spool/mail:/bin/false
www-data:x:33:33:www-data:/var/www:/bin/false
operator:x:37:37:Operator:/var:/bin/false
nobody:x:65534:65534:nobody:/home:/bin/false
"""
GROUP = """\
root:x:0:
daemon:x:1:
bin:x:2:
sys:x:3:
tty:x:5:
mail:x:8:
www-data:x:33:
operator:x:37:
users:x:100:
nobody:x:65534:
"""

NGINX_CONF = """\
user www-data;
worker_processes 1;
pid /var/run/nginx.pid;
error_log /dev/stderr notice;
events { worker_connections 64; }
http {
  types { text/html html; }
  access_log /dev/stdout;
  client_body_temp_path /var/cache/nginx/body;
  proxy_temp_path /var/cache/nginx/proxy;
  fastcgi_temp_path /var/cache/nginx/fastcgi;
  uwsgi_temp_path /var/cache/nginx/uwsgi;
  scgi_temp_path /var/cache/nginx/scgi;
  server {
    listen %d;
    location / { root /usr/share/nginx/html; index index.html; }
  }
}
"""


def libraries(*programs):
    """The shared objects, the loader among them, that the programs need: path → real file."""
    found = {}
    for program in programs:
        listing = subprocess.run(["ldd", program], check=True, capture_output=True, text=True)
        for path in re.findall(r"(/\S+) \(0x", listing.stdout):
            found[path] = os.path.realpath(path)
    return dict(sorted(found.items()))


def compile_program(name):
    """A static program from programs/; the same compiler gives the same bytes."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        raise RuntimeError("no C compiler found for the test images: run tools/setup --tests")
    source = os.path.join(HERE, "programs", name + ".c")
    with tempfile.TemporaryDirectory(prefix="berth-image-") as folder:
        output = os.path.join(folder, name)
        subprocess.run([compiler, "-static", "-O2", "-s", "-Wl,--build-id=none",
                        "-o", output, source], check=True)
        with open(output, "rb") as stream:
            return stream.read()


def fingerprint():
    """A hash of everything the images are made from: host files and this tool's sources."""
    digest = hashlib.sha256()
    programs = [BUSYBOX, *TOOLS, NGINX]
    missing = [program for program in programs if not os.path.exists(program)]
    if missing:
        raise RuntimeError("test images need %s: run tools/setup --tests" % ", ".join(missing))
    sources = [os.path.join(HERE, name) for name in
               ("oci_images.py", "rootfs.py", "image_set.py", "bad_images.py", "seekable.py")]
    sources += [os.path.join(HERE, "programs", name)
                for name in sorted(os.listdir(os.path.join(HERE, "programs")))]
    for path in [*programs, *libraries(*programs), *sources]:
        with open(path, "rb") as stream:
            digest.update(("%s\0" % os.path.basename(path)).encode())
            digest.update(hashlib.sha256(stream.read()).digest())
    return digest.hexdigest()[:16]


def add_accounts(layer, passwd="", group=""):
    layer.file("etc/passwd", PASSWD + passwd)
    layer.file("etc/group", GROUP + group)
    return layer


def busybox_layer():
    """Debian's busybox, its libraries and its applets as hard links.

    Hard links, not symbolic ones: masking or bind-mounting one applet must leave the others be.
    """
    layer = Layer()
    for folder in ("dev", "proc", "sys", "etc", "home", "root", "run", "usr/local/bin", "var/spool",
                   "var/log", "var/www", "mnt"):
        layer.directory(folder)
    layer.directory("tmp", 0o1777)
    layer.symbolic_link("var/run", "/run")
    for path, real in libraries(BUSYBOX).items():
        layer.host_file(path, real, 0o755)
    layer.host_file("bin/busybox", BUSYBOX, 0o755)
    listing = subprocess.run([BUSYBOX, "--list-full"], check=True, capture_output=True, text=True)
    for applet in sorted(set(listing.stdout.split())):
        if applet not in ("bin/busybox", "linuxrc"):
            layer.hard_link(applet, "bin/busybox")
    add_accounts(layer)
    layer.file("etc/hostname", "")
    layer.file("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n")
    layer.file("etc/shadow", "root:*:::::::\n", 0o600)
    return layer


def tools_layer():
    """The Debian programs that tests run in a container and busybox does not have."""
    layer = Layer()
    base = libraries(BUSYBOX)
    for path, real in libraries(*TOOLS).items():
        if path not in base:
            layer.host_file(path, real, 0o755)
    for tool in TOOLS:
        layer.host_file(tool, tool, 0o755)
    return layer


def nginx_layer(port):
    """Debian's nginx with a page at / and its pid in /var/run/nginx.pid."""
    layer = Layer()
    base = libraries(BUSYBOX)
    for path, real in libraries(NGINX).items():
        if path not in base:
            layer.host_file(path, real, 0o755)
    layer.host_file("usr/sbin/nginx", NGINX, 0o755)
    for folder in ("var/log/nginx", "var/lib/nginx", "var/cache/nginx"):
        layer.directory(folder)
    layer.file("etc/nginx/nginx.conf", NGINX_CONF % port)
    layer.file("usr/share/nginx/html/index.html", "<h1>Welcome to nginx!</h1>\n")
    return layer


def httpd_layer():
    """A small web server on port 80 that names itself in its log."""
    layer = Layer()
    layer.file("usr/local/bin/serve-httpd", (
        "#!/bin/sh\n"
        "echo 'httpd: serving /usr/local/htdocs on port 80'\n"
        "exec httpd -f -v -p 80 -h /usr/local/htdocs\n"), 0o755)
    layer.file("usr/local/htdocs/index.html", "<html><body><h1>It works!</h1></body></html>\n")
    return layer
