// Command client prints as JSON what other clouds' libraries detect.
//
// Usage: client azure|aws|detector|aws-caller|azure-workload|azure-workload-anywhere
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"go.opentelemetry.io/contrib/detectors/gcp"
)

var vault = policy.TokenRequestOptions{Scopes: []string{"https://vault.azure.net/.default"}}

func main() {
	clients := map[string]func(context.Context, map[string]string) error{
		"azure": azure, "aws": aws, "detector": detector, "aws-caller": awsCaller,
		"azure-workload": azureWorkload(false), "azure-workload-anywhere": azureWorkload(true),
	}
	seen := map[string]string{}
	if err := clients[os.Args[1]](context.Background(), seen); err != nil {
		seen["error"] = err.Error()
	}
	if err := json.NewEncoder(os.Stdout).Encode(seen); err != nil {
		log.Fatal(err)
	}
}

func azure(ctx context.Context, _ map[string]string) error {
	credential, err := azidentity.NewDefaultAzureCredential(nil)
	if err != nil {
		return err
	}
	_, err = credential.GetToken(ctx, vault)
	return err
}

func aws(ctx context.Context, _ map[string]string) error {
	loaded, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	_, err = loaded.Credentials.Retrieve(ctx)
	return err
}

func awsCaller(ctx context.Context, seen map[string]string) error {
	loaded, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	identity, err := sts.NewFromConfig(loaded).GetCallerIdentity(ctx, nil)
	if err == nil {
		seen["arn"] = *identity.Arn
	}
	return err
}

func azureWorkload(anywhere bool) func(context.Context, map[string]string) error {
	return func(ctx context.Context, seen map[string]string) error {
		options := azidentity.WorkloadIdentityCredentialOptions{DisableInstanceDiscovery: anywhere}
		credential, err := azidentity.NewWorkloadIdentityCredential(&options)
		if err != nil {
			return err
		}
		token, err := credential.GetToken(ctx, vault)
		seen["token"] = token.Token
		return err
	}
}

func detector(ctx context.Context, seen map[string]string) error {
	resource, err := gcp.NewDetector().Detect(ctx)
	if resource != nil {
		for _, attribute := range resource.Attributes() {
			seen[string(attribute.Key)] = attribute.Value.Emit()
		}
	}
	return err
}
