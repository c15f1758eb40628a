"""What an application sees through google-auth: prints it as JSON.

Usage: client.py AUDIENCE SCOPE...
"""

import json
import sys

import google.auth
import google.auth.compute_engine
import google.auth.exceptions
import google.auth.transport.requests
import google.oauth2.id_token

audience, *scopes = sys.argv[1:]
request = google.auth.transport.requests.Request()
credentials, project_id = google.auth.default(scopes=scopes)
seen = {
    "client": f"google-auth {google.auth.__version__}",
    "available": isinstance(credentials, google.auth.compute_engine.Credentials),
    "projectID": project_id,
    "universe": credentials.universe_domain,
    "email": google.auth.compute_engine._metadata.get_service_account_info(request)["email"],
}

try:
    credentials.refresh(request)
    # the second one asks for the account by the name that the first one learnt
    credentials.refresh(request)
    seen["accessToken"] = credentials.token
except google.auth.exceptions.RefreshError as error:
    seen["accessTokenError"] = str(error)

try:
    id_token = google.oauth2.id_token.fetch_id_token_credentials(audience, request)
    id_token.refresh(request)
    seen["idToken"] = id_token.token
except google.auth.exceptions.RefreshError as error:
    seen["idTokenError"] = str(error)

print(json.dumps(seen))
