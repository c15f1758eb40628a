// Command google-client prints as JSON what an application sees through
// cloud.google.com/go/compute/metadata and golang.org/x/oauth2/google.
//
// Usage: google-client AUDIENCE SCOPE...
package main

import (
	"context"
	"encoding/json"
	"log"
	"net/url"
	"os"
	"runtime/debug"

	"cloud.google.com/go/compute/metadata"
	"golang.org/x/oauth2/google"
)

type seen struct {
	Client           string `json:"client"`
	Available        bool   `json:"available"`
	ProjectID        string `json:"projectID"`
	Universe         string `json:"universe"`
	Email            string `json:"email"`
	AccessToken      string `json:"accessToken,omitempty"`
	AccessTokenError string `json:"accessTokenError,omitempty"`
	IDToken          string `json:"idToken,omitempty"`
	IDTokenError     string `json:"idTokenError,omitempty"`
}

func main() {
	ctx := context.Background()
	audience, scopes := os.Args[1], os.Args[2:]
	s := seen{Client: client(), Available: metadata.OnGCEWithContext(ctx)}

	credentials, err := google.FindDefaultCredentials(ctx, scopes...)
	if err != nil {
		log.Fatal(err)
	}
	s.ProjectID = credentials.ProjectID
	if s.Universe, err = credentials.GetUniverseDomain(); err != nil {
		log.Fatal(err)
	}
	if s.Email, err = metadata.EmailWithContext(ctx, "default"); err != nil {
		log.Fatal(err)
	}

	if token, err := credentials.TokenSource.Token(); err == nil {
		s.AccessToken = token.AccessToken
	} else {
		s.AccessTokenError = err.Error()
	}

	query := url.Values{"audience": {audience}, "format": {"full"}}
	if token, err := metadata.GetWithContext(ctx, "instance/service-accounts/default/identity?"+query.Encode()); err == nil {
		s.IDToken = token
	} else {
		s.IDTokenError = err.Error()
	}

	if err := json.NewEncoder(os.Stdout).Encode(s); err != nil {
		log.Fatal(err)
	}
}

// client is the name and version of the library under test.
func client() string {
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if module.Path == "golang.org/x/oauth2" {
			return module.Path + " " + module.Version
		}
	}
	return "unknown"
}
