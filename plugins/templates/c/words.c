#include "words.h"

#include <stdlib.h>
#include <string.h>

static const uint8_t *end;

static uint8_t peek(const uint8_t *at) { return at < end ? *at : 0; }

static uint8_t *skip_space(uint8_t *at) {
  while (peek(at) == ' ' || peek(at) == '\t' || peek(at) == '\n' || peek(at) == '\r') at++;
  return at;
}

// From a quotation mark to behind the one that closes it.
static uint8_t *skip_string(uint8_t *at) {
  for (at++; at < end && *at != '"'; at++) at += *at == '\\';
  return at + 1;
}

// Behind any value.
static uint8_t *skip_value(uint8_t *at) {
  int depth = 0;
  for (at = skip_space(at); at < end; at++) {
    if (depth == 0 && (*at == ',' || *at == '}' || *at == ']')) return at;
    if (*at == '"') at = skip_string(at) - 1;
    else if (*at == '{' || *at == '[') depth++;
    else if (*at == '}' || *at == ']') depth--;
  }
  return at;
}

static uint32_t hex(const uint8_t *at) {
  uint32_t sum = 0;
  for (int digit = 0; digit < 4; digit++) {
    uint8_t letter = peek(at + digit);
    sum = sum * 16 + (letter <= '9' ? letter - '0' : (letter | 32) - 'a' + 10);
  }
  return sum;
}

static uint8_t *put(uint8_t *to, uint32_t code) {
  if (code < 0x80) return *to++ = code, to;
  if (code < 0x800) *to++ = 0xc0 | code >> 6;
  else {
    if (code < 0x10000) *to++ = 0xe0 | code >> 12;
    else *to++ = 0xf0 | code >> 18, *to++ = 0x80 | (code >> 12 & 63);
    *to++ = 0x80 | (code >> 6 & 63);
  }
  return *to++ = 0x80 | (code & 63), to;
}

// Resolves the escapes of a string where it stands: what comes out is never longer. Returns what is behind it.
static uint8_t *read_string(uint8_t *at, tidegate_string_t *word) {
  uint8_t *behind = skip_string(at), *to = ++at;
  word->ptr = at;
  while (at < behind - 1) {
    if (*at != '\\') *to++ = *at++;
    else if (at[1] == 'u') {
      uint32_t code = hex(at + 2);
      at += 6;
      if (code >> 10 == 0x36) code = 0x10000 + ((code & 0x3ff) << 10 | (hex(at + 2) & 0x3ff)), at += 6;
      to = put(to, code);
    } else {
      static const char names[] = "b\bf\fn\nr\rt\t";
      const char *name = strchr(names, at[1]);
      *to++ = name ? name[1] : at[1];
      at += 2;
    }
  }
  word->len = to - word->ptr;
  return behind;
}

static bool read_list(words_t *words, uint8_t *at) {
  if (peek(at) != '[') return false;
  for (at = skip_space(at + 1); peek(at) == '"'; at = skip_space(at + 1)) {
    words->list = realloc(words->list, (words->count + 1) * sizeof *words->list);
    tidegate_string_t *word = &words->list[words->count++];
    at = skip_space(read_string(at, word));
    if (word->len == 0) return false;
    if (word->len > words->longest) words->longest = word->len;
    if (peek(at) != ',') break;
  }
  return peek(at) == ']' && words->count > 0;
}

bool words_read(words_t *words, tidegate_string_t *json) {
  *words = (words_t){0};
  uint8_t *at = json->ptr;
  end = json->ptr + json->len;
  for (at = skip_space(at) + 1; at < end; at++) {
    uint8_t *key = skip_space(at);
    if (peek(key) != '"') break;
    uint8_t *value = skip_space(skip_space(skip_string(key)) + 1);
    if (end - key > 7 && memcmp(key, "\"words\"", 7) == 0) return read_list(words, value);
    at = skip_value(value);
  }
  static tidegate_string_t usual = {(uint8_t *)"swordfish", 9};
  words->list = malloc(sizeof usual);
  words->list[0] = usual;
  words->count = 1;
  words->longest = usual.len;
  return true;
}

const tidegate_string_t *words_at(const words_t *words, const uint8_t *text, size_t length) {
  const tidegate_string_t *found = NULL;
  for (size_t i = 0; i < words->count; i++) {
    const tidegate_string_t *word = &words->list[i];
    if (word->len > length || (found && word->len <= found->len)) continue;
    if (memcmp(word->ptr, text, word->len) == 0) found = word;
  }
  return found;
}
