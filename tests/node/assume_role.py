"""An application that knows of boto3 and of nothing else: who AWS takes it for, as JSON.

Usage: assume_role.py [URL]. With a URL it repeats until that responds with "end", and says how often it
was who and which tokens it found in its file.
"""

import hashlib
import json
import os
import sys
import time
import urllib.request

import boto3


def identity():
    """By a session of its own, which keeps no credentials of the one before."""
    return boto3.Session().client("sts").get_caller_identity()["Arn"]


def is_over(url):
    with urllib.request.urlopen(url, timeout=10) as response:
        return response.read() == b"end"


def loop(url):
    identities, failures, tokens = {}, [], []
    while not is_over(url):
        try:
            arn = identity()
            identities[arn] = identities.get(arn, 0) + 1
        except Exception as error:  # as an application would see it
            failures.append(f"{type(error).__name__}: {error}")
        with open(os.environ["AWS_WEB_IDENTITY_TOKEN_FILE"], "rb") as file:
            token = hashlib.sha256(file.read()).hexdigest()
        if token not in tokens:
            tokens.append(token)
        time.sleep(0.5)
    return {"identities": identities, "failures": failures, "tokens": len(tokens)}


print(json.dumps(loop(sys.argv[1]) if len(sys.argv) > 1 else {"arn": identity()}))
