//go:build ignore

// Command metadata prints as JSON who a process is in each cloud, by nothing but the metadata server. It is compiled with
// the newest libraries (go.mod) and with the oldest (oldest.mod).
//
// Usage: metadata CLOUD[,CLOUD...] [FOLDER]
//
// A cloud is aws, azure or google. Of each: identity, which is a token or AWS's word for the caller, or error, and the
// seconds that it took. With a folder it does so again and again, a line to the file seen each time, until there is a
// file end.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cloud.google.com/go/compute/metadata"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

const region = "eu-central-1"

type seen struct {
	Identity string  `json:"identity,omitempty"`
	Error    string  `json:"error,omitempty"`
	Seconds  float64 `json:"seconds"`
}

// identify tells who this process is; what it needs for that is made by the first call.
type identify func(context.Context) (string, error)

func main() {
	clouds := map[string]identify{"aws": awsCaller(), "azure": azureToken(), "google": googleToken}
	round := func() []byte {
		line := map[string]seen{}
		for _, cloud := range strings.Split(os.Args[1], ",") {
			line[cloud] = look(clouds[cloud])
		}
		text, err := json.Marshal(line)
		if err != nil {
			log.Fatal(err)
		}
		return append(text, '\n')
	}
	if len(os.Args) < 3 {
		os.Stdout.Write(round())
		return
	}
	file, err := os.OpenFile(filepath.Join(os.Args[2], "seen"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		log.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(os.Args[2], "end")); err == nil {
			return
		}
		file.Write(round())
		time.Sleep(200 * time.Millisecond)
	}
}

func look(who identify) seen {
	start := time.Now()
	identity, err := who(context.Background())
	found := seen{Identity: identity, Seconds: time.Since(start).Seconds()}
	if err != nil {
		found.Error = err.Error()
	}
	return found
}

func awsCaller() identify {
	var client *sts.Client
	return func(ctx context.Context) (string, error) {
		if client == nil {
			// the oldest do not know the variable
			endpoint := aws.Endpoint{URL: os.Getenv("AWS_ENDPOINT_URL_STS"), SigningRegion: region}
			resolver := aws.EndpointResolverFunc(func(string, string) (aws.Endpoint, error) { return endpoint, nil })
			loaded, err := config.LoadDefaultConfig(ctx, config.WithRegion(region), config.WithEndpointResolver(resolver))
			if err != nil {
				return "", err
			}
			client = sts.NewFromConfig(loaded)
		}
		identity, err := client.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		if err != nil {
			return "", err
		}
		return *identity.Arn, nil
	}
}

func azureToken() identify {
	var credential *azidentity.DefaultAzureCredential
	return func(ctx context.Context) (string, error) {
		if credential == nil {
			made, err := azidentity.NewDefaultAzureCredential(nil)
			if err != nil {
				return "", err
			}
			credential = made
		}
		token, err := credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{"https://vault.azure.net/.default"}})
		return token.Token, err
	}
}

func googleToken(ctx context.Context) (string, error) {
	text, err := metadata.Get("instance/service-accounts/default/token")
	if err != nil {
		return "", err
	}
	var token struct {
		AccessToken string `json:"access_token"`
	}
	err = json.Unmarshal([]byte(text), &token)
	return token.AccessToken, err
}
