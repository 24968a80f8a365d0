"""The agenda: pages from a folder, people from a SQLite database, on loopback.

Run as `python serve.py HOME PORT`.
"""

import http.server
import json
import sqlite3
import sys
from pathlib import Path

HOME, PORT = Path(sys.argv[1]), int(sys.argv[2])
APP = Path(__file__).parent
VERSION = (APP / "version.txt").read_text("utf-8").strip()


def people():
    base = sqlite3.connect(f"file:{HOME}/people.sqlite?mode=ro", uri=True)
    try:
        return base.execute("SELECT count(*) FROM person").fetchone()[0]
    finally:
        base.close()


class Agenda(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/version":
            self.say(200, VERSION.encode())
        elif self.path == "/people":
            self.say(200, json.dumps({"people": people()}).encode())
        elif self.path == "/":
            self.say(200, (APP / "pages" / "index.html").read_bytes())
        else:
            self.say(401, b"log in first")

    def say(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Agenda).serve_forever()
