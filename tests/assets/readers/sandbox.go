package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	lua "github.com/yuin/gopher-lua"
	luajson "layeh.com/gopher-json"
)

// runLua runs a script with the object as its global obj, and returns as JSON what the script returns.
//
// It may do what Argo CD lets scripts of argocd-cm do while useOpenLibs is not set: it has the basic functions and
// tables, of the operating system only the time, nothing for strings, and one second.
func runLua(script string, object map[string]any) ([]byte, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for _, library := range []struct {
		name string
		open lua.LGFunction
	}{
		{lua.LoadLibName, lua.OpenPackage},
		{lua.BaseLibName, lua.OpenBase},
		{lua.TabLibName, lua.OpenTable},
	} {
		opening := lua.P{Fn: state.NewFunction(library.open), Protect: true}
		if err := state.CallByParam(opening, lua.LString(library.name)); err != nil {
			return nil, err
		}
	}
	state.PreloadModule(lua.OsLibName, clock)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	state.SetContext(ctx)

	state.SetGlobal("obj", luaValue(state, object))
	function, err := state.LoadString(script)
	if err != nil {
		return nil, err
	}
	if err := state.CallByParam(lua.P{Fn: function, NRet: 1, Protect: true}); err != nil {
		return nil, err
	}
	returned := state.Get(-1)
	if returned.Type() != lua.LTTable {
		return nil, fmt.Errorf("the script returned a %s, not a table", returned.Type())
	}
	return luajson.Encode(returned)
}

// clock is what require("os") gives: of the real library, what tells the time.
func clock(state *lua.LState) int {
	whole := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer whole.Close()
	whole.Push(whole.NewFunction(lua.OpenOs))
	whole.Call(0, 1)
	library := whole.CheckTable(-1)
	telling := state.NewTable()
	for _, name := range []string{"date", "time"} {
		telling.RawSetString(name, state.NewFunction(library.RawGetString(name).(*lua.LFunction).GFunction))
	}
	state.Push(telling)
	return 1
}

// luaValue turns what JSON can say into Lua. What is null is not there.
func luaValue(state *lua.LState, value any) lua.LValue {
	switch value := value.(type) {
	case bool:
		return lua.LBool(value)
	case string:
		return lua.LString(value)
	case int64:
		return lua.LNumber(value)
	case float64:
		return lua.LNumber(value)
	case []any:
		table := state.CreateTable(len(value), 0)
		for _, item := range value {
			table.Append(luaValue(state, item))
		}
		return table
	case map[string]any:
		table := state.CreateTable(0, len(value))
		for key, item := range value {
			table.RawSetString(key, luaValue(state, item))
		}
		return table
	}
	return lua.LNil
}

// decode reads what a script returned. Lua has one kind of empty table, which comes as a list: where before was an
// empty object, it is one still. Argo CD does the same.
func decode(text []byte, before any) (any, error) {
	var after any
	if err := json.Unmarshal(text, &after); err != nil {
		return nil, err
	}
	return restoreEmpty(after, before), nil
}

func restoreEmpty(after, before any) any {
	switch was := before.(type) {
	case map[string]any:
		switch is := after.(type) {
		case map[string]any:
			for key := range is {
				is[key] = restoreEmpty(is[key], was[key])
			}
		case []any:
			if len(is) == 0 {
				return map[string]any{}
			}
		}
	case []any:
		if is, ok := after.([]any); ok {
			for n := range min(len(is), len(was)) {
				is[n] = restoreEmpty(is[n], was[n])
			}
		}
	}
	return after
}
