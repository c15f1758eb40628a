"""What an application gets by Application Default Credentials, which a file leads to: prints it as JSON.

Usage: client.py SCOPE...
"""

import json
import sys

import google.auth
import google.auth.transport.requests

credentials, project_id = google.auth.default(scopes=sys.argv[1:])
credentials.refresh(google.auth.transport.requests.Request())
print(json.dumps({"kind": type(credentials).__module__, "accessToken": credentials.token}))
