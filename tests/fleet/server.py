"""A stand-in for a hawkBit server with one target.

It speaks the Direct Device Integration API as its documentation describes it
(https://eclipse.dev/hawkbit/apis/ddi_api/): base poll, deploymentBase with feedback, cancelAction with
feedback, configData, and an artifact that is delivered in ranges. A request without the token of the
target is refused, and so is feedback that the documentation does not allow.
"""

import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

EXECUTIONS = {"closed", "proceeding", "canceled", "scheduled", "rejected", "resumed", "downloaded", "download"}
RESULTS = {"success", "failure", "none"}


class Server:
    """The server, until `close`."""

    def __init__(self, target, token):
        self.target, self.token = target, token
        self.lock = threading.Condition()
        # What the target has sent: (execution, finished, details) of each action, and its attributes.
        self.feedback, self.cancellations, self.attributes, self.refused = [], [], None, 0
        self.bad = []
        self.artifact, self.delivered, self.sha1 = b"", b"", ""
        # The action that is open, whether it is to be cancelled, and how the bundle is delivered.
        self.action, self.cancel, self.shortened = None, False, False
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"server_of": self}))
        self.address = f"127.0.0.1:{self.http.server_port}"
        self.base = f"http://{self.address}/DEFAULT/controller/v1/{target}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def roll_out(self, action, bundle, delivered=None, shortened=False):
        """Assigns a bundle; `delivered` replaces its bytes, `shortened` ends each answer in its middle."""
        with self.lock:
            self.artifact, self.delivered = bundle, bundle if delivered is None else delivered
            self.sha1, self.shortened = hashlib.sha1(bundle).hexdigest(), shortened
            self.action, self.cancel = action, False

    def wait(self, condition, seconds=30):
        """Waits for a condition on this server; false if it does not come true."""
        with self.lock:
            return self.lock.wait_for(condition, seconds)

    def closed(self):
        """The feedback that has closed an action."""
        return [entry for entry in self.feedback if entry[0] == "closed"]

    def close(self):
        self.http.shutdown()
        self.http.server_close()

    def poll(self):
        """The answer to a poll: what the target is to do."""
        links = {}
        if self.attributes is None:
            links["configData"] = {"href": f"{self.base}/configData"}
        if self.action is not None:
            # An action that is to be cancelled is shown as that alone.
            kind = "cancelAction" if self.cancel else "deploymentBase"
            links[kind] = {"href": f"{self.base}/{kind}/{self.action}"}
        return {"config": {"polling": {"sleep": "00:00:01"}}, "_links": links}

    def deployment(self):
        artifact = {
            "filename": "update.raucb",
            "hashes": {"sha1": self.sha1, "md5": hashlib.md5(self.artifact).hexdigest()},
            "size": len(self.artifact),
            "_links": {"download-http": {"href": f"{self.base}/softwaremodules/1/artifacts/update.raucb"}},
        }
        chunk = {"part": "os", "version": "2", "name": "steadfast", "artifacts": [artifact]}
        return {"id": self.action, "deployment": {"download": "forced", "update": "forced", "chunks": [chunk]}}

    def take(self, kind, action, body):
        """Feedback of the target; false if the documentation does not allow it."""
        status = body.get("status", {})
        execution, result = status.get("execution"), status.get("result", {}).get("finished")
        if execution not in EXECUTIONS or result not in RESULTS or action != self.action:
            self.bad.append((kind, action, body))
            return False
        entries = self.feedback if kind == "deploymentBase" else self.cancellations
        entries.append((execution, result, " ".join(status.get("details", []))))
        if execution == "closed":
            self.action = None
        elif kind == "cancelAction" and execution == "rejected":
            self.cancel = False
        return True


class Handler(BaseHTTPRequestHandler):
    """One request."""

    # Each request has a connection: a client that is ended does not break one that waits.
    protocol_version = "HTTP/1.0"
    server_of = None

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def serve(self):
        server = self.server_of
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length)) if length else {}
        with server.lock:
            if self.headers.get("Authorization") != f"TargetToken {server.token}":
                server.refused += 1
                self.answer(401)
            else:
                self.route(server, self.path.split("?")[0], body)
            server.lock.notify_all()

    do_GET = do_PUT = do_POST = do_HEAD = serve

    def route(self, server, path, body):
        prefix = f"/DEFAULT/controller/v1/{server.target}"
        if not path.startswith(prefix):
            return self.answer(404)
        match = re.fullmatch(r"(?:/(\w+)(?:/([^/]+)(/feedback)?)?)?(/artifacts/.*)?", path[len(prefix) :])
        kind, action, feedback, artifact = match.groups() if match else (None, None, None, None)
        if match and kind is None:
            return self.json(server.poll())
        if kind == "configData" and self.command == "PUT":
            server.attributes = body["data"]
            return self.answer(200)
        if feedback and self.command == "POST":
            return self.answer(200 if server.take(kind, action, body) else 400)
        if artifact:
            return self.deliver(server)
        if kind == "deploymentBase" and action == server.action:
            return self.json(server.deployment())
        if kind == "cancelAction" and action == server.action:
            return self.json({"id": f"c{action}", "cancelAction": {"stopId": action}})
        return self.answer(404)

    def json(self, value):
        self.answer(200, json.dumps(value).encode(), [("Content-Type", "application/hal+json")])

    def deliver(self, server):
        data, status, headers = server.delivered, 200, [("Accept-Ranges", "bytes")]
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if found:
            first, last = int(found[1]), int(found[2] or len(data) - 1)
            headers.append(("Content-Range", f"bytes {first}-{last}/{len(data)}"))
            data, status = data[first : last + 1], 206
        if not server.shortened:
            return self.answer(status, data, headers)
        # The connection is lost in the middle.
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2])
        self.close_connection = True
