"""Manifests of pods as people write them, each for something that a kubelet asks of an engine."""

from node import IMAGE

TESTS = IMAGE.rpartition("/")[0] + "/"
FOREVER = "trap 'exit 0' TERM; while true; do sleep 1; done"
SHARED = "/var/berth-shared"  # on the node


def container(script, name="main", **more):
    return {"name": name, "image": IMAGE, "command": ["sh", "-c", script], **more}


def pod(name, *containers, **spec):
    return {"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "labels": {"app": name, "part": "of-a-test"}},
            "spec": {"terminationGracePeriodSeconds": 5, "containers": list(containers), **spec}}


def field(name, path):
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def resource(name, path):
    return {"name": name, "valueFrom": {"resourceFieldRef": {"resource": path}}}


def sized(requests, limits=None):
    return {"requests": requests, "limits": requests if limits is None else limits}


def host_network():
    return pod("host", container(
        "hostname > /shared/hostname; cat /proc/net/route > /shared/routes; " + FOREVER,
        volumeMounts=[{"name": "shared", "mountPath": "/shared"}]),
        hostNetwork=True,
        volumes=[{"name": "shared",
                  "hostPath": {"path": SHARED, "type": "DirectoryOrCreate"}}])


def web():
    """An init container's page, served by one container and read by another."""
    pages = [{"name": "pages", "mountPath": "/pages"}]
    return pod(
        "web",
        container("exec httpd -f -p 8080 -h /pages", "server", volumeMounts=pages,
                  ports=[{"containerPort": 8080, "hostPort": 18080}],
                  env=[field("POD_IP", "status.podIP"), field("NODE_IP", "status.hostIP"),
                       field("NAME", "metadata.name"), field("NODE", "spec.nodeName"),
                       resource("MEMORY", "limits.memory")],
                  resources=sized({"cpu": "10m"}, {"memory": "64Mi"}),
                  startupProbe={"tcpSocket": {"port": 8080}, "periodSeconds": 1,
                                "failureThreshold": 120},
                  readinessProbe={"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 2,
                                  "timeoutSeconds": 10}),
        container("while true; do wget -q -O - http://127.0.0.1:8080/ && echo got it; sleep 1; done",
                  "client"),
        initContainers=[container("echo a page for $NAME > /pages/index.html", "before",
                                  volumeMounts=pages, env=[field("NAME", "metadata.name")])],
        volumes=[{"name": "pages", "emptyDir": {}},
                 {"name": "about", "downwardAPI": {"items": [
                     {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}}],
        hostAliases=[{"ip": "192.0.2.77", "hostnames": ["alias.test"]}],
        dnsPolicy="None", dnsConfig={"nameservers": ["192.0.2.53"], "searches": ["pods.test"]})


def sick():
    """Its probe finds it well once."""
    return pod("sick", container(
        "touch /tmp/well; sleep 5; rm /tmp/well; " + FOREVER,
        livenessProbe={"exec": {"command": ["test", "-e", "/tmp/well"]}, "periodSeconds": 2,
                       "failureThreshold": 1, "timeoutSeconds": 10}))


def crashing():
    return pod("crashing",
               container("echo it was said why > /dev/termination-log; exit 3"),
               container("echo the last words; exit 4", "talking",
                         terminationMessagePolicy="FallbackToLogsOnError"))


def finished():
    return pod("finished", container("echo done"), restartPolicy="Never")


def guaranteed():
    return pod("guaranteed", container(FOREVER, resources=sized(
        {"cpu": "500m", "memory": "64Mi"})))


def burstable():
    return pod("burstable", container(FOREVER, resources=sized(
        {"cpu": "100m", "memory": "16Mi"}, {"memory": "48Mi"})))


def hungry():
    return pod("hungry", container("tail /dev/zero", resources=sized({"memory": "24Mi"})),
               restartPolicy="Never")


def polite():
    """What it does at its end is seen on the node."""
    mounts = [{"name": "shared", "mountPath": "/shared"}]
    return pod("polite", container(
        "trap 'echo term >> /shared/end; exit 0' TERM; echo run > /shared/end; "
        "while true; do sleep 1; done", volumeMounts=mounts,
        lifecycle={
            "postStart": {"exec": {"command": ["sh", "-c", "echo started > /shared/start"]}},
            "preStop": {"exec": {"command": ["sh", "-c", "echo stop >> /shared/end"]}}}),
        terminationGracePeriodSeconds=60,
        volumes=[{"name": "shared", "hostPath": {"path": SHARED}}])


def talkative():
    return pod("talkative", container(
        "i=0; while true; do i=$((i + 1)); echo $i a line that takes some room in the log; "
        "[ $((i % 50)) != 0 ] || sleep 1; done"))


def pulled():
    return pod("pulled", container(FOREVER, image=TESTS + "busybox-zstd:1",
                                   imagePullPolicy="Always"))


def absent():
    return pod("absent", container(FOREVER, image=TESTS + "absent:1"))


def confined():
    """Under "restricted", the strictest of the pod security standards."""
    return pod("confined", container(
        "id; grep -E 'CapEff|Seccomp:|NoNewPrivs' /proc/self/status; "
        "cat /proc/self/attr/current; touch /nowhere; echo mine > /data/file; ls -ln /data; "
        + FOREVER,
        volumeMounts=[{"name": "data", "mountPath": "/data"}],
        securityContext={"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                         "capabilities": {"drop": ["ALL"]}}),
        securityContext={"runAsNonRoot": True, "runAsUser": 1000, "runAsGroup": 1001,
                         "fsGroup": 1002, "supplementalGroups": [1003],
                         "seccompProfile": {"type": "RuntimeDefault"},
                         "appArmorProfile": {"type": "RuntimeDefault"},
                         "sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start",
                                      "value": "80"}]},
        volumes=[{"name": "data", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}])


def privileged():
    """What a storage driver does: a mount that the node gets."""
    return pod("privileged", container(
        "mkdir -p /shared/mounted && mount -t tmpfs from-a-pod /shared/mounted; "
        "trap 'umount /shared/mounted; exit 0' TERM; while true; do sleep 1; done",
        securityContext={"privileged": True},
        volumeMounts=[{"name": "shared", "mountPath": "/shared",
                       "mountPropagation": "Bidirectional"}]),
        hostPID=True,
        volumes=[{"name": "shared", "hostPath": {"path": SHARED + "/storage",
                                                 "type": "DirectoryOrCreate"}}])


def with_sidecar():
    """The sidecar begins before and ends after what does the work."""
    return pod("assisted", container("wget -q -O - http://127.0.0.1:8080/ready"),
               restartPolicy="Never",
               initContainers=[container(
                   "mkdir /srv; echo yes > /srv/ready; exec httpd -f -p 8080 -h /srv", "sidecar",
                   restartPolicy="Always",
                   startupProbe={"exec": {"command": ["wget", "-q", "-O", "-",
                                                      "http://127.0.0.1:8080/ready"]},
                                 "periodSeconds": 1, "timeoutSeconds": 10,
                                 "failureThreshold": 60})])


def together():
    """Containers that see each other's processes."""
    return pod("together", container("exec sleep 1111111"), container("exec sleep 2222222", "second"),
               shareProcessNamespace=True)


def with_image_volume():
    return pod("with-image", container(
        "echo $(cat /image/folder/file); " + FOREVER,
        volumeMounts=[{"name": "image", "mountPath": "/image"}]),
        volumes=[{"name": "image", "image": {"reference": TESTS + "data:1",
                                             "pullPolicy": "IfNotPresent"}}])


def listening():
    """For attach."""
    return pod("listening", container("while read line; do echo heard $line; done", stdin=True))
