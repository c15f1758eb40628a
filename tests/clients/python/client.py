"""What an application sees through google-auth: prints it as JSON.

Usage: client.py AUDIENCE SCOPE...
"""

import json
import sys

import google.auth
import google.auth.compute_engine
import google.auth.exceptions
import google.auth.transport.requests

audience, *scopes = sys.argv[1:]
request = google.auth.transport.requests.Request()
credentials, project_id = google.auth.default(scopes=scopes)
seen = {
    "client": f"google-auth {google.auth.__version__}",
    "available": isinstance(credentials, google.auth.compute_engine.Credentials),
    "projectID": project_id,
    # versions before 2.24 know of one alone
    "universe": getattr(credentials, "universe_domain", "googleapis.com"),
    "email": google.auth.compute_engine._metadata.get_service_account_info(request)["email"],
}

try:
    credentials.refresh(request)
    # the second one asks for the account by the name that the first one learnt
    credentials.refresh(request)
    seen["accessToken"] = credentials.token
except google.auth.exceptions.GoogleAuthError as error:
    seen["accessTokenError"] = str(error)

try:
    # what fetch_id_token() does on a machine that has a metadata server; 1.35 has no part of it on its own
    id_token = google.auth.compute_engine.IDTokenCredentials(
        request, audience, use_metadata_identity_endpoint=True
    )
    id_token.refresh(request)
    seen["idToken"] = id_token.token
except google.auth.exceptions.GoogleAuthError as error:
    seen["idTokenError"] = str(error)

print(json.dumps(seen))
