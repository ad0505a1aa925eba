"""Serves the files of a folder on 127.0.0.1 for the tests of sluice-get-data: python3 file_server.py FOLDER PORT_FILE LOG.

Writes its port to PORT_FILE and one line for each request to LOG: path, and the range asked for or "whole". The folder's file `mode`
says how it behaves: `ranges` (the default), `whole` (ignores ranges) or `break` (closes the connection after half of a file).
"""
import http.server
import os
import sys

FOLDER, PORT_FILE, LOG = sys.argv[1:4]


def mode():
    try:
        with open(os.path.join(FOLDER, "mode")) as file:
            return file.read().strip()
    except FileNotFoundError:
        return "ranges"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        asked = self.headers.get("Range")
        with open(LOG, "a") as log:
            print(self.path, asked or "whole", file=log)
        try:
            with open(FOLDER + self.path, "rb") as file:
                body = file.read()
        except OSError:
            return self.send_error(404)
        start = 0
        if asked and mode() != "whole":
            start = int(asked[len("bytes="):].split("-")[0])
            if start >= len(body):
                return self.send_error(416)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        rest = body[start:]
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[: len(rest) // 2] if mode() == "break" else rest)

    def log_message(self, *arguments):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
with open(PORT_FILE + ".new", "w") as file:
    file.write(str(server.server_port))
os.rename(PORT_FILE + ".new", PORT_FILE)
server.serve_forever()
