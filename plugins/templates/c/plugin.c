// Two checks over a list of words: no-secrets fails on them, hide replaces them.

#include "tidegate.h"
#include "words.h"

#include <stdlib.h>
#include <string.h>

#define SCHEMA "{\"type\": \"object\", \"properties\": {\"words\": {\"type\": \"array\", \"items\": {\"type\": \"string\"}}}}"

// The bindings want an object file with the world in it. The kit embeds the world itself.
void __component_type_object_force_link_tidegate(void) {}

typedef tidegate_plugin_types_list_span_t spans_t;
typedef tidegate_plugin_types_reason_t reason_t;
typedef tidegate_plugin_types_check_error_t error_t;

static bool is(const tidegate_string_t *text, const char *name) {
  return text->len == strlen(name) && memcmp(text->ptr, name, text->len) == 0;
}

// What is returned must come from malloc: the bindings free it.
static tidegate_string_t text(const char *text) {
  tidegate_string_t copy;
  tidegate_string_dup(&copy, text);
  return copy;
}

static tidegate_plugin_types_check_info_t check_info(const char *name, bool mutates) {
  tidegate_plugin_types_hook_t *hooks = malloc(2 * sizeof *hooks);
  hooks[0] = TIDEGATE_PLUGIN_TYPES_HOOK_INPUT;
  hooks[1] = TIDEGATE_PLUGIN_TYPES_HOOK_OUTPUT;
  return (tidegate_plugin_types_check_info_t){
      .name = text(name), .hooks = {hooks, 2}, .streams = true, .mutates = mutates, .params_schema_json = text(SCHEMA)};
}

void exports_tidegate_plugin_about_describe(tidegate_plugin_types_manifest_t *ret) {
  *ret = (tidegate_plugin_types_manifest_t){.id = text("my-guard"), .version = text("0.1.0")};
  ret->checks.ptr = malloc(2 * sizeof *ret->checks.ptr);
  ret->checks.len = 2;
  ret->checks.ptr[0] = check_info("no-secrets", false);
  ret->checks.ptr[1] = check_info("hide", true);
}

static bool prepare(words_t *words, tidegate_string_t *check, tidegate_string_t *params, error_t *err) {
  memset(err, 0, sizeof *err);
  if (!is(check, "no-secrets") && !is(check, "hide")) {
    err->name = text("UnknownCheck");
    err->message = text("there is no such check");
    return false;
  }
  if (!words_read(words, params)) {
    err->name = text("ParamsError");
    err->message = text("words must be a list of texts, none of them empty");
    return false;
  }
  return true;
}

// What the host gave is ours: without this, instances that are reused would grow.
static void finish(words_t *words, tidegate_string_t *check, tidegate_string_t *params) {
  free(words->list);
  tidegate_string_free(check);
  tidegate_string_free(params);
}

// Returns the spans of all words from a byte on.
static spans_t find(const words_t *words, const tidegate_string_t *in, size_t from) {
  spans_t spans = {0};
  for (size_t at = from; at < in->len;) {
    const tidegate_string_t *word = words_at(words, in->ptr + at, in->len - at);
    if (word) {
      spans.ptr = realloc(spans.ptr, (spans.len + 1) * sizeof *spans.ptr);
      spans.ptr[spans.len++] = (tidegate_plugin_types_span_t){at, at + word->len, text("[hidden]")};
    }
    at += word ? word->len : 1;
  }
  return spans;
}

static reason_t found(void) {
  return (reason_t){text("word_found"), text("A word was found that must not pass.")};
}

bool exports_tidegate_plugin_guardrail_check(tidegate_string_t *check, tidegate_string_t *params,
                                             tidegate_plugin_types_subject_t *subject,
                                             tidegate_plugin_types_judgement_t *ret, error_t *err) {
  words_t words = {0};
  bool ok = prepare(&words, check, params, err);
  if (ok) memset(ret, 0, sizeof *ret);
  tidegate_plugin_types_list_mask_t masks = {0};
  for (size_t i = 0; ok && i < subject->pieces.len; i++) {
    spans_t spans = find(&words, &subject->pieces.ptr[i].text, 0);
    if (spans.len == 0) continue;
    masks.ptr = realloc(masks.ptr, (masks.len + 1) * sizeof *masks.ptr);
    masks.ptr[masks.len++] = (tidegate_plugin_types_mask_t){i, spans};
  }
  if (masks.len > 0 && is(check, "hide")) {
    ret->verdict.tag = TIDEGATE_PLUGIN_TYPES_VERDICT_MASK;
    ret->verdict.val.mask = masks;
  } else if (masks.len > 0) {
    ret->verdict.tag = TIDEGATE_PLUGIN_TYPES_VERDICT_FAIL;
    ret->verdict.val.fail = found();
    tidegate_plugin_types_list_mask_free(&masks);
  }
  finish(&words, check, params);
  tidegate_plugin_types_subject_free(subject);
  return ok;
}

// To know that a word begins at a position, the rest of the longest word must be seen.
bool exports_tidegate_plugin_guardrail_stream_needs(tidegate_string_t *check, tidegate_string_t *params,
                                                    tidegate_plugin_types_window_needs_t *ret, error_t *err) {
  words_t words = {0};
  bool ok = prepare(&words, check, params, err);
  if (ok) *ret = (tidegate_plugin_types_window_needs_t){.lookahead = words.longest - 1, .overlap = 0};
  finish(&words, check, params);
  return ok;
}

bool exports_tidegate_plugin_guardrail_stream_window(tidegate_string_t *check, tidegate_string_t *params,
                                                     exports_tidegate_plugin_guardrail_stream_stream_window_t *window,
                                                     exports_tidegate_plugin_guardrail_stream_window_answer_t *ret,
                                                     error_t *err) {
  words_t words = {0};
  bool ok = prepare(&words, check, params, err);
  if (ok) memset(ret, 0, sizeof *ret);
  spans_t spans = ok ? find(&words, &window->text, window->overlap) : (spans_t){0};
  if (spans.len > 0 && is(check, "hide")) {
    ret->verdict.tag = TIDEGATE_PLUGIN_TYPES_WINDOW_VERDICT_MASK;
    ret->verdict.val.mask = spans;
  } else if (spans.len > 0) {
    ret->verdict.tag = TIDEGATE_PLUGIN_TYPES_WINDOW_VERDICT_FAIL;
    ret->verdict.val.fail = found();
    tidegate_plugin_types_list_span_free(&spans);
  }
  finish(&words, check, params);
  exports_tidegate_plugin_guardrail_stream_stream_window_free(window);
  return ok;
}
