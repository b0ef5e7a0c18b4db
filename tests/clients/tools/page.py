"""Shows a page to Chromium, and prints what the page says.

Argument: a script that calls `say(text)` once. The page is at an origin of its own, over HTTP.
"""

import http.server
import subprocess
import sys
import threading
import urllib.parse

PAGE = """<!DOCTYPE html><body><script>
const say = text => fetch('/said?' + encodeURIComponent(text))
%s
</script>"""

said = []
heard = threading.Event()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path, _, query = self.path.partition("?")
        body = PAGE % sys.argv[1] if path == "/" else ""
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())
        if path == "/said":
            said.append(urllib.parse.unquote(query))
            heard.set()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
# What it says of buses and graphics cards that are not there is nothing to us.
quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
browser = subprocess.Popen(
    [
        "chromium",
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--user-data-dir=profile",
        f"http://127.0.0.1:{server.server_port}/",
    ],
    **quiet,
)
# Over by then as well where the page says nothing: whoever runs this has an end.
heard.wait(100)
browser.terminate()
browser.wait()
print(said[0] if said else "nothing")
