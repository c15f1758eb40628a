// envsubst puts variables of its environment into its standard input, as Flux does after a Kustomization is built.
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/fluxcd/pkg/envsubst"
)

func main() {
	input, err := io.ReadAll(os.Stdin)
	if err == nil {
		var output string
		if output, err = envsubst.EvalEnv(string(input), true); err == nil {
			_, err = io.WriteString(os.Stdout, output)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
