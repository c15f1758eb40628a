// Command client prints as JSON what other libraries that look at 169.254.169.254 make of it.
//
// Usage: client azure|aws|detector
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/aws/aws-sdk-go-v2/config"
	"go.opentelemetry.io/contrib/detectors/gcp"
)

func main() {
	clients := map[string]func(context.Context, map[string]string) error{
		"azure": azure, "aws": aws, "detector": detector,
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
	_, err = credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{"https://vault.azure.net/.default"}})
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

func detector(ctx context.Context, seen map[string]string) error {
	resource, err := gcp.NewDetector().Detect(ctx)
	if resource != nil {
		for _, attribute := range resource.Attributes() {
			seen[string(attribute.Key)] = attribute.Value.Emit()
		}
	}
	return err
}
