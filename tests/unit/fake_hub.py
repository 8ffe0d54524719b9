"""A hub on this machine that speaks the calls which huggingface_hub 2.4 makes for `pivm push` and `pivm pull`.

Calls, as :attr:`FakeHub.calls` records them:

- push: ``POST /api/repos/create``; ``GET /api/models/<id>`` where it is private; with a revision ``POST
  /api/models/<id>/branch/<name>``; ``POST /api/validate-yaml``; ``POST /api/models/<id>/preupload/<revision>``; for the
  weights, without Xet, ``POST /<id>.git/info/lfs/objects/batch``, ``PUT /lfs/<sha256>`` and ``POST /lfs-verify``;
  ``POST /api/models/<id>/commit/<revision>``;
- pull: ``GET /api/models/<id>[/revision/<revision>]``; of each file ``HEAD`` and ``GET /<id>/resolve/<commit>/<file>``,
  of the weights ``GET /lfs/<sha256>``, on another host as those of the hub are, so without a token.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

WRITE, READ = "hf_write", "hf_read"
ID = r"(?P<repo>[^/]+/[^/]+)"


@dataclass
class Repository:
    private: bool = False
    branches: dict[str, str] = field(default_factory=dict)
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def commit(self, files: dict[str, bytes], branch: str = "main", message: str = "") -> str:
        tree = {**self.commits.get(self.branches.get(branch, ""), {}), **files}
        sha = hashlib.sha1(repr((branch, message, len(self.commits), sorted(tree.items()))).encode()).hexdigest()
        self.commits[sha], self.branches[branch] = tree, sha
        return sha


def is_large(name: str) -> bool:
    return name.endswith((".safetensors", ".bin"))


class FakeHub:
    """``with FakeHub() as hub``: answers at ``hub.url``.

    Attributes:
        repositories: by owner/name.
        calls: method and path of each call.
        broken: path (a regular expression) -> status that is answered there.
        altered: file -> content that is handed out in place of its own.
    """

    def __init__(self):
        self.repositories: dict[str, Repository] = {}
        self.objects: dict[str, bytes] = {}
        self.calls: list[str] = []
        self.bodies: list[bytes] = []
        self.messages: list[str] = []
        self.broken: dict[str, int] = {}
        self.altered: dict[str, bytes] = {}
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"hub": self}))
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> FakeHub:
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self.server.shutdown()
        self.server.server_close()

    def files(self, repo: str, branch: str = "main") -> dict[str, bytes]:
        found = self.repositories[repo]
        return found.commits[found.branches[branch]]


class Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_) -> None:
        """Nothing is printed."""

    def answer(self, status: int, body: bytes | dict = b"", **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def serve(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Transfer-Encoding") == "chunked":
            self.body = self.read_chunks()
        self.hub.calls.append(f"{self.command} {path}")
        self.hub.bodies.append(self.body)
        self.token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        for pattern, status in self.hub.broken.items():
            if re.search(pattern, path):
                return self.answer(status)
        if self.token not in ("", WRITE, READ):
            return self.answer(401, X_Error_Message="Invalid credentials in Authorization header")
        for method, pattern, reply in ROUTES:
            if method == self.command and (found := re.fullmatch(pattern, path)):
                return getattr(self, reply)(**found.groupdict())
        return self.answer(404)

    do_GET = do_HEAD = do_POST = do_PUT = serve

    def read_chunks(self) -> bytes:
        found = b""
        while size := int(self.rfile.readline(), 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found

    def may_write(self) -> bool:
        if self.token == WRITE:
            return True
        self.answer(403 if self.token else 401, X_Error_Message="you may not write here")
        return False

    def found(self, repo: str, revision: str = "main") -> tuple[Repository, str] | None:
        one = self.hub.repositories.get(repo)
        if one is None or (one.private and not self.token):
            self.answer(404 if self.token else 401, X_Error_Code="RepoNotFound")
            return None
        sha = one.branches.get(revision, revision)
        if sha not in one.commits:
            self.answer(404, X_Error_Code="RevisionNotFound")
            return None
        return one, sha

    def create(self) -> None:
        if not self.may_write():
            return
        asked = json.loads(self.body)
        repo = f"{asked['organization'] or 'me'}/{asked['name']}"
        if repo in self.hub.repositories:
            return self.answer(409, {"url": f"{self.hub.url}/{repo}"})
        one = self.hub.repositories[repo] = Repository(asked.get("visibility") == "private")
        one.commit({".gitattributes": b"*.safetensors filter=lfs\n"})
        self.answer(200, {"url": f"{self.hub.url}/{repo}"})

    def info(self, repo: str, revision: str = "main") -> None:
        if not (there := self.found(repo, revision)):
            return
        one, sha = there
        siblings = []
        for name, content in one.commits[sha].items():
            lfs = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
            siblings.append({"rfilename": name, "size": len(content)} | ({"lfs": lfs} if is_large(name) else {}))
        self.answer(200, {"id": repo, "sha": sha, "private": one.private, "siblings": siblings})

    def branch(self, repo: str, branch: str) -> None:
        one = self.hub.repositories[repo]
        if branch in one.branches:
            return self.answer(409)
        one.branches[branch] = one.branches["main"]
        self.answer(200, {})

    def validate(self) -> None:
        text = json.loads(self.body)["content"]
        ok = text.startswith("---\n") and "license:" in text
        self.answer(200 if ok else 400, {"errors": [] if ok else [{"message": "no licence"}], "warnings": []})

    def preupload(self, repo: str, revision: str) -> None:
        if not self.found(repo, revision):
            return
        files = json.loads(self.body)["files"]
        modes = [(one["path"], "lfs" if is_large(one["path"]) else "regular") for one in files]
        reply = [{"path": name, "uploadMode": mode, "shouldIgnore": False, "oid": None} for name, mode in modes]
        self.answer(200, {"files": reply})

    def batch(self, repo: str) -> None:
        objects = []
        for one in json.loads(self.body)["objects"]:
            actions = {
                "upload": {"href": f"{self.hub.url}/lfs/{one['oid']}"},
                "verify": {"href": f"{self.hub.url}/lfs-verify"},
            }
            objects.append({**one} if one["oid"] in self.hub.objects else {**one, "actions": actions})
        self.answer(200, {"transfer": "basic", "objects": objects})

    def put(self, oid: str) -> None:
        self.hub.objects[oid] = self.body
        self.answer(200)

    def verify(self) -> None:
        asked = json.loads(self.body)
        content = self.hub.objects[asked["oid"]]
        fine = hashlib.sha256(content).hexdigest() == asked["oid"] and len(content) == asked["size"]
        self.answer(200 if fine else 422)

    def commit(self, repo: str, revision: str) -> None:
        files = {}
        for line in self.body.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "header":
                self.hub.messages.append(value["summary"])
            elif entry["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            else:
                files[value["path"]] = self.hub.objects[value["oid"]]
        sha = self.hub.repositories[repo].commit(files, revision, self.hub.messages[-1])
        self.answer(200, {"commitUrl": f"{self.hub.url}/{repo}/commit/{sha}", "commitOid": sha})

    def resolve(self, repo: str, revision: str, file: str) -> None:
        if not (there := self.found(repo, revision)):
            return
        one, sha = there
        if file not in one.commits[sha]:
            return self.answer(404, X_Error_Code="EntryNotFound")
        content = self.hub.altered.get(file, one.commits[sha][file])
        if not is_large(file):
            return self.answer(200, content, ETag=f'"{hashlib.sha1(content).hexdigest()}"', X_Repo_Commit=sha)
        oid = hashlib.sha256(one.commits[sha][file]).hexdigest()
        self.hub.objects[oid] = content
        linked = {"X_Linked_Etag": f'"{oid}"', "X_Linked_Size": str(len(content))}
        elsewhere = self.hub.url.replace("127.0.0.1", "localhost")
        self.answer(302, Location=f"{elsewhere}/lfs/{oid}", X_Repo_Commit=sha, **linked)

    def get(self, oid: str) -> None:
        if self.token:
            return self.answer(400)
        self.answer(200, self.hub.objects[oid], ETag=f'"{oid}"')


ROUTES = (
    ("POST", "/api/repos/create", "create"),
    ("GET", f"/api/models/{ID}", "info"),
    ("GET", f"/api/models/{ID}/revision/(?P<revision>.+)", "info"),
    ("POST", f"/api/models/{ID}/branch/(?P<branch>.+)", "branch"),
    ("POST", "/api/validate-yaml", "validate"),
    ("POST", f"/api/models/{ID}/preupload/(?P<revision>.+)", "preupload"),
    ("POST", f"/{ID}.git/info/lfs/objects/batch", "batch"),
    ("PUT", "/lfs/(?P<oid>[0-9a-f]{64})", "put"),
    ("POST", "/lfs-verify", "verify"),
    ("POST", f"/api/models/{ID}/commit/(?P<revision>.+)", "commit"),
    *((method, f"/{ID}/resolve/(?P<revision>[^/]+)/(?P<file>.+)", "resolve") for method in ("HEAD", "GET")),
    *((method, "/lfs/(?P<oid>[0-9a-f]{64})", "get") for method in ("HEAD", "GET")),
)
