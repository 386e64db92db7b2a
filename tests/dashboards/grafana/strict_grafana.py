"""A small server that takes what Grafana's HTTP API documents and refuses everything else, in Grafana's words.

Sources: grafana.com/docs, HTTP API: "Folder", "Dashboard", "Data source", "Alerting provisioning".
"""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

UID = re.compile(r"[a-zA-Z0-9_-]{1,40}")
RULE_KEYS = {
    "uid", "title", "condition", "data", "noDataState", "execErrState", "for", "labels", "annotations", "isPaused",
    "notification_settings", "folderUID", "ruleGroup",
}  # fmt: skip
SOURCE_KEYS = {"name", "uid", "type", "access", "url", "isDefault", "jsonData", "secureJsonData"}


class RefusalError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def need(right: object, message: str, status: int = 400) -> None:
    if not right:
        raise RefusalError(status, message)


class StrictGrafana:
    """Use as a context manager. `writes` are the requests that changed something: (method, path)."""

    def __init__(self, version: str = "12.4.0") -> None:
        self.version = version
        self.folders: dict[str, dict[str, Any]] = {}
        self.boards: dict[str, dict[str, Any]] = {}
        self.sources: dict[str, dict[str, Any]] = {}
        self.contacts: dict[str, dict[str, Any]] = {}
        self.groups: dict[tuple[str, str], dict[str, Any]] = {}
        self.writes: list[tuple[str, str]] = []
        self.problem: int = 0
        grafana = self

        class Handler(BaseHTTPRequestHandler):
            def _do(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                try:
                    status, answer = grafana.answer(self.command, self.path, dict(self.headers), body)
                except RefusalError as error:
                    status, answer = error.status, {"message": str(error)}
                data = b"" if answer is None else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_DELETE = _do  # noqa: N815  # names of the parent

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the parent's name
                """Be quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, path: str, headers: dict[str, str], body: Any) -> tuple[int, Any]:
        need(path.startswith("/api/"), "Not found", 404)
        path = path.removeprefix("/api")
        if path == "/health":
            return 200, {"database": "ok", "version": self.version}
        need(not self.problem, "database is locked", self.problem)
        token = headers.get("Authorization", "").removeprefix("Bearer ")
        need(token in ("admin", "viewer"), "Invalid API key", 401)
        if method != "GET":
            need(token == "admin", "You'll need additional permissions to perform this action", 403)
            need(headers.get("Content-Type") == "application/json" or method == "DELETE", "Content-Type", 415)
            self.writes.append((method, path))
        if path.startswith("/v1/provisioning/"):
            need(method == "GET" or headers.get("X-Disable-Provenance") == "true", "provenance would lock it")
            return self._provisioning(method, path.removeprefix("/v1/provisioning"), body)
        for begin, serve in (("/folders", self._folders), ("/dashboards", self._dashboards),
                             ("/datasources", self._datasources), ("/search", self._search)):  # fmt: skip
            if path.startswith(begin):
                return serve(method, path.removeprefix(begin), body)
        raise RefusalError(404, f"Not found: {path}")

    def _folders(self, method: str, rest: str, body: Any) -> tuple[int, Any]:
        if rest.startswith("?") and method == "GET":
            return 200, list(self.folders.values())
        if method == "POST":
            need(set(body) <= {"uid", "title", "parentUid"} and body["title"], "bad folder")
            need(UID.fullmatch(body["uid"]), "uid contains illegal characters")
            need(body["uid"] not in self.folders, "a folder with that UID already exists", 409)
            self.folders[body["uid"]] = body
            return 200, body
        uid = rest.strip("/")
        need(uid in self.folders, "folder not found", 404)
        if method == "DELETE":
            for board in [one for one, held in self.boards.items() if held["folderUid"] == uid]:
                del self.boards[board]
            return 200, self.folders.pop(uid)
        return 200, self.folders[uid]

    def _dashboards(self, method: str, rest: str, body: Any) -> tuple[int, Any]:
        if rest == "/db":
            need(method == "POST", "Not found", 404)
            need(set(body) == {"dashboard", "folderUid", "message", "overwrite"}, "bad data")
            board = body["dashboard"]
            need(board.get("id") is None, "a new board has no id")
            need(board.get("title"), "Dashboard title cannot be empty")
            need(UID.fullmatch(board["uid"]), "uid contains illegal characters")
            need(body["folderUid"] in self.folders, "folder not found")
            held = self.boards.get(board["uid"])
            need(held is None or body["overwrite"], "A dashboard with the same uid already exists", 412)
            version = held["dashboard"]["version"] + 1 if held else 1
            self.boards[board["uid"]] = {
                "dashboard": board | {"id": 7, "version": version}, "folderUid": body["folderUid"],
                "message": body["message"],
            }  # fmt: skip
            return 200, {"uid": board["uid"], "status": "success", "version": version}
        uid = rest.removeprefix("/uid/")
        need(uid in self.boards, "Dashboard not found", 404)
        if method == "DELETE":
            del self.boards[uid]
            return 200, {"message": "Dashboard deleted"}
        held = self.boards[uid]
        return 200, {"dashboard": held["dashboard"], "meta": {"folderUid": held["folderUid"]}}

    def _search(self, _method: str, rest: str, _body: Any) -> tuple[int, Any]:
        folder = rest.removeprefix("?folderUIDs=")
        return 200, [{"uid": uid} for uid, held in self.boards.items() if held["folderUid"] == folder]

    def _datasources(self, method: str, rest: str, body: Any) -> tuple[int, Any]:
        if method in ("POST", "PUT"):
            need(set(body) <= SOURCE_KEYS and body["access"] == "proxy" and body["type"] == "influxdb", "bad data")
        if method == "POST" and rest == "":
            need(body["uid"] not in self.sources, "data source with the same uid already exists", 409)
            self.sources[body["uid"]] = body
            return 200, {"datasource": body}
        uid = rest.removeprefix("/uid/")
        need(uid in self.sources, "Data source not found", 404)
        if method == "PUT":
            self.sources[uid] = body
        elif method == "DELETE":
            del self.sources[uid]
            return 200, {"message": "Data source deleted"}
        return 200, {key: value for key, value in self.sources[uid].items() if key != "secureJsonData"}

    def _provisioning(self, method: str, rest: str, body: Any) -> tuple[int, Any]:
        if rest.startswith("/contact-points"):
            uid = rest.removeprefix("/contact-points").strip("/")
            if method == "GET":
                return 200, list(self.contacts.values())
            if method == "DELETE":
                receivers = [rule.get("notification_settings", {}).get("receiver") for group in self.groups.values()
                             for rule in group["rules"]]  # fmt: skip
                need(self.contacts[uid]["name"] not in receivers, "contact point is in use", 409)
                del self.contacts[uid]
                return 202, {"message": "contactpoint deleted"}
            need({"uid", "name", "type", "settings"} == set(body) and "@" in body["settings"]["addresses"], "bad data")
            need((method == "POST") == (body["uid"] not in self.contacts), "no such contact point, or twice")
            self.contacts[body["uid"]] = body
            return 202, body
        found = re.fullmatch(r"/folder/([^/]+)/rule-groups/([^/]+)", rest)
        need(found, f"Not found: {rest}", 404)
        assert found is not None
        key = (found[1], found[2])
        if method != "PUT":
            need(key in self.groups, "rule group not found", 404)
            if method == "DELETE":
                del self.groups[key]
                return 204, None
            return 200, self.groups[key]
        need(set(body) == {"title", "folderUid", "interval", "rules"}, "bad group")
        need(found[1] in self.folders and body["folderUid"] == found[1], "folder not found")
        need(isinstance(body["interval"], int) and body["interval"] % 10 == 0, "interval: whole tens of seconds")
        need(len({rule["uid"] for rule in body["rules"]}) == len(body["rules"]), "uid is there twice")
        for rule in body["rules"]:
            self._rule(rule)
        stored = [rule | {"id": n, "orgID": 1, "updated": "2026"} for n, rule in enumerate(body["rules"])]
        self.groups[key] = body | {"rules": stored}
        return 200, body

    def _rule(self, rule: dict[str, Any]) -> None:
        need(set(rule) <= RULE_KEYS and UID.fullmatch(rule["uid"]), f"bad rule {rule.get('uid')}")
        need(0 < len(rule["title"]) <= 190 and re.fullmatch(r"\d+[smh]", rule["for"]), "bad title or time to wait")
        need(rule["noDataState"] in ("NoData", "OK", "Alerting", "KeepLast"), "bad noDataState")
        need(rule["execErrState"] in ("Error", "OK", "Alerting", "KeepLast"), "bad execErrState")
        letters = [query["refId"] for query in rule["data"]]
        need(rule["condition"] in letters and len(set(letters)) == len(letters), "condition is no query")
        for query in rule["data"]:
            need({"refId", "relativeTimeRange", "datasourceUid", "model"} == set(query), "bad query")
            need(query["relativeTimeRange"]["from"] > query["relativeTimeRange"]["to"], "bad range")
            need(query["model"]["refId"] == query["refId"], "model and query differ")
            need(query["model"].get("expression", "A") in letters, "expression of nothing")
        receiver = rule.get("notification_settings", {}).get("receiver")
        names = [contact["name"] for contact in self.contacts.values()]
        need(receiver is None or receiver in names, f"receiver {receiver} does not exist")
