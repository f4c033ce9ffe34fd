// The words of a check's parameters.
#ifndef WORDS_H
#define WORDS_H

#include "tidegate.h"

typedef struct {
  tidegate_string_t *list;
  size_t count;
  size_t longest;
} words_t;

// Reads "words" of a JSON object, ["swordfish"] by default. Returns false if it is not a list of texts, or one of them
// is empty. The words lie in `json`, whose escapes are resolved on the way.
bool words_read(words_t *words, tidegate_string_t *json);

// Returns the longest word that stands at the beginning of a text, or null.
const tidegate_string_t *words_at(const words_t *words, const uint8_t *text, size_t length);

#endif
