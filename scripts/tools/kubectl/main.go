// Command kubectl is kubectl, of the version of the tests' cluster: k8s.io/kubernetes/cmd/kubectl is little more than
// this, and would compile all of Kubernetes' module for it.
package main

import (
	"k8s.io/component-base/cli"
	"k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
)

func main() {
	if err := cli.RunNoErrOutput(cmd.NewDefaultKubectlCommand()); err != nil {
		util.CheckErr(err)
	}
}
