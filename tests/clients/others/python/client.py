"""Prints as JSON what other clouds' libraries detect.

Usage: client.py azure|aws|detector|aws-caller|azure-workload|azure-workload-anywhere
"""

import json
import sys

SCOPE = "https://vault.azure.net/.default"


def azure():
    import azure.identity

    try:
        azure.identity.DefaultAzureCredential().get_token(SCOPE)
    except Exception as error:  # whatever an exhausted chain raises
        return {"error": str(error)}
    return {}


def aws():
    import boto3

    return {"credentials": boto3.Session().get_credentials()}


def detector():
    from opentelemetry.resourcedetector.gcp_resource_detector import GoogleCloudResourceDetector

    return dict(GoogleCloudResourceDetector(raise_on_error=True).detect().attributes)


def aws_caller():
    import boto3
    import botocore.exceptions

    try:
        return {"arn": boto3.client("sts").get_caller_identity()["Arn"]}
    except botocore.exceptions.ClientError as error:
        return {"error": str(error)}


def azure_workload(**options):
    import azure.core.exceptions
    import azure.identity

    try:
        return {"token": azure.identity.WorkloadIdentityCredential(**options).get_token(SCOPE).token}
    except azure.core.exceptions.ClientAuthenticationError as error:
        return {"error": str(error)}


def azure_workload_anywhere():
    return azure_workload(disable_instance_discovery=True)


CLIENTS = {
    "azure": azure,
    "aws": aws,
    "detector": detector,
    "aws-caller": aws_caller,
    "azure-workload": azure_workload,
    "azure-workload-anywhere": azure_workload_anywhere,
}
print(json.dumps(CLIENTS[sys.argv[1]]()))
