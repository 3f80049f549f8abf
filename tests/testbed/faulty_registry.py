"""A registry front that asks for bearer tokens or misbehaves, for the tests of pulling.

It passes requests on to the loopback registry and changes what comes back:

    bearer   answers 401 until a token of its own /token endpoint comes along
    corrupt  flips a byte of every layer
    short    ends each layer's body early, although Content-Length promised more; a client that
             asks for the rest gets on
    fail     answers 503 to every request for a layer
    stall    sends half of a layer and then nothing, until it is closed
    bulky    adds 64 KiB of blanks to every manifest
    repeat   is fine; it only counts, as all of them do
"""

import base64
import http.client
import http.server
import json
import threading

TOKEN = "a-token-of-the-test-registry"
HOP_HEADERS = {"connection", "transfer-encoding", "content-length", "date", "server"}


class FaultyRegistry:
    """`with FaultyRegistry(port, mode)`: serves on `.port` until the end of the block."""

    def __init__(self, upstream, mode, user="berth", password="secret"):
        self.upstream, self.mode = upstream, mode
        self.credentials = base64.b64encode(("%s:%s" % (user, password)).encode()).decode()
        self.requests = []
        self.closing = threading.Event()
        handler = type("Handler", (_Handler,), {"front": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def layer_requests(self):
        """GET requests for blobs: path, without the query → how often."""
        counts = {}
        for method, path in self.requests:
            path = path.partition("?")[0]
            if method == "GET" and "/blobs/" in path:
                counts[path] = counts.get(path, 0) + 1
        return counts


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # clients that go away in the middle are expected here


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    front = None

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        front = self.front
        front.requests.append((self.command, self.path))
        if self.path.startswith("/token"):
            self._give_token()
        elif front.mode == "bearer" and \
                self.headers.get("Authorization") != "Bearer " + TOKEN:
            self._challenge()
        else:
            self._forward()

    def do_POST(self):
        # No OAuth2 endpoint: clients go on with GET (distribution: token authentication).
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(405, {}, b"")

    def _answer(self, status, headers, body):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _give_token(self):
        if self.headers.get("Authorization") != "Basic " + self.front.credentials:
            self._answer(401, {}, b'{"errors":[{"code":"UNAUTHORIZED"}]}')
            return
        body = json.dumps({"token": TOKEN, "expires_in": 60}).encode()
        self._answer(200, {"Content-Type": "application/json"}, body)

    def _challenge(self):
        parts = self.path.split("/")
        kind = next((word for word in ("manifests", "blobs") if word in parts), None)
        scope = ""
        if kind:
            scope = ',scope="repository:%s:pull"' % "/".join(parts[2:parts.index(kind)])
        self._answer(401, {"WWW-Authenticate":
                           'Bearer realm="http://127.0.0.1:%d/token",service="berth-tests"%s'
                           % (self.front.port, scope)}, b"{}")

    def _forward(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.front.upstream, timeout=30)
        passed = {name: value for name, value in self.headers.items()
                  if name.lower() in ("accept", "range", "user-agent")}
        connection.request(self.command, self.path, headers=passed)
        answer = connection.getresponse()
        body = answer.read()
        headers = {name: value for name, value in answer.getheaders()
                   if name.lower() not in HOP_HEADERS}
        length = answer.getheader("Content-Length")
        connection.close()
        if self.front.mode == "bulky" and "/manifests/" in self.path:
            body += b" " * (64 << 10)
        is_layer = self.command == "GET" and "/blobs/" in self.path and len(body) > 16384
        if self.command == "HEAD" and length:
            self._answer(answer.status, headers, b"\0" * int(length))
        elif is_layer and self.front.mode == "fail":
            self._answer(503, {}, b"no")
        elif is_layer and self.front.mode == "corrupt":
            middle = len(body) // 2
            self._answer(answer.status, headers,
                         body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1:])
        elif is_layer and (mode := self.front.mode) in ("short", "stall"):
            self._cut(mode, answer.status, headers, body)
        else:
            self._answer(answer.status, headers, body)

    def _cut(self, mode, status, headers, body):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:len(body) // 2])
        self.wfile.flush()
        if mode == "stall":
            self.front.closing.wait()
        self.close_connection = True
