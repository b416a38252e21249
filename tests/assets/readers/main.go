// Readers says what the readers of our statuses say: kstatus, by the module that Helm 4 and Flux use, and Argo CD, by
// running our scripts as Argo CD runs those of its argocd-cm.
//
//	readers judge DIRECTORY    what they say of each object of the JSON list on stdin; a JSON list of the same length
//	readers test DIRECTORY     run the tests of the scripts, in Argo CD's own format
//
// DIRECTORY has the layout of Argo CD's own resource_customizations: <group>/<Kind>/health.lua, where _ is any kind.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// An opinion is what one reader says of one object.
type opinion struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

// What all readers say of one object.
type opinions struct {
	Kstatus opinion `json:"kstatus"`
	Argo    opinion `json:"argo"`
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) == 2 && arguments[0] == "judge" {
		return judge(customizations(arguments[1]))
	}
	if len(arguments) == 2 && arguments[0] == "test" {
		return customizations(arguments[1]).test()
	}
	return errors.New("usage: readers judge|test DIRECTORY")
}

// judge reads objects from stdin and prints what the readers say of them.
func judge(scripts customizations) error {
	var raw []json.RawMessage
	if err := json.NewDecoder(os.Stdin).Decode(&raw); err != nil {
		return fmt.Errorf("reading objects from stdin: %w", err)
	}
	judged := make([]opinions, len(raw))
	for n, text := range raw {
		// Not json.Unmarshal: the readers tell whole numbers from others, as a client of the API server does.
		object := &unstructured.Unstructured{}
		if err := object.UnmarshalJSON(text); err != nil {
			return fmt.Errorf("object %d: %w", n, err)
		}
		judged[n] = opinions{Kstatus: kstatus(object), Argo: scripts.health(object)}
	}
	return json.NewEncoder(os.Stdout).Encode(judged)
}

func kstatus(object *unstructured.Unstructured) opinion {
	result, err := status.Compute(object)
	if err != nil {
		return opinion{Status: string(status.UnknownStatus), Message: err.Error()}
	}
	return opinion{Status: string(result.Status), Message: result.Message}
}
