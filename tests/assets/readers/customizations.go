package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// A directory of scripts and their tests.
type customizations string

// Argo CD's words for health.
var healths = []string{"Healthy", "Progressing", "Degraded", "Suspended", "Missing", "Unknown"}

// health is what Argo CD says of an object.
func (c customizations) health(object *unstructured.Unstructured) opinion {
	if object.GetDeletionTimestamp() != nil {
		return opinion{Status: "Progressing", Message: "Pending deletion"} // before it asks any script
	}
	judged, err := c.ask(object)
	if err != nil {
		return opinion{Status: "Unknown", Message: err.Error()}
	}
	return judged
}

// ask runs the health script of an object's kind: its own, or the one for all kinds of its group.
func (c customizations) ask(object *unstructured.Unstructured) (judged opinion, err error) {
	kind := object.GroupVersionKind()
	script, err := os.ReadFile(filepath.Join(string(c), kind.Group, kind.Kind, "health.lua"))
	if errors.Is(err, fs.ErrNotExist) {
		script, err = os.ReadFile(filepath.Join(string(c), kind.Group, "_", "health.lua"))
	}
	if err != nil {
		return judged, err
	}
	returned, err := runLua(string(script), object.Object)
	if err != nil {
		return judged, err
	}
	if err := json.Unmarshal(returned, &judged); err != nil {
		return judged, err
	}
	if !slices.Contains(healths, judged.Status) {
		return judged, fmt.Errorf("the script calls it '%s', which is no health", judged.Status)
	}
	return judged, nil
}

// A testFile is a health_test.yaml or an action_test.yaml.
type testFile struct {
	Tests []struct {
		InputPath    string  `json:"inputPath"`
		HealthStatus opinion `json:"healthStatus"`
	} `json:"tests"`
	DiscoveryTests []struct {
		InputPath string   `json:"inputPath"`
		Result    []action `json:"result"`
	} `json:"discoveryTests"`
	ActionTests []struct {
		Action             string `json:"action"`
		InputPath          string `json:"inputPath"`
		ExpectedOutputPath string `json:"expectedOutputPath"`
	} `json:"actionTests"`
}

// An action as discovery.lua offers it.
type action struct {
	Name        string `json:"name"`
	Disabled    bool   `json:"disabled,omitempty"`
	DisplayName string `json:"displayName,omitempty"`
	IconClass   string `json:"iconClass,omitempty"`
}

// test runs every test below the directory and tells of those that fail.
func (c customizations) test() error {
	var count int
	var failures []error
	report := func(file, what string, err error) {
		count++
		if err != nil {
			failures = append(failures, fmt.Errorf("%s: %s: %w", file, what, err))
		}
	}
	err := filepath.WalkDir(string(c), func(path string, _ fs.DirEntry, err error) error {
		name := filepath.Base(path)
		if err != nil || name != "health_test.yaml" && name != "action_test.yaml" {
			return err
		}
		var tests testFile
		if err := readYAML(path, &tests); err != nil {
			return err
		}
		directory := filepath.Dir(path)
		for _, test := range tests.Tests {
			report(path, test.InputPath, c.testHealth(filepath.Join(directory, test.InputPath), test.HealthStatus))
		}
		for _, test := range tests.DiscoveryTests {
			report(path, "discovery of "+test.InputPath, testDiscovery(directory, test.InputPath, test.Result))
		}
		for _, test := range tests.ActionTests {
			report(path, test.Action+" of "+test.InputPath, testAction(directory, test.Action, test.InputPath, test.ExpectedOutputPath))
		}
		return nil
	})
	if err == nil && count == 0 {
		err = fmt.Errorf("there are no tests below %s", c)
	}
	if err = errors.Join(append(failures, err)...); err == nil {
		fmt.Printf("%d tests of Lua scripts passed\n", count)
	}
	return err
}

func (c customizations) testHealth(input string, expected opinion) error {
	object, err := readObject(input)
	if err != nil {
		return err
	}
	judged, err := c.ask(object)
	return errors.Join(err, differs(judged, expected))
}

func testDiscovery(directory, input string, expected []action) error {
	object, err := readObject(filepath.Join(directory, input))
	if err != nil {
		return err
	}
	returned, err := runFile(filepath.Join(directory, "discovery.lua"), object)
	if err != nil {
		return err
	}
	offered := map[string]action{}
	if err := json.Unmarshal(returned, &offered); err != nil {
		return err
	}
	wanted := map[string]action{}
	for _, action := range expected {
		name := action.Name
		action.Name = ""
		wanted[name] = action
	}
	return differs(offered, wanted)
}

// testAction compares what an action makes of an object with what it should. The time, which is all that may differ, is
// the only thing that a test cannot foresee.
func testAction(directory, name, input, output string) error {
	before, err := readObject(filepath.Join(directory, input))
	if err != nil {
		return err
	}
	expected, err := readObject(filepath.Join(directory, output))
	if err != nil {
		return err
	}
	returned, err := runFile(filepath.Join(directory, name, "action.lua"), before)
	if err != nil {
		return err
	}
	after, err := decode(returned, before.Object)
	if err != nil {
		return err
	}
	// Through JSON, so that numbers are of one type.
	var wanted any
	text, err := expected.MarshalJSON()
	if err == nil {
		err = json.Unmarshal(text, &wanted)
	}
	return errors.Join(err, differs(withoutTime(after), withoutTime(wanted)))
}

// requestedAt is the annotation whose value is the time of the request.
const requestedAt = "tenantry.dev/sync-requested-at"

func withoutTime(object any) any {
	annotations, found, _ := unstructured.NestedMap(object.(map[string]any), "metadata", "annotations")
	if _, asked := annotations[requestedAt]; found && asked {
		annotations[requestedAt] = "now"
		_ = unstructured.SetNestedMap(object.(map[string]any), annotations, "metadata", "annotations")
	}
	return object
}

func runFile(path string, object *unstructured.Unstructured) ([]byte, error) {
	script, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return runLua(string(script), object.Object)
}

func differs(found, expected any) error {
	if reflect.DeepEqual(found, expected) {
		return nil
	}
	is, _ := json.Marshal(found)
	should, _ := json.Marshal(expected)
	return fmt.Errorf("it is not as expected\nfound:    %s\nexpected: %s", is, should)
}

func readObject(path string) (*unstructured.Unstructured, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	asJSON, err := yaml.YAMLToJSON(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	object := &unstructured.Unstructured{}
	return object, object.UnmarshalJSON(asJSON)
}

func readYAML(path string, into any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := yaml.UnmarshalStrict(text, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
