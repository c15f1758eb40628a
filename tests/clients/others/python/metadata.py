"""Prints as JSON who a process is in each cloud, by nothing but the metadata server: of the newest libraries and the oldest.

Usage: metadata.py CLOUD[,CLOUD...] [FOLDER]

A cloud is aws, azure or google. Of each: `identity`, which is a token or AWS's word for the caller, or `error`, and the
seconds that it took. With a folder it does so again and again, a line to the file `seen` each time, until there is a file
`end`.
"""

import json
import os
import sys
import time

SCOPE = "https://vault.azure.net/.default"


def aws_client():
    import boto3

    # the oldest do not know the variable
    return boto3.client("sts", region_name="eu-central-1", endpoint_url=os.environ["AWS_ENDPOINT_URL_STS"])


def azure_client():
    import azure.identity

    return azure.identity.DefaultAzureCredential()


def google_client():
    import google.auth

    return google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])[0]


def google_token(credentials):
    from google.auth.transport.requests import Request

    credentials.refresh(Request())
    return credentials.token


CLOUDS = {
    "aws": (aws_client, lambda client: client.get_caller_identity()["Arn"]),
    "azure": (azure_client, lambda credential: credential.get_token(SCOPE).token),
    "google": (google_client, google_token),
}


def look(cloud, clients):
    start = time.monotonic()
    try:
        make, identify = CLOUDS[cloud]
        if cloud not in clients:
            clients[cloud] = make()
        seen = {"identity": identify(clients[cloud])}
    except Exception as error:  # each library has its own
        seen = {"error": str(error)}
    return {**seen, "seconds": time.monotonic() - start}


def load(clouds):
    """Imports what is asked for, so that the time of the first look is that of the library's calls."""
    if "aws" in clouds:
        import boto3  # noqa: F401
    if "azure" in clouds:
        import azure.identity  # noqa: F401
    if "google" in clouds:
        import google.auth.transport.requests  # noqa: F401


def repeat(clouds, folder):
    clients = {}
    while not os.path.exists(os.path.join(folder, "end")):
        line = {cloud: look(cloud, clients) for cloud in clouds}
        with open(os.path.join(folder, "seen"), "a") as file:
            file.write(json.dumps(line) + "\n")
        time.sleep(0.2)


def main():
    clouds = sys.argv[1].split(",")
    load(clouds)
    if len(sys.argv) > 2:
        repeat(clouds, sys.argv[2])
    else:
        print(json.dumps({cloud: look(cloud, {}) for cloud in clouds}))


main()
