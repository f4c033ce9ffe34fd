// Package guard has two checks over a list of words: no-secrets fails on them, hide replaces them.
package guard

import (
	"encoding/json"
	"strings"

	stream "my-guard/bindings/tidegate_plugin_guardrail_stream"
	tidegate "my-guard/bindings/tidegate_plugin_types"
	wit "my-guard/bindings/wit/types"
)

const schema = `{"type": "object", "properties": {"words": {"type": "array", "items": {"type": "string"}}}}`

var found = tidegate.Reason{Code: "word_found", Message: "A word was found that must not pass."}

func Describe() tidegate.Manifest {
	hooks := []tidegate.Hook{tidegate.Hook_Input, tidegate.Hook_Output}
	return tidegate.Manifest{Id: "my-guard", Version: "0.1.0", Checks: []tidegate.CheckInfo{
		{Name: "no-secrets", Hooks: hooks, Streams: true, ParamsSchemaJson: schema},
		{Name: "hide", Hooks: hooks, Streams: true, Mutates: true, ParamsSchemaJson: schema},
	}}
}

func Check(check, params string, subject tidegate.Subject) wit.Result[tidegate.Judgement, tidegate.CheckError] {
	words, err := wordsOf(check, params)
	if err != nil {
		return wit.Err[tidegate.Judgement](*err)
	}
	var masks []tidegate.Mask
	for at, piece := range subject.Pieces {
		if spans := find(words, piece.Text, 0); spans != nil {
			masks = append(masks, tidegate.Mask{Piece: uint32(at), Spans: spans})
		}
	}
	verdict := tidegate.MakeVerdictPass()
	if masks != nil && check == "hide" {
		verdict = tidegate.MakeVerdictMask(masks)
	} else if masks != nil {
		verdict = tidegate.MakeVerdictFail(found)
	}
	return wit.Ok[tidegate.Judgement, tidegate.CheckError](tidegate.Judgement{Verdict: verdict})
}

// Needs says that to know that a word begins at a position, the rest of the longest word must be seen.
func Needs(check, params string) wit.Result[tidegate.WindowNeeds, tidegate.CheckError] {
	words, err := wordsOf(check, params)
	if err != nil {
		return wit.Err[tidegate.WindowNeeds](*err)
	}
	longest := 0
	for _, word := range words {
		longest = max(longest, len(word))
	}
	return wit.Ok[tidegate.WindowNeeds, tidegate.CheckError](tidegate.WindowNeeds{Lookahead: uint32(longest - 1)})
}

func Window(check, params string, window stream.StreamWindow) wit.Result[stream.WindowAnswer, tidegate.CheckError] {
	words, err := wordsOf(check, params)
	if err != nil {
		return wit.Err[stream.WindowAnswer](*err)
	}
	verdict := tidegate.MakeWindowVerdictPass()
	if spans := find(words, window.Text, int(window.Overlap)); spans != nil && check == "hide" {
		verdict = tidegate.MakeWindowVerdictMask(spans)
	} else if spans != nil {
		verdict = tidegate.MakeWindowVerdictFail(found)
	}
	return wit.Ok[stream.WindowAnswer, tidegate.CheckError](stream.WindowAnswer{Verdict: verdict})
}

func wordsOf(check, params string) ([]string, *tidegate.CheckError) {
	if check != "no-secrets" && check != "hide" {
		return nil, &tidegate.CheckError{Name: "UnknownCheck", Message: check}
	}
	given := struct{ Words []string }{[]string{"swordfish"}}
	err := json.Unmarshal([]byte(params), &given)
	bad := err != nil || len(given.Words) == 0
	for _, word := range given.Words {
		bad = bad || word == ""
	}
	if bad {
		return nil, &tidegate.CheckError{Name: "ParamsError", Message: "words must be a list of texts, none of them empty"}
	}
	return given.Words, nil
}

// find returns the spans of all words from a byte on, the longest where several begin.
func find(words []string, text string, from int) (spans []tidegate.Span) {
	for at := from; at < len(text); {
		length := 0
		for _, word := range words {
			if len(word) > length && strings.HasPrefix(text[at:], word) {
				length = len(word)
			}
		}
		if length > 0 {
			spans = append(spans, tidegate.Span{Start: uint32(at), End: uint32(at + length), Replacement: "[hidden]"})
		}
		at += max(length, 1)
	}
	return spans
}
