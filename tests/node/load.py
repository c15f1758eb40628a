"""Asks for a token again and again, on kept and on new connections, until the end is requested.

Prints as JSON how many requests of each kind it made and what went wrong: each request is made once.

Usage: load.py URL_THAT_SAYS_END
"""

import http.client
import json
import sys
import threading
import time
import urllib.request

HOST = "169.254.169.254"
PATH = "/computeMetadata/v1/instance/service-accounts/default/token"
HEADERS = {"Metadata-Flavor": "Google"}
WORKERS_OF_A_KIND = 8
LONGEST_SECONDS = 300

ended = threading.Event()
counts = {"kept": 0, "new": 0}
failures = []
lock = threading.Lock()


def ask(connection):
    connection.request("GET", PATH, headers=HEADERS)
    response = connection.getresponse()
    body = response.read()
    if response.status != 200:
        raise RuntimeError(f"{response.status} {body.decode()}")
    json.loads(body)["access_token"]


def work(kind):
    connection = http.client.HTTPConnection(HOST, timeout=30)
    while not ended.is_set():
        if kind == "new":
            connection.close()
        failure = None
        try:
            ask(connection)
        except Exception as error:
            connection.close()
            failure = f"{kind}: {error!r}"
        with lock:
            counts[kind] += 1
            if failure is not None:
                failures.append(failure)
        if kind == "kept":
            time.sleep(0.002)


threads = [threading.Thread(target=work, args=(kind,)) for kind in counts for _ in range(WORKERS_OF_A_KIND)]
for thread in threads:
    thread.start()
deadline = time.monotonic() + LONGEST_SECONDS
while time.monotonic() < deadline:
    if urllib.request.urlopen(sys.argv[1]).read() == b"end":
        break
    time.sleep(0.1)
ended.set()
for thread in threads:
    thread.join()
print(json.dumps({**counts, "failures": failures}))
